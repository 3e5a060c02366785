"""Softmax attention written as matrix products: the backward pass of fused attention is several times slower on a CPU."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def sinusoids(steps: int, width: int) -> Tensor:
    """[steps, width] sines and cosines of positions 0..steps-1 over a thousandfold range of periods."""
    half = (width + 1) // 2
    frequencies = torch.exp(-math.log(1000) * torch.arange(half) / half)
    angles = torch.arange(steps)[:, None] * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=1)[:, :width]


class Attention(nn.Module):
    """Queries of one sequence over keys and values of another; all four projections are linear layers without biases."""

    def __init__(self, *, width: int, context: int, heads: int) -> None:
        super().__init__()
        self.heads = next(h for h in range(min(heads, width), 0, -1) if width % h == 0)
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(context, width, bias=False)
        self.value = nn.Linear(context, width, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor, context: Tensor, mask: Tensor | None) -> Tensor:
        """x: [b, l, width]; context: [b, k, context]; mask: [b, k] True where the context exists."""
        q, k, v = (self._split(y) for y in (self.query(x), self.key(context), self.value(context)))
        scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
        if mask is not None:
            scores = scores.masked_fill(~mask[:, None, None, :], -1e4)
        mixed = torch.softmax(scores, dim=-1) @ v
        out: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return out

    def _split(self, x: Tensor) -> Tensor:
        return x.view(x.shape[0], x.shape[1], self.heads, -1).transpose(1, 2)
