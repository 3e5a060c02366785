"""Learners of tables: gradient-boosted trees on the records themselves, and an MLP on encoded records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from catboost import CatBoostClassifier, CatBoostRegressor, Pool
from torch import Tensor, nn

from scarce.contract import (
    Budget,
    Dataset,
    Draw,
    Fitting,
    Learner,
    LearnerContext,
    LearnerSpec,
    Phase,
    Predictions,
    Supervision,
    Term,
    TrainingPart,
    as_predictions,
    concat,
    hookimpl,
    thinned,
    usable_parts,
)
from scarce.contract.protocols import Loss
from scarce.errors import DataError
from scarce_tabular.columns import columns_of, levels
from scarce_tabular.config import CatBoost as CatBoostOptions
from scarce_tabular.config import MlpLearner as MlpOptions

Array = npt.NDArray[Any]


class CatBoost(LearnerSpec):
    """Gradient-boosted trees (arXiv 1706.09516) at one fixed configuration, so that only the data differs."""

    def __init__(self, options: CatBoostOptions) -> None:
        self.options = options

    @hookimpl
    def learner_build(self, ctx: LearnerContext) -> Learner:
        """A fresh `Trees`."""
        return Trees(ctx.dataset, self.options, ctx.seed)


class Mlp(LearnerSpec):
    """A small network on `Codec.soft` features, through which gradients reach the records."""

    def __init__(self, options: MlpOptions) -> None:
        self.options = options

    @hookimpl
    def learner_build(self, ctx: LearnerContext) -> Learner:
        """A fresh `SoftMlp`."""
        return SoftMlp(ctx, self.options)


def usable_rows(dataset: Dataset, parts: Sequence[TrainingPart]) -> tuple[Any, Array, Array]:
    """Records, targets (class codes or floats) and weights of all rows with a weight and a known target.

    Raises DataError when there is no target to learn, or not one usable row.
    """
    if dataset.task == "none":
        raise DataError(f"data set '{dataset.name}' has no target to learn", hint="--set data.target=COLUMN")
    kept = [part for part in parts if part.weight > 0 and len(part.records) > 0]
    if not kept:
        raise DataError("the learner was given no training rows", hint="check the weights of its parts")
    targets = np.concatenate([_target(dataset, part.target) for part in kept])
    weights = np.concatenate([np.full(len(part.records), part.weight) for part in kept])
    known = targets >= 0 if dataset.task == "classification" else np.isfinite(targets)
    if not known.any():
        raise DataError(f"no training row has a known value of target '{dataset.target_name}'", hint="scarce data inspect FILE")
    records = concat([part.records for part in kept])
    return (records if known.all() else records[known].reset_index(drop=True)), targets[known], weights[known]


def _target(dataset: Dataset, values: Array) -> Array:
    if dataset.task == "regression":
        return np.asarray(pd.to_numeric(pd.Series(values), errors="coerce"), dtype=np.float64)
    code = {label: i for i, label in enumerate(dataset.classes)}
    return np.array([code.get(value, -1) for value in np.asarray(values).tolist()], dtype=np.int64)


class Trees:
    """CatBoost on the table's own columns; identifiers, constants and the target are no features."""

    def __init__(self, dataset: Dataset, options: CatBoostOptions, seed: int) -> None:
        self.dataset = dataset
        self.columns = columns_of(dataset).without(dataset.target_name)
        self.settings = {
            **options.model_dump(exclude={"threads"}), "thread_count": options.threads, "random_seed": seed % 2**31,
            "logging_level": "Silent", "allow_writing_files": False, "max_ctr_complexity": 1, "bootstrap_type": "Bernoulli",
        }  # fmt: skip
        self.model: Any = None
        self.constant: Array | float = 0.0

    def fit(self, parts: Sequence[TrainingPart]) -> None:
        """Train from scratch; with one class, no features or one target value the prediction is constant.

        Nothing stops early, so no row outside the parts is looked at. DataError without usable rows.
        """
        records, target, weights = usable_rows(self.dataset, parts)
        classification = self.dataset.task == "classification"
        self.model = None
        self.constant = (
            np.bincount(target, weights, len(self.dataset.classes)) / weights.sum()
            if classification
            else np.average(target, weights=weights)
        )
        if not self.columns.names or (target == target[0]).all():
            return
        kind = CatBoostClassifier if classification else CatBoostRegressor
        # With two classes "Logloss" would need both named in order; "MultiClass" would cost twice the trees.
        loss = "RMSE" if not classification else "Logloss" if len(np.unique(target)) == 2 else "MultiClass"
        features = self._features(records)
        if features.nunique(dropna=False).max() < 2:
            return
        self.model = kind(**self.settings, loss_function=loss)
        self.model.fit(self._pool(features, target, weights))

    def predict(self, records: Any) -> Predictions:
        """Class values with probabilities, or floats; the target column is not looked at."""
        n = len(records)
        if self.dataset.task != "classification":
            values = np.full(n, self.constant) if self.model is None else self.model.predict(self._pool(self._features(records)))
            return Predictions(values=np.asarray(values, dtype=np.float64))
        if self.model is None:
            return as_predictions(self.dataset, np.tile(np.asarray(self.constant), (n, 1)))
        probabilities = np.zeros((n, len(self.dataset.classes)))
        probabilities[:, self.model.classes_.astype(int)] = self.model.predict_proba(self._pool(self._features(records)))
        return as_predictions(self.dataset, probabilities)

    def _features(self, records: Any) -> pd.DataFrame:
        kept = {name: self.columns.numbers(records, name) for name in self.columns.numeric}
        return pd.DataFrame(kept | {name: levels(records[name]) for name in self.columns.categorical})

    def _pool(self, features: pd.DataFrame, target: Array | None = None, weights: Array | None = None) -> Pool:
        return Pool(features, label=target, weight=weights, cat_features=list(self.columns.categorical))


