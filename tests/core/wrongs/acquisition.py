"""A score, and one that is wrong for every check."""

from __future__ import annotations

import numpy as np
import torch
from kit_wrongs.config import Doubling, Loose, Thawed
from torch import Tensor

from scarce.contract import AcquisitionSpec, ScoreContext, hookimpl

KEPT: list[object] = []


def margin(ctx: ScoreContext) -> Tensor:
    best = torch.softmax(ctx.logits, 1).topk(2, dim=1).values
    return best[:, 1] - best[:, 0]


class Good(AcquisitionSpec):
    @hookimpl
    def acquisition_score(self, ctx: ScoreContext) -> Tensor:
        return margin(ctx)


class Column(AcquisitionSpec):
    @hookimpl
    def acquisition_score(self, ctx: ScoreContext) -> Tensor:
        return margin(ctx)[:, None]


class ByPlace(AcquisitionSpec):
    @hookimpl
    def acquisition_score(self, ctx: ScoreContext) -> Tensor:
        return margin(ctx) + 0.1 * torch.arange(len(ctx.logits))


class Standardised(AcquisitionSpec):
    @hookimpl
    def acquisition_score(self, ctx: ScoreContext) -> Tensor:
        score = margin(ctx)
        return score / score.std().clamp(min=1e-6)


class NotANumber(AcquisitionSpec):
    @hookimpl
    def acquisition_score(self, ctx: ScoreContext) -> Tensor:
        p = torch.softmax(ctx.logits, 1)
        return -(p * p.log()).sum(1)


class Trains(AcquisitionSpec):
    @hookimpl
    def acquisition_score(self, ctx: ScoreContext) -> Tensor:
        return margin(ctx) * torch.ones((), requires_grad=True)


class Changes(AcquisitionSpec):
    @hookimpl
    def acquisition_score(self, ctx: ScoreContext) -> Tensor:
        ctx.logits.sub_(ctx.logits.mean(1, keepdim=True))
        return margin(ctx)


class Detached(AcquisitionSpec):
    @hookimpl
    def acquisition_score(self, ctx: ScoreContext) -> Tensor:
        return margin(ctx).detach()


class Unseeded(AcquisitionSpec):
    @hookimpl
    def acquisition_score(self, ctx: ScoreContext) -> Tensor:
        return margin(ctx) + 1e-6 * float(np.random.default_rng().random())


class Global(AcquisitionSpec):
    @hookimpl
    def acquisition_score(self, ctx: ScoreContext) -> Tensor:
        np.random.seed(0)
        return margin(ctx)


class Remembered(AcquisitionSpec):
    @hookimpl
    def acquisition_score(self, ctx: ScoreContext) -> Tensor:
        KEPT.append(self)
        return margin(ctx)


class Unpicklable(Good):
    def __init__(self) -> None:
        self.scale = lambda x: x


class Annotated(AcquisitionSpec):
    @hookimpl
    def acquisition_score(self, ctx: ScoreContext) -> list[float]:
        return margin(ctx)


class Misspelt:
    @hookimpl
    def acquisition_scores(self, ctx: ScoreContext) -> Tensor:
        return margin(ctx)


class Optional(Good):
    def __init__(self, options: Doubling | Loose | Thawed) -> None:
        self.options = options


WRONG = {
    "Good": "", "Column": "answers", "ByPlace": "permutation", "Standardised": "small-pool", "NotANumber": "certain",
    "Trains": "no-gradient",
    "Changes": "inputs-kept", "Detached": "score:differentiable", "Unseeded": "same-seed", "Global": "global-random",
    "Remembered": "memory", "Unpicklable": "pickles", "Annotated": "hooks", "Misspelt": "hooks",
}  # fmt: skip
PROVIDES = {"Good": ["score:differentiable"], "Detached": ["score:differentiable"]}
