"""What every row must keep: one column at most another, keys that never repeat, combinations only as seen.

`a <= b` (or `<`, `>=`, `>`), `unique: a` or `unique: a, b`, `together: a, b`. They are read against the columns of a
table and hold in its data, else they are a DataError that names the first rows at fault.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from scarce.errors import DataError, did_you_mean
from scarce_tabular import fields as f
from scarce_tabular.schema import Column, Schema

KEY = "data.options.constraints"
EXAMPLE = f"""--set '{KEY}=["start <= end", "unique: store, day", "together: city, state"]'"""
SHOWN = 3  # rows at fault that are named


@dataclass(frozen=True, kw_only=True)
class Order:
    """low <= high in every row that has both; strict: <."""

    low: str
    high: str
    strict: bool = False

    def __str__(self) -> str:
        return f"{self.low} {'<' if self.strict else '<='} {self.high}"


@dataclass(frozen=True, kw_only=True)
class Rules:
    """Constraints by kind; columns by the text of their name.

    unique: keys, each of one column or several; together: columns whose combinations are only those of training rows.
    """

    orders: tuple[Order, ...] = ()
    unique: tuple[tuple[str, ...], ...] = ()
    together: tuple[tuple[str, ...], ...] = ()

    @property
    def ordered(self) -> frozenset[str]:
        """Columns of some order."""
        return frozenset(name for order in self.orders for name in (order.low, order.high))

    @property
    def joined(self) -> frozenset[str]:
        """Columns of some combination."""
        return frozenset(name for names in self.together for name in names)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def from_json(data: Mapping[str, Any]) -> Rules:
    """The rules written by `Rules.to_json`."""
    unique, together = (tuple(map(tuple, data.get(part, ()))) for part in ("unique", "together"))
    return Rules(orders=tuple(Order(**o) for o in data.get("orders", ())), unique=unique, together=together)


def parse(texts: Sequence[str], names: Sequence[str]) -> Rules:
    """Constraints as written, for a table of these columns; raises DataError for what can't be read or names no column."""
    orders: list[Order] = []
    unique: list[tuple[str, ...]] = []
    together: list[tuple[str, ...]] = []
    for text in texts:
        kind, mark, rest = text.partition(":")
        if mark and kind.strip() in ("unique", "together"):
            columns = _columns(text, rest, names)
            if len(columns) < 2 and kind.strip() == "together":
                raise DataError(f"{KEY}: '{text}' names one column; combinations are of two or more", hint=EXAMPLE)
            (unique if kind.strip() == "unique" else together).append(columns)
        else:
            orders.append(_order(text, names))
    return Rules(orders=tuple(orders), unique=tuple(dict.fromkeys(unique)), together=tuple(together))


def _order(text: str, names: Sequence[str]) -> Order:
    """The order a text states: of its operators the first that stands between two columns."""
    found = list(re.finditer("<=|>=|<|>", text))
    sides = [(m[0], _known(text[: m.start()], names), _known(text[m.end() :], names)) for m in found]
    for sign, left, right in sides:
        if left is not None and right is not None:
            low, high = (left, right) if sign[0] == "<" else (right, left)
            if low == high:
                raise DataError(f"{KEY}: '{text}' compares a column with itself", hint=EXAMPLE)
            return Order(low=low, high=high, strict=len(sign) == 1)
    if not found:
        raise DataError(f"{KEY}: can't read '{text}'", hint=EXAMPLE)
    wrong = text[: found[0].start()] if sides[0][1] is None else text[found[0].end() :]
    raise _unknown(text, wrong, names)


def _columns(text: str, listed: str, names: Sequence[str]) -> tuple[str, ...]:
    """Columns separated by commas; a name may hold commas itself."""
    parts, out, i = listed.split(","), [], 0
    while i < len(parts):
        ends = [j for j in range(len(parts), i, -1) if _known(",".join(parts[i:j]), names) is not None]
        if not ends:
            raise _unknown(text, parts[i], names)
        out.append(str(_known(",".join(parts[i : ends[0]]), names)))
        i = ends[0]
    if len(set(out)) < len(out):
        raise DataError(f"{KEY}: '{text}' names a column twice", hint=EXAMPLE)
    return tuple(out)


def _known(written: str, names: Sequence[str]) -> str | None:
    """The column a text names, spaces around it counting only where a column has them."""
    return next((name for name in (written, written.strip()) if name in names), None)


def _unknown(text: str, wrong: str, names: Sequence[str]) -> DataError:
    near = did_you_mean(wrong.strip(), names)
    what = f"{KEY}: '{text}': there is no column '{wrong.strip()}'{near}"
    return DataError(what, hint=f"columns are {', '.join(names[:30])}")


