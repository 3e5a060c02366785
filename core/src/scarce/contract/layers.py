"""What most networks of plugins are made of: sinusoids of times, what is asked as a vector, attention that is fast on a CPU."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scarce.contract.condition import Condition


def sinusoids(positions: Tensor, width: int, period: float = 10_000.0) -> Tensor:
    """[n, width] cosines and sines of positions [n], at wavelengths from 2 pi up to 2 pi times `period`.

    Times of a diffusion: `torch.arange(steps) * (1000 / steps)`, so that all numbers of steps look alike.
    """
    half = (width + 1) // 2
    frequencies = torch.exp(-math.log(period) * torch.arange(half) / half)
    angles = positions[:, None] * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=1)[:, :width]


class Asked(nn.Module):
    """Time and pooled condition as one vector per sample."""

    times: Tensor

    def __init__(self, *, condition_width: int, steps: int, width: int, time_width: int = 128) -> None:
        """steps: of the diffusion; width: of the vector; time_width: sinusoids of a time."""
        super().__init__()
        self.time = nn.Linear(time_width, width)
        self.pooled = nn.Linear(condition_width, width, bias=False)
        self.mix = nn.Linear(width, width)
        self.register_buffer("times", sinusoids(torch.arange(steps) * (1000 / steps), time_width), persistent=False)

    def forward(self, t: Tensor, condition: Condition) -> Tensor:
        """[b, width] of t [b]."""
        h = self.time(self.times[t])
        if condition.pooled is not None:
            h = h + self.pooled(condition.pooled)
        return F.silu(self.mix(F.silu(h)))


class Attention(nn.Module):
    """Queries of one sequence over keys and values of another: softmax attention as matrix products, without biases.

    On a CPU the backward pass of fused attention takes several times as long. heads: at most so many, as divide the width.
    """

    def __init__(self, *, width: int, context: int, heads: int) -> None:
        """width: of queries and of the output; context: of what is looked at."""
        super().__init__()
        self.heads = next(h for h in range(min(heads, width), 0, -1) if width % h == 0)
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(context, width, bias=False)
        self.value = nn.Linear(context, width, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor, context: Tensor, mask: Tensor | None = None) -> Tensor:
        """[b, l, width] of x [b, l, width] and context [b, k, context]; mask: [b, k] True where the context exists."""
        q, k, v = (self._split(y) for y in (self.query(x) / math.sqrt(x.shape[-1] // self.heads), self.key(context), self.value(context)))
        scores = q @ k.transpose(-1, -2)
        if mask is not None:
            scores = scores.masked_fill(~mask[:, None, None, :], -1e4)
        mixed = torch.softmax(scores, dim=-1).to(v.dtype) @ v
        out: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return out

    def _split(self, x: Tensor) -> Tensor:
        return x.view(x.shape[0], x.shape[1], self.heads, -1).transpose(1, 2)
