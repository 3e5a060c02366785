"""What an encoded sample looks like: named blocks of numbers and categories in one layout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from scarce.contract.frozen import Frozen

Layout = Literal["vector", "sequence", "set", "image"]
Kind = Literal["continuous", "categorical", "coordinates"]


class Block(Frozen):
    """One named part of a sample.

    `size` is the number of channels of a continuous or coordinate block, and the number of levels K of a
    categorical one. `clip` bounds |x_0| in encoded units (None: unbounded); samplers clip predictions to it. `column`:
    the field of a record that this block belongs to (a number and whether it is missing are two blocks of one).
    """

    name: str
    kind: Kind
    size: int
    clip: float | None = None
    column: str | None = None


class Space(Frozen):
    """Layout, blocks and positions of an encoded sample.

    `shape` is () for a vector, (l,) for a sequence or a set, (h, w) for an image; `variable` says whether
    samples may be shorter than `shape` and therefore carry a mask.
    """

    layout: Layout
    blocks: tuple[Block, ...]
    shape: tuple[int, ...] = ()
    variable: bool = False

    @property
    def width(self) -> int:
        """Number of continuous channels (continuous and coordinate blocks together)."""
        return sum(b.size for b in self.blocks if b.kind != "categorical")

    @property
    def levels(self) -> tuple[int, ...]:
        """K of each categorical block, in order."""
        return tuple(b.size for b in self.blocks if b.kind == "categorical")

    @property
    def clips(self) -> tuple[float | None, ...]:
        """The bound of each continuous channel, in order."""
        return tuple(b.clip for b in self.blocks if b.kind != "categorical" for _ in range(b.size))

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Space:
        """The space written by `to_json`."""
        blocks = tuple(Block(**b) for b in data["blocks"])
        return cls(layout=data["layout"], blocks=blocks, shape=tuple(data["shape"]), variable=data["variable"])


class State(Frozen, kw_only=False):
    """A batch of encoded samples, or a network's prediction for one.

    num: [b, *shape, width] (image: [b, width, h, w]) continuous channels; width may be 0.
    cat: [b, *shape, C] int64 codes, or [b, *shape, sum K] floats (expected one-hots in a sample, logits in a
    prediction); the last axis may be 0.
    mask: [b, *shape] bool, True where a position exists; None when all do.
    """

    num: Tensor
    cat: Tensor
    mask: Tensor | None = None

    def __len__(self) -> int:
        return int(self.num.shape[0])

    def __getitem__(self, rows: Any) -> State:
        """The chosen rows (a slice, an index tensor or a bool mask; a single int is not a batch)."""
        return State(self.num[rows], self.cat[rows], None if self.mask is None else self.mask[rows])

    def to(self, device: torch.device | str) -> State:
        """The same state on another device."""
        mask = None if self.mask is None else self.mask.to(device)
        return State(self.num.to(device), self.cat.to(device), mask)


def join(states: Sequence[State]) -> State:
    """Batches one after another as one batch."""
    masks = [s.mask for s in states]
    mask = None if any(m is None for m in masks) else torch.cat([m for m in masks if m is not None])
    return State(torch.cat([s.num for s in states]), torch.cat([s.cat for s in states]), mask)


class Known(Frozen, kw_only=False):
    """Values to be imposed while sampling: `state` where the masks are True, free elsewhere.

    num_mask: [b, *shape, width] bool; cat_mask: [b, *shape, C] bool.
    """

    state: State
    num_mask: Tensor
    cat_mask: Tensor

    def __getitem__(self, rows: Any) -> Known:
        return Known(self.state[rows], self.num_mask[rows], self.cat_mask[rows])
