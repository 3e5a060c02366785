"""What each column of a table is: inferred from the values, kept as JSON that a person may edit."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import pandas as pd

from scarce.errors import DataError, did_you_mean

KINDS = ("integer", "float", "bool", "category", "ordered", "date", "timedelta", "constant", "identifier", "text")
NUMBERS = ("integer", "float", "date", "timedelta")
LEVELS = ("bool", "category", "ordered", "text")


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column as found.

    dtype: the pandas dtype of the input; missing, distinct: counts; decimals: of a float, None when it has no fixed
    precision; step: resolution of a date in seconds; format: strftime format of a date kept as text, "text" for
    numbers kept as text, "fixed" for decimals with trailing zeros; levels: all levels in order, where the input
    states them; value: of a constant (None: missing); missing_as, decimal: how a text file writes missing values
    and the decimal point.
    """

    name: Any
    kind: str
    dtype: str
    missing: int = 0
    distinct: int = 0
    decimals: int | None = None
    step: float | None = None
    format: str = ""
    levels: tuple[Any, ...] = ()
    value: Any = None
    missing_as: str = ""
    decimal: str = "."

    def to_json(self) -> dict[str, Any]:
        """Plain data without what is at its default, that `from_json` reads back."""
        kept = {f.name: getattr(self, f.name) for f in fields(self) if f.name in _ALWAYS or getattr(self, f.name) != f.default}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in kept.items()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Column:
        """The column written by `to_json`."""
        return cls(**{**data, "levels": tuple(data.get("levels", ()))})


_ALWAYS = ("name", "kind", "dtype", "missing", "distinct")


@dataclass(frozen=True, kw_only=True)
class Schema:
    """All columns in order, the target and its task, how missing values are treated, and the file's separator."""

    columns: tuple[Column, ...]
    target: str = ""
    task: str = "none"
    missing: str = "keep"
    separator: str = ","

    def __getitem__(self, name: Any) -> Column:
        return next(c for c in self.columns if c.name == name)

    def to_json(self) -> dict[str, Any]:
        """Plain data that `from_json` reads back."""
        return {**asdict(self), "columns": [c.to_json() for c in self.columns]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Schema:
        """The schema written by `to_json`."""
        return cls(**{**data, "columns": tuple(Column.from_json(c) for c in data["columns"])})

    def with_column(self, column: Column) -> Schema:
        """A copy with the column of that name replaced."""
        return replace(self, columns=tuple(column if c.name == column.name else c for c in self.columns))


def find_name(names: Sequence[Any], asked: Any) -> Any:
    """The column asked for, by its name or by its name as text; None when there is none."""
    for name in names:
        if name == asked and isinstance(name, str) == isinstance(asked, str):
            return name
    return next((name for name in names if str(name) == str(asked)), None)


def read_edits(path: Path, names: Sequence[Any]) -> dict[Any, dict[str, Any]]:
    """Column name -> what an edited schema file says of it; raises DataError for what doesn't fit the table."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        rows = [dict(c) for c in data["columns"]]
        found = {find_name(names, row["name"]): row for row in rows}
    except FileNotFoundError:
        raise DataError(f"schema file {path} does not exist", hint="scarce data inspect FILE -o schema.json") from None
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"schema file {path} can't be read: {error}", hint="scarce data inspect FILE -o schema.json") from None
    for row in rows:
        _check_edit(path, row, names)
    absent = [str(n) for n in names if n not in found]
    if absent:
        raise DataError(f"schema file {path} leaves out columns of the data: {', '.join(absent)}", hint="scarce data inspect FILE -o NEW")
    return found


def _check_edit(path: Path, row: Mapping[str, Any], names: Sequence[Any]) -> None:
    name = row["name"]
    where = f"schema file {path}, column '{name}'"
    if find_name(names, name) is None:
        raise DataError(f"{where}: the data have no such column{did_you_mean(str(name), [str(n) for n in names])}", hint="remove it")
    known = [f.name for f in fields(Column)]
    for key in row:
        if key not in known:
            raise DataError(f"{where}: unknown field '{key}'{did_you_mean(key, known)}", hint=f"use {', '.join(known)}")
    kind = row.get("kind", "category")
    if kind not in KINDS:
        raise DataError(f"{where}: unknown kind '{kind}'{did_you_mean(str(kind), KINDS)}", hint=f"use one of {', '.join(KINDS)}")
    decimals = row.get("decimals")
    if not isinstance(row.get("levels", []), list) or not (decimals is None or isinstance(decimals, int)):
        raise DataError(f"{where}: levels must be a list and decimals a whole number", hint=f"edit {path}")


def is_missing(value: Any) -> bool:
    """None, NaN, NaT or NA."""
    return value is None or bool(pd.api.types.is_scalar(value) and pd.isna(value))
