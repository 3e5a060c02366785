"""Blocks of the text-to-image network: a transformer block and a residual convolution block, all told the time."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scarce.contract import Attention, Condition, sinusoids


def places(height: int, width: int, channels: int) -> Tensor:
    """[height * width, channels] what a patch adds to say where it is: half the channels for its row, half for its column."""
    rows = sinusoids(torch.arange(height) * (math.pi * 8 / height), channels // 2, 100.0)
    columns = sinusoids(torch.arange(width) * (math.pi * 8 / width), channels - channels // 2, 100.0)
    grid = [rows[:, None].expand(-1, width, -1), columns[None].expand(height, -1, -1)]
    return torch.cat(grid, dim=-1).reshape(height * width, channels)


class TransformerBlock(nn.Module):
    """Attention among patches, attention to the condition's tokens, two linear layers; time scales, shifts and gates them."""

    def __init__(self, *, width: int, context: int, heads: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width, elementwise_affine=False) for _ in range(3))
        self.patches = Attention(width=width, context=width, heads=heads)
        self.tokens = Attention(width=width, context=context, heads=heads)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.asked = nn.Linear(width, 6 * width)
        nn.init.zeros_(self.asked.weight)
        nn.init.zeros_(self.asked.bias)

    def forward(self, x: Tensor, asked: Tensor, condition: Condition) -> Tensor:
        """x: [b, l, width]; asked: [b, width]."""
        a, b, c, d, e, f = self.asked(asked)[:, None].chunk(6, -1)
        h = self.norms[0](x) * (1 + a) + b
        x = x + (1 + c) * self.patches(h, h)
        x = x + self.tokens(self.norms[1](x), condition.tokens, condition.mask)
        h = self.norms[2](x) * (1 + d) + e
        out: Tensor = x + (1 + f) * self.narrow(F.silu(self.wide(h)))
        return out


def normalised(channels: int) -> nn.GroupNorm:
    """Normalisation of each picture by itself, so that a batch's other pictures change nothing."""
    return nn.GroupNorm(math.gcd(8, channels), channels)


class ConvolutionBlock(nn.Module):
    """Two 3x3 convolutions added to their input; time and text scale and shift what lies between them."""

    def __init__(self, *, inputs: int, channels: int, width: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList([normalised(inputs), normalised(channels)])
        self.first = nn.Conv2d(inputs, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.skip = nn.Conv2d(inputs, channels, 1) if inputs != channels else nn.Identity()
        self.asked = nn.Linear(width, 2 * channels)

    def forward(self, x: Tensor, asked: Tensor) -> Tensor:
        """x: [b, inputs, h, w]; asked: [b, width]."""
        scale, shift = self.asked(asked)[:, :, None, None].chunk(2, 1)
        h = self.first(F.silu(self.norms[0](x)))
        h = self.norms[1](h) * (1 + scale) + shift
        out: Tensor = self.skip(x) + self.second(F.silu(h))
        return out
