"""One column of a table as numbers or levels, and back: each is fitted on training rows and is plain data.

Numeric columns become standard normal by their own ranks. A value that many rows share is spread over its whole
interval of ranks (a seeded draw), and everything in that interval decodes to the value: ties cost no information.
"""

from __future__ import annotations

import hashlib
import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import ndtr, ndtri

from scarce_tabular.schema import Column

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
CLIP = 5.2
KNOTS = 1000
ATOMS = 32  # columns with at most this many distinct values are all ties
FEWEST = 5  # rarer levels are pooled
LEVELS = 60


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

    @classmethod
    def fit(cls, column: Column, series: pd.Series) -> Number:
        """Fitted on the present values of training rows."""
        values = as_floats(column, series)
        present = values[np.isfinite(values)]
        return cls(column=column, ranks=Ranks.fit(present), fill=float(np.median(present)))

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
        column = self.column
        if column.kind in ("integer", "ordered") or (column.kind == "date" and column.format and "H" not in column.format):
            step = 86400.0 if column.kind == "date" else 1.0
            return np.round(values / step) * step
        if column.kind == "date":
            return np.round(values)
        return values if column.decimals is None else np.round(values, column.decimals)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        ranks = {k: getattr(self.ranks, k).tolist() for k in ("p", "v", "atoms", "edges")}
        return {"type": "number", "column": self.column.to_json(), "ranks": ranks, "fill": self.fill}


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
        values = [None if pd.isna(v) else plain(v) for v in series.astype(object)]
        counts: dict[Any, int] = {}
        for value in values:
            if value is not None or missing_is_level:
                counts[value] = counts.get(value, 0) + 1
        order = sorted(counts, key=lambda v: (-counts[v], str(v)))
        rare = [v for i, v in enumerate(order) if v is not None and (counts[v] < FEWEST or i >= LEVELS)]
        rare = rare if len(rare) > 1 and len(order) > 2 else []
        kept = [v for v in order if v not in set(rare)]
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
        other = len(self.levels) if self.rare else 0
        return np.array([index.get(None if pd.isna(v) else plain(v), other) for v in series.astype(object)], dtype=np.int64)

    def decode(self, codes: Codes, rng: np.random.Generator) -> list[Any]:
        """[n] values; the pool of rare levels gives one of them by its training frequency."""
        drawn = rng.uniform(size=len(codes))
        if not self.rare:
            return [self.levels[int(c)] for c in codes]
        cum = np.cumsum(self.weights) / sum(self.weights)
        pool = np.minimum(np.searchsorted(cum, drawn, side="right"), len(self.rare) - 1)
        return [self.levels[int(c)] if c < len(self.levels) else self.rare[int(r)] for c, r in zip(codes, pool, strict=True)]

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
    missing: float

    @classmethod
    def fit(cls, column: Column, series: pd.Series) -> Constant:
        """Its value and its share of missing values on training rows."""
        present = series.dropna()
        return cls(column=column, value=plain(present.iloc[0]) if len(present) else None, missing=float(series.isna().mean()))

    def make(self, n: int, rng: np.random.Generator) -> list[Any]:
        """n values, missing as often as in training."""
        gone = rng.uniform(size=n) < self.missing
        return [None if g else self.value for g in gone]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        value = self.value.isoformat() if isinstance(self.value, pd.Timestamp) else self.value
        return {"type": "constant", "column": self.column.to_json(), "value": value, "missing": self.missing}


