"""Backbone `conv-transformer`: convolutions for detail, transformer blocks on patches for what is where."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scarce.contract import BackboneContext, BackboneSpec, Condition, Space, State, hookimpl, sinusoids
from scarce.errors import RecipeError
from scarce_images.blocks import ConvolutionBlock, TransformerBlock, normalised, places
from scarce_images.config import ConvTransformer as ConvTransformerOptions

TIME_WIDTH = 128


class ConvTransformer(BackboneSpec):
    """A small network for small pictures that follow a text."""

    def __init__(self, options: ConvTransformerOptions) -> None:
        self.options = options

    @hookimpl
    def backbone_build(self, ctx: BackboneContext) -> nn.Module:
        """A `ConvTransformerNetwork`; RecipeError for what is no picture, or a side that the patch does not divide."""
        space, o = ctx.space, self.options
        if space.layout != "image" or space.levels or not space.width:
            what = f"backbone: 'conv-transformer' denoises pictures, not a {space.layout} with {len(space.levels)} categories"
            raise RecipeError(what, hint="--set data.modality=images")
        if any(side % o.patch for side in space.shape):
            what = f"backbone.patch: {o.patch} does not divide the picture's sides {space.shape[0]} x {space.shape[1]}"
            size = max(o.patch, space.shape[0] // o.patch * o.patch)
            raise RecipeError(what, hint=f"--set backbone.patch=2 or --set data.options.size={size}")
        return ConvTransformerNetwork(space=space, condition_width=max(1, ctx.condition_width), steps=ctx.steps, options=o)


class ConvTransformerNetwork(nn.Module):
    """Convolutions halve the picture down to patches, transformer blocks look at them, convolutions grow it back (a U-Net's skips)."""

    times: Tensor
    places: Tensor

    def __init__(self, *, space: Space, condition_width: int, steps: int, options: ConvTransformerOptions) -> None:
        super().__init__()
        o, (height, width) = options, space.shape
        self.rows = height // o.patch
        sizes = [*(o.channels * 2**i for i in range(o.patch.bit_length() - 1)), o.width]
        self.time, self.pooled = nn.Linear(TIME_WIDTH, o.width), nn.Linear(condition_width, o.width, bias=False)
        self.mix = nn.Linear(o.width, o.width)
        self.stem = nn.Conv2d(space.width, o.channels, 3, padding=1)
        self.fine = nn.ModuleList(ConvolutionBlock(inputs=c, channels=c, width=o.width) for c in sizes[:-1])
        self.shrink = nn.ModuleList(nn.Conv2d(c, d, 2, stride=2) for c, d in pairwise(sizes))
        self.blocks = nn.ModuleList(TransformerBlock(width=o.width, context=condition_width, heads=o.heads) for _ in range(o.layers))
        self.norm = nn.LayerNorm(o.width)
        self.grow = nn.ModuleList(nn.ConvTranspose2d(d, c, 2, stride=2) for c, d in pairwise(sizes))
        self.coarse = nn.ModuleList(ConvolutionBlock(inputs=2 * c, channels=c, width=o.width) for c in sizes[:-1])
        self.last_norm, self.last = normalised(o.channels), nn.Conv2d(o.channels, space.width, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]
        self.register_buffer("times", sinusoids(torch.arange(steps) * (1000 / steps), TIME_WIDTH), persistent=False)
        self.register_buffer("places", places(self.rows, width // o.patch, o.width), persistent=False)

    def forward(self, x_t: State, t: Tensor, condition: Condition, mask: Tensor | None = None) -> State:
        """num: [b, c, h, w] prediction for pictures x_t at steps t [b]; pictures have no missing pixels, so mask is not looked at."""
        asked = self.time(self.times[t])
        if condition.pooled is not None:
            asked = asked + self.pooled(condition.pooled)
        asked = F.silu(self.mix(F.silu(asked)))
        y = self.stem(x_t.num.contiguous(memory_format=torch.channels_last))  # what follows keeps that layout, a patch's too
        skips = []
        for block, shrink in zip(self.fine, self.shrink, strict=True):
            skips.append(block(y, asked))
            y = shrink(skips[-1])
        x = y.flatten(2).transpose(1, 2) + self.places
        for block in self.blocks:
            x = block(x, asked, condition)
        y = self.norm(x).transpose(1, 2).unflatten(2, (self.rows, -1))
        for block, grow, skip in zip(reversed(self.coarse), reversed(self.grow), reversed(skips), strict=True):
            y = block(torch.cat([skip, grow(y)], dim=1), asked)
        return State(self.last(F.silu(self.last_norm(y))), x_t.cat[..., :0].to(x_t.num.dtype), None)
