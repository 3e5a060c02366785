"""Backbones of series: dilated convolutions with gates (DiffWave, arXiv 2009.09761), and a small transformer."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scarce.contract import Asked, Attention, BackboneContext, BackboneSpec, Condition, Space, State, hookimpl, sinusoids
from scarce.errors import RecipeError
from scarce_timeseries.config import Dilated as DilatedOptions
from scarce_timeseries.config import Transformer as TransformerOptions


def exists_of(x_t: State, mask: Tensor | None) -> Tensor:
    """[b, l, 1] 1 where a step exists."""
    mask = x_t.mask if mask is None else mask
    return torch.ones_like(x_t.num[..., :1]) if mask is None else mask.unsqueeze(-1).to(x_t.num.dtype)


def nothing(x_t: State) -> Tensor:
    """[b, l, 0] logits of no categories."""
    return x_t.num[..., :0]


def _checked(space: Space, name: str) -> Space:
    if space.layout != "sequence" or space.levels or not space.width:
        what = f"backbone: '{name}' denoises sequences of numbers, not a {space.layout} with {len(space.levels)} categories"
        raise RecipeError(what, hint="--set data.modality=timeseries")
    return space


class PerStep(nn.Module):
    """The same linear map at every step, held as a convolution: with one or two channels it has no room for low-rank adapters."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.map = nn.Conv1d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[b, l, inputs] -> [b, l, outputs]."""
        out: Tensor = self.map(x.transpose(1, 2)).transpose(1, 2)
        return out


def zeroed(layer: PerStep) -> PerStep:
    """A layer that gives 0, so that a fresh network predicts the mean."""
    nn.init.zeros_(layer.map.weight)
    if layer.map.bias is not None:
        nn.init.zeros_(layer.map.bias)
    return layer


class DilatedLayer(nn.Module):
    """Gate of a dilated convolution, split into what goes on and what goes out, then attention to the condition's tokens."""

    def __init__(self, *, channels: int, dilation: int, condition_width: int, heads: int, attends: bool, dropout: float) -> None:
        super().__init__()
        self.asked = nn.Linear(channels, channels)
        self.conv = nn.Conv1d(channels, 2 * channels, 3, padding=dilation, dilation=dilation)
        self.split = nn.Linear(channels, 2 * channels)
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(channels) if attends else None
        self.attention = Attention(width=channels, context=condition_width, heads=heads) if attends else None

    def forward(self, x: Tensor, asked: Tensor, condition: Condition, exists: Tensor) -> tuple[Tensor, Tensor]:
        """x: [b, l, channels] -> the next x, and this layer's share of the output; exists: [b, l, 1]."""
        h = (x + self.asked(asked)[:, None]) * exists
        gate, value = self.conv(h.transpose(1, 2)).transpose(1, 2).chunk(2, -1)
        onward, skip = self.split(self.dropout(torch.sigmoid(gate) * torch.tanh(value))).chunk(2, -1)
        x = (x + onward) / math.sqrt(2)
        if self.attention is not None and self.norm is not None:
            x = x + self.attention(self.norm(x), condition.tokens, condition.mask)
        return x, skip


class DilatedNetwork(nn.Module):
    """Layers with dilations 1, 2, 4, … up to half the length and over again; their shares are summed and projected."""

    def __init__(self, *, space: Space, condition_width: int, steps: int, options: DilatedOptions) -> None:
        super().__init__()
        o, length = options, space.shape[0]
        cycle = max(1, int(math.log2(max(2, length))))
        self.inward = PerStep(space.width, o.channels)
        self.asked = Asked(condition_width=condition_width, steps=steps, width=o.channels)
        self.layers = nn.ModuleList(
            DilatedLayer(
                channels=o.channels, dilation=2 ** (i % cycle), condition_width=condition_width, heads=o.heads, dropout=o.dropout,
                attends=i % o.attention_every == o.attention_every - 1 and i < o.layers - 1,  # after the last nothing looks at it
            )
            for i in range(o.layers)
        )  # fmt: skip
        self.mix = nn.Linear(o.channels, o.channels)
        self.outward = zeroed(PerStep(o.channels, space.width))

    def forward(self, x_t: State, t: Tensor, condition: Condition, mask: Tensor | None = None) -> State:
        """num: [b, l, c] prediction; steps the mask leaves out change no other step, and are predicted as 0."""
        exists = exists_of(x_t, mask)
        asked = self.asked(t, condition)
        x = F.silu(self.inward(x_t.num * exists))
        total = torch.zeros_like(x)
        for layer in self.layers:
            x, skip = layer(x, asked, condition, exists)
            total = total + skip
        y = self.outward(F.silu(self.mix(total / math.sqrt(len(self.layers)))))
        return State(y * exists, nothing(x_t), x_t.mask)


