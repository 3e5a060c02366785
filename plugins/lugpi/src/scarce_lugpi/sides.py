"""What a teacher reads of records: tokens of their own encoder or codec, at most so many of each."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from scarce.contract import Codec, Learner
from scarce.contract.frozen import Frozen

SMALL, LONG = 8, 32  # of what no encoder reads: side of a picture's small copy; stretches of a sequence, and frequencies


class Side(Frozen, kw_only=False):
    """Tokens [n, l, d] of n records, and mask [n, l] of those that exist; on the CPU."""

    tokens: Tensor
    mask: Tensor

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, rows: Any) -> Side:
        return Side(self.tokens[rows], self.mask[rows])

    def absent(self) -> Side:
        """The same records with no token that exists."""
        return Side(self.tokens, torch.zeros_like(self.mask))

    def noise(self, generator: torch.Generator) -> Side:
        """Standard normal numbers in the place of the tokens, drawn once per record."""
        return Side(torch.randn(self.tokens.shape, generator=generator), self.mask)


def side_of(learner: Learner | None, codec: Codec, records: Any, most: int) -> Side:
    """Tokens of a learner's frozen encoder, or of the codec where it has none, at most `most` of each record."""
    tokens = getattr(learner, "tokens", None)
    if tokens is None:
        return by_codec(codec, records)
    found = tokens(records)
    return averaged(Side(found.tokens.float(), found.mask), most)


def by_codec(codec: Codec, records: Any) -> Side:
    """Soft features [n, ...] as one token each: a vector as it is, a small copy of a picture, course and spectrum of a sequence."""
    x = codec.soft(codec.encode(records)).float()
    if codec.space.layout == "image":
        x = F.adaptive_avg_pool2d(x, min(SMALL, x.shape[-1]))
    elif x.ndim == 3:
        channels = x.transpose(1, 2)
        course = F.adaptive_avg_pool1d(channels, min(LONG, channels.shape[2]))
        spectrum = torch.fft.rfft(channels - channels.mean(2, keepdim=True)).abs()[..., 1 : LONG + 1].log1p()
        x = torch.cat([course, spectrum], 2)
    return Side(x.flatten(1).unsqueeze(1), torch.ones(len(x), 1, dtype=torch.bool))


def averaged(side: Side, most: int) -> Side:
    """At most `most` tokens of each record: of more, the means of as many stretches of equal length."""
    lengths = side.mask.sum(1, keepdim=True)
    place = side.mask.cumsum(1) - 1
    place = torch.where(lengths > most, place * most // lengths.clamp_min(1), place).clamp(0, most - 1)
    size = min(most, int(lengths.max()) if len(side) else 1) or 1
    weight = F.one_hot(place.clamp_max(size - 1), size).to(side.tokens) * side.mask.unsqueeze(-1)
    count = weight.sum(1)
    means = torch.einsum("nls,nld->nsd", weight, side.tokens) / count.clamp_min(1).unsqueeze(-1)
    return Side(means, count > 0)


def standardised(side: Side, rows: slice) -> Side:
    """Every channel less its mean, over its deviation, of the tokens that exist in `rows`; what does not exist is 0."""
    seen = side.tokens[rows][side.mask[rows]]
    mean, sd = (seen.mean(0), seen.std(0, correction=0)) if len(seen) else (torch.zeros(1), torch.ones(1))
    sd = torch.where(sd > 1e-6, sd, 1.0)
    return Side(((side.tokens - mean) / sd) * side.mask.unsqueeze(-1), side.mask)


def failed(records: Any) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """[n] whether a view came to nothing: an array (picture, series) that is missing, not finite or all of one value.

    Where no column holds arrays: a row without one value, or with an infinite one.
    """
    columns = [list(records[name]) for name in records.columns]
    arrays = [cells for cells in columns if any(_is_array(v) for v in cells)]
    if arrays:
        return np.array([any(_empty(cells[i]) for cells in arrays) for i in range(len(records))], dtype=bool)
    return np.array(
        [all(_missing(v) for v in row) or any(v in (np.inf, -np.inf) for v in row) for row in zip(*columns, strict=True)], dtype=bool
    )


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.size > 1


def _missing(value: Any) -> bool:
    return value is None or bool(value != value)


def _empty(value: Any) -> bool:
    if not _is_array(value):
        return True
    numbers = np.asarray([np.asarray(v, dtype=np.float64) for v in value] if value.dtype == object else value, dtype=np.float64)
    # Series may have gaps; what is constant or has no number at all is a blocked or a broken view.
    known = numbers[~np.isnan(numbers)]
    return known.size == 0 or not np.isfinite(known).all() or bool(np.ptp(known) == 0)
