"""Evaluator `property-scores`: is the learner fitted on each source right about unseen real molecules?"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import accuracy_score, f1_score, r2_score

from scarce.contract import EvaluatorContext, EvaluatorSpec, Figure, Metric, hookimpl
from scarce_molecules import config
from scarce_molecules.sides import NAN

BETTER: dict[str, Any] = {"macro_f1": "higher", "accuracy": "higher", "r2": "higher", "rmse": "lower"}
Array = npt.NDArray[Any]


class PropertyScores(EvaluatorSpec):
    """Scores on real test molecules: train on synthetic, test on real."""

    def __init__(self, options: config.PropertyScores) -> None:
        self.options = options

    @hookimpl
    def evaluator_measure(self, ctx: EvaluatorContext) -> list[Metric]:
        """`macro_f1` and `accuracy` of classes, `r2` and `rmse` of numbers; floor: fitted on real molecules, ceiling: the usual answer."""
        data = ctx.dataset
        name = {"classification": "accuracy", "regression": "r2"}.get(data.task)
        if name is None or data.target is None:
            return [Metric(name="accuracy", value=NAN, source=s, error="the data set has no target") for s in ctx.predictions]
        numbers = data.task == "regression"
        truth = data.target.astype(np.float64) if numbers else data.codes_of(data.target)
        test, train = truth[data.rows("test")], truth[data.rows("train")]
        known = np.isfinite(test) if numbers else test >= 0
        if known.sum() < 2:
            return [
                Metric(name=name, value=NAN, source=s, error="fewer than 2 test molecules have a known target") for s in ctx.predictions
            ]
        score = value_scores if numbers else class_scores
        said = {s: np.asarray(p.values, dtype=np.float64) if numbers else data.codes_of(p.values) for s, p in ctx.predictions.items()}
        usual = np.nanmean(train) if numbers else np.bincount(train[train >= 0], minlength=1).argmax()
        found = {s: score(test[known], values[known]) for s, values in said.items()}
        useless, floor = score(test[known], np.full(int(known.sum()), usual)), found.get("real", {})
        return [
            Metric(
                name=m, value=value, source=source, direction=BETTER[m], floor=floor.get(m), ceiling=useless[m], n=int(known.sum()),
            )
            for source, scores in found.items() for m, value in scores.items()
        ]  # fmt: skip

    @hookimpl
    def evaluator_draw(self, ctx: EvaluatorContext) -> list[Figure]:
        """No figures: the report draws the scores of all sources and seeds itself."""
        return []


def class_scores(truth: Array, said: Array) -> dict[str, float]:
    """`macro_f1` and `accuracy`."""
    return {"macro_f1": float(f1_score(truth, said, average="macro", zero_division=0)), "accuracy": float(accuracy_score(truth, said))}


def value_scores(truth: Array, said: Array) -> dict[str, float]:
    """`r2` and `rmse`."""
    return {"r2": float(r2_score(truth, said)), "rmse": float(np.sqrt(np.mean((truth - said) ** 2)))}
