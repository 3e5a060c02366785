"""Conditions on columns (`--where`) as encoded values to impose, and as labels for the target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from scarce.contract import Known, State
from scarce.errors import DataError, did_you_mean
from scarce_tabular import fields as f
from scarce_tabular.joint import Joint
from scarce_tabular.known_order import Asked, impose_order
from scarce_tabular.layout import TableLayout
from scarce_tabular.restore import restore_values
from scarce_tabular.schema import plain

DRAWS = 20_000
Scores = npt.NDArray[np.float32]


def impose(layout: TableLayout, where: Mapping[str, Any], n: int, seed: int) -> tuple[Known | None, Sequence[Any] | None]:
    """Known values of n rows (None when only the target is asked), and the class of each row (None when not asked).

    Ranges are drawn from the training distribution inside them; columns that constraints bind to those asked for are
    drawn with them. Raises DataError for unknown columns, identifiers, levels and values that training never had, empty
    ranges, and conditions that no row can meet together.
    """
    num, cat = torch.zeros(n, len(layout.numbers)), torch.zeros(n, len(layout.space.levels), dtype=torch.int64)
    known = Known(State(num, cat), torch.zeros_like(num, dtype=torch.bool), torch.zeros_like(cat, dtype=torch.bool))
    labels = None
    ordered: dict[str, Asked] = {}
    for i, (name, constraint) in enumerate(where.items()):
        column = _find(layout, name)
        rng = np.random.default_rng((seed, i))
        if column is layout.label:
            labels = _levels(layout.label, constraint, n, rng)
        elif str(name) in layout.rules.joined:
            continue
        elif isinstance(column, f.Number) and str(name) in layout.rules.ordered and not _gone(constraint):
            ordered[str(name)] = _pool(column, constraint)
        elif isinstance(column, f.Number):
            _number(layout, column, constraint, known, rng)
        elif isinstance(column, f.Levels):
            place = len(layout.flagged) + [c.column.name for c in layout.levels].index(column.column.name)
            wanted = pd.Series(_levels(column, constraint, n, rng), dtype=object)
            known.state.cat[:, place] = torch.from_numpy(column.encode(wanted))
            known.cat_mask[:, place] = True
        else:
            _fixed(column, constraint)
    if ordered:
        impose_order(layout, ordered, known, np.random.default_rng((seed, len(where))))
    for joint in layout.joints:
        _combination(layout, joint, {n: c for n, c in where.items() if n in joint.names}, known, np.random.default_rng((seed, 99)))
    asked = bool(known.num_mask.any()) or bool(known.cat_mask.any())
    return (known if asked else None), labels


def _gone(constraint: Any) -> bool:
    return getattr(constraint, "value", 0) in (None, "")


def _pool(column: f.Number, constraint: Any) -> Asked:
    """Values of a column inside its condition."""
    rng = np.random.default_rng(0)
    if hasattr(constraint, "low"):
        return Asked(column.decode(_inside(column, constraint, DRAWS, rng).astype(np.float64)), between=True)
    wanted = np.array([_parse(column, v) for v in _wanted(column, constraint)])
    _exactly(column, constraint, 20 * len(wanted), rng)
    return Asked(wanted, between=False)


def _combination(layout: TableLayout, joint: Joint, where: Mapping[str, Any], known: Known, rng: np.random.Generator) -> None:
    """Impose one of the combinations that meet every condition on their columns, by training frequency."""
    if not where:
        return
    levels = joint.levels.levels
    meets = np.ones(len(levels), dtype=bool)
    for name, constraint in where.items():
        field = _find(layout, name)
        values = restore_values(f.objects(level[joint.names.index(name)] for level in levels), field.column)
        meets &= _meeting(field, constraint, values)
    if not meets.any():
        what = f"--where: no combination of {', '.join(joint.names)} that training has often enough meets {', '.join(where)}"
        shown = "; ".join(", ".join(map(str, level)) for level in levels[:5])
        raise DataError(what, hint=f"there are {shown}")
    weights = np.where(meets, np.maximum(joint.levels.shares[: len(levels)], 1e-9), 0.0)
    place = len(layout.flagged) + [id(c) for c in layout.levels].index(id(joint.levels))
    known.state.cat[:, place] = torch.from_numpy(rng.choice(len(levels), size=len(known.state), p=weights / weights.sum()))
    known.cat_mask[:, place] = True


def _meeting(field: f.Field, constraint: Any, values: pd.Series) -> npt.NDArray[np.bool_]:
    """[n] which values of a column meet a condition."""
    if _gone(constraint):
        return values.isna().to_numpy()
    if isinstance(field, f.Number):
        numbers = f.as_floats(field.column, values)
        if hasattr(constraint, "low"):
            low, high = (None if v is None else _parse(field, v) for v in (constraint.low, constraint.high))
            bounds = replace(constraint, low=low, high=high)
            return np.array([bool(np.isfinite(v)) and _allows(v, bounds, field) for v in numbers.tolist()])
        return np.isin(numbers, [_parse(field, v) for v in _wanted(field, constraint)])
    asked = _wanted(field, constraint)
    return np.array([any(_same(plain(v), a) for a in asked) for v in values.astype(object)]) & values.notna().to_numpy()


def _find(layout: TableLayout, name: str) -> f.Field:
    found = [c for c in layout.fields if str(c.column.name) == str(name)]
    if not found:
        names = [str(c.column.name) for c in layout.fields]
        raise DataError(f"--where: there is no column '{name}'{did_you_mean(str(name), names)}; there are {', '.join(names[:30])}")
    return found[0]


def _fixed(column: f.Field, constraint: Any) -> None:
    name = column.column.name
    if isinstance(column, f.Identifier):
        raise DataError(f"--where: '{name}' is an identifier; identifiers are made up afresh and can't be asked for")
    value = column.value if isinstance(column, f.Constant) else None
    asked = [_same(value, v) or (value is None and v == "") for v in _wanted(column, constraint)]
    if not any(asked):
        raise DataError(f"--where: '{name}' is always {'missing' if value is None else repr(value)} in the training data")


def _wanted(column: f.Field, constraint: Any) -> tuple[Any, ...]:
    """The values asked for, one or several; a range means the levels inside, and is a DataError where levels are no numbers."""
    if hasattr(constraint, "low"):
        numbers = [v for v in getattr(column, "levels", ()) if isinstance(v, int | float) and not isinstance(v, bool)]
        inside = tuple(v for v in numbers if _allows(v, constraint, column))
        if inside:
            return inside
        if numbers:
            what = f"--where: no training value of '{column.column.name}' lies between {constraint.low} and {constraint.high}"
            raise DataError(what, hint=f"it goes from {min(numbers)} to {max(numbers)}")
        levels = [str(v) for v in getattr(column, "levels", ())][:2]
        what = f"--where: '{column.column.name}' has levels, not a range"
        raise DataError(what, hint=f"--where '{column.column.name} in {{{','.join(levels)}}}'")
    return tuple(plain(v) for v in (constraint.values if hasattr(constraint, "values") else (constraint.value,)))


def _allows(level: float, constraint: Any, column: f.Field) -> bool:
    try:
        low = -np.inf if constraint.low is None else float(constraint.low)
        high = np.inf if constraint.high is None else float(constraint.high)
    except (TypeError, ValueError):
        raise DataError(f"--where: the bounds of '{column.column.name}' must be numbers") from None
    return (low < level or (constraint.closed[0] and low == level)) and (level < high or (constraint.closed[1] and level == high))


def _same(level: Any, asked: Any) -> bool:
    """Whether a level is the one asked for, which may be its text: 1 is also "1" and "1.0", True also "true"."""
    if level is None or asked is None or str(level) == str(asked):
        return str(level) == str(asked)
    if isinstance(level, bool):
        return str(level).lower() == str(asked).lower()
    try:
        return isinstance(level, int | float) and float(asked) == level
    except (TypeError, ValueError):
        return False


def _levels(column: f.Levels, constraint: Any, n: int, rng: np.random.Generator) -> list[Any]:
    """A level per row: the one asked for, or one of several by training frequency."""
    name = column.column.name
    chosen = []
    for asked in _wanted(column, constraint):
        found = [i for i, v in enumerate(column.levels) if _same(v, asked)]
        if not found and asked == "" and None in column.levels:
            found = [column.levels.index(None)]
        if any(_same(v, asked) for v in column.rare):
            what = f"--where: level '{asked}' of '{name}' is too rare to be learnt"
            raise DataError(what, hint=f"ask for one of {_listed(column)}")
        if not found and asked in (None, ""):
            raise DataError(f"--where: '{name}' has no missing values to ask for")
        if not found:
            near = did_you_mean(str(asked), [str(v) for v in column.levels if v is not None])
            raise DataError(f"--where: '{name}' never is '{asked}' in the training data{near}; it is {_listed(column)}")
        chosen.append(found[0])
    weights = np.array([max(column.shares[i], 1e-9) for i in chosen])
    return [column.levels[chosen[i]] for i in rng.choice(len(chosen), size=n, p=weights / weights.sum()).tolist()]


def _listed(column: f.Levels) -> str:
    return ", ".join(str(v) for v in column.levels[:20] if v is not None)


def _number(layout: TableLayout, column: f.Number, constraint: Any, known: Known, rng: np.random.Generator) -> None:
    n, names = len(known.state), [c.column.name for c in layout.numbers]
    flags = [c.column.name for c in layout.flagged]
    missing = _gone(constraint)
    if missing and column.column.name not in flags:
        raise DataError(f"--where: '{column.column.name}' has no missing values to ask for")
    if column.column.name in flags:
        known.state.cat[:, flags.index(column.column.name)] = int(missing)
        known.cat_mask[:, flags.index(column.column.name)] = True
    if not missing:
        z = _inside(column, constraint, n, rng) if hasattr(constraint, "low") else _exactly(column, constraint, n, rng)
        known.state.num[:, names.index(column.column.name)] = torch.from_numpy(z)
        known.num_mask[:, names.index(column.column.name)] = True


def _exactly(column: f.Number, constraint: Any, n: int, rng: np.random.Generator) -> Scores:
    """[n] scores that decode to one of the values asked for; on a grid exactly, else to about four digits."""
    wanted = np.array([_parse(column, v) for v in _wanted(column, constraint)])
    values = wanted[rng.integers(len(wanted), size=n)]
    z = column.encode(values, rng).astype(np.float32)
    back = column.decode(z.astype(np.float64))
    on_grid = bool(column.step) or column.column.decimals is not None
    near = 1e-9 if on_grid else 1e-4
    off = np.flatnonzero(~np.isclose(back, values, rtol=near, atol=0.1 * near * float(np.ptp(column.ranks.v)) * (not on_grid)))
    if len(off):
        low, high = (_shown(column, v) for v in column.ranks.v[[0, -1]])
        what = f"--where: '{column.column.name}' can't be {_shown(column, values[off[0]])}; training has {low} to {high}"
        raise DataError(what, hint=f"the nearest value is {_shown(column, back[off[0]])}")
    return z


def _inside(column: f.Number, constraint: Any, n: int, rng: np.random.Generator) -> Scores:
    """[n] scores drawn from the training distribution that decode to values inside the range."""
    ranks = column.ranks
    low = -np.inf if constraint.low is None else _parse(column, constraint.low)
    high = np.inf if constraint.high is None else _parse(column, constraint.high)
    half = 0.5 * column.step if column.step else 0.0 if column.column.decimals is None else 0.5 * 10.0**-column.column.decimals
    first, last = np.interp([low - half, high + half], ranks.v, ranks.p).tolist()  # values this near are rounded into the range
    at = int(np.searchsorted(ranks.v, low - half))
    first = 0.0 if at == 0 else min(first, float(ranks.p[min(at, len(ranks.p) - 1)]))  # a tied value begins before its end
    last = 1.0 if high + half >= ranks.v[-1] else last
    z = f.to_normal(rng.uniform(first, last, size=DRAWS)).astype(np.float32)
    drawn = column.decode(z.astype(np.float64))
    above = drawn >= low if constraint.closed[0] else drawn > low
    below = drawn <= high if constraint.closed[1] else drawn < high
    inside = z[above & below]
    if len(inside) == 0:
        low_seen, high_seen = (_shown(column, v) for v in ranks.v[[0, -1]])
        what = f"--where: no training value of '{column.column.name}' lies between {constraint.low} and {constraint.high}"
        raise DataError(what, hint=f"it goes from {low_seen} to {high_seen}")
    return inside[rng.integers(len(inside), size=n)]


def _parse(column: f.Number, value: Any) -> float:
    """The number a value stands for; dates in the column's format or ISO."""
    name, kind = column.column.name, column.column.kind
    try:
        if kind == "date":
            return _date(column, value)
        if kind == "ordered":
            return float(next(i for i, v in enumerate(column.column.levels) if _same(v, plain(value))))
        number = float(value)
        if np.isfinite(number):
            return number
    except (ValueError, TypeError, StopIteration):
        pass
    known = f"; it is {', '.join(map(str, column.column.levels[:20]))}" if kind == "ordered" else ""
    raise DataError(f"--where: '{value}' is not a value of '{name}' ({kind}){known}")


def _date(column: f.Number, value: Any) -> float:
    if column.column.format and isinstance(value, str):
        parsed = pd.to_datetime(pd.Series([value]), format=column.column.format, errors="coerce")
        if parsed.notna().all():
            return float(f.seconds(parsed)[0])
    stamp = pd.Timestamp(value)
    zone = getattr(None if column.column.format else pd.api.types.pandas_dtype(column.column.dtype), "tz", None)
    stamp = stamp.tz_localize(zone) if zone is not None and stamp.tz is None else stamp
    number = float(f.seconds(pd.Series([stamp]))[0])
    if np.isnan(number):
        raise ValueError(value)
    return number


def _shown(column: f.Number, value: float) -> str:
    if column.column.kind == "date":
        return str(np.datetime64(round(value * 1e6), "us")).replace("T", " ").removesuffix(".000000").removesuffix(" 00:00:00")
    if column.column.kind == "ordered":
        return str(column.column.levels[int(value)])
    return f"{value:.10g}"
