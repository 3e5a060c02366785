"""Learner `forest`: a random forest on Morgan counts, for classes and for numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from scarce.contract import Learner, LearnerContext, LearnerSpec, Predictions, TrainingPart, as_predictions, hookimpl, usable_parts
from scarce_molecules import config
from scarce_molecules.fingerprints import counts

Array = npt.NDArray[Any]


class Forest(LearnerSpec):
    """The usual strong baseline of property prediction from structure."""

    def __init__(self, options: config.Forest) -> None:
        self.options = options

    @hookimpl
    def learner_build(self, ctx: LearnerContext) -> Learner:
        """A fresh `MorganForest`."""
        return MorganForest(ctx, self.options)


class MorganForest:
    """A molecule votes with the weight of its part; what is no valid molecule has a fingerprint of zeros."""

    def __init__(self, ctx: LearnerContext, options: config.Forest) -> None:
        self.ctx, self.options = ctx, options
        self.model: Any = None

    def fit(self, parts: Sequence[TrainingPart]) -> None:
        """Fit on all parts; where none has a number (samples none of which is valid), every answer is 0. DataError without any class."""
        numbers = self.ctx.dataset.task == "regression"
        usable = numeric_parts(parts) if numbers else usable_parts(self.ctx.dataset, parts)
        if not usable:
            self.model = None
            return
        x = np.concatenate([self._features(records) for records, _, _ in usable])
        y = np.concatenate([values for _, values, _ in usable])
        weights = np.concatenate([np.full(len(values), part.weight) for _, values, part in usable])
        kind = RandomForestRegressor if numbers else RandomForestClassifier
        self.model = kind(n_estimators=self.options.trees, min_samples_leaf=self.options.leaf, max_features="sqrt" if not numbers else 0.3,
                          random_state=self.ctx.seed % 2**31, n_jobs=1)  # fmt: skip
        self.model.fit(x, y, sample_weight=weights)

    def predict(self, records: Any) -> Predictions:
        """Classes with the share of trees, or numbers; the target column is not looked at."""
        classes = self.ctx.dataset.classes
        if len(records) == 0:
            return as_predictions(self.ctx.dataset, np.zeros((0, len(classes)))) if classes else Predictions(values=np.zeros(0))
        if self.model is None:
            return Predictions(values=np.zeros(len(records)))
        x = self._features(records)
        if self.ctx.dataset.task == "regression":
            return Predictions(values=np.asarray(self.model.predict(x), dtype=np.float64))
        out = np.zeros((len(x), len(classes)))
        out[:, self.model.classes_] = self.model.predict_proba(x)
        return as_predictions(self.ctx.dataset, out)

    def _features(self, records: Any) -> Array:
        return counts(records["smiles"].tolist(), self.options.radius, self.options.bits)


def numeric_parts(parts: Sequence[TrainingPart]) -> list[tuple[Any, Array, TrainingPart]]:
    """Records and targets of every part with a weight, without rows whose target is no number."""
    out = []
    for part in parts:
        if part.weight > 0 and len(part.records):
            y = np.asarray(part.target, dtype=np.float64)
            good = np.flatnonzero(np.isfinite(y))
            if len(good):
                out.append((part.records.iloc[good], y[good], part))
    return out
