"""One column of a table as numbers or levels, and back: each is fitted on training rows and is plain data.

Numeric columns become standard normal by their own ranks. A value that many rows share is spread over its whole
interval of ranks (a seeded draw), and everything in that interval decodes to the value: ties cost no information.
Scores are kept as 32-bit floats: a number comes back within 1e-3 of the gap between its neighbours in the training
rows, which is exact on the grid of nearly every column.
"""

from __future__ import annotations

import hashlib
import re
import string
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import ndtr, ndtri

from scarce_tabular.schema import Column, plain

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Objects = npt.NDArray[np.object_]
CLIP = 5.2
KNOTS = 1000
ATOMS = 32  # columns with at most this many distinct values are all ties
FEWEST = 5  # rarer levels are pooled
LEVELS = 60
ALPHABETS = {"9": string.digits, "a": string.ascii_lowercase, "A": string.ascii_uppercase}
ROOM = 2**32  # whole numbers kept free above the highest identifier
STEPS = (86400.0, 3600.0, 60.0, 1.0)  # grids of dates, in seconds


@dataclass(frozen=True, kw_only=True)
class Ranks:
    """A monotone map between values and ranks in (0, 1): knots (p, v), with two knots for every tie."""

    p: Floats
    v: Floats
    atoms: Floats
    edges: Floats

    @classmethod
    def fit(cls, values: Floats) -> Ranks:
        """The map of finite training values."""
        unique, counts = np.unique(values, return_counts=True)
        n, cum = len(values), np.cumsum(counts)
        tie = counts >= (1 if len(unique) <= ATOMS else max(FEWEST, 0.005 * n))
        keep = np.ones(len(unique), bool)
        free = np.flatnonzero(~tie)
        if len(free) > KNOTS:
            keep[free] = False
            keep[free[np.unique(np.linspace(0, len(free) - 1, KNOTS).astype(int))]] = True
        p, v = [], []
        for i in np.flatnonzero(keep):
            low, high = (cum[i] - counts[i]) / n, cum[i] / n
            p += [low, high] if tie[i] else [(low + high) / 2]
            v += [unique[i]] * (2 if tie[i] else 1)
        edges = np.stack([(cum - counts)[tie] / n, cum[tie] / n], 1)
        return cls(p=np.array(p), v=np.array(v), atoms=unique[tie], edges=edges)

    def rank(self, values: Floats, uniform: Floats) -> Floats:
        """[n] ranks; a tied value lands at `uniform` of its interval."""
        u = np.interp(values, self.v, self.p)
        if len(self.atoms):
            i = np.clip(np.searchsorted(self.atoms, values), 0, len(self.atoms) - 1)
            hit = self.atoms[i] == values
            low, high = self.edges[i].T
            u = np.where(hit, low + (high - low) * (0.02 + 0.96 * uniform), u)
        return np.asarray(u)

    def value(self, u: Floats) -> Floats:
        """[n] values at ranks; a rank inside a tie's interval gives the tied value exactly."""
        return np.asarray(np.interp(u, self.p, self.v))


def to_normal(u: Floats) -> Floats:
    """Standard normal scores of ranks, inside +-CLIP."""
    return np.asarray(np.clip(ndtri(np.clip(u, 1e-9, 1 - 1e-9)), -CLIP, CLIP))


@dataclass(frozen=True, kw_only=True)
class Number:
    """An integer, float, date or ordered column as a standard normal number."""

    column: Column
    ranks: Ranks
    fill: float
    step: float

    @classmethod
    def fit(cls, column: Column, series: pd.Series) -> Number:
        """Fitted on the present values of training rows; dates keep to whole days, hours, minutes or seconds if all do."""
        values = as_floats(column, series)
        present = values[np.isfinite(values)]
        step = 1.0 if column.kind in ("integer", "ordered") else 0.0
        if column.kind == "date":
            step = next((s for s in STEPS if (present % s == 0).all()), 0.0)
        return cls(column=column, ranks=Ranks.fit(present), fill=float(np.median(present)), step=step)

    def encode(self, values: Floats, rng: np.random.Generator) -> Floats:
        """[n] scores; missing values become seeded draws from the column's own law."""
        uniform = rng.uniform(size=len(values))
        u = self.ranks.rank(np.where(np.isfinite(values), values, self.fill), uniform)
        return np.asarray(np.where(np.isfinite(values), to_normal(u), ndtri(0.001 + 0.998 * uniform)))

    def decode(self, z: Floats) -> Floats:
        """[n] values of the column's own grid: whole numbers, its decimals, its levels."""
        return self.snap(self.ranks.value(ndtr(np.clip(z, -CLIP, CLIP))))

    def snap(self, values: Floats) -> Floats:
        """Values on the column's grid."""
        if self.step:
            return np.round(values / self.step) * self.step
        return values if self.column.decimals is None else np.round(values, self.column.decimals)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        ranks = {k: getattr(self.ranks, k).tolist() for k in ("p", "v", "atoms", "edges")}
        return {"type": "number", "column": self.column.to_json(), "ranks": ranks, "fill": self.fill, "step": self.step}


