"""Noise schedules `x_t = a x_0 + s eps`, prediction targets, and the sampler's time grid."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor


class Level(NamedTuple):
    """Signal a, noise s and the probability `keep` that a category is still its x_0, at one time."""

    a: float
    s: float
    keep: float


def levels(name: str, steps: int) -> Tensor:
    """[steps + 1, 3] float64 rows (a, s, keep); row 0 is clean data, row t + 1 is step t of 0..steps-1.

    "cosine" and "linear" are the betas of Nichol & Dhariwal 2021 and Ho et al. 2020 with keep = a^2; "flow" is
    a = 1 - u, s = u, keep = 1 - u (a bounded below by 1e-3, so that the last step still tells x_0 from noise).
    """
    u = torch.arange(steps + 1, dtype=torch.float64) / steps
    if name == "flow":
        a = (1 - u).clamp(min=1e-3)
        return torch.stack([a, u, a], dim=1)
    if name == "linear":
        betas = torch.linspace(1e-4, 0.02, steps, dtype=torch.float64) * (1000 / steps)
    else:
        bar = torch.cos((u + 0.008) / 1.008 * math.pi / 2) ** 2
        betas = 1 - bar[1:] / bar[:-1]
    keep = torch.cat([torch.ones(1, dtype=torch.float64), torch.cumprod(1 - betas.clamp(max=0.999), 0)])
    return torch.stack([keep.sqrt(), (1 - keep).sqrt(), keep], dim=1)


def coefficients(target: str, a: Tensor | float, s: Tensor | float) -> tuple[Tensor | float, Tensor | float]:
    """(p, q) of the network's target y = p x_0 + q eps at signal a and noise s."""
    return {"eps": (0.0, 1.0), "x0": (1.0, 0.0), "v": (-s, a), "flow": (-1.0, 1.0)}[target]


def predicted_x0(target: str, x_t: Tensor, y: Tensor, now: Level) -> Tensor:
    """x_0 from the network's prediction y at x_t, by solving x_t = a x_0 + s eps, y = p x_0 + q eps."""
    p, q = coefficients(target, now.a, now.s)
    det = now.a * q - now.s * p
    return x_t * (q / det) - y * (now.s / det)


def grid(steps: int, calls: int) -> list[int]:
    """Descending times of `calls` network calls, evenly spaced from the last of `steps` times."""
    calls = min(calls, steps)
    return [round(steps - i * steps / calls) - 1 for i in range(calls)]
