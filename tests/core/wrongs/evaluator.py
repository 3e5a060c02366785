"""Distance of means with an interval, and one that is wrong for every check."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from scarce.contract import EvaluatorContext, EvaluatorSpec, Figure, Metric, hookimpl, take

KEPT: list[object] = []


class Good(EvaluatorSpec):
    """How far the mean of each source lies from that of hold-out records."""

    @hookimpl
    def evaluator_measure(self, ctx: EvaluatorContext) -> list[Metric]:
        return [self.metric(ctx, source) for source in ctx.samples]

    def metric(self, ctx: EvaluatorContext, source: str) -> Metric:
        held = ctx.codec.vectors(take(ctx.dataset.records, ctx.dataset.rows("validation", "test")))
        rows = ctx.codec.vectors(ctx.samples[source])
        value = float(np.abs(rows.mean(0) - held.mean(0)).mean())
        return Metric(name="mean_distance", value=value, source=source, direction="lower", low=0.5 * value, high=2 * value)

    @hookimpl
    def evaluator_draw(self, ctx: EvaluatorContext) -> list[Figure]:
        return []


class NotANumber(Good):
    def metric(self, ctx: EvaluatorContext, source: str) -> Metric:
        return Metric(name="mean_distance", value=math.nan, source=source)


class Reversed(Good):
    def metric(self, ctx: EvaluatorContext, source: str) -> Metric:
        return replace(super().metric(ctx, source), direction="higher")


class Narrow(Good):
    def metric(self, ctx: EvaluatorContext, source: str) -> Metric:
        found = super().metric(ctx, source)
        value = found.value * (1 + 0.1 * float(np.random.default_rng(ctx.seed).random()))
        return replace(found, value=value, low=value, high=value)


class Greedy(Good):
    def metric(self, ctx: EvaluatorContext, source: str) -> Metric:
        if len(ctx.dataset) < 12:
            raise ValueError("too few")
        return super().metric(ctx, source)


class Expects(Good):
    @hookimpl
    def evaluator_measure(self, ctx: EvaluatorContext) -> list[Metric]:
        return [self.metric(ctx, "synthetic")]


class Changes(Good):
    @hookimpl
    def evaluator_measure(self, ctx: EvaluatorContext) -> list[Metric]:
        ctx.predictions["real"].values[:] = ctx.predictions["real"].values[0]
        return super().evaluator_measure(ctx)


class Unseeded(Good):
    def metric(self, ctx: EvaluatorContext, source: str) -> Metric:
        found = super().metric(ctx, source)
        return replace(found, value=found.value + 1e-6 * float(np.random.default_rng().random()))


class Global(Good):
    def metric(self, ctx: EvaluatorContext, source: str) -> Metric:
        np.random.rand()
        return super().metric(ctx, source)


class Remembered(Good):
    def metric(self, ctx: EvaluatorContext, source: str) -> Metric:
        KEPT.append(self)
        return super().metric(ctx, source)


WRONG = {
    "Good": "", "NotANumber": "answers", "Reversed": "direction", "Narrow": "interval", "Greedy": "few-rows", "Expects": "no-samples",
    "Changes": "inputs-kept", "Unseeded": "same-seed", "Global": "global-random", "Remembered": "memory",
}  # fmt: skip
PROVIDES = {name: ["eval:fidelity"] for name in WRONG}
