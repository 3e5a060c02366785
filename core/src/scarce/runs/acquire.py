"""Choosing by an acquisition function: `ascend` an embedding, `select` among samples, `query` among records.

Scores are larger for what is more informative. Nothing here knows which score it is, which learner or which modality.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from scarce.contract.condition import Condition
from scarce.contract.frozen import Frozen
from scarce.contract.generator import Generator
from scarce.contract.space import State
from scarce.runs.sections import Acquisition
from scarce.runtime.seeds import derive

Score = Callable[[State, Tensor], Tensor]
"""Encoded samples and the class codes that were asked, [n] -> [n] scores through which gradients pass."""


@dataclass
class Ascent:
    """What an ascent found: embeddings moved inside their balls, and how the mean score of each went.

    condition: [e]; scores: [steps + 1, e], by common random numbers unless `fresh`; moved: [e] distance over the norm of the
    start; skipped: gradients that were not finite and moved nothing.
    """

    condition: Condition
    scores: Tensor
    moved: Tensor
    skipped: int = 0

    @property
    def gain(self) -> float:
        """Mean rise of the score from the first step to the last."""
        return float((self.scores[-1] - self.scores[0]).mean())


class Embedding:
    """A batch of conditions as rows of numbers, and back: unmasked tokens, and the pooled vector where there is one."""

    def __init__(self, condition: Condition) -> None:
        self.start = condition
        self.mask = condition.mask.unsqueeze(-1)

    def rows(self) -> Tensor:
        """[e, d]."""
        parts = [(self.start.tokens * self.mask).flatten(1)]
        return torch.cat(parts if self.start.pooled is None else [*parts, self.start.pooled], 1).float()

    def condition(self, rows: Tensor) -> Condition:
        """The conditions of rows [e, d]; masked tokens stay as they are."""
        width = self.start.tokens[0].numel()
        tokens = rows[:, :width].view_as(self.start.tokens).to(self.start.tokens.dtype)
        tokens = torch.where(self.mask, tokens, self.start.tokens)
        pooled = None if self.start.pooled is None else rows[:, width:].to(self.start.pooled.dtype)
        return self.start.with_(tokens=tokens, pooled=pooled)


def ascend(
    generator: Generator, start: Condition, score: Score, options: Acquisition, *, epsilon: float, seed: int,
    siblings: Tensor | None = None,
) -> Ascent:  # fmt: skip
    """Move every embedding uphill on its mean score over `images` samples, inside a ball about its start (GALOT, 2412.16227).

    start: [e], whose labels are the classes asked for; epsilon: radius over the norm of each start. One step: g = gradient
    of the mean score, e += step * radius * g / |g|, then back into the ball. All embeddings go in one batch; siblings [e]:
    equal numbers mark embeddings of one class, which `repulsion` keeps apart. grad_steps network calls are differentiated.
    """
    embedding = Embedding(start)
    first = embedding.rows().detach()
    radius = epsilon * first.norm(dim=1, keepdim=True)
    rows, skipped, scores = first.clone(), 0, []
    direction = torch.Generator().manual_seed(derive(seed, "direction"))
    for step in range(options.steps + 1):
        last = step == options.steps
        rows = rows.detach().requires_grad_(not last)
        draws = derive(seed, "ascent", step if options.fresh else 0)
        means = _mean_scores(generator, embedding.condition(rows), score, options, draws, grad=not last)
        scores.append(means.detach().cpu())
        if last:
            break
        (gradient,) = torch.autograd.grad(means.sum(), rows)
        finite = torch.isfinite(gradient).all(1, keepdim=True)
        skipped += int((~finite).sum())
        if options.direction == "random":
            gradient = torch.randn(gradient.shape, generator=direction).to(gradient)
        pull = unit(torch.where(finite, gradient, torch.zeros_like(gradient)))
        if siblings is not None and options.repulsion:
            pull = unit(pull + options.repulsion * unit(rows.detach() - _centres(rows.detach(), siblings)))
        rows = into_ball(rows.detach() + finite * options.step * radius * pull, first, radius)
    rows = rows.detach()
    moved = (rows - first).norm(dim=1) / first.norm(dim=1).clamp(min=1e-12)
    return Ascent(embedding.condition(rows), torch.stack(scores), moved.cpu(), skipped)


def into_ball(rows: Tensor, centre: Tensor, radius: Tensor) -> Tensor:
    """Rows [e, d] projected onto balls of radius [e, 1] about centres [e, d]."""
    away = rows - centre
    moved: Tensor = centre + away * (radius / away.norm(dim=1, keepdim=True).clamp(min=1e-12)).clamp(max=1.0)
    return moved


def unit(rows: Tensor) -> Tensor:
    """Rows of norm 1; a row of zeros stays one."""
    length: Tensor = rows.norm(dim=1, keepdim=True)
    return rows / (length + 1e-8)


def _mean_scores(generator: Generator, condition: Condition, score: Score, options: Acquisition, seed: int, *, grad: bool) -> Tensor:
    """[e] mean score of `images` samples of each condition."""
    many = condition[torch.arange(len(condition)).repeat_interleave(options.images)]
    labels = many.labels if many.labels is not None else torch.full((len(many),), -1)
    with torch.set_grad_enabled(grad):
        state = generator.draw(many, seed=seed, grad_steps=options.grad_steps if grad else 0)
        return score(state, labels).view(len(condition), options.images).mean(1)


def _centres(rows: Tensor, siblings: Tensor) -> Tensor:
    """[e, d] mean of the rows with the same number."""
    same = (siblings[:, None] == siblings[None, :]).to(rows)
    return same @ rows / same.sum(1, keepdim=True)


class Tried(Frozen):
    """One radius of the search: gain of the score, and the share of fresh samples that the oracle gives their asked class."""

    epsilon: float
    gain: float
    label_accuracy: float


@dataclass
class Search:
    """What `auto_epsilon` tried, from the smallest radius up, and the largest that kept labels and raised the score."""

    tried: list[Tried] = field(default_factory=list)
    plain: float = 0.0
    epsilon: float = 0.0


def auto_epsilon(climb: Callable[[float], tuple[float, float]], plain: float, options: Acquisition) -> Search:
    """Try the radii of `grid` upwards until labels suffer; keep the largest one with a gain and label accuracy >= tau x plain.

    climb: radius -> (gain, label accuracy of fresh samples); plain: label accuracy of samples that were not optimised.
    """
    found = Search(plain=plain)
    for epsilon in sorted(options.grid):
        gain, accuracy = climb(epsilon)
        found.tried.append(Tried(epsilon=epsilon, gain=gain, label_accuracy=accuracy))
        if accuracy < options.tau * plain:
            break
        if gain > 0:
            found.epsilon = epsilon
    return found


def select(
    scores: npt.NDArray[np.float64], vectors: npt.NDArray[np.float64], groups: npt.NDArray[np.int64], count: Sequence[int]
) -> npt.NDArray[np.int64]:
    """Positions of count[g] samples of each group: of the better half by score, those farthest from one another.

    scores: [n]; vectors: [n, d] whose Euclidean distance is that of records; groups: [n] in 0..len(count)-1. Farthest-first
    traversal begins at the best score, so one sample is the best and all samples of a group are the group.
    """
    chosen = []
    for group, wanted in enumerate(count):
        mine = np.flatnonzero(groups == group)
        order = mine[np.argsort(-scores[mine], kind="stable")]
        short = order[: max(wanted, (len(order) + 1) // 2)]
        chosen.append(np.sort(short[farthest_first(vectors[short], min(wanted, len(short)))]))
    return np.concatenate(chosen) if chosen else np.zeros(0, dtype=np.int64)


def farthest_first(vectors: npt.NDArray[np.float64], count: int) -> npt.NDArray[np.int64]:
    """`count` positions: the first row, then always the one farthest from all before (Gonzalez 1985)."""
    if count < 1:
        return np.zeros(0, dtype=np.int64)
    picked, nearest = [0], np.full(len(vectors), np.inf)
    while len(picked) < count:
        nearest = np.minimum(nearest, ((vectors - vectors[picked[-1]]) ** 2).sum(1))
        nearest[picked] = -1.0
        picked.append(int(nearest.argmax()))
    return np.array(picked, dtype=np.int64)


def query(scores: npt.NDArray[np.float64], count: int) -> npt.NDArray[np.int64]:
    """Positions of the `count` highest scores, ties in order."""
    return np.sort(np.argsort(-scores, kind="stable")[:count]).astype(np.int64)
