"""Backbone `motion-transformer`: an encoder over pieces of motion that listens to a text (after MDM, arXiv 2209.14916)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scarce.contract import Attention, BackboneContext, BackboneSpec, Condition, Space, State, hookimpl, sinusoids
from scarce.errors import RecipeError
from scarce_motion.codec import MotionCodec
from scarce_motion.config import MotionTransformer as Options
from scarce_motion.penalty import JointLosses

TIME_WIDTH = 128
PERIOD = 1000.0  # a clip has few pieces, and a motion few steps


class Layer(nn.Module):
    """Attention among pieces, attention to the condition's tokens, and two linear layers, each normalised and added."""

    def __init__(self, *, width: int, condition_width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.asked = nn.Linear(width, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.pieces = Attention(width=width, context=width, heads=heads)
        self.words = Attention(width=width, context=condition_width, heads=heads)
        self.wide, self.narrow = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, asked: Tensor, condition: Condition, mask: Tensor | None) -> Tensor:
        """x: [b, m, width]; asked: [b, width] time and pooled condition; mask: [b, m]."""
        x = x + self.asked(asked)[:, None]
        h = self.norms[0](x)
        x = x + self.dropout(self.pieces(h, h, mask))
        x = x + self.words(self.norms[1](x), condition.tokens, condition.mask)
        out: Tensor = x + self.dropout(self.narrow(F.silu(self.wide(self.norms[2](x)))))
        return out


class MotionNetwork(nn.Module):
    """A token is `patch` frames; what a motion's frames can't reach after their end changes nothing before it.

    penalty: losses on joints, where records are motions of a skeleton.
    """

    positions: Tensor
    times: Tensor

    def __init__(self, *, space: Space, condition_width: int, steps: int, options: Options, joints: JointLosses | None) -> None:
        super().__init__()
        o = options
        self.patch, self.width = min(o.patch, space.shape[0]), space.width
        self.inward = nn.Linear(self.patch * space.width, o.width)
        self.time, self.pooled = nn.Linear(TIME_WIDTH, o.width), nn.Linear(condition_width, o.width, bias=False)
        self.mix = nn.Linear(o.width, o.width)
        self.layers = nn.ModuleList(
            Layer(width=o.width, condition_width=condition_width, heads=o.heads, dropout=o.dropout) for _ in range(o.layers)
        )
        self.norm = nn.LayerNorm(o.width)
        self.outward = nn.Linear(o.width, self.patch * space.width)
        nn.init.zeros_(self.outward.weight)
        nn.init.zeros_(self.outward.bias)
        self.register_buffer("positions", sinusoids(torch.arange(-(-space.shape[0] // self.patch)), o.width, PERIOD), persistent=False)
        self.register_buffer("times", sinusoids(torch.arange(steps), TIME_WIDTH, PERIOD), persistent=False)
        self.joints = joints

    def forward(self, x_t: State, t: Tensor, condition: Condition, mask: Tensor | None = None) -> State:
        """num: [b, l, c] prediction; frames the mask leaves out change no other frame, and are predicted as 0."""
        mask = x_t.mask if mask is None else mask
        exists = torch.ones_like(x_t.num[..., :1]) if mask is None else mask.unsqueeze(-1).to(x_t.num.dtype)
        pieces, heard = self._pieces(x_t.num * exists), None if mask is None else self._pieces(exists).amax(-1) > 0
        asked = self.time(self.times[t])
        if condition.pooled is not None:
            asked = asked + self.pooled(condition.pooled)
        asked = F.silu(self.mix(F.silu(asked)))
        x = self.inward(pieces) + self.positions
        for layer in self.layers:
            x = layer(x, asked, condition, heard)
        out = self.outward(self.norm(x)).reshape(len(x), -1, self.width)[:, : x_t.num.shape[1]]
        return State(out * exists, x_t.num[..., :0], x_t.mask)

    def penalty(self, predicted: State, clean: State) -> Tensor:
        """[b] losses on joints; 0 where there are none."""
        return torch.zeros(len(clean), device=clean.num.device) if self.joints is None else self.joints(predicted, clean)

    def _pieces(self, x: Tensor) -> Tensor:
        """[b, m, patch * c] of frames [b, l, c], the last piece filled up with zeros."""
        rest = -x.shape[1] % self.patch
        return F.pad(x, (0, 0, 0, rest)).reshape(len(x), -1, self.patch * x.shape[2])


class MotionTransformer(BackboneSpec):
    """The default backbone of motion; it denoises any sequence of numbers."""

    def __init__(self, options: Options) -> None:
        self.options = options

    @hookimpl
    def backbone_build(self, ctx: BackboneContext) -> nn.Module:
        """A MotionNetwork of the space's length and channels; RecipeError for a space of another layout."""
        if ctx.space.layout != "sequence" or ctx.space.levels or not ctx.space.width:
            what = f"backbone: 'motion-transformer' denoises sequences of numbers, not a {ctx.space.layout}"
            raise RecipeError(what, hint="--set data.modality=motion")
        joints = JointLosses(ctx.codec, self.options) if isinstance(ctx.codec, MotionCodec) else None
        return MotionNetwork(
            space=ctx.space, condition_width=ctx.condition_width, steps=ctx.steps, options=self.options, joints=joints,
        )  # fmt: skip
