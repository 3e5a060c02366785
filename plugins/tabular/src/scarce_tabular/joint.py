"""Columns whose values only come together as training rows have them: one code stands for the whole combination."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from scarce_tabular import fields as f
from scarce_tabular.schema import Column


@dataclass(frozen=True, kw_only=True)
class Joint:
    """Combinations of several columns as levels (tuples of plain values, None where missing)."""

    columns: tuple[Column, ...]
    levels: f.Levels

    @classmethod
    def fit(cls, columns: tuple[Column, ...], frame: pd.DataFrame, keep: bool) -> Joint:
        """Fitted on training rows; keep: whether combinations with missing values are generated too."""
        name = " + ".join(str(c.name) for c in columns)
        told = Column(name=name, kind="category", dtype="object")
        whole = frame if keep else frame[frame[[c.name for c in columns]].notna().all(axis=1)]
        return cls(columns=columns, levels=f.Levels.fit(told, combinations(columns, whole), False))

    @property
    def names(self) -> tuple[str, ...]:
        """The columns by the text of their name."""
        return tuple(str(c.name) for c in self.columns)

    def encode(self, frame: pd.DataFrame) -> f.Codes:
        """[n] codes of the rows' combinations; unseen ones as `Levels.encode` has it."""
        return self.levels.encode(combinations(self.columns, frame))

    def decode(self, codes: f.Codes, rng: np.random.Generator) -> dict[str, f.Objects]:
        """[n] values of each column by name."""
        rows = self.levels.decode(codes, rng).tolist()
        return {name: f.objects(row[i] for row in rows) for i, name in enumerate(self.names)}

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {"columns": [c.to_json() for c in self.columns], "levels": self.levels.to_json()}


def combinations(columns: tuple[Column, ...], frame: pd.DataFrame) -> pd.Series:
    """[n] tuples of plain values."""
    parts = []
    for column in columns:
        codes, found = f.factorize(frame[column.name])
        parts.append(f.objects([*found, None])[codes].tolist())
    return pd.Series(f.objects(zip(*parts, strict=True)), dtype=object)


def from_json(data: Mapping[str, Any]) -> Joint:
    """The combinations written by `Joint.to_json`."""
    columns = tuple(Column(**{**c, "levels": tuple(c["levels"])}) for c in data["columns"])
    told = data["levels"]
    levels, rare = (tuple(map(tuple, told[part])) for part in ("levels", "rare"))
    column = Column(**{**told["column"], "levels": ()})
    fitted = f.Levels(column=column, levels=levels, rare=rare, weights=tuple(told["weights"]), shares=tuple(told["shares"]))
    return Joint(columns=columns, levels=fitted)
