"""Learners of pictures: small networks from a random start, and a linear layer on pretrained features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.utils import convert_conv2d_weight_memory_format
from torch.optim.swa_utils import update_bn

from scarce.contract import (
    Budget,
    Draw,
    Embedded,
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
from scarce.errors import RunError
from scarce_images import config
from scarce_images.codec import as_numbers, make_codec
from scarce_images.encoder import Space, check_space, encoder
from scarce_images.networks import Classifier, Standardised, check_patches, mobilenet, resnet, vit

Array = npt.NDArray[Any]
BATCH = 256  # pictures at a time outside training
EMA = 0.98
Build = Callable[[], tuple[nn.Module, int]]


class Resnet(LearnerSpec):
    """A residual network with a stem for small pictures."""

    def __init__(self, options: config.Resnet) -> None:
        self.options = options

    @hookimpl
    def learner_build(self, ctx: LearnerContext) -> Learner:
        """A fresh `Trained` on a residual trunk."""
        return Trained(ctx, self.options, "resnet", lambda: resnet(self.options))


class Vit(LearnerSpec):
    """A vision transformer from a random start."""

    def __init__(self, options: config.Vit) -> None:
        self.options = options

    @hookimpl
    def learner_build(self, ctx: LearnerContext) -> Learner:
        """A fresh `Trained` on a transformer; RecipeError for patches that don't fit."""
        size = make_codec(ctx.dataset).size
        check_patches(self.options, size)
        return Trained(ctx, self.options, "vit", lambda: vit(self.options, size))


class Mobilenet(LearnerSpec):
    """MobileNet V2 from a random start."""

    def __init__(self, options: config.Mobilenet) -> None:
        self.options = options

    @hookimpl
    def learner_build(self, ctx: LearnerContext) -> Learner:
        """A fresh `Trained` on MobileNet V2."""
        return Trained(ctx, self.options, "mobilenet", lambda: mobilenet(self.options))


class Features(LearnerSpec):
    """A linear classifier on features of a pretrained network."""

    def __init__(self, options: config.Features) -> None:
        self.options = options

    @hookimpl
    def learner_build(self, ctx: LearnerContext) -> Learner:
        """A fresh `Linear`; PluginError for a space that is none, whose weights are read in `fit`."""
        check_space(self.options.space)
        return Linear(ctx, self.options)