class TransformerLayer(nn.Module):
    """Attention among steps, attention to the condition's tokens, and two linear layers, each normalised and added."""

    def __init__(self, *, width: int, condition_width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.asked = nn.Linear(width, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.steps = Attention(width=width, context=width, heads=heads)
        self.tokens = Attention(width=width, context=condition_width, heads=heads)
        self.wide, self.narrow = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, asked: Tensor, condition: Condition, mask: Tensor | None) -> Tensor:
        """x: [b, l, width]; mask: [b, l]."""
        x = x + self.asked(asked)[:, None]
        h = self.norms[0](x)
        x = x + self.dropout(self.steps(h, h, mask))
        x = x + self.tokens(self.norms[1](x), condition.tokens, condition.mask)
        out: Tensor = x + self.dropout(self.narrow(F.silu(self.wide(self.norms[2](x)))))
        return out


class TransformerNetwork(nn.Module):
    """Steps as tokens with sinusoidal positions."""

    positions: Tensor

    def __init__(self, *, space: Space, condition_width: int, steps: int, options: TransformerOptions) -> None:
        super().__init__()
        o = options
        self.inward = PerStep(space.width, o.width)
        self.asked = Asked(condition_width=condition_width, steps=steps, width=o.width)
        self.layers = nn.ModuleList(
            TransformerLayer(width=o.width, condition_width=condition_width, heads=o.heads, dropout=o.dropout) for _ in range(o.layers)
        )
        self.norm = nn.LayerNorm(o.width)
        self.outward = zeroed(PerStep(o.width, space.width))
        self.register_buffer("positions", sinusoids(torch.arange(space.shape[0]), o.width), persistent=False)

    def forward(self, x_t: State, t: Tensor, condition: Condition, mask: Tensor | None = None) -> State:
        """num: [b, l, c] prediction; steps the mask leaves out change no other step, and are predicted as 0."""
        mask = x_t.mask if mask is None else mask
        exists = exists_of(x_t, mask)
        asked = self.asked(t, condition)
        x = self.inward(x_t.num * exists) + self.positions[: x_t.num.shape[1]]
        for layer in self.layers:
            x = layer(x, asked, condition, mask)
        return State(self.outward(self.norm(x)) * exists, nothing(x_t), x_t.mask)


class Dilated(BackboneSpec):
    """The default backbone of series."""

    def __init__(self, options: DilatedOptions) -> None:
        self.options = options

    @hookimpl
    def backbone_build(self, ctx: BackboneContext) -> nn.Module:
        """A DilatedNetwork of the space's length and channels; RecipeError for a space of another layout."""
        space = _checked(ctx.space, "dilated")
        return DilatedNetwork(space=space, condition_width=ctx.condition_width, steps=ctx.steps, options=self.options)


class Transformer(BackboneSpec):
    """Attention among all steps: for short series whose steps depend on steps far away."""

    def __init__(self, options: TransformerOptions) -> None:
        self.options = options

    @hookimpl
    def backbone_build(self, ctx: BackboneContext) -> nn.Module:
        """A TransformerNetwork of the space's length and channels; RecipeError for a space of another layout."""
        space = _checked(ctx.space, "transformer")
        return TransformerNetwork(space=space, condition_width=ctx.condition_width, steps=ctx.steps, options=self.options)
