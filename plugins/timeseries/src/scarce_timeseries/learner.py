"""Learners of series: nearest neighbours by dynamic time warping, and a convolutional network on encoded series."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from scarce.contract import (
    Budget,
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
    hookimpl,
    thinned,
    usable_parts,
)
from scarce.errors import DataError
from scarce_timeseries.config import ConvLearner as ConvOptions
from scarce_timeseries.config import Tslearn as TslearnOptions
from scarce_timeseries.signals import Floats
from scarce_timeseries.warping import padded, radius_of, tslearn_module

Array = npt.NDArray[Any]


class Tslearn(LearnerSpec):
    """Nearest neighbours under dynamic time warping: the classic strong baseline of series classification."""

    def __init__(self, options: TslearnOptions) -> None:
        self.options = options

    @hookimpl
    def learner_build(self, ctx: LearnerContext) -> Learner:
        """A fresh `Neighbours`; DataError where records are no series."""
        _checked(ctx)
        return Neighbours(ctx, self.options)


class Conv(LearnerSpec):
    """A small convolutional network on `Codec.soft` features, through which gradients reach the series."""

    def __init__(self, options: ConvOptions) -> None:
        self.options = options

    @hookimpl
    def learner_build(self, ctx: LearnerContext) -> Learner:
        """A fresh `SoftConv`; DataError where records are no series."""
        _checked(ctx)
        return SoftConv(ctx, self.options)


def _checked(ctx: LearnerContext) -> None:
    if ctx.codec.space.layout != "sequence":
        raise DataError(f"this learner reads series, not a {ctx.codec.space.layout}", hint="scarce plugins list")


class Neighbours:
    """tslearn's nearest neighbours on encoded series; each votes with the weight of its part."""

    def __init__(self, ctx: LearnerContext, options: TslearnOptions) -> None:
        self.ctx, self.options = ctx, options
        self.model: Any = None
        self.votes: Array = np.zeros((0, 0))

    def fit(self, parts: Sequence[TrainingPart]) -> None:
        """Keep the series of all parts; DataError without usable rows."""
        usable = usable_parts(self.ctx.dataset, parts)
        series = [values for records, _, _ in usable for values in self._series(records)]
        codes = np.concatenate([codes for _, codes, _ in usable])
        weights = np.concatenate([np.full(len(codes), part.weight) for _, codes, part in usable])
        self.votes = np.zeros((len(codes), len(self.ctx.dataset.classes)))
        self.votes[np.arange(len(codes)), codes] = weights
        length = self.ctx.codec.space.shape[0]
        settings: dict[str, Any] = {"metric": self.options.metric}
        if self.options.metric == "dtw":
            settings["metric_params"] = {
                "global_constraint": "sakoe_chiba", "sakoe_chiba_radius": radius_of(self.options.radius, length)
            }  # fmt: skip
        kind = tslearn_module("neighbors").KNeighborsTimeSeriesClassifier
        self.model = kind(n_neighbors=min(self.options.neighbours, len(codes)), **settings).fit(padded(series, length), codes)

    def predict(self, records: Any) -> Predictions:
        """Classes with the share of votes; the target column is not looked at."""
        if len(records) == 0:
            return as_predictions(self.ctx.dataset, np.zeros((0, self.votes.shape[1])))
        near = self.model.kneighbors(padded(self._series(records), self.ctx.codec.space.shape[0]), return_distance=False)
        votes = self.votes[np.asarray(near)].sum(1)
        return as_predictions(self.ctx.dataset, votes / votes.sum(1, keepdims=True))

    def _series(self, records: Any) -> list[Floats]:
        state = self.ctx.codec.encode(records)
        num = state.num.double().numpy()
        # Euclidean distances need one length: encoded steps after the end are 0, the training mean.
        if state.mask is None or self.options.metric == "euclidean":
            return list(num)
        return [v[m] for v, m in zip(num, state.mask.numpy(), strict=True)]


