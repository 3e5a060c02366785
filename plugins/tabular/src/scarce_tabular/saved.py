"""Fields of a codec read back from the plain data they were written as."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from scarce_tabular.fields import Constant, Field, Identifier, Levels, Number, Ranks
from scarce_tabular.ordered import Gap
from scarce_tabular.schema import Column
from scarce_tabular.texts import Text


def field_of(data: Mapping[str, Any]) -> Field:
    """The field written by its `to_json`."""
    column = Column(**{**data["column"], "levels": tuple(data["column"]["levels"])})
    kind = data["type"]
    if kind in ("number", "gap"):
        ranks = Ranks(**{k: np.array(v, dtype=np.float64).reshape((-1, 2) if k == "edges" else -1) for k, v in data["ranks"].items()})
        facts = {"column": column, "ranks": ranks, "fill": data["fill"], "step": data["step"]}
        if kind == "number":
            return Number(**facts)
        inner = field_of(data["gap"])
        assert isinstance(inner, Number)
        return Gap(**facts, below=tuple(data["below"]), strict=tuple(data["strict"]), gap=inner)
    if kind in ("levels", "text"):
        facts = {"column": column, **{k: tuple(data[k]) for k in ("levels", "rare", "weights", "shares")}}
        if kind == "levels":
            return Levels(**facts)
        return Text(**facts, words=tuple(data["words"]), sizes=tuple(data["sizes"]), taken=frozenset(data["taken"]))
    if kind == "constant":
        return Constant(column=column, value=data["value"])
    patterns, taken = tuple(data["patterns"]), frozenset(data["taken"])
    return Identifier(column=column, patterns=patterns, taken=taken, start=data["start"], missing=data["missing"])
