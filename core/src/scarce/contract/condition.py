"""What is asked of a sample, and how a network receives it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from scarce.contract.frozen import Frozen


class Prompt(Frozen):
    """What a person asks of one sample: a class label, a text, or properties (all optional)."""

    label: Any = None
    text: str | None = None
    props: Mapping[str, float] = field(default_factory=dict)


class Caption(Frozen):
    """A text for one record and the machine-readable properties it speaks of (never parse the text)."""

    text: str
    props: Mapping[str, float] = field(default_factory=dict)


class Embedded(Frozen, kw_only=False):
    """What one conditioner makes of its inputs: tokens [b, l, d], mask [b, l] bool, pooled [b, d]."""

    tokens: Tensor
    mask: Tensor
    pooled: Tensor


class Condition(Frozen, kw_only=False):
    """Everything a backbone learns about what is asked; nothing else reaches it.

    tokens: [b, l, d]; mask: [b, l] bool; pooled: [b, p] or None; extra: named tensors whose first axis is b;
    labels: [b] int64 class codes (-1 unknown) or None.
    """

    tokens: Tensor
    mask: Tensor
    pooled: Tensor | None = None
    extra: Mapping[str, Tensor] = field(default_factory=dict)
    labels: Tensor | None = None

    def __len__(self) -> int:
        return int(self.tokens.shape[0])

    def __getitem__(self, rows: Any) -> Condition:
        pooled = None if self.pooled is None else self.pooled[rows]
        labels = None if self.labels is None else self.labels[rows]
        return Condition(self.tokens[rows], self.mask[rows], pooled, {k: v[rows] for k, v in self.extra.items()}, labels)

    def to(self, device: torch.device | str) -> Condition:
        """The same on another device."""
        pooled = None if self.pooled is None else self.pooled.to(device)
        labels = None if self.labels is None else self.labels.to(device)
        return Condition(self.tokens.to(device), self.mask.to(device), pooled, {k: v.to(device) for k, v in self.extra.items()}, labels)


def stack(conditions: Sequence[Condition]) -> Condition:
    """Conditions one after another as one batch; shorter ones get masked tokens at their end."""
    first, longest = conditions[0], max(c.tokens.shape[1] for c in conditions)
    tokens = [F.pad(c.tokens, (0, 0, 0, longest - c.tokens.shape[1])) for c in conditions]
    masks = [F.pad(c.mask, (0, longest - c.mask.shape[1])) for c in conditions]
    pooled = None if first.pooled is None else torch.cat([c.pooled for c in conditions if c.pooled is not None])
    labels = None if first.labels is None else torch.cat([c.labels for c in conditions if c.labels is not None])
    extra = {k: torch.cat([c.extra[k] for c in conditions]) for k in first.extra}
    return Condition(torch.cat(tokens), torch.cat(masks), pooled, extra, labels)
