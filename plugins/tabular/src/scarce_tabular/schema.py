"""What each column of a table is: inferred from its values, shown to people, kept as editable JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from scarce.errors import DataError, did_you_mean

Kind = Literal["integer", "float", "category", "ordered", "date", "constant", "identifier"]
KINDS = ("integer", "float", "category", "ordered", "date", "constant", "identifier")
FORMATS = (
    "%Y-%m-%d", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%Y/%m/%d",
)  # fmt: skip
ID_NAME = re.compile(r"(^|[_\s-])(id|uuid|guid|key|index|nr|no|number|code)$|[a-z]I[dD]$", re.IGNORECASE)
FEWEST_IDS = 20


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column: what it is, how it is stored, and how its values look.

    dtype: the pandas type of the input; decimals: digits after the point; format: strftime pattern of dates kept as
    text; levels: order of an ordered column; missing, distinct: counts of the whole file.
    """

    name: Any
    kind: Kind
    dtype: str
    missing: int = 0
    distinct: int = 0
    decimals: int | None = None
    format: str = ""
    levels: tuple[Any, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Schema:
    """The columns of a table in order, and notes on what a person should know of them."""

    columns: tuple[Column, ...]
    notes: tuple[str, ...] = field(default=())

    def __getitem__(self, name: Any) -> Column:
        return next(c for c in self.columns if c.name == name)

    def to_json(self) -> dict[str, Any]:
        """Plain data that `read_schema` reads back."""
        return {"columns": [c.to_json() for c in self.columns]}


def infer(frame: pd.DataFrame) -> Schema:
    """The schema of a frame as `clean` leaves it."""
    notes: list[str] = []
    return Schema(columns=tuple(_infer(frame[name], notes) for name in frame.columns), notes=tuple(notes))


def _infer(series: pd.Series, notes: list[str]) -> Column:
    types = pd.api.types
    present = series.dropna()
    column = Column(
        name=series.name, kind="category", dtype=str(series.dtype), missing=int(series.isna().sum()), distinct=int(present.nunique())
    )
    if column.distinct <= 1:
        if column.distinct == 0:
            notes.append(f"column '{series.name}' has no values; it is regenerated empty")
        return replace(column, kind="constant")
    if isinstance(series.dtype, pd.CategoricalDtype):
        levels = tuple(_plain(v) for v in series.cat.categories)
        return replace(column, kind="ordered" if series.cat.ordered else "category", dtype="category", levels=levels)
    if types.is_datetime64_any_dtype(series):
        return replace(column, kind="date")
    if types.is_bool_dtype(series):
        return column
    if types.is_numeric_dtype(series):
        return _numeric(column, present)
    if _is_identifier(series, column):
        return replace(column, kind="identifier")
    pattern = _date_format(present)
    return replace(column, kind="date", format=pattern) if pattern else column


def _numeric(column: Column, present: pd.Series) -> Column:
    values = present.to_numpy(dtype=np.float64)
    whole = bool(np.all(values == np.round(values))) and bool(np.abs(values).max() < 2**53)
    if whole and column.distinct <= 2:
        return column
    if whole and _is_identifier(present, column):
        return replace(column, kind="identifier")
    decimals = 0 if whole else next((d for d in range(1, 7) if np.allclose(values, np.round(values, d), rtol=0, atol=1e-9)), None)
    return replace(column, kind="integer" if whole else "float", decimals=decimals)


def _is_identifier(series: pd.Series, column: Column) -> bool:
    """Every value different, and either texts, or integers that count up or are called an id."""
    present = series.dropna()
    if len(present) < FEWEST_IDS or column.distinct < len(present) or column.missing:
        return False
    if not pd.api.types.is_numeric_dtype(series):
        return not _date_format(present)
    steps = np.diff(present.to_numpy(dtype=np.float64))
    return bool((steps == 1).all()) or bool(ID_NAME.search(str(series.name)))


def _date_format(present: pd.Series) -> str:
    """The one pattern that reads and rewrites every text, or an empty string."""
    texts = present.astype(str)
    if not texts.iloc[:20].str.match(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}").all():
        return ""
    for pattern in FORMATS:
        parsed = pd.to_datetime(texts, format=pattern, errors="coerce")
        if parsed.notna().all() and (parsed.dt.strftime(pattern) == texts).all():
            return pattern
    return ""


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def read_schema(data: Mapping[str, Any], frame: pd.DataFrame) -> Schema:
    """An edited schema, held against the data; raises DataError naming the column and what is wrong with it."""
    given = {str(c.get("name")): c for c in data.get("columns", [])}
    unknown = [n for n in given if n not in map(str, frame.columns)]
    if unknown:
        raise DataError(f"schema: column '{unknown[0]}' is not in the data{did_you_mean(unknown[0], map(str, frame.columns))}")
    columns = []
    for column in infer(frame).columns:
        edits = {k: v for k, v in given.get(str(column.name), {}).items() if k in ("kind", "decimals", "format", "levels")}
        if edits.get("kind", column.kind) not in KINDS:
            raise DataError(f"schema: kind '{edits['kind']}' of column '{column.name}' is none of {', '.join(KINDS)}")
        edits["levels"] = tuple(edits.get("levels") or ())
        if edits.get("kind", column.kind) in ("integer", "float") and not pd.api.types.is_numeric_dtype(frame[column.name]):
            raise DataError(f"schema: column '{column.name}' is called {edits['kind']}, but holds text ({frame[column.name].iloc[0]!r})")
        columns.append(replace(column, **edits))
    return Schema(columns=tuple(columns))


def from_json(data: Mapping[str, Any]) -> Schema:
    """The schema written by `Schema.to_json`."""
    return Schema(columns=tuple(Column(**{**c, "levels": tuple(c["levels"])}) for c in data["columns"]))
