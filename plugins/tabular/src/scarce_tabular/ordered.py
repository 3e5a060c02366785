"""Columns that are at least as large as others: learnt as what they exceed them by, so no row can break the order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from scarce_tabular.fields import STEPS, Floats, Number, Ranks, to_normal
from scarce_tabular.schema import Column

Mask = npt.NDArray[np.bool_]
SMALL = {"float32": np.float32, "float16": np.float16}


@dataclass(frozen=True, kw_only=True)
class Gap(Number):
    """A number that is never below others of its row; as a Number it is the column itself, for distances and pictures.

    below: names of the columns it is at least as large as; gap: what it exceeds the largest of them by, which is what
    is encoded; strict: names of those it must exceed.
    """

    below: tuple[str, ...]
    strict: tuple[str, ...]
    gap: Number

    @classmethod
    def over(cls, own: Number, below: Mapping[str, Number], strict: Sequence[str], values: Mapping[str, Floats]) -> Gap:
        """Fitted on the training values [n] of the column itself and of those below it."""
        all_decimals = [n.column.decimals for n in (own, *below.values())]
        decimals = None if any(d is None for d in all_decimals) else max(d for d in all_decimals if d is not None)
        gaps = values[str(own.column.name)] - highest([values[n] for n in below])
        present = gaps[np.isfinite(gaps)]
        present = present if len(present) else np.array([own.step or 1.0])
        whole = all(n.step for n in (own, *below.values()))
        step = next((s for s in (*STEPS, 0.0) if not s or (present % s == 0).all()), 0.0) if whole and own.step else 0.0
        present = present if step or decimals is None else np.round(present, decimals)
        column = Column(name=own.column.name, kind="float", dtype="float64", missing=own.column.missing, decimals=decimals)
        gap = Number(column=column, ranks=Ranks.fit(present), fill=float(np.median(present)), step=step)
        return cls(
            column=own.column, ranks=own.ranks, fill=own.fill, step=own.step, below=tuple(below), strict=tuple(strict), gap=gap
        )  # fmt: skip

    def encode_gaps(self, gaps: Floats, rng: np.random.Generator) -> Floats:
        """[n] scores of gaps; missing ones become seeded draws from their law."""
        return self.gap.encode(self.gap.snap(gaps), rng)

    def above(self, values: Mapping[str, Floats], absent: Mapping[str, Mask], scores: Floats) -> tuple[Floats, Mask]:
        """[n] values of the column over those below it, and rows in which none that training had is large enough.

        values, absent: of the columns below; where all of these are missing, the first one's hidden value stands in.
        """
        floors = [np.where(absent[name], np.nan, values[name]) for name in self.below]
        base = highest(floors)
        base = np.where(np.isnan(base), values[self.below[0]], base)
        bound = highest([floor for name, floor in zip(self.below, floors, strict=True) if name in self.strict] or [base - np.inf])
        high = float(self.ranks.v[-1])
        out = np.minimum(base + self.gap.decode(scores), np.maximum(base, high))
        out = self._raised(as_stored(self.snap(out), self.column), base, bound)
        return out, out > high

    def _raised(self, values: Floats, base: Floats, bound: Floats) -> Floats:
        """[n] the values, or where they fall short of `base` or do not exceed `bound` the next ones of the column's own grid."""
        short = (values < base) | (values <= bound)
        unit = self.step or (0.0 if self.column.decimals is None else 10.0**-self.column.decimals)
        kind: Any = SMALL.get(self.column.dtype.lower(), np.float64)
        if not unit or kind is not np.float64:
            return np.where(short, np.nextafter(np.maximum(base, values).astype(kind), kind(np.inf)), values).astype(np.float64)
        up = self.snap((np.floor(base / unit) + 1) * unit)
        return np.where(short, np.where(up <= base, self.snap(up + unit), up), values)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {**super().to_json(), "type": "gap", "below": list(self.below), "strict": list(self.strict), "gap": self.gap.to_json()}


def highest(parts: Sequence[Floats]) -> Floats:
    """[n] the largest of several columns that is present, NaN where none is."""
    return np.asarray(np.fmax.reduce(list(parts)))


def as_stored(values: Floats, column: Column) -> Floats:
    """[n] values as the column's own type holds them."""
    small: Any = SMALL.get(column.dtype.lower())
    return values if small is None else values.astype(small).astype(np.float64)


def as_number(column: Column) -> Column:
    """The column as one that has an order: two whole numbers are no category here."""
    return replace(column, kind="integer", decimals=0) if column.kind == "category" else column


def hide(gaps: Sequence[Gap], values: dict[str, Floats], seed: int) -> dict[str, Floats]:
    """Values [n] in which each missing column below a present one has a stand-in, so that their sum comes back.

    gaps: highest first.
    """
    out = dict(values)
    for i, field in enumerate(gaps):
        mine = out[str(field.column.name)]
        lost = np.isfinite(mine) & np.isnan(highest([out[n] for n in field.below]))
        if lost.any():
            scores = to_normal(np.random.default_rng((seed, 7, i)).uniform(size=int(lost.sum())))
            first = out[field.below[0]].copy()
            first[lost] = mine[lost] - field.gap.decode(scores)
            out[field.below[0]] = first
    return out


def gaps_of(field: Gap, values: Mapping[str, Floats]) -> Floats:
    """[n] what the column exceeds the largest below it by, NaN where it or all of them are missing."""
    return values[str(field.column.name)] - highest([values[n] for n in field.below])
