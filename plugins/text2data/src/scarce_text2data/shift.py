"""Are the labelled rows a random subset? A constraint on them alone is blind to what they leave out."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from scarce.contract import PlanContext, State

MOST = 5.0  # standard errors: one number in two million of a random subset, about one level in a thousand
EXPECTED = 5.0  # labelled rows of a level, below which it is not compared


def features(state: State, levels: tuple[int, ...]) -> Tensor:
    """[n, d] channel means over existing positions, and shares of each level."""
    exists = torch.ones(state.num.shape[:-1]) if state.mask is None else state.mask.float()
    weight = (exists / exists.reshape(len(state), -1).sum(1).clamp(min=1).view(-1, *[1] * (exists.ndim - 1))).unsqueeze(-1)
    hot = [torch.nn.functional.one_hot(state.cat[..., c], k) for c, k in enumerate(levels)]
    parts = [(values * weight).flatten(1, -2).sum(1) if values.ndim > 2 else values for values in (state.num, *hot)]
    return torch.cat(parts, 1).double()


def largest_shift(x: Tensor, labelled: Tensor) -> tuple[float, int]:
    """Largest difference of means between labelled and all rows in standard errors of a random subset, and its feature."""
    n, m = len(x), int(labelled.sum())
    if not 1 < m < n:
        return 0.0, 0
    error = x.std(0) * math.sqrt((1 / m) * (1 - m / n))
    rare = ((x >= 0) & (x <= 1)).all(0) & (torch.minimum(x.mean(0), 1 - x.mean(0)) * m < EXPECTED)  # far from a normal law
    z = torch.where((error > 0) & ~rare, (x[labelled].mean(0) - x.mean(0)).abs() / error.clamp(min=1e-12), torch.zeros(()).double())
    return float(z.max()), int(z.argmax())


def shift_sentence(ctx: PlanContext) -> str:
    """What to tell a person whose labelled rows are no random subset; empty when they may be one."""
    if ctx.data is None or ctx.labelled is None or ctx.space is None or ctx.space.layout == "image":
        return ""
    z, place = largest_shift(features(ctx.data, ctx.space.levels), ctx.labelled)
    if z < MOST:
        return ""
    blocks = [(b.name, b.size) for b in ctx.space.blocks if b.kind != "categorical"]
    blocks += [(b.name, b.size) for b in ctx.space.blocks if b.kind == "categorical"]
    name = next(name for i, (name, _) in enumerate(blocks) if place < sum(size for _, size in blocks[: i + 1]))
    return (
        f"note: the labelled rows are no random subset: the mean of '{name}' lies {z:.1f} standard errors from that of all rows. "
        'A bound on labelled rows alone would not see what they leave out: keep barrier.constraint_rows = "all".'
    )