def settle(rules: Rules, schema: Schema, target: str, *, classes: bool) -> Schema:
    """The schema under the rules: a column that is a key by itself is an identifier; raises DataError where rules clash.

    classes: the target is asked for, so it can't be in an order or a combination.
    """
    label = target if classes else ""
    for one, other in ((rules.ordered, "an order"), (rules.joined, "a combination")):
        if label in one:
            raise DataError(f"{KEY}: the target '{label}' holds classes that are asked for; it can't be in {other}", hint=EXAMPLE)
    members = [name for names in rules.together for name in names]
    alone = [names[0] for names in rules.unique if len(names) == 1]
    twice = next((n for n in members if members.count(n) > 1 or n in rules.ordered), None)
    if twice is not None:
        raise DataError(f"{KEY}: '{twice}' is in a combination and in another constraint", hint="name each column in one of them")
    if target and target in alone:
        raise DataError(f"{KEY}: the target '{target}' can't be unique by itself", hint=EXAMPLE)
    for names in rules.unique:
        if all(n in rules.ordered or n in rules.joined or n == label for n in names):
            what = f"{KEY}: 'unique: {', '.join(names)}' can't be kept: other constraints fix all of its columns"
            raise DataError(what, hint="add a column that is free")
    columns = tuple(_as_key(c) if str(c.name) in alone else c for c in schema.columns)
    kinds = {str(c.name): c for c in columns}
    for order in rules.orders:
        low, high = (_scale(kinds[name], order) for name in (order.low, order.high))
        if low != high:
            raise DataError(f"{KEY}: '{order}' compares {low} with {high}", hint="scarce data inspect FILE")
    layers(rules)
    for name in sorted(rules.joined):
        if kinds[name].kind in ("identifier", "text"):
            raise DataError(f"{KEY}: '{name}' is {kinds[name].kind}; it has no combinations to keep", hint="scarce data inspect FILE")
    return replace(schema, columns=columns)


def _as_key(column: Column) -> Column:
    made = column.kind in ("integer", "category", "text") and not column.dtype.startswith("bool")
    return replace(column, kind="identifier") if made else column


def _scale(column: Column, order: Order) -> str:
    """On what a column's values can be compared: numbers, dates, or the same ordered levels."""
    if column.kind == "ordered":
        return f"the levels {' < '.join(map(str, column.levels[:10]))}"
    dtype: Any = "object" if column.dtype.endswith("category") else pd.api.types.pandas_dtype(column.dtype)
    if column.kind == "date" or pd.api.types.is_datetime64_any_dtype(dtype):
        zone = isinstance(dtype, pd.DatetimeTZDtype) and not column.format
        return "dates of a time zone" if zone else "dates"
    number = pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype)
    if column.kind == "identifier" or not number:
        raise DataError(f"{KEY}: '{order}': column '{column.name}' ({column.kind}) has no order", hint="scarce data inspect FILE")
    return "numbers"


def layers(rules: Rules) -> tuple[str, ...]:
    """Columns that are above others, each after all that are below it; raises DataError for a circle."""
    waiting, out = {o.high for o in rules.orders}, list[str]()
    while waiting:
        ready = sorted(n for n in waiting if not any(o.high == n and o.low in waiting for o in rules.orders))
        if not ready:
            raise DataError(f"{KEY}: {', '.join(sorted(waiting))} are each below another in a circle", hint="leave one of them out")
        out += ready
        waiting -= set(ready)
    return tuple(out)


def check(rules: Rules, frame: pd.DataFrame, schema: Schema) -> None:
    """Raise DataError unless every constraint holds in the data; the message names how many rows break it and the first."""
    columns = {str(c.name): c for c in schema.columns}
    for order in rules.orders:
        low, high = (f.as_floats(columns[n], frame[columns[n].name]) for n in (order.low, order.high))
        with np.errstate(invalid="ignore"):
            _refuse(str(order), (low > high) | (order.strict & (low == high)), frame, [columns[n].name for n in (order.low, order.high)])
    for names in rules.unique:
        key = frame[[columns[n].name for n in names]]
        repeated = (key.duplicated() & key.notna().all(axis=1)).to_numpy()
        _refuse(f"unique: {', '.join(names)}", repeated, frame, list(key.columns))


def _refuse(constraint: str, wrong: npt.NDArray[np.bool_], frame: pd.DataFrame, names: list[Any]) -> None:
    rows = np.flatnonzero(wrong)
    if len(rows):
        shown = [f"row {i + 1} ({', '.join(f'{n} {frame[n].iloc[i]}' for n in names)})" for i in rows[:SHOWN]]
        more = ", …" if len(rows) > SHOWN else ""
        what = f"{KEY}: '{constraint}' does not hold in {len(rows)} of {len(frame)} rows: {', '.join(shown)}{more}"
        raise DataError(what, hint="mend these rows, or leave the constraint out")
