"""Which record gets whose view: the true pairs, and those of the controls."""

from __future__ import annotations

import numpy as np
import torch

from scarce.contract.dataset import Rows


def exchanged(groups: Rows, share: float, generator: torch.Generator) -> Rows:
    """[n] whose view each record gets: `share` of the records of each group exchange theirs in a ring, the others keep it.

    groups: [n]; no exchange leaves its group, and of two or more that exchange nobody gets their own.
    """
    out = np.arange(len(groups))
    for group in np.unique(groups):
        rows = np.flatnonzero(groups == group)
        order = rows[torch.randperm(len(rows), generator=generator).numpy()[: round(share * len(rows))]]
        out[order] = np.roll(order, 1)
    return out


def folds_of(codes: Rows, folds: int, generator: torch.Generator) -> Rows:
    """[n] the fold of each record, each class spread evenly over all of them."""
    order = torch.randperm(len(codes), generator=generator).numpy()
    order = order[np.argsort(codes[order], kind="stable")]
    out = np.empty(len(codes), dtype=np.int64)
    out[order] = np.arange(len(codes)) % folds
    return out
