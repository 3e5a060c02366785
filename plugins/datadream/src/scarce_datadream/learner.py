"""Learner `clip`: a CLIP fine-tuned on real and generated pictures, whose losses are averaged apart (DataDream, arXiv 2407.10910)."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
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
    Term,
    TrainingPart,
    concat,
    hookimpl,
    take,
    usable_parts,
)  # fmt: skip
from scarce_datadream.augment import crop_and_flip, mixed
from scarce_datadream.clip import ClipClassifier, check_source, load_clip
from scarce_datadream.config import Clip as ClipOptions

Array = npt.NDArray[Any]
REAL, SYNTHETIC = "real", "synthetic"
BATCH, LOOKS = 64, 10  # pictures at once where nothing trains; how often held records are looked at


class Clip(LearnerSpec):
    """CLIP with adapters: lambda times the loss on real pictures, and the rest on generated ones."""

    def __init__(self, options: ClipOptions) -> None:
        self.options = options

    @hookimpl
    def learner_build(self, ctx: LearnerContext) -> Learner:
        """A fresh `ClipLearner`; RecipeError where its source is no CLIP, whose weights are read in `fit`."""
        check_source(self.options.source)
        return ClipLearner(ctx, self.options)


class Origin:
    """Records of one origin with class codes [n] and weights [n] of mean 1."""

    def __init__(self, parts: Sequence[tuple[Any, Array, float]]) -> None:
        self.records = concat([records for records, _, _ in parts])
        self.codes = torch.from_numpy(np.concatenate([codes for _, codes, _ in parts]))
        weights = torch.cat([torch.full((len(codes),), weight) for _, codes, weight in parts])
        self.weights = weights / weights.mean()

    def apart(self, each: int) -> tuple[Origin, Origin]:
        """What trains, and of each class the last `each` records to be held out; one of each class always trains."""
        hold = [torch.nonzero(self.codes == code)[1:, 0][-each:] for code in torch.unique(self.codes)]
        kept = torch.ones(len(self.codes), dtype=torch.bool)
        kept[torch.cat(hold)] = False
        return self._part(kept), self._part(~kept)

    def _part(self, mask: Tensor) -> Origin:
        out = copy(self)
        out.records, out.codes, out.weights = take(self.records, np.flatnonzero(mask.numpy())), self.codes[mask], self.weights[mask]
        return out


def by_origin(dataset: Dataset, parts: Sequence[TrainingPart]) -> dict[str, Origin]:
    """What is real and what is not; parts of weight 0 and rows of unknown class are left out, an origin without rows is too.

    Raises DataError when there is no class to learn, or not one usable row.
    """
    found: dict[str, list[tuple[Any, Array, float]]] = {}
    for records, codes, part in usable_parts(dataset, parts):
        found.setdefault(REAL if part.origin == REAL else SYNTHETIC, []).append((records, codes, part.weight))
    return {origin: Origin(found[origin]) for origin in (REAL, SYNTHETIC) if origin in found}


def origin_weights(origins: Sequence[str], real_weight: float) -> dict[str, float]:
    """Weight of each origin's mean loss: lambda and the rest where there are two, 1 for the only one; those of 0 are left out."""
    if len(origins) == 1:
        return dict.fromkeys(origins, 1.0)
    return {origin: w for origin, w in ((REAL, real_weight), (SYNTHETIC, 1 - real_weight)) if w > 0}


