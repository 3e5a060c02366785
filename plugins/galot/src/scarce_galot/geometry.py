"""Scores of where samples lie in a learner's feature space: far from what is labelled, and far from one another."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from scarce.contract import AcquisitionSpec, ScoreContext, hookimpl
from scarce.errors import DataError
from scarce_galot.config import Badge as BadgeOptions
from scarce_galot.config import KCentre as KCentreOptions


class Coreset(AcquisitionSpec):
    """Distance of features to the nearest labelled record (arXiv 1708.00489): 0 at a labelled one."""

    @hookimpl
    def acquisition_score(self, ctx: ScoreContext) -> Tensor:
        """[n] >= 0; without labelled records the distance to the mean of the samples."""
        features = _features(ctx)
        known = features.detach().mean(0, keepdim=True) if ctx.labelled is None else ctx.labelled
        return distances(features, known).amin(1)


class KCentre(AcquisitionSpec):
    """Greedy farthest-first order of a pool, beginning at the labelled records (Gonzalez 1985, arXiv 1708.00489).

    The score of a record is its distance to the nearest centre when it was picked, which falls along the order, so the
    highest scores are the greedy picks.
    """

    def __init__(self, options: KCentreOptions) -> None:
        self.options = options

    @hookimpl
    def acquisition_score(self, ctx: ScoreContext) -> Tensor:
        """[n] >= 0."""
        features = _features(ctx).detach()
        start = None if ctx.labelled is None else distances(features, ctx.labelled).amin(1)
        return in_order(lambda i: (features - features[i]).norm(dim=1), len(features), start, self.options.order, lambda d: int(d.argmax()))


class Badge(AcquisitionSpec):
    """k-means++ order of a pool by gradient embeddings (p - onehot(argmax p)) x h (arXiv 1906.03671).

    The next record is drawn with a probability in proportion to its squared distance to those before it; the first is the
    one with the longest embedding.
    """

    def __init__(self, options: BadgeOptions) -> None:
        self.options = options

    @hookimpl
    def acquisition_score(self, ctx: ScoreContext) -> Tensor:
        """[n]: n for the first, falling by 1 along the order, and in [0, 1) for records beyond it."""
        residual, features = _residual(ctx.logits).detach(), _features(ctx).detach()
        length = (residual.square().sum(1) * features.square().sum(1)).clamp(min=0)

        def distance(i: int) -> Tensor:
            shared = (residual @ residual[i]) * (features @ features[i])
            return (length + length[i] - 2 * shared).clamp(min=0).sqrt()

        picks: list[int] = []

        def drawn(nearest: Tensor) -> int:
            weights = nearest.clamp(min=0).square().double().cpu()
            flat = not picks or float(weights.sum()) <= 0
            picks.append(int(nearest.argmax() if flat else torch.multinomial(weights, 1, generator=ctx.generator)))
            return picks[-1]

        nearest = in_order(distance, len(features), length.sqrt(), self.options.order, drawn)
        score = nearest / (nearest.amax() + 1)
        score[torch.tensor(picks, dtype=torch.int64)] = torch.arange(len(features), len(features) - len(picks), -1).to(score)
        return score


class BadgeNorm(AcquisitionSpec):
    """Length of the gradient embedding, |p - onehot(argmax p)| |h|: how far a step on this sample would go (arXiv 1906.03671)."""

    @hookimpl
    def acquisition_score(self, ctx: ScoreContext) -> Tensor:
        """[n] >= 0; differentiable almost everywhere."""
        return _length(_residual(ctx.logits)) * _length(_features(ctx))


def in_order(distance: Callable[[int], Tensor], n: int, start: Tensor | None, most: int, pick: Callable[[Tensor], int]) -> Tensor:
    """[n] distance of each record to its nearest centre when it was picked, for `most` picks; of the rest, at the end.

    distance: position -> [n]; start: [n] distances before any pick, None: the first pick is the record farthest from record
    0, whose score is a bound of all distances to it; pick: [n] distances, -1 where picked already -> the next position.
    """
    nearest = 2 * distance(0) if start is None else start.clone()
    score, left = nearest.clone(), torch.ones(n, dtype=torch.bool, device=nearest.device)
    for step in range(min(most, n)):
        chosen = pick(torch.where(left, nearest, torch.full_like(nearest, -1.0)))
        score[chosen], left[chosen] = nearest[chosen], False
        own = distance(chosen)
        nearest = own if start is None and step == 0 else torch.minimum(nearest, own)
    return torch.where(left, nearest, score)


def distances(rows: Tensor, others: Tensor) -> Tensor:
    """[n, m] Euclidean distances, exactly 0 between equal rows, with a finite gradient there."""
    return torch.cdist(rows, others, compute_mode="donot_use_mm_for_euclid_dist")


def _residual(logits: Tensor) -> Tensor:
    """[n, k] p - onehot(argmax p): the loss's gradient at the logits under the class that the learner would name."""
    p = torch.softmax(logits, 1)
    return p - torch.nn.functional.one_hot(p.argmax(1), p.shape[1]).to(p)


def _length(rows: Tensor) -> Tensor:
    """[n] Euclidean lengths whose gradient is finite at 0."""
    return (rows.square().sum(1) + 1e-12).sqrt()


def _features(ctx: ScoreContext) -> Tensor:
    if ctx.features is None:
        raise DataError("this score needs features of the learner, which this one does not give", hint="--set acquisition.name=margin")
    return ctx.features.float()