class SoftMlp(nn.Module):
    """A network on standardised `Codec.soft` features; `logits` is differentiable in them."""

    def __init__(self, ctx: LearnerContext, options: MlpOptions) -> None:
        super().__init__()
        self.ctx, self.options = ctx, options
        self.outputs = len(ctx.dataset.classes) if ctx.dataset.task == "classification" else 1
        self.scale = (0.0, 1.0)  # mean and sd of a numeric target
        self.network = nn.Sequential()

    def fit(self, parts: Sequence[TrainingPart]) -> None:
        """Train from scratch for a fixed number of steps; nothing outside the parts is looked at."""
        x, model, loss = self._classes(parts) if self.ctx.dataset.task == "classification" else self._numbers(parts)
        o = self.options
        budget = Budget(steps=o.steps, batch=min(o.batch, len(x)), rate=o.rate, weight_decay=o.weight_decay, ema=0.99)
        phase = Phase(name="learner", terms=(Term(name="supervised", loss="supervised"),), budget=budget)
        pools = {"all": torch.arange(len(x))}
        self.ctx.runtime.fit(Fitting(phase=phase, model=model, losses={"supervised": loss}, pools=pools, label="learner.mlp"))

    def _classes(self, parts: Sequence[TrainingPart]) -> tuple[Tensor, nn.Module, Loss]:
        usable = usable_parts(self.ctx.dataset, parts)
        x = torch.cat([self._features(records) for records, _, _ in usable])
        self._build(x)
        x, supervision = x.to(self.ctx.runtime.device), Supervision(usable, self.options.width, self.ctx.runtime)

        def loss(draw: Draw) -> Tensor:
            embed = self.embed(x[draw.rows])
            out: Tensor = supervision(draw.rows, self.network[-2:](embed), embed)
            return out

        return x, nn.ModuleList([self.network, supervision]), loss

    def _numbers(self, parts: Sequence[TrainingPart]) -> tuple[Tensor, nn.Module, Loss]:
        records, target, weights = usable_rows(self.ctx.dataset, parts)
        x = self._features(records)
        self._build(x)
        mean = float(np.average(target, weights=weights))
        self.scale = (mean, float(np.sqrt(np.average((target - mean) ** 2, weights=weights))) or 1.0)
        device = self.ctx.runtime.device
        x, y = x.to(device), torch.from_numpy((target - mean) / self.scale[1]).float().to(device)
        w = torch.from_numpy(weights / weights.mean()).float().to(device)

        def loss(draw: Draw) -> Tensor:
            return w[draw.rows] * (self._raw(x[draw.rows])[:, 0] - y[draw.rows]) ** 2

        return x, self.network, loss

    def predict(self, records: Any) -> Predictions:
        """Class values with probabilities, or floats in the target's units."""
        with torch.no_grad():
            out = self.logits(self._features(records).to(self.ctx.runtime.device)).double().cpu()
        if self.ctx.dataset.task == "classification":
            return as_predictions(self.ctx.dataset, torch.softmax(out, 1).numpy())
        return Predictions(values=out[:, 0].numpy())

    def logits(self, features: Tensor) -> Tensor:
        """[n, k] logits of soft features [n, ...]; for a numeric target [n, 1] predictions in its units."""
        out = self._raw(features.float())
        return out if self.ctx.dataset.task == "classification" else out * self.scale[1] + self.scale[0]

    def embed(self, features: Tensor) -> Tensor:
        """[n, d] inputs of the last linear layer, of soft features [n, ...]; differentiable."""
        out: Tensor = self.network[:-2](features.float().flatten(1))
        return out

    def passes(self, features: Tensor, count: int, seed: int) -> Tensor:
        """[count, n, k] logits with dropout before the last layer; equal seeds, equal masks."""
        return thinned(self.network[-1], self.embed(features), self.options.dropout, count, seed)

    def _raw(self, features: Tensor) -> Tensor:
        out: Tensor = self.network(features.flatten(1))
        return out

    def _features(self, records: Any) -> Tensor:
        return self.ctx.codec.soft(self.ctx.codec.encode(self._blind(records))).flatten(1).float()

    def _blind(self, records: Any) -> Any:
        """Records whose target column holds one and the same training value, so that no codec can leak it."""
        name, data = self.ctx.dataset.target_name, self.ctx.dataset
        if name not in getattr(records, "columns", ()):
            return records
        known = data.records[name].iloc[data.rows("train")].dropna()
        blind = records.copy()
        blind[name] = pd.Series([known.iloc[0]] * len(records), index=records.index, dtype=data.records[name].dtype)
        return blind

    def _build(self, features: Tensor) -> None:
        o, width = self.options, features.shape[1]
        layers: list[nn.Module] = [Standardise(features)]
        with self.ctx.runtime.seeded("learner.mlp"):
            for _ in range(o.depth):
                layers += [nn.Linear(width, o.width), nn.SiLU(), nn.Dropout(o.dropout)]
                width = o.width
            layers.append(nn.Linear(width, self.outputs))
        self.network = nn.Sequential(*layers).to(self.ctx.runtime.device)


class Standardise(nn.Module):
    """Features to mean 0 and sd 1 on the training rows; what never varies there (the blinded target) becomes 0."""

    mean: Tensor
    factor: Tensor

    def __init__(self, features: Tensor) -> None:
        super().__init__()
        sd = features.std(0, unbiased=False)
        self.register_buffer("mean", features.mean(0))
        self.register_buffer("factor", torch.where(sd > 1e-6, 1 / sd.clamp(min=1e-6), 0.0))

    def forward(self, features: Tensor) -> Tensor:
        """[n, d] -> [n, d]."""
        return (features - self.mean) * self.factor