class ClipLearner(nn.Module):
    """See `contract.FeatureLearner`. Every step takes as many real as generated pictures, so the few real ones are repeated."""

    network: ClipClassifier

    def __init__(self, ctx: LearnerContext, options: ClipOptions) -> None:
        super().__init__()
        self.ctx, self.options = ctx, options

    def fit(self, parts: Sequence[TrainingPart]) -> None:
        """Train fresh adapters for a fixed number of steps; no record outside the parts is looked at.

        The last step's weights are kept, or with `held` those of the tenth of the way that are best on held real records.
        """
        o, runtime = self.options, self.ctx.runtime
        origins, held = by_origin(self.ctx.dataset, parts), None
        if o.held and REAL in origins:
            origins[REAL], held = origins[REAL].apart(o.held)
        weights = origin_weights(list(origins), o.real_weight)
        with runtime.seeded("learner.clip"):
            self.network = load_clip(o, self.ctx.dataset.classes)
        starts, pools, place = {}, {}, 0
        for name in weights:
            starts[name], n = place, len(origins[name].codes)
            pools[name], place = torch.arange(place, place + n), place + n
        losses = {name: self._loss(origins[name], starts[name]) for name in weights}
        terms = tuple(Term(name=name, rows=name, loss=name, weight=weight) for name, weight in weights.items())
        budget = Budget(steps=o.steps, batch=o.batch, rate=o.rate, warmup=o.warmup, weight_decay=o.weight_decay, ema=0.0)
        phase = Phase(name="learner", terms=terms, budget=budget)
        watch: dict[str, Any] = {}
        if held is not None and len(held.codes):
            watch = {"validate": lambda: self._loss_on(held), "validate_every": max(1, o.steps // LOOKS)}
        runtime.fit(Fitting(phase=phase, model=self, losses=losses, pools=pools, label="learner.clip", **watch))
        self.eval()

    def predict(self, records: Any) -> Predictions:
        """Classes with probabilities; the target column is not looked at."""
        classes, runtime = self.ctx.dataset.classes, self.ctx.runtime
        parts = [np.zeros((0, len(classes)))]
        with torch.no_grad(), runtime.resident(self):
            weights = self.network.class_weights()
            for start in range(0, len(records), BATCH):
                rows = np.arange(start, min(start + BATCH, len(records)))
                with runtime.autocast():
                    logits = self.embed(self._pictures(records, rows)) @ weights.T
                parts.append(torch.softmax(logits.double(), 1).cpu().numpy())
        probabilities = np.concatenate(parts)
        values = np.empty(len(probabilities), dtype=object)
        values[:] = [classes[i] for i in probabilities.argmax(axis=1)]
        return Predictions(values=values, probabilities=probabilities)

    def logits(self, features: Tensor) -> Tensor:
        """[n, k] logits of pictures [n, 3, h, w] in [-1, 1]."""
        out: Tensor = self.network(features)
        return out

    def embed(self, features: Tensor) -> Tensor:
        """[n, d] image features of length 1 of pictures [n, 3, h, w] in [-1, 1]."""
        return self.network.embed(features)

    def _loss_on(self, held: Origin) -> float:
        """Mean cross-entropy of records as they are, without dropout."""
        trained, total = self.training, 0.0
        self.eval()
        with torch.no_grad(), self.ctx.runtime.autocast():
            for start in range(0, len(held.codes), BATCH):
                rows = np.arange(start, min(start + BATCH, len(held.codes)))
                logits = self.logits(self._pictures(held.records, rows)).float()
                total += float(F.cross_entropy(logits, held.codes[rows].to(logits.device), reduction="sum"))
        self.train(trained)
        return total / len(held.codes)

    def _pictures(self, records: Any, rows: Array) -> Tensor:
        codec = self.ctx.codec
        return codec.soft(codec.encode(take(records, rows))).float().to(self.ctx.runtime.device)

    def _loss(self, origin: Origin, start: int) -> Any:
        o = self.options

        def loss(draw: Draw) -> Tensor:
            rows = draw.rows - start
            x = self._pictures(origin.records, rows.numpy())
            x = crop_and_flip(x, self.network.size, smallest=o.crop, flip=o.flip, generator=draw.generator)
            x, order, part = mixed(x, o.mix, draw.generator)
            y, w = origin.codes[rows].to(x.device), origin.weights[rows].to(x.device)
            logits, order = self.logits(x), order.to(x.device)
            first, second = (F.cross_entropy(logits, codes, reduction="none") for codes in (y, y[order]))
            return part * w * first + (1 - part) * w[order] * second

        return loss
