"""Backbone `egnn`: a network of points that turns, mirrors and permutes its answer with its input.

After EGNN (arXiv 2102.09844) as EDM (arXiv 2203.17003) uses it: sums of messages without attention among atoms, and normalised
steps of coordinates. A message between two atoms is one for both (a function of the sum of what each says), so that it is computed
once per pair, and steps of coordinates cancel out: the centre of mass does not move. Layers add to what a pair was told before, as
they do to what an atom is, so that whether two atoms are bonded need not be found anew in each.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scarce.contract import Asked, Attention, BackboneContext, BackboneSpec, Condition, Space, State, hookimpl
from scarce.errors import RecipeError
from scarce_molecules.config import Egnn as EgnnOptions

TIME_WIDTH = 64
TINY = 1e-8


class Pairs(nn.Module):
    """Of n points every pair once: sums and differences of what points have, and back, as products with constant matrices."""

    both: Tensor
    apart: Tensor
    first: Tensor
    second: Tensor

    def __init__(self, n: int) -> None:
        super().__init__()
        first, second = torch.triu_indices(n, n, 1)
        ends = [torch.zeros(len(first), n).scatter_(1, i[:, None], 1.0) for i in (first, second)]
        self.register_buffer("both", ends[0] + ends[1], persistent=False)
        self.register_buffer("apart", ends[0] - ends[1], persistent=False)
        self.register_buffer("first", first, persistent=False)
        self.register_buffer("second", second, persistent=False)

    def exist(self, exists: Tensor) -> Tensor:
        """[b, p, 1] of [b, n, 1]."""
        return exists[:, self.first] * exists[:, self.second]


class Narrow(nn.Module):
    """A linear map of very few inputs or outputs, with its weights held so that adapters of low rank pass it by."""

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True, scale: float | None = None) -> None:
        """scale: standard deviation of the first weights, 0 for a map that begins at 0; None: as a linear layer's."""
        super().__init__()
        spread = 1 / math.sqrt(3 * inputs) if scale is None else scale
        self.weight = nn.Parameter(spread * torch.randn(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """[.., inputs] -> [.., outputs]."""
        return F.linear(x, self.weight, self.bias)


class Now(NamedTuple):
    """Between layers: h [b, n, width] of atoms, x [b, n, 3] their coordinates, told [b, p, width] of pairs."""

    h: Tensor
    x: Tensor
    told: Tensor


class Layer(nn.Module):
    """Messages of all pairs, a step of every coordinate along its pairs, and new features of every atom."""

    def __init__(self, *, width: int, radial: int, condition_width: int, heads: int, attends: bool, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.asked = nn.Linear(width, width)
        self.atoms = nn.Linear(width, width)
        self.radial = nn.Linear(radial, width, bias=False)
        self.message = nn.Linear(width, width)
        self.along = Narrow(width, 1, bias=False, scale=1e-3)
        self.wide, self.narrow = nn.Linear(2 * width, width), nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)
        self.attention_norm = nn.LayerNorm(width) if attends else None
        self.attention = Attention(width=width, context=condition_width, heads=heads) if attends else None

    def forward(self, now: Now, asked: Tensor, condition: Condition, pairs: Pairs, seen: Seen) -> Now:
        """What the next layer is given."""
        h, x, told = now
        if self.attention is not None and self.attention_norm is not None:
            h = h + self.attention(self.attention_norm(h), condition.tokens, condition.mask)
        y = self.norm(h) + self.asked(asked)[:, None]
        with torch.autocast(x.device.type, enabled=False):  # 16 bits would move an atom by more than a bond may be off
            step, far = seen.of(pairs.apart @ x)
        told = told + self.message(F.silu(pairs.both @ self.atoms(y) + self.radial(far) + told))
        message = F.silu(told) * seen.pairs
        along = self.along(message)
        with torch.autocast(x.device.type, enabled=False):
            x = x + pairs.apart.T @ (step * along.float()) * seen.share
        heard = (pairs.both.T @ message) * seen.share
        h = h + self.narrow(self.dropout(F.silu(self.wide(torch.cat([y, heard], -1)))))
        return Now(h, x, told)


class Seen:
    """What all layers share in one call: which pairs exist, how sums over them are scaled, and radial features."""

    def __init__(self, exists: Tensor, pairs: Pairs, centres: Tensor) -> None:
        self.pairs = pairs.exist(exists)
        self.share = exists / exists.sum(1, keepdim=True).clamp(min=1).sqrt()
        self.centres = centres

    def of(self, r: Tensor) -> tuple[Tensor, Tensor]:
        """[b, p, 3] directions no longer than 1, and [b, p, k] radial features, of the differences r [b, p, 3]."""
        r = r.float()
        d = (r.square().sum(-1, keepdim=True) + TINY).sqrt()
        bumps = torch.exp(-((torch.exp(-d) - self.centres) * (0.5 * len(self.centres))).square())
        return r / (d + 1), torch.cat([bumps, d], -1)


class EgnnNetwork(nn.Module):
    """Coordinates [.., 3] come first in a space's channels; the others are features of atoms."""

    centres: Tensor

    def __init__(self, *, space: Space, condition_width: int, steps: int, options: EgnnOptions) -> None:
        super().__init__()
        o = options
        self.pairs = Pairs(space.shape[0])
        self.inward = Narrow(space.width - 3, o.width)
        self.asked = Asked(condition_width=condition_width, steps=steps, width=o.width, time_width=TIME_WIDTH)
        self.layers = nn.ModuleList(
            Layer(
                width=o.width, radial=o.radial + 1, condition_width=condition_width, heads=o.heads, dropout=o.dropout,
                attends=i % o.attention_every == 0,
            )
            for i in range(o.layers)
        )  # fmt: skip
        self.norm = nn.LayerNorm(o.width)
        self.outward = Narrow(o.width, space.width - 3, scale=0.0)
        self.kept = Narrow(o.width, 2, scale=0.0)
        self.register_buffer("centres", torch.linspace(0, 1, o.radial), persistent=False)

    def forward(self, x_t: State, t: Tensor, condition: Condition, mask: Tensor | None = None) -> State:
        """num: [b, n, width] prediction; points the mask leaves out change no other, and are predicted as 0.

        Of coordinates it is a time's share of x_t and a time's multiple of how far the layers moved it.
        """
        mask = x_t.mask if mask is None else mask
        exists = torch.ones_like(x_t.num[..., :1]) if mask is None else mask.unsqueeze(-1).to(x_t.num.dtype)
        given = x_t.num * exists
        begun, features = given[..., :3], given[..., 3:]
        asked = self.asked(t, condition)
        seen = Seen(exists, self.pairs, self.centres)
        now = Now(self.inward(features) + asked[:, None], begun, begun.new_zeros(()))
        for layer in self.layers:
            now = layer(now, asked, condition, self.pairs, seen)
        share, gain = self.kept(asked).float()[:, None].chunk(2, -1)
        moved = begun * share + (now.x - begun) * (1 + gain)
        return State(torch.cat([moved, self.outward(self.norm(now.h)).float()], -1) * exists, x_t.num[..., :0], x_t.mask)


class Egnn(BackboneSpec):
    """The backbone of molecules."""

    def __init__(self, options: EgnnOptions) -> None:
        self.options = options

    @hookimpl
    def backbone_build(self, ctx: BackboneContext) -> nn.Module:
        """An EgnnNetwork of the space's points and channels; RecipeError for a space of another kind."""
        space = ctx.space
        first = space.blocks[0] if space.blocks else None
        if space.layout != "set" or space.levels or first is None or first.kind != "coordinates" or first.size != 3 or space.width < 4:
            what = f"backbone: 'egnn' denoises sets of points in space with features, not a {space.layout}"
            raise RecipeError(what, hint="--set data.modality=molecules")
        return EgnnNetwork(space=space, condition_width=ctx.condition_width, steps=ctx.steps, options=self.options)
