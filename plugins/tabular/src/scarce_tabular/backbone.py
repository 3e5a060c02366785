"""Backbone `mlp`: a residual MLP that denoises encoded rows."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scarce.contract import BackboneContext, BackboneSpec, Condition, Space, State, hookimpl, sinusoids
from scarce_tabular.config import MlpDenoiser as MlpDenoiserConfig

TIME_WIDTH = 128


class ResidualMlp(nn.Module):
    """h = in(row) + time(t) + condition(pooled); h += layer(silu(h)) a few times; out(silu(h)).

    Rows enter as numbers, sines and cosines of 1, 2, 4, .. times each number (thresholds are learnt in far fewer steps,
    Gorishniy et al. 2022), and one-hots.
    """

    times: Tensor
    offsets: Tensor
    frequencies: Tensor

    def __init__(
        self, *, space: Space, condition_width: int, steps: int, width: int, layers: int, dropout: float = 0.0, frequencies: int = 3
    ) -> None:
        super().__init__()
        self.numeric, self.levels = space.width, sum(space.levels)
        features = self.numeric + self.levels
        self.inward = nn.Linear(features + 2 * frequencies * self.numeric, width)
        self.time = nn.Linear(TIME_WIDTH, width, bias=False)
        self.condition = nn.Linear(condition_width, width, bias=False)
        self.blocks = nn.ModuleList(nn.Linear(width, width) for _ in range(layers))
        self.outward = nn.Linear(width, features)
        self.dropout = nn.Dropout(dropout) if dropout else None
        nn.init.zeros_(self.outward.weight)
        nn.init.zeros_(self.outward.bias)
        starts = [sum(space.levels[:c]) for c in range(len(space.levels))]
        self.register_buffer("frequencies", 2.0 ** torch.arange(frequencies), persistent=False)
        self.register_buffer("times", sinusoids(torch.arange(steps) * (1000 / steps), TIME_WIDTH), persistent=False)
        self.register_buffer("offsets", torch.tensor(starts, dtype=torch.int64), persistent=False)

    def forward(self, x_t: State, t: Tensor, condition: Condition, mask: Tensor | None = None) -> State:
        """num: [b, width] prediction, cat: [b, sum K] logits; a `t` expanded from one time is embedded once."""
        t = t[:1] if t.stride(0) == 0 else t
        h = self.inward(self._features(x_t)) + self.time(self.times[t])
        if condition.pooled is not None:
            h = h + self.condition(condition.pooled)
        for layer in self.blocks:
            out = layer(F.silu(h))
            h = h + (out if self.dropout is None else self.dropout(out))
        y = self.outward(F.silu(h))
        return State(y[:, : self.numeric], y[:, self.numeric :], x_t.mask)

    def _features(self, x_t: State) -> Tensor:
        """[b, ..]: numbers, their sines and cosines, then one-hots of each column."""
        angles = (x_t.num.unsqueeze(-1) * self.frequencies).flatten(1)
        rows = [x_t.num, angles.sin(), angles.cos()]
        if x_t.cat.is_floating_point():
            rows.append(x_t.cat)
        elif self.levels:
            rows.append(x_t.num.new_zeros(len(x_t), self.levels).scatter_(1, x_t.cat + self.offsets, 1.0))
        return torch.cat(rows, dim=1)


class MlpDenoiser(BackboneSpec):
    """The default backbone of tables."""

    def __init__(self, options: MlpDenoiserConfig) -> None:
        self.options = options

    @hookimpl
    def backbone_build(self, ctx: BackboneContext) -> nn.Module:
        """A ResidualMlp on the space's channels and one-hots."""
        return ResidualMlp(
            space=ctx.space,
            condition_width=ctx.condition_width,
            steps=ctx.steps,
            width=self.options.width,
            layers=self.options.layers,
            dropout=self.options.dropout,
            frequencies=self.options.frequencies,
        )