class SoftConv(nn.Module):
    """Convolutions over `Codec.soft` features, averaged over time; `logits` is differentiable in them."""

    def __init__(self, ctx: LearnerContext, options: ConvOptions) -> None:
        super().__init__()
        self.ctx, self.options = ctx, options
        self.network = nn.Sequential()

    def fit(self, parts: Sequence[TrainingPart]) -> None:
        """Train from scratch for a fixed number of steps; nothing outside the parts is looked at."""
        usable = usable_parts(self.ctx.dataset, parts)
        features = torch.cat([self._features(records) for records, _, _ in usable])
        with self.ctx.runtime.seeded("learner.conv"):
            self.network = classifier(features.shape[-1], len(self.ctx.dataset.classes), self.options)
        device = self.ctx.runtime.device
        self.network.to(device)
        x = features.to(device)
        supervision = Supervision(usable, 3 * self.options.channels, self.ctx.runtime)

        def loss(draw: Draw) -> Tensor:
            embed = self.embed(x[draw.rows])
            out: Tensor = supervision(draw.rows, self.network[-2:](embed), embed)
            return out

        o = self.options
        budget = Budget(steps=o.steps, batch=min(o.batch, len(x)), rate=o.rate, weight_decay=o.weight_decay, ema=0.98)
        phase = Phase(name="learner", terms=(Term(name="supervised", loss="supervised"),), budget=budget)
        pools = {"all": torch.arange(len(x))}
        self.train()
        model = nn.ModuleList([self.network, supervision])
        self.ctx.runtime.fit(Fitting(phase=phase, model=model, losses={"supervised": loss}, pools=pools, label="learner.conv"))
        self.eval()

    def predict(self, records: Any) -> Predictions:
        """Classes with probabilities; the target column is not looked at."""
        with torch.no_grad():
            out = self.logits(self._features(records).to(self.ctx.runtime.device)).double().cpu()
        return as_predictions(self.ctx.dataset, torch.softmax(out, 1).numpy())

    def logits(self, features: Tensor) -> Tensor:
        """[n, k] logits of soft features [n, l, d]."""
        out: Tensor = self.network[-2:](self.embed(features))
        return out

    def embed(self, features: Tensor) -> Tensor:
        """[n, d] inputs of the last linear layer, of soft features [n, l, d]; differentiable."""
        features = features if features.ndim == 3 else features.unsqueeze(-1)
        out: Tensor = self.network[:-2](features.transpose(1, 2).float())
        return out

    def passes(self, features: Tensor, count: int, seed: int) -> Tensor:
        """[count, n, k] logits with dropout before the last layer; equal seeds, equal masks."""
        return thinned(self.network[-1], self.embed(features), self.options.dropout, count, seed)

    def _features(self, records: Any) -> Tensor:
        return self.ctx.codec.soft(self.ctx.codec.encode(records)).float()


class Pool(nn.Module):
    """The mean and the largest value over time of each channel, and where along the series its middle lies."""

    def forward(self, x: Tensor) -> Tensor:
        """[b, c, l] -> [b, 3 c]."""
        place = torch.linspace(-1, 1, x.shape[2], device=x.device, dtype=x.dtype)
        return torch.cat([x.mean(2), x.amax(2), (x * place).mean(2)], 1)


def classifier(width: int, classes: int, options: ConvOptions) -> nn.Sequential:
    """Convolutions of growing reach, each halving time where there is enough, and one linear layer."""
    layers: list[nn.Module] = []
    for i in range(options.layers):
        layers += [
            nn.Conv1d(width, options.channels, options.kernel, padding=options.kernel // 2, stride=1 if i == 0 else 2),
            nn.GroupNorm(1, options.channels),
            nn.SiLU(),
        ]
        width = options.channels
    return nn.Sequential(*layers, Pool(), nn.Dropout(options.dropout), nn.Linear(3 * width, classes))