@dataclass(frozen=True, kw_only=True)
class Identifier:
    """A column of unique names: fresh ones of the same make, never a real one (only hashes of those are kept)."""

    column: Column
    patterns: tuple[str, ...]
    taken: frozenset[str]
    start: int

    @classmethod
    def fit(cls, column: Column, series: pd.Series) -> Identifier:
        """Shapes and hashes of every real value, so that none is made up again; the highest of whole numbers."""
        if column.dtype.lower().startswith(("int", "uint")):
            return cls(column=column, patterns=(), taken=frozenset(), start=int(series.max()) + 1)
        texts = [str(v) for v in series.dropna()]
        kinds: dict[str, list[str]] = {}
        for text in texts:
            kinds.setdefault("".join(_shape(c) for c in text), []).append(text)
        shapes = sorted(_pattern(shape, members) for shape, members in kinds.items())
        return cls(column=column, patterns=tuple(shapes[:200]), taken=frozenset(_hash(t) for t in texts), start=0)

    def make(self, n: int, rng: np.random.Generator) -> list[Any]:
        """n different values that no training row has."""
        if not self.patterns:
            return [self.start + i for i in range(n)]
        out: dict[str, None] = {}
        tries = 0
        while len(out) < n:
            shape = self.patterns[int(rng.integers(len(self.patterns)))]
            text = _text(shape, rng)
            tries += 1
            text = text if tries < 20 * n else f"{text}-{len(out)}"
            if _hash(text) not in self.taken:
                out[text] = None
        return list(out)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "type": "identifier",
            "column": self.column.to_json(),
            "patterns": list(self.patterns),
            "taken": sorted(self.taken),
            "start": self.start,
        }


Field = Number | Levels | Constant | Identifier


def from_json(data: Mapping[str, Any]) -> Field:
    """The field written by `to_json`."""
    column = Column(**{**data["column"], "levels": tuple(data["column"]["levels"])})
    if data["type"] == "number":
        ranks = Ranks(**{k: np.array(v, dtype=np.float64).reshape((-1, 2) if k == "edges" else -1) for k, v in data["ranks"].items()})
        return Number(column=column, ranks=ranks, fill=data["fill"])
    if data["type"] == "levels":
        return Levels(column=column, **{k: tuple(data[k]) for k in ("levels", "rare", "weights", "shares")})
    if data["type"] == "constant":
        value = pd.Timestamp(data["value"]) if column.dtype.startswith("datetime") and data["value"] else data["value"]
        return Constant(column=column, value=value, missing=data["missing"])
    return Identifier(column=column, patterns=tuple(data["patterns"]), taken=frozenset(data["taken"]), start=data["start"])


def as_floats(column: Column, series: pd.Series) -> Floats:
    """[n] values as numbers, NaN where missing: dates as seconds since 1970, ordered levels as their place."""
    if column.kind == "ordered":
        index = {v: float(i) for i, v in enumerate(column.levels)}
        return np.array([np.nan if pd.isna(v) else index.get(plain(v), np.nan) for v in series.astype(object)], dtype=np.float64)
    if column.kind == "date":
        dates = pd.to_datetime(series, format=column.format, errors="coerce") if column.format else pd.to_datetime(series)
        dates = dates.dt.tz_convert("UTC").dt.tz_localize(None) if dates.dt.tz is not None else dates
        return np.asarray((dates - pd.Timestamp(0)) / pd.Timedelta(seconds=1), dtype=np.float64)
    return series.to_numpy(dtype=np.float64, na_value=np.nan)


def plain(value: Any) -> Any:
    """A Python value of a numpy scalar."""
    return value.item() if isinstance(value, np.generic) else value


def _shape(c: str) -> str:
    return "9" if c.isdigit() else "a" if c in string.ascii_lowercase else "A" if c in string.ascii_uppercase else c


def _pattern(shape: str, members: list[str]) -> str:
    """The shape of some texts with the characters that all of them share, these marked by a backslash."""
    fixed = len(members) > 1
    return "".join(
        f"\\{c[0]}" if s == "\\" or (fixed and len(set(c)) == 1) else s for s, c in zip(shape, zip(*members, strict=True), strict=True)
    )


def _text(pattern: str, rng: np.random.Generator) -> str:
    """A text of a pattern."""
    out, marks = [], iter(pattern)
    for c in marks:
        out.append(next(marks) if c == "\\" else _draw(c, rng))
    return "".join(out)


def _draw(c: str, rng: np.random.Generator) -> str:
    choice = {"9": string.digits, "a": string.ascii_lowercase, "A": string.ascii_uppercase}.get(c)
    return c if choice is None else choice[int(rng.integers(len(choice)))]


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
