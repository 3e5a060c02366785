"""Softmax attention to the condition's tokens written as matrix products: fused attention's backward is slow on a CPU."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

TIME_WIDTH = 64


def sinusoids(steps: int, width: int, period: float = 1000.0) -> Tensor:
    """[steps, width] sines and cosines of positions 0..steps-1 spread over `period`, at periods up to 10,000."""
    half = (width + 1) // 2
    frequencies = torch.exp(-math.log(10_000) * torch.arange(half) / half)
    angles = torch.arange(steps)[:, None] * (period / steps) * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=1)[:, :width]


def divisor(width: int, heads: int) -> int:
    """The largest number of heads, at most `heads`, that divides the width."""
    return next(h for h in range(min(heads, width), 0, -1) if width % h == 0)


class Attention(nn.Module):
    """Queries of atoms over keys and values of tokens; all four projections are linear layers without biases."""

    def __init__(self, *, width: int, context: int, heads: int) -> None:
        super().__init__()
        self.heads = divisor(width, heads)
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(context, width, bias=False)
        self.value = nn.Linear(context, width, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor, context: Tensor, mask: Tensor) -> Tensor:
        """x: [b, n, width]; context: [b, k, context]; mask: [b, k] True where a token exists."""
        q, k, v = (self._split(y) for y in (self.query(x), self.key(context), self.value(context)))
        scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
        scores = scores.masked_fill(~mask[:, None, None, :], -1e4)
        mixed = torch.softmax(scores, dim=-1) @ v
        out: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return out

    def _split(self, x: Tensor) -> Tensor:
        return x.view(x.shape[0], x.shape[1], self.heads, -1).transpose(1, 2)
