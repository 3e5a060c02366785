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

from scarce.contract.condition import Condition, stack
from scarce.contract.frozen import Frozen
from scarce.contract.generator import Generator
from scarce.contract.space import State
from scarce.errors import RunError
from scarce.runs.sections import Acquisition
from scarce.runtime.seeds import derive

Score = Callable[[State, Tensor], Tensor]
"""Encoded samples and the class codes that were asked, [n] -> [n] scores through which gradients pass."""


@dataclass
class Ascent:
    """What an ascent found: embeddings moved inside their balls, and how the mean score of each went.

    condition: [e]; scores: [steps + 1, e] on the draws that were climbed on; moved: [steps + 1, e] distance over the norm of
    the start, of the part that moved farthest; before, after: [e] on fresh draws, the same for both; skipped: gradients that
    were not finite and moved nothing.
    """

    condition: Condition
    scores: Tensor
    moved: Tensor
    before: Tensor
    after: Tensor
    skipped: int = 0

    @property
    def gain(self) -> float:
        """Mean rise of the score on draws that the ascent has not seen, over the embeddings whose score is a number."""
        rise = self.after - self.before
        return float(rise[rise.isfinite()].mean()) if rise.isfinite().any() else 0.0


class Embedding:
    """A batch of conditions as rows of numbers, and back: unmasked tokens, and the pooled vector where there is one.

    Each of the two has a ball of its own, so that one which a network does not read leaves no room to the other.
    """

    def __init__(self, condition: Condition) -> None:
        self.start = condition
        self.mask = condition.mask.unsqueeze(-1)
        parts = [condition.tokens.flatten(1)] if condition.pooled is None else [condition.tokens.flatten(1), condition.pooled]
        self.parts = [part.float().detach() for part in self.read(parts)]

    def read(self, parts: Sequence[Tensor]) -> list[Tensor]:
        """Parts [e, d] with zeros for masked tokens, of which a network reads nothing."""
        return [(parts[0].view_as(self.start.tokens) * self.mask).flatten(1), *parts[1:]]

    def condition(self, parts: Sequence[Tensor]) -> Condition:
        """The conditions of parts [e, d]; masked tokens stay as they are."""
        tokens = parts[0].view_as(self.start.tokens).to(self.start.tokens.dtype)
        tokens = torch.where(self.mask, tokens, self.start.tokens)
        pooled = None if self.start.pooled is None else parts[1].to(self.start.pooled.dtype)
        return self.start.with_(tokens=tokens, pooled=pooled)


def ascend(
    generator: Generator, start: Condition, score: Score, options: Acquisition, *, epsilon: float, seed: int,
    siblings: Tensor | None = None,
) -> Ascent:  # fmt: skip
    """Move every embedding uphill on its mean score over `images` samples, inside a ball about its start (GALOT, 2412.16227).

    start: [e], whose labels are the classes asked for; epsilon: radius over the norm of each start. One step: g = gradient
    of the mean score, e += step * radius * g / |g|, then back into the ball. All embeddings go in one batch; siblings [e]:
    equal numbers mark embeddings of one class, which `repulsion` keeps apart. grad_steps network calls are differentiated.
    Raises RunError where no gradient reaches the embedding.
    """
    embedding = Embedding(start)
    first = parts = embedding.parts
    radii = [epsilon * part.norm(dim=1, keepdim=True) for part in first]
    direction = torch.Generator().manual_seed(derive(seed, "direction"))
    skipped, scores, moved = 0, [], [_moved(parts, first)]
    for step in range(options.steps if epsilon > 0 else 0):
        parts = [part.detach().requires_grad_() for part in parts]
        draws = derive(seed, "ascent", step if options.fresh else 0)
        means = mean_scores(generator, embedding.condition(parts), score, options, draws, grad=True)
        gradients = _gradients(means, parts)
        scores.append(means.detach().cpu())
        finite = torch.stack([g.isfinite().all(1) for g in gradients]).all(0).unsqueeze(1)
        skipped += int((~finite).sum())
        if options.direction == "random":
            gradients = embedding.read([torch.randn(g.shape, generator=direction).to(g) for g in gradients])
        pulls = [unit(torch.where(finite, g, torch.zeros_like(g))) for g in gradients]
        parts = [part.detach() for part in parts]
        if siblings is not None and options.repulsion:
            pulls = [unit(p + options.repulsion * unit(x - _centres(x, siblings))) for p, x in zip(pulls, parts, strict=True)]
        steps = zip(parts, pulls, first, radii, strict=True)
        parts = [into_ball(x + finite * options.step * r * pull, x0, r) for x, pull, x0, r in steps]
        moved.append(_moved(parts, first))
    found, held = embedding.condition(parts), derive(seed, "held out")
    last = derive(seed, "ascent", options.steps - 1 if options.fresh else 0)
    scores.append(mean_scores(generator, found, score, options, last).cpu())
    before = mean_scores(generator, start, score, options, held).cpu()
    after = mean_scores(generator, found, score, options, held).cpu() if epsilon > 0 else before
    return Ascent(found, torch.stack(scores), torch.stack(moved).cpu(), before, after, skipped)


def together(parts: Sequence[Ascent]) -> Ascent:
    """Ascents of several batches of embeddings as one."""
    names = ("scores", "moved", "before", "after")
    joined = {name: torch.cat([getattr(p, name) for p in parts], dim=-1) for name in names}
    return Ascent(condition=stack([p.condition for p in parts]), skipped=sum(p.skipped for p in parts), **joined)


def into_ball(rows: Tensor, centre: Tensor, radius: Tensor) -> Tensor:
    """Rows [e, d] projected onto balls of radius [e, 1] about centres [e, d]."""
    away = rows - centre
    moved: Tensor = centre + away * (radius / away.norm(dim=1, keepdim=True).clamp(min=1e-12)).clamp(max=1.0)
    return moved


def unit(rows: Tensor) -> Tensor:
    """Rows of norm 1; a row of zeros stays one."""
    length: Tensor = rows.norm(dim=1, keepdim=True)
    return rows / (length + 1e-8)


def mean_scores(
    generator: Generator, condition: Condition, score: Score, options: Acquisition, seed: int, *, grad: bool = False
) -> Tensor:  # fmt: skip
    """[e] mean score of `images` samples of each condition; equal seeds, equal noise."""
    many = condition[torch.arange(len(condition)).repeat_interleave(options.images)]
    labels = many.labels if many.labels is not None else torch.full((len(many),), -1)
    with torch.set_grad_enabled(grad):
        state = generator.draw(many, seed=seed, grad_steps=options.grad_steps if grad else 0)
        return score(state, labels).view(len(condition), options.images).mean(1)


def _gradients(means: Tensor, parts: Sequence[Tensor]) -> list[Tensor]:
    found = torch.autograd.grad(means.sum(), parts, allow_unused=True) if means.requires_grad else ()
    if all(g is None for g in found):
        what = "acquisition: no gradient of the score reaches the embedding; score, learner or network does not pass it on"
        raise RunError(what, hint="--set acquisition.mode=select, which needs none")
    return [torch.zeros_like(part) if g is None else g for g, part in zip(found, parts, strict=True)]


def _moved(parts: Sequence[Tensor], first: Sequence[Tensor]) -> Tensor:
    """[e] distance over the norm of the start, of the part that moved farthest."""
    return torch.stack([(x - x0).norm(dim=1) / x0.norm(dim=1).clamp(min=1e-12) for x, x0 in zip(parts, first, strict=True)]).amax(0)


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
