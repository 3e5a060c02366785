"""The dynamic-barrier step: the direction nearest to the objective's gradient that keeps a bound on another loss.

Text2Data (arXiv 2402.10941) after Gong, Liu, Liu, "Bi-objective trade-off with dynamic barrier gradient descent", 2021.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

Gradients = Sequence[Tensor | None]
TINY = 1e-8


def inner(a: Gradients, b: Gradients) -> float:
    """Inner product of two lists of gradients; a missing one is zero."""
    return float(sum((x.double() * y.double()).sum() for x, y in zip(a, b, strict=True) if x is not None and y is not None))


def multiplier(objective: Gradients, constraint: Gradients, gap: float, *, alpha: float = 1.0, beta: float = 1.0) -> float:
    """lambda = max(0, (phi - <g2, g1>) / (|g1|^2 + 1e-8)) with phi = min(alpha gap, beta |g1|^2).

    objective: g2; constraint: g1; gap: L1 - xi, positive where the bound is violated, -inf for no bound.
    """
    if gap == -math.inf:
        return 0.0
    square = inner(constraint, constraint)
    phi = min(alpha * gap, beta * square)
    return max(0.0, (phi - inner(objective, constraint)) / (square + TINY))


def combine(
    objective: Gradients, constraint: Gradients, gap: float, *, alpha: float = 1.0, beta: float = 1.0, per_tensor: bool = False
) -> tuple[list[Tensor | None], list[float]]:
    """g2 + lambda g1 and the multipliers: one for all, or one per tensor, each with the whole gap."""
    pairs = list(zip(objective, constraint, strict=True))
    if per_tensor:
        factors = [multiplier([a], [b], gap, alpha=alpha, beta=beta) for a, b in pairs]
    else:
        factors = [multiplier(objective, constraint, gap, alpha=alpha, beta=beta)] * len(pairs)
    return [_sum(a, b, factor) for (a, b), factor in zip(pairs, factors, strict=True)], factors


def _sum(a: Tensor | None, b: Tensor | None, factor: float) -> Tensor | None:
    if b is None or factor == 0:
        return a
    return factor * b if a is None else torch.add(a, b, alpha=factor)