@dataclass(frozen=True, kw_only=True)
class Levels:
    """A categorical column as codes: levels by frequency, missing as a level, rare ones pooled at the end."""

    column: Column
    levels: tuple[Any, ...]
    rare: tuple[Any, ...]
    weights: tuple[float, ...]
    shares: tuple[float, ...]

    @classmethod
    def fit(cls, column: Column, series: pd.Series, missing_is_level: bool = True) -> Levels:
        """Fitted on training rows."""
        codes, found = factorize(series)
        counts: dict[Any, int] = dict(zip(found, np.bincount(codes[codes >= 0], minlength=len(found)).tolist(), strict=True))
        if missing_is_level and (codes < 0).any():
            counts[None] = int((codes < 0).sum())
        order = sorted(counts, key=lambda v: (-counts[v], str(v)))
        rare = [v for i, v in enumerate(order) if v is not None and (counts[v] < FEWEST or i >= LEVELS)]
        rare = rare if len(rare) > 1 and len(order) > 2 else []
        pooled = set(rare)
        kept = [v for v in order if v not in pooled]
        total = sum(counts.values())
        shares = [counts[v] / total for v in kept] + ([sum(counts[v] for v in rare) / total] if rare else [])
        return cls(
            column=column, levels=tuple(kept), rare=tuple(rare), weights=tuple(counts[v] / total for v in rare), shares=tuple(shares)
        )

    @property
    def size(self) -> int:
        """Number of codes, the pool of rare levels included."""
        return len(self.levels) + bool(self.rare)

    def encode(self, series: pd.Series) -> Codes:
        """[n] codes; unseen levels join the rare ones, or the most frequent level when there are none."""
        index = {v: i for i, v in enumerate(self.levels)}
        return lookup(series, index, len(self.levels) if self.rare else next((i for v, i in index.items() if v is not None), 0))

    def decode(self, codes: Codes, rng: np.random.Generator) -> Objects:
        """[n] values; the pool of rare levels gives one of them by its training frequency."""
        drawn = rng.uniform(size=len(codes))
        if not self.rare:
            return objects(self.levels)[codes]
        cum = np.cumsum(self.weights) / sum(self.weights)
        pool = np.minimum(np.searchsorted(cum, drawn, side="right"), len(self.rare) - 1)
        return objects((*self.levels, *self.rare))[np.where(codes < len(self.levels), codes, len(self.levels) + pool)]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "type": "levels",
            "column": self.column.to_json(),
            **{k: list(getattr(self, k)) for k in ("levels", "rare", "weights", "shares")},
        }


@dataclass(frozen=True, kw_only=True)
class Constant:
    """A column with one value (or none): written back, never learnt."""

    column: Column
    value: Any

    @classmethod
    def fit(cls, column: Column, series: pd.Series) -> Constant:
        """Its value on training rows; a column with no value there stays empty."""
        present = series.dropna()
        return cls(column=column, value=plain(present.iloc[0]) if len(present) else None)

    def make(self, n: int, rng: np.random.Generator) -> Objects:
        """n times the value."""
        return objects([self.value] * n)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {"type": "constant", "column": self.column.to_json(), "value": self.value}


