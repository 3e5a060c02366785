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


def levels(name: str, steps: int, shift: float = 1.0) -> Tensor:
    """[steps + 1, 3] float64 rows (a, s, keep); row 0 is clean data, row t + 1 is step t of 0..steps-1.

    "cosine" and "linear" are the betas of Nichol & Dhariwal 2021 and Ho et al. 2020 with keep = a^2, "scaled-linear" those
    of Stable Diffusion (linear in their roots, arXiv 2112.10752); "flow" is a = 1 - u, s = u, keep = 1 - u (a bounded below
    by 1e-3, so that the last step still tells x_0 from noise), its times shifted: u -> shift u / (1 + (shift - 1) u).
    """
    u = torch.arange(steps + 1, dtype=torch.float64) / steps
    if name == "flow":
        u = shift * u / (1 + (shift - 1) * u)
        a = (1 - u).clamp(min=1e-3)
        return torch.stack([a, u, a], dim=1)
    if name == "linear":
        betas = torch.linspace(1e-4, 0.02, steps, dtype=torch.float64) * (1000 / steps)
    elif name == "scaled-linear":
        betas = torch.linspace(0.00085**0.5, 0.012**0.5, steps, dtype=torch.float64) ** 2 * (1000 / steps)
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


SNR_CAP = 5.0


def loss_weights(weighting: str, target: str, table: Tensor) -> Tensor:
    """[steps] weights of the losses of times 0..steps-1, 1 for "none"; table: rows (a, s, keep) of `levels`.

    "min-snr" is min(SNR, 5) on the error of x_0 (Hang et al., arXiv 2303.09556, eq. 6), said of the network's target.
    """
    if weighting == "none":
        return torch.ones(len(table) - 1, dtype=table.dtype)
    a, s = table[1:, 0], table[1:, 1]
    p, q = coefficients(target, a, s)
    per_x0 = ((a * q - s * p) / s) ** 2  # squared error of the target for each unit of x_0's, see `predicted_x0`
    return (a / s).square().clamp(max=SNR_CAP) / per_x0


def grid(steps: int, calls: int) -> list[int]:
    """Descending times of `calls` network calls, evenly spaced from the last of `steps` times."""
    calls = min(calls, steps)
    return [round(steps - i * steps / calls) - 1 for i in range(calls)]
