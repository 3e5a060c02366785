"""Evaluator `acme-centres`: numbers of samples and of predictions, and a figure."""

from __future__ import annotations

import numpy as np

from acme_frozen.config import CentresOptions
from scarce.contract import EvaluatorContext, EvaluatorSpec, Figure, Metric, hookimpl


class Centres(EvaluatorSpec):
    def __init__(self, options: CentresOptions) -> None:
        self.options = options

    @hookimpl
    def evaluator_measure(self, ctx: EvaluatorContext) -> list[Metric]:
        assert (self.options.judge is None) == ("judge" not in ctx.parts)
        assert ctx.generator is not None
        test = ctx.dataset.rows("test")
        truth = ctx.dataset.target[test]
        real = ctx.codec.vectors(ctx.dataset.part(test).records).mean(0)
        out = [
            Metric(name="acme_accuracy", value=float(np.mean(said.values == truth)), source=source, direction="higher", n=len(truth))
            for source, said in ctx.predictions.items()
        ]
        for source, records in ctx.samples.items():
            far = float(np.linalg.norm(ctx.codec.vectors(records).mean(0) - real))
            out.append(Metric(name="acme_distance", value=far, source=source, direction="lower", floor=0.0, n=len(records), unit="sd"))
        return out

    @hookimpl
    def evaluator_draw(self, ctx: EvaluatorContext) -> list[Figure]:
        return [Figure(name="acme", title="Centres", html="<p>centres</p>")]
