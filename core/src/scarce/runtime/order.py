"""Which rows each step sees: a stream of permutations, known from (seed, draw, step) alone."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from scarce.contract.protocols import Pool
from scarce.runtime.seeds import generator

ROUNDS = 6
WINDOW = 1 << 16  # places of a long pool that are looked up at a time


class LongPool:
    """The positions `first`, then of those from `start` on the next `count`, or the ones at `places`: not listed, so of any number."""

    def __init__(self, first: Tensor, start: int, count: int, places: Tensor | None = None) -> None:
        self.first, self.start, self.places = first, start, places
        self.count = count if places is None else len(places)

    def __len__(self) -> int:
        return len(self.first) + self.count

    def __getitem__(self, places: Tensor) -> Tensor:
        """[b] positions at [b] places."""
        further = (places - len(self.first)).clamp(min=0)
        further = further if self.places is None else self.places[further.clamp(max=self.count - 1)].long()
        if not len(self.first):
            return self.start + further
        return torch.where(places < len(self.first), self.first[places.clamp(max=len(self.first) - 1)], self.start + further)


def scattered(places: Tensor, n: int, keys: Tensor) -> Tensor:
    """Where a permutation of n places moves some of them, without listing it: a Feistel network, walked until it is inside.

    Black and Rogaway, Ciphers with Arbitrary Finite Domains, CT-RSA 2002. keys: [r] int64, one for each round.
    """
    half = max(1, ((n - 1).bit_length() + 1) // 2)

    def once(x: Tensor) -> Tensor:
        left, right = x >> half, x & ((1 << half) - 1)
        for key in keys:
            mixed = (right ^ key) * 0x2545F4914F6CDD1D
            mixed = (mixed ^ (mixed >> 29)) * 0x369DEA0F31A53F85
            left, right = right, left ^ ((mixed >> 32) & ((1 << half) - 1))
        return left << half | right

    out = once(places)
    while bool((outside := out >= n).any()):
        out = torch.where(outside, once(out), out)
    return out


class RowOrder:
    """Rows of step k are places k*batch .. (k+1)*batch of endless, freshly shuffled passes over `pool`."""

    def __init__(self, pool: Pool, *, seed: int, purpose: str, batch: int) -> None:
        self.pool, self.batch = pool, batch
        self._generator = partial(generator, seed, f"order/{purpose}")
        self._pass = (-1, 0, torch.zeros(0, dtype=torch.int64))

    def rows(self, step: int) -> Tensor:
        """[batch] rows of one step."""
        n = len(self.pool)
        place, wanted, parts = step * self.batch, self.batch, []
        while wanted:
            epoch, offset = divmod(place, n)
            part = self._part(epoch, offset, wanted)
            parts.append(part)
            place, wanted = place + len(part), wanted - len(part)
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _part(self, epoch: int, offset: int, wanted: int) -> Tensor:
        """At most `wanted` rows of a pass, from a place on."""
        start = 0 if isinstance(self.pool, Tensor) else offset - offset % WINDOW
        if self._pass[:2] != (epoch, start):
            self._pass = epoch, start, self._shuffled(epoch, start)
        return self._pass[2][offset - start : offset - start + wanted]

    def _shuffled(self, epoch: int, start: int) -> Tensor:
        n, random = len(self.pool), self._generator(epoch)
        if isinstance(self.pool, Tensor):
            return self.pool[torch.randperm(n, generator=random)]
        keys = torch.randint(2**62, (ROUNDS,), generator=random)
        return self.pool[scattered(torch.arange(start, min(start + WINDOW, n)), n, keys)]
