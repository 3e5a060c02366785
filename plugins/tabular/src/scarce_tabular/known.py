"""Conditions on columns (`--where`) as encoded values to impose, and as labels for the target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from scarce.contract import Known, State
from scarce.errors import DataError, did_you_mean
from scarce_tabular import fields as f

if TYPE_CHECKING:
    from scarce_tabular.codec import TableCodec

DRAWS = 20_000


def impose(codec: TableCodec, where: Mapping[str, Any], n: int, seed: int) -> tuple[Known | None, Sequence[Any] | None]:
    """Known values of n rows (None when only the target is asked), and the class of each row (None when not asked).

    Ranges are drawn from the training distribution inside them. Raises DataError for unknown columns, identifiers,
    levels and values that training never had, and empty ranges.
    """
    num, cat = torch.zeros(n, len(codec.numbers)), torch.zeros(n, len(codec.space.levels), dtype=torch.int64)
    known = Known(State(num, cat), torch.zeros_like(num, dtype=torch.bool), torch.zeros_like(cat, dtype=torch.bool))
    labels = None
    for i, (name, constraint) in enumerate(where.items()):
        column = _find(codec, name)
        rng = np.random.default_rng((seed, i))
        if column is codec.label:
            labels = _levels(codec.label, constraint, n, rng)
        elif isinstance(column, f.Number):
            _number(codec, column, constraint, known, rng)
        elif isinstance(column, f.Levels):
            place = len(codec.flagged) + codec.levels.index(column)
            known.state.cat[:, place] = torch.from_numpy(column.encode(pd.Series(_levels(column, constraint, n, rng), dtype=object)))
            known.cat_mask[:, place] = True
        else:
            _fixed(column, constraint)
    asked = bool(known.num_mask.any()) or bool(known.cat_mask.any())
    return (known if asked else None), labels


def _find(codec: TableCodec, name: str) -> f.Field:
    found = [c for c in codec.fields if str(c.column.name) == str(name)]
    if not found:
        names = [str(c.column.name) for c in codec.fields]
        raise DataError(f"--where: there is no column '{name}'{did_you_mean(str(name), names)}; there are {', '.join(names[:30])}")
    return found[0]


def _fixed(column: f.Field, constraint: Any) -> None:
    name = column.column.name
    if isinstance(column, f.Identifier):
        raise DataError(f"--where: '{name}' is an identifier; identifiers are made up afresh and can't be asked for")
    value = getattr(column, "value", None)
    if str(getattr(constraint, "value", None)) != str(value):
        raise DataError(f"--where: '{name}' is always {value!r} in the training data")


def _levels(column: f.Levels, constraint: Any, n: int, rng: np.random.Generator) -> list[Any]:
    """A level per row: the one asked for, or one of several by training frequency."""
    if hasattr(constraint, "low"):
        what = f"--where: '{column.column.name}' has levels, not a range"
        raise DataError(what, hint=f"--where '{column.column.name} in {{{','.join(map(str, column.levels[:2]))}}}'")
    wanted = constraint.values if hasattr(constraint, "values") else (constraint.value,)
    shares = [*column.shares[: len(column.levels)], *column.weights]
    index = {str(v): (v, s) for v, s in zip((*column.levels, *column.rare), shares, strict=False) if v is not None}
    if None in column.levels:
        index[""] = (None, shares[column.levels.index(None)])
    chosen = []
    for value in wanted:
        key = "" if value is None else str(f.plain(value))
        if key not in index:
            known = ", ".join(list(index)[:20])
            raise DataError(
                f"--where: '{column.column.name}' never is '{key}' in the training data{did_you_mean(key, index)}; it is {known}"
            )
        if key in {str(v) for v in column.rare}:
            raise DataError(f"--where: level '{key}' of '{column.column.name}' is too rare to be learnt (fewer than {f.FEWEST} rows)")
        chosen.append(index[key])
    weights = np.array([max(s, 1e-9) for _, s in chosen])
    return [chosen[int(i)][0] for i in rng.choice(len(chosen), size=n, p=weights / weights.sum())]


def _number(codec: TableCodec, column: f.Number, constraint: Any, known: Known, rng: np.random.Generator) -> None:
    n, place = len(known.state), codec.numbers.index(column)
    if getattr(constraint, "value", 0) in (None, ""):
        if column not in codec.flagged:
            raise DataError(f"--where: '{column.column.name}' has no missing values to ask for")
        known.state.cat[:, codec.flagged.index(column)] = 1
        known.cat_mask[:, codec.flagged.index(column)] = True
        return
    values = _values(column, constraint, n, rng)
    z = column.encode(values, rng)
    back = column.decode(z.astype(np.float32).astype(np.float64))
    off = np.flatnonzero(~np.isclose(back, values, rtol=1e-4, atol=1e-9 + 1e-5 * float(np.ptp(column.ranks.v))))
    if len(off):
        low, high = (_shown(column, v) for v in column.ranks.v[[0, -1]])
        what = f"--where: '{column.column.name}' can't be {_shown(column, values[off[0]])}; training has {low} to {high}"
        raise DataError(what, hint=f"the nearest value is {_shown(column, back[off[0]])}")
    known.state.num[:, place] = torch.from_numpy(z).float()
    known.num_mask[:, place] = True
    if column in codec.flagged:
        known.cat_mask[:, codec.flagged.index(column)] = True


def _values(column: f.Number, constraint: Any, n: int, rng: np.random.Generator) -> f.Floats:
    if hasattr(constraint, "low"):
        low = -np.inf if constraint.low is None else _parse(column, constraint.low)
        high = np.inf if constraint.high is None else _parse(column, constraint.high)
        drawn = column.decode(np.asarray(f.to_normal(rng.uniform(size=DRAWS))))
        above = drawn >= low if constraint.closed[0] else drawn > low
        below = drawn <= high if constraint.closed[1] else drawn < high
        inside = drawn[above & below]
        if len(inside) == 0:
            low_seen, high_seen = (_shown(column, v) for v in column.ranks.v[[0, -1]])
            what = f"--where: no training value of '{column.column.name}' lies between {constraint.low} and {constraint.high}"
            raise DataError(what, hint=f"it goes from {low_seen} to {high_seen}")
        return inside[rng.integers(len(inside), size=n)]
    wanted = constraint.values if hasattr(constraint, "values") else (constraint.value,)
    values = np.array([_parse(column, v) for v in wanted])
    return values[rng.integers(len(values), size=n)]


def _parse(column: f.Number, value: Any) -> float:
    name = column.column.name
    try:
        if column.column.kind == "date":
            return float(f.as_floats(column.column, pd.Series([value if column.column.format else pd.Timestamp(value)]))[0])
        if column.column.kind == "ordered":
            return float([str(v) for v in column.column.levels].index(str(value)))
        return float(value)
    except (ValueError, TypeError):
        raise DataError(f"--where: '{value}' is not a value of '{name}' ({column.column.kind})") from None


def _shown(column: f.Number, value: float) -> str:
    if column.column.kind == "date":
        return str(pd.Timestamp(value, unit="s"))
    if column.column.kind == "ordered":
        return str(column.column.levels[int(value)])
    return f"{value:g}"
