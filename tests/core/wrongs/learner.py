"""Nearest centroids with everything a learner can claim, and one that is wrong for every check."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scarce.contract import (
    Embedded,
    Learner,
    LearnerContext,
    LearnerSpec,
    Predictions,
    TrainingPart,
    as_predictions,
    hookimpl,
    usable_parts,
)

KEPT: list[object] = []


class Centroids:
    """Class means of soft features; for numbers the mean target of the three nearest."""

    def __init__(self, ctx: LearnerContext) -> None:
        self.ctx, self.regression = ctx, ctx.dataset.task == "regression"

    def features(self, records: Any) -> Tensor:
        return self.ctx.codec.soft(self.ctx.codec.encode(records)).flatten(1).float()

    def fit(self, parts: Sequence[TrainingPart]) -> None:
        if self.regression:
            used = [p for p in parts if p.weight > 0]
            self.x, self.y = torch.cat([self.features(p.records) for p in used]), np.concatenate([p.target for p in used])
            return
        sums = torch.zeros(len(self.ctx.dataset.classes), 1)
        total: Tensor | float = 0.0
        for records, codes, part in usable_parts(self.ctx.dataset, self.weighed(parts)):
            share = part.weight * torch.nn.functional.one_hot(torch.from_numpy(codes), len(sums)).float()
            share = share + self.guided(part, len(sums))
            total, sums = total + share.T @ self.features(records), sums + share.sum(0)[:, None]
        self.centres = total / sums.clamp(min=1e-6)

    def weighed(self, parts: Sequence[TrainingPart]) -> Sequence[TrainingPart]:
        return parts

    def guided(self, part: TrainingPart, k: int) -> Tensor:
        if part.guide is None or part.guide.alpha == 0:
            return torch.zeros(len(part.records), k)
        return part.guide.alpha * torch.from_numpy(part.guide.probabilities).float()

    def predict(self, records: Any) -> Predictions:
        if self.regression:
            near = torch.cdist(self.features(records), self.x).topk(3, largest=False).indices.numpy()
            return Predictions(values=self.y[near].mean(1))
        with torch.no_grad():
            p = self.logits(self.features(records)).double().softmax(1).numpy()
        return as_predictions(self.ctx.dataset, p)

    def logits(self, features: Tensor) -> Tensor:
        return -torch.cdist(features.flatten(1), self.centres).square()

    def embed(self, features: Tensor) -> Tensor:
        return 2 * features.flatten(1)

    def passes(self, features: Tensor, count: int, seed: int) -> Tensor:
        random = torch.Generator().manual_seed(seed)
        flat = features.flatten(1)
        masks = torch.bernoulli(torch.full((count, 1, flat.shape[1]), 0.5), generator=random)
        return torch.stack([self.logits(flat * mask) for mask in masks])

    def tokens(self, records: Any) -> Embedded:
        seen = self.features(records)
        return Embedded(seen.unsqueeze(1), torch.ones(len(seen), 1, dtype=torch.bool), seen)


class Good(LearnerSpec):
    kind: Any = Centroids

    @hookimpl
    def learner_build(self, ctx: LearnerContext) -> Learner:
        return self.kind(ctx)


def spec(kind: type) -> type:
    """A plugin class around a learner."""
    return type(kind.__name__.removeprefix("_"), (Good,), {"kind": kind, "__module__": __name__})


class _Unnormed(Centroids):
    def predict(self, records: Any) -> Predictions:
        said = super().predict(records)
        return replace(said, probabilities=2 * said.probabilities)


class _Unweighed(Centroids):
    def weighed(self, parts: Sequence[TrainingPart]) -> Sequence[TrainingPart]:
        return [replace(part, weight=1.0) for part in parts]


class _Changes(Centroids):
    def fit(self, parts: Sequence[TrainingPart]) -> None:
        super().fit(parts)
        parts[0].target[:] = parts[0].target[::-1].copy()


class _Constant(Centroids):
    def predict(self, records: Any) -> Predictions:
        return as_predictions(self.ctx.dataset, np.tile([1.0, 0.0], (len(records), 1)))


class _Zero(Centroids):
    def predict(self, records: Any) -> Predictions:
        return Predictions(values=np.full(len(records), 9.0)) if self.regression else super().predict(records)


class _Stopped(Centroids):
    def logits(self, features: Tensor) -> Tensor:
        return super().logits(features.detach())


class _Cube(Centroids):
    def embed(self, features: Tensor) -> Tensor:
        return super().embed(features).unsqueeze(-1)


class _Same(Centroids):
    def passes(self, features: Tensor, count: int, seed: int) -> Tensor:
        return torch.stack([self.logits(features)] * count)


class _Deaf(Centroids):
    def guided(self, part: TrainingPart, k: int) -> Tensor:
        return torch.zeros(len(part.records), k)


class _Masked(Centroids):
    def tokens(self, records: Any) -> Embedded:
        return replace(super().tokens(records), mask=torch.ones(len(records), 1))


class _Unseeded(Centroids):
    def predict(self, records: Any) -> Predictions:
        said = super().predict(records)
        p = said.probabilities + 1e-9 * np.random.default_rng().random(said.probabilities.shape)
        return replace(said, probabilities=p)


class _Global(Centroids):
    def fit(self, parts: Sequence[TrainingPart]) -> None:
        torch.manual_seed(0)
        super().fit(parts)


class _Remembered(Centroids):
    def fit(self, parts: Sequence[TrainingPart]) -> None:
        KEPT.append(self)
        super().fit(parts)


Unnormed, Unweighed, Changes, Constant, Zero, Stopped = map(spec, (_Unnormed, _Unweighed, _Changes, _Constant, _Zero, _Stopped))
Cube, Same, Deaf, Masked, Global, Remembered = map(spec, (_Cube, _Same, _Deaf, _Masked, _Global, _Remembered))
Unseeded = spec(_Unseeded)
WRONG = {
    "Good": "", "Unnormed": "answers", "Unweighed": "zero-weight", "Changes": "inputs-kept", "Constant": "learner:classification",
    "Zero": "learner:regression", "Stopped": "learner:differentiable", "Cube": "learner:features", "Same": "learner:stochastic",
    "Deaf": "learner:guided", "Masked": "learner:tokens", "Unseeded": "same-seed", "Global": "global-random", "Remembered": "memory",
}  # fmt: skip
ALL = ["classification", "regression", "differentiable", "features", "stochastic", "guided", "tokens"]
PROVIDES = {name: [check] for name, check in WRONG.items() if ":" in check} | {"Good": [f"learner:{name}" for name in ALL]}
