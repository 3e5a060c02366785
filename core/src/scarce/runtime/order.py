"""Which rows each step sees: a stream of permutations, known from (seed, draw, step) alone."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from scarce.runtime.seeds import generator


class RowOrder:
    """Rows of step k are places k*batch .. (k+1)*batch of endless, freshly shuffled passes over `pool`."""

    def __init__(self, pool: Tensor, *, seed: int, purpose: str, batch: int) -> None:
        self.pool, self.batch = pool, batch
        self._generator = partial(generator, seed, f"order/{purpose}")
        self._pass = (-1, pool)

    def rows(self, step: int) -> Tensor:
        """[batch] rows of one step."""
        n = len(self.pool)
        place, wanted, parts = step * self.batch, self.batch, []
        while wanted:
            epoch, offset = divmod(place, n)
            part = self._epoch(epoch)[offset : offset + wanted]
            parts.append(part)
            place, wanted = place + len(part), wanted - len(part)
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _epoch(self, epoch: int) -> Tensor:
        if self._pass[0] != epoch:
            self._pass = epoch, self.pool[torch.randperm(len(self.pool), generator=self._generator(epoch))]
        return self._pass[1]
