"""Learner `acme-linear`: trained by the runtime's loop."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from acme_frozen.config import LinearOptions
from scarce.contract import (
    Budget,
    Draw,
    Fitting,
    LearnerContext,
    LearnerSpec,
    Phase,
    Predictions,
    Supervision,
    TrainingPart,
    as_predictions,
    hookimpl,
    thinned,
    usable_parts,
)


class LinearLearner:
    def __init__(self, ctx: LearnerContext, options: LinearOptions) -> None:
        self.ctx, self.options = ctx, options
        with ctx.runtime.seeded("acme-linear"):
            self.head = nn.Linear(ctx.codec.space.width, len(ctx.dataset.classes))

    def fit(self, parts: Sequence[TrainingPart]) -> None:
        usable = usable_parts(self.ctx.dataset, parts)
        x = torch.cat([self._features(records) for records, _, _ in usable]).to(self.ctx.runtime.device)
        teach = Supervision(usable, x.shape[1], self.ctx.runtime)
        budget = Budget(steps=self.options.steps, batch=min(16, len(x)), rate=0.05, ema=0.0, warmup=0)

        def loss(draw: Draw) -> Tensor:
            return teach(draw.rows, self.head(x[draw.rows]), x[draw.rows])

        phase = Phase(name="acme-linear", budget=budget)
        model = nn.ModuleList([self.head, teach])
        self.ctx.runtime.fit(Fitting(phase=phase, model=model, losses={"denoise": loss}, pools={"all": torch.arange(len(x))}))

    def predict(self, records) -> Predictions:
        with torch.no_grad():
            return as_predictions(self.ctx.dataset, self.logits(self._features(records)).softmax(1).numpy())

    def logits(self, features: Tensor) -> Tensor:
        return self.head(features)

    def embed(self, features: Tensor) -> Tensor:
        return features

    def passes(self, features: Tensor, count: int, seed: int) -> Tensor:
        return thinned(self.head, features, 0.2, count, seed)

    def _features(self, records) -> Tensor:
        return self.ctx.codec.soft(self.ctx.codec.encode(records))


class Linear(LearnerSpec):
    def __init__(self, options: LinearOptions) -> None:
        self.options = options

    @hookimpl
    def learner_build(self, ctx: LearnerContext) -> LinearLearner:
        return LinearLearner(ctx, self.options)
