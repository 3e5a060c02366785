"""A table's row as a sentence: one token per column, through the layers of a BERT, back to one answer per column."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import BertConfig
from transformers.models.bert.modeling_bert import BertLayer

from scarce.contract import Condition, Space, State

TIME_WIDTH = 128


def column_names(space: Space) -> tuple[str, ...]:
    """The columns of a space in order; blocks of one column (a number, and whether it is missing) share a token."""
    return tuple(dict.fromkeys(b.name if b.column is None else b.column for b in space.blocks))


class ColumnBert(nn.Module):
    """num, cat at time t -> tokens [b, 1 + columns, width] -> BERT layers -> one head per block.

    A column's token is what its blocks say (a number times a vector, its sines and cosines too; a one-hot times a
    table), plus its own vector, plus time and condition; the first token is no column. No positions are used: columns
    are a set, so any number of them works. Numbers also pass straight to their head with a weight that depends on t,
    because the layer norms inside BERT forget how large a token was.
    """

    names: Tensor
    owners: Tensor
    offsets: Tensor
    powers: Tensor

    def __init__(
        self, *, space: Space, condition_width: int, layers: nn.ModuleList, norm: nn.LayerNorm, config: BertConfig, frequencies: int,
        norms: bool = True, saved: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        width, columns = int(config.hidden_size), column_names(space)
        place = {name: i for i, name in enumerate(columns, 1)}
        owners = [place[b.name if b.column is None else b.column] for b in space.blocks]
        numeric = [o for b, o in zip(space.blocks, owners, strict=True) for _ in range(b.size) if b.kind != "categorical"]
        self.sizes, self.levels, self.norms, self.saved = (len(numeric), sum(space.levels)), space.levels, norms, dict(saved or {})
        self.encoder, self.norm = layers, norm
        scale = 1 / math.sqrt(1 + 2 * frequencies)
        self.numbers = nn.Parameter(scale * torch.randn(len(numeric), 1 + 2 * frequencies, width))
        self.table = nn.Parameter(torch.randn((self.levels and sum(space.levels)) or 0, width))
        self.columns = nn.Parameter(torch.zeros(1 + len(columns), width))
        self.time = nn.Sequential(nn.Linear(TIME_WIDTH, width), nn.SiLU(), nn.Linear(width, width))
        self.condition = nn.Linear(condition_width, width, bias=False)
        self.number_heads = nn.Parameter(torch.zeros(len(numeric), width))
        self.number_bias = nn.Parameter(torch.zeros(len(numeric)))
        self.level_heads = nn.Parameter(torch.zeros(sum(space.levels), width))
        self.level_bias = nn.Parameter(torch.zeros(sum(space.levels)))
        self.straight = nn.Parameter(torch.zeros(len(numeric), TIME_WIDTH))
        starts = [sum(space.levels[:c]) for c in range(len(space.levels))]
        categorical = [o for b, o in zip(space.blocks, owners, strict=True) if b.kind == "categorical"]
        self.level_owners = categorical
        self.register_buffer("names", torch.zeros(1 + len(columns), width))
        self.register_buffer("owners", torch.tensor([*numeric, *categorical], dtype=torch.int64), persistent=False)
        self.register_buffer("offsets", torch.tensor(starts, dtype=torch.int64), persistent=False)
        self.register_buffer("powers", 2.0 ** torch.arange(frequencies), persistent=False)
        self.register_buffer("waves", torch.exp(-math.log(10_000) * torch.arange(TIME_WIDTH // 2) / (TIME_WIDTH // 2)), persistent=False)

    waves: Tensor

    @property
    def fresh(self) -> tuple[str, ...]:
        """Parameters that no checkpoint brought (and the layer norms, where they train beside adapters)."""
        names = [n for n, _ in self.named_parameters()]
        return tuple(n for n in names if not n.startswith(("encoder.", "norm.")) or (self.norms and "norm" in n.lower()))

    def config_json(self) -> dict[str, Any]:
        """What builds the same network without the pretrained model at hand."""
        return dict(self.saved)

    def forward(self, x_t: State, t: Tensor, condition: Condition, mask: Tensor | None = None) -> State:
        """num: [b, d] prediction, cat: [b, sum K] logits."""
        angles = t.to(self.waves.dtype)[:, None] * self.waves
        clock = torch.cat([angles.cos(), angles.sin()], 1)
        tokens = self.embed(x_t) + self.time(clock)[:, None]
        if condition.pooled is not None:
            tokens = tokens + self.condition(condition.pooled)[:, None]
        h = self.norm(tokens)
        for layer in self.encoder:
            h = layer(h)
        n, k = self.sizes
        num = (h[:, self.owners[:n]] * self.number_heads).sum(2) + self.number_bias + F.linear(clock, self.straight) * x_t.num
        parts = torch.split(self.level_heads, list(self.levels))
        logits = [F.linear(h[:, owner], head) for owner, head in zip(self.level_owners, parts, strict=True)]
        cat = torch.cat(logits, 1) + self.level_bias if logits else x_t.num.new_zeros(len(x_t), k)
        return State(num, cat, x_t.mask)

    def embed(self, x_t: State) -> Tensor:
        """[b, 1 + columns, width] what the blocks of each column say, plus the column's own vector."""
        angles = x_t.num.unsqueeze(-1) * self.powers
        features = torch.cat([x_t.num.unsqueeze(-1), angles.sin(), angles.cos()], 2)
        said = [torch.einsum("bdf,dfw->bdw", features, self.numbers)]
        if self.levels and x_t.cat.is_floating_point():
            hot = torch.split(x_t.cat, list(self.levels), 1)
            parts = torch.split(self.table, list(self.levels))
            said.append(torch.stack([p @ e for p, e in zip(hot, parts, strict=True)], 1))
        elif self.levels:
            said.append(F.embedding(x_t.cat + self.offsets, self.table))
        every = torch.cat(said, 1)
        tokens = (self.columns + self.names).expand(len(x_t), -1, -1)
        return tokens.index_add(1, self.owners, every.to(tokens.dtype))


def blank_layers(config: BertConfig) -> tuple[nn.ModuleList, nn.LayerNorm]:
    """Layers and embedding norm of a BERT's shape, for weights that follow."""
    config._attn_implementation = "eager"
    norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
    return nn.ModuleList(BertLayer(config, layer_idx=i) for i in range(config.num_hidden_layers)), norm