class PictureLearner:
    """What all learners here share: a fitted, frozen `Classifier` in eval mode on pictures [n, 3, h, w] in [-1, 1].

    Records are read by the modality's own codec, so that a generator's latent codec costs no pass through its decoder.
    """

    def __init__(self, ctx: LearnerContext, real_weight: float | None) -> None:
        self.ctx, self.codec, self.real_weight = ctx, make_codec(ctx.dataset), real_weight
        self.fitted: Classifier | None = None

    @property
    def network(self) -> Classifier:
        """The fitted network; RunError before `fit`."""
        if self.fitted is None:
            raise RunError("this learner was asked for an answer before it was fitted", hint="call fit first")
        return self.fitted

    def predict(self, records: Any) -> Predictions:
        """Classes with probabilities; the target column is not looked at."""
        found = [torch.zeros(0, len(self.ctx.dataset.classes))]
        for start in range(0, len(records), BATCH):
            with torch.no_grad():
                found.append(self.scores(records.iloc[start : start + BATCH]).cpu())
        return as_predictions(self.ctx.dataset, torch.softmax(torch.cat(found).double(), 1).numpy())

    def scores(self, records: Any) -> Tensor:
        """[n, k] logits of a batch of records."""
        return self.logits(self.pictures(records).to(self.ctx.runtime.device))

    def logits(self, features: Tensor) -> Tensor:
        """[n, k] logits of pictures [n, 3, h, w] in [-1, 1], through the network's own preprocessing."""
        out: Tensor = self.network(features.float())
        return out

    def embed(self, features: Tensor) -> Tensor:
        """[n, d] inputs of the last linear layer; differentiable."""
        out: Tensor = self.network.trunk(features.float())
        return out

    def passes(self, features: Tensor, count: int, seed: int) -> Tensor:
        """[count, n, k] logits with dropout before the last layer; batch statistics stay as they are."""
        return thinned(self.network.head, self.embed(features), self.network.dropout.p, count, seed)

    def pictures(self, records: Any) -> Tensor:
        """[n, 3, h, w] in [-1, 1] on the CPU."""
        return self.codec.soft(self.codec.encode(records)).float()

    def _usable(self, parts: Sequence[TrainingPart]) -> tuple[list[tuple[Any, Any, TrainingPart]], Tensor]:
        """Usable parts, weighed by `real_weight` where there are two origins, and the rows to draw from, the fewer repeated."""
        usable, share = usable_parts(self.ctx.dataset, parts), self.real_weight
        if share is None or len({part.origin == "real" for _, _, part in usable}) == 1:
            return usable, torch.arange(sum(len(codes) for _, codes, _ in usable))
        weighed = [(r, c, replace(p, weight=p.weight * (share if p.origin == "real" else 1 - share))) for r, c, p in usable]
        usable = [found for found in weighed if found[2].weight > 0]
        real = torch.cat([torch.full((len(codes),), part.origin == "real") for _, codes, part in usable])
        origins = [rows for mask in (real, ~real) if len(rows := torch.nonzero(mask)[:, 0])]
        most = max(len(rows) for rows in origins)
        return usable, torch.cat([rows.repeat(-(-most // len(rows))) for rows in origins])

    def _train(self, model: nn.Module, loss: Callable[[Draw], Tensor], pool: Tensor, options: Any, label: str) -> None:
        batch = min(options.batch, max(2, len(pool)))  # batch statistics need two
        budget = Budget(steps=options.steps, batch=batch, rate=options.rate, weight_decay=options.weight_decay, ema=EMA)
        phase = Phase(name="learner", terms=(Term(name="supervised", loss="supervised"),), budget=budget)
        pools = {"all": pool}
        self.ctx.runtime.fit(Fitting(phase=phase, model=model, losses={"supervised": loss}, pools=pools, label=label))


class Trained(PictureLearner):
    """A network trained from a random start on shifted, perhaps mirrored, pictures for a fixed number of steps."""

    def __init__(self, ctx: LearnerContext, options: config.Training, name: str, build: Build) -> None:
        super().__init__(ctx, options.real_weight)
        self.options, self.name, self.build = options, name, build

    def fit(self, parts: Sequence[TrainingPart]) -> None:
        """Train from scratch; nothing outside the parts is looked at."""
        usable, pool = self._usable(parts)
        device, o, label = self.ctx.runtime.device, self.options, f"learner.{self.name}"
        # Bytes, a quarter of what numbers take.
        x = torch.cat([torch.from_numpy(self.codec.pixels(records)) for records, _, _ in usable]).to(device)
        with self.ctx.runtime.seeded(label):
            trunk, width = self.build()
            network = Classifier(trunk, width, len(self.ctx.dataset.classes), o.dropout)
        # A sixth faster on a CPU, and what tensor cores want.
        convert_conv2d_weight_memory_format(network.to(device), torch.channels_last)
        supervision = Supervision(usable, width, self.ctx.runtime)

        def loss(draw: Draw) -> Tensor:
            embed = network.trunk(distorted(as_numbers(x[draw.rows]), draw.generator, o.shift, o.flip))
            out: Tensor = supervision(draw.rows, network.head(network.dropout(embed)), embed)
            return out

        self._train(nn.ModuleList([network, supervision]), loss, pool, o, label)
        # The averaged weights have never seen a batch: their statistics are those of the training pictures.
        with torch.no_grad(), self.ctx.runtime.seeded(f"{label}.statistics"):  # dropout draws here too
            rows = torch.arange(max(2, len(x)), device=device) % len(x)
            update_bn((as_numbers(x[part]) for part in rows.tensor_split(1 + len(x) // BATCH)), network)
        self.fitted = network.eval().requires_grad_(False)


class Linear(PictureLearner):
    """A linear layer trained on the features of a frozen network."""

    def __init__(self, ctx: LearnerContext, options: config.Features) -> None:
        super().__init__(ctx, options.real_weight)
        self.options = options
        self.space = Space(options.space, options.resolution, self.codec, ctx.runtime)

    def fit(self, parts: Sequence[TrainingPart]) -> None:
        """Train the linear layer from scratch on standardised features; nothing outside the parts is looked at."""
        usable, pool = self._usable(parts)
        device, o = self.ctx.runtime.device, self.options
        seen = torch.cat([self._seen(records) for records, _, _ in usable])
        trunk = Standardised(encoder(o.space, o.resolution), seen)
        with self.ctx.runtime.seeded("learner.features"):
            network = Classifier(trunk, seen.shape[1], len(self.ctx.dataset.classes), o.dropout)
        network.to(device)
        x = trunk.standardise(seen)
        supervision = Supervision(usable, seen.shape[1], self.ctx.runtime)

        def loss(draw: Draw) -> Tensor:
            out: Tensor = supervision(draw.rows, network.head(network.dropout(x[draw.rows])), x[draw.rows])
            return out

        self._train(nn.ModuleList([network.dropout, network.head, supervision]), loss, pool, o, "learner.features")
        self.fitted, self.standardised = network.eval().requires_grad_(False), trunk

    def scores(self, records: Any) -> Tensor:
        """[n, k] logits of a batch of records; features of pictures that were seen before are not computed again."""
        out: Tensor = self.network.head(self.standardised.standardise(self._seen(records)))
        return out

    def tokens(self, records: Any) -> Embedded:
        """One token of the frozen encoder for each record: its features."""
        seen = self._seen(records).cpu()
        return Embedded(seen.unsqueeze(1), torch.ones(len(seen), 1, dtype=torch.bool), seen)

    def _seen(self, records: Any) -> Tensor:
        return torch.from_numpy(self.space.vectors(records)).float().to(self.ctx.runtime.device)


def distorted(pictures: Tensor, generator: torch.Generator, shift: float, flip: bool) -> Tensor:
    """Pictures [n, 3, h, w] each moved by at most `shift` of a side, edges repeated, and half of them mirrored if asked."""
    n, _, h, w = pictures.shape
    most = torch.tensor([round(shift * h), round(shift * w)])
    moves = (torch.rand(n, 2, generator=generator) * (2 * most + 1)).long() - most
    down = (torch.arange(h) + moves[:, :1]).clamp(0, h - 1)
    across = (torch.arange(w) + moves[:, 1:]).clamp(0, w - 1)
    if flip:
        across = torch.where(torch.rand(n, 1, generator=generator) < 0.5, across.flip(1), across)
    places = (torch.arange(n)[:, None, None], down[:, :, None], across[:, None, :])
    row, y, x = (p.to(pictures.device) for p in places)
    return pictures.permute(0, 2, 3, 1)[row, y, x].permute(0, 3, 1, 2)
