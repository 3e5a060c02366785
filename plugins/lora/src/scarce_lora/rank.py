"""A rank from the data: how many directions hold most of the training rows' spread.

The rule bounds the rank of the update by the intrinsic dimension of the data. It is a heuristic, not a theorem about
the rank of the best update.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from scarce.contract import Space, State

MOST_ROWS = 20_000


def design_matrix(state: State, space: Space) -> Tensor:
    """[n, p] float64: standardised numbers and one-hots over sqrt 2, centred, so that offsets and units count for nothing.

    Positions of sequences, sets and images are columns of their own; absent ones are 0. At most 20,000 rows are used,
    evenly spaced.
    """
    n = len(state)
    rows = torch.linspace(0, n - 1, min(n, MOST_ROWS)).long()
    kept = state[rows]
    num = kept.num.double()
    if kept.mask is not None:
        num = num * kept.mask.unsqueeze(1 if space.layout == "image" else -1)
    num = num.flatten(1)
    num = num - num.mean(0)
    spread = num.std(0, correction=0)
    num = torch.where(spread > 1e-12, num / spread.clamp(min=1e-12), 0.0)
    hot = [F.one_hot(kept.cat[..., c], k).double().flatten(1) / 2**0.5 for c, k in enumerate(space.levels)]
    return torch.cat([num, *(h - h.mean(0) for h in hot)], 1)


def rank_of(s: Tensor, share: float, q: int) -> int:
    """The smallest r whose largest singular values, to the power q, reach `share` of the sum; 1 for data without spread.

    s: [m] singular values in any order; q: 2 energy, 1 nuclear norm.
    """
    powers = s.double().sort(descending=True).values ** q
    reached = powers.cumsum(0) / powers.sum().clamp(min=1e-300)
    return min(int((reached < share).sum()) + 1, max(len(s), 1))


def rank_of_data(state: State, space: Space, rule: str, share: float, most: int) -> int:
    """The rank that the rule ("energy" or "nuclear") gives for encoded rows, between 1 and `most`."""
    s = torch.linalg.svdvals(design_matrix(state, space))
    return max(1, min(rank_of(s, share, 2 if rule == "energy" else 1), most))
