"""Scores of what a classifier is unsure of: margin, entropy, least confidence, disagreement of passes, and chance."""

from __future__ import annotations

import torch
from torch import Tensor

from scarce.contract import AcquisitionSpec, ScoreContext, hookimpl
from scarce.errors import DataError


def entropy(p: Tensor) -> Tensor:
    """[..., k] probabilities -> [...] entropies in nats; a probability of 0 adds nothing, and no gradient that is not finite."""
    out: Tensor = -torch.xlogy(p, p.clamp(min=torch.finfo(p.dtype).tiny)).sum(-1)
    return out


class Margin(AcquisitionSpec):
    """-(p_1 - p_2) of the two highest probabilities: 0 where they are equal, -1 where the classifier is sure."""

    @hookimpl
    def acquisition_score(self, ctx: ScoreContext) -> Tensor:
        """[n] in [-1, 0]; 0 where there is one class only."""
        best = torch.softmax(ctx.logits, 1).topk(min(2, ctx.logits.shape[1]), dim=1).values
        return best[:, -1] - best[:, 0]


class Entropy(AcquisitionSpec):
    """-sum p log p: log k where all k classes are equal, 0 where the classifier is sure."""

    @hookimpl
    def acquisition_score(self, ctx: ScoreContext) -> Tensor:
        """[n] in [0, log k]."""
        return entropy(torch.softmax(ctx.logits, 1))


class LeastConfidence(AcquisitionSpec):
    """-p_1 of the highest probability: -1/k where all k classes are equal, -1 where the classifier is sure."""

    @hookimpl
    def acquisition_score(self, ctx: ScoreContext) -> Tensor:
        """[n] in [-1, -1/k]."""
        return -torch.softmax(ctx.logits, 1).amax(1)


class Bald(AcquisitionSpec):
    """H[mean p] - mean H[p] over passes with dropout: what the passes disagree on (arXiv 1112.5745)."""

    @hookimpl
    def acquisition_score(self, ctx: ScoreContext) -> Tensor:
        """[n] >= 0, 0 where all passes agree; DataError without passes."""
        if ctx.passes is None:
            raise DataError("bald needs several passes of the learner, which this one can't make", hint="--set acquisition.name=entropy")
        p = torch.softmax(ctx.passes, 2)
        return entropy(p.mean(0)) - entropy(p).mean(0)


class Random(AcquisitionSpec):
    """Uniform numbers that have nothing to do with the samples."""

    @hookimpl
    def acquisition_score(self, ctx: ScoreContext) -> Tensor:
        """[n] in [0, 1)."""
        return torch.rand(len(ctx.logits), generator=ctx.generator).to(ctx.logits.device)