@dataclass(frozen=True, kw_only=True)
class Identifier:
    """A column of unique names: fresh ones of the same make, never a real one (only hashes of those are kept).

    missing: the share of rows without one.
    """

    column: Column
    patterns: tuple[str, ...]
    taken: frozenset[str]
    start: int
    missing: float

    @classmethod
    def fit(cls, column: Column, series: pd.Series, missing: float = 0.0) -> Identifier:
        """Shapes and hashes of every real value, so that none is made up again; the highest of whole numbers."""
        present = series.dropna()
        if pd.api.types.is_numeric_dtype(series):
            high = int(present.max())
            start = high + 1 if high < 2**63 - ROOM else int(present.min()) - ROOM
            return cls(column=column, patterns=(), taken=frozenset(), start=start, missing=missing)
        texts = [str(v) for v in present]
        kinds: dict[str, list[str]] = {}
        for text in texts:
            kinds.setdefault("".join(map(_shape, text)), []).append(text)
        shapes = sorted(_pattern(shape, members) for shape, members in kinds.items())
        taken = frozenset(map(hashed, texts))
        return cls(column=column, patterns=tuple(shapes[:200]), taken=taken, start=0, missing=missing)

    def make(self, n: int, rng: np.random.Generator, avoid: Collection[Any] = ()) -> Objects:
        """n different values that no real row has and that are not to be avoided, some of them missing."""
        start = max(avoid, default=self.start - 1) + 1 if not self.patterns else 0
        made = objects(self._texts(n, rng, avoid) if self.patterns else range(start, start + n))
        made[rng.uniform(size=n) < self.missing] = None
        return made

    def _texts(self, n: int, rng: np.random.Generator, avoid: Collection[Any]) -> list[str]:
        out: dict[str, None] = {}
        for attempt in range(1000):
            chosen = rng.integers(len(self.patterns), size=n - len(out))
            for i, count in zip(*np.unique(chosen, return_counts=True), strict=True):
                pattern = self.patterns[i] if attempt < 3 else re.sub(r"\\\d", "9", self.patterns[i])  # more numbers than seen
                for text in _draw(pattern, int(count), rng):
                    text = text if attempt < 10 else f"{text}-{len(out) + len(avoid)}"  # a short make runs out of texts
                    if text not in avoid and hashed(text) not in self.taken:
                        out[text] = None
            if len(out) == n:
                break
        return list(out)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        facts = {"patterns": list(self.patterns), "taken": sorted(self.taken), "start": self.start, "missing": self.missing}
        return {"type": "identifier", "column": self.column.to_json(), **facts}


Field = Number | Levels | Constant | Identifier


def as_floats(column: Column, series: pd.Series) -> Floats:
    """[n] values as numbers, NaN where missing: dates as seconds since 1970 (UTC), ordered levels as their place."""
    if column.kind == "ordered":
        places = lookup(series, {v: i for i, v in enumerate(column.levels)}, -1).astype(np.float64)
        return np.where(places < 0, np.nan, places)
    if column.kind == "date":
        dates = series if not column.format else pd.to_datetime(series.astype(object), format=column.format, errors="coerce")
        return seconds(dates)
    return series.to_numpy(dtype=np.float64, na_value=np.nan)


def seconds(dates: pd.Series) -> Floats:
    """[n] seconds since 1970 (UTC) to the microsecond, NaN where missing."""
    stamps = (dates.dt.tz_convert(None) if dates.dt.tz is not None else dates).to_numpy(dtype="datetime64[us]")
    return np.where(np.isnat(stamps), np.nan, stamps.astype(np.int64) / 1e6)


def factorize(series: pd.Series) -> tuple[Codes, list[Any]]:
    """[n] codes (-1 missing) and the values they stand for, in order of appearance."""
    codes, found = pd.factorize(series)
    return codes.astype(np.int64), [plain(v) for v in found]


def lookup(series: pd.Series, index: Mapping[Any, int], other: int) -> Codes:
    """[n] index of each value, of None where missing; `other` where there is none."""
    codes, found = factorize(series)
    places = np.array([*(index.get(v, other) for v in found), index.get(None, other)], dtype=np.int64)
    return places[codes]


def objects(values: Iterable[Any]) -> Objects:
    """[n] array of the values as they are."""
    items = list(values)
    out = np.empty(len(items), dtype=object)
    out[:] = items
    return out


def _shape(c: str) -> str:
    """The kind of a character; letters of every script count as Latin ones, so that no name survives as its own shape."""
    return "9" if c.isdigit() else ("A" if c.isupper() else "a") if c.isalpha() else c


def _pattern(shape: str, members: list[str]) -> str:
    """The shape of some texts with the characters that all of them share, these marked by a backslash."""
    fixed = len(members) >= FEWEST
    return "".join(
        f"\\{c[0]}" if s not in ALPHABETS or (fixed and len(set(c)) == 1) else s
        for s, c in zip(shape, zip(*members, strict=True), strict=True)
    )


def _draw(pattern: str, n: int, rng: np.random.Generator) -> list[str]:
    """n texts of a pattern, drawn character by character."""
    marks, columns = iter(pattern), []
    for mark in marks:
        alphabet = next(marks) if mark == "\\" else ALPHABETS[mark]
        columns.append(np.array(list(alphabet))[rng.integers(len(alphabet), size=n)])
    return ["".join(row) for row in zip(*columns, strict=True)] if columns else [""] * n


def hashed(text: str) -> str:
    """A short hash of a text, by which it is known again but not read."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
