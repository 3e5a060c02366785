"""What each column of a table is: inferred from its values, shown to people, kept as editable JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from scarce.errors import DataError, did_you_mean

Kind = Literal["integer", "float", "category", "ordered", "date", "text", "constant", "identifier"]
KINDS = ("integer", "float", "category", "ordered", "date", "text", "constant", "identifier")
EDITABLE = ("kind", "decimals", "format", "levels")
FORMATS = (
    "%Y-%m-%d", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S.%f",
    "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%Y/%m/%d",
)  # fmt: skip
ID_NAME = re.compile(r"(?i:(^|[_\s-])(id|uuid|guid|key|index|nr|no|number|code)$)|[a-z]I[dD]$")
FEWEST_IDS = 20
SENTENCE = 3  # words in the median text of a column of free text
MOST_CATEGORIES = 60  # a column of sentences with more of them is free text, also where many repeat
UNIQUE = 0.95  # share of different texts from which a column says who a row is, not what it is
EXACT = 2.0**53  # whole numbers beyond are not exact as floats


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column: what it is, how it is stored, and how its values look.

    dtype: the pandas type of the input; decimals: digits after the point (None: any); format: strftime pattern of
    dates kept as text; levels: the levels of a pandas category, or the order of an ordered column; missing,
    distinct: counts of the whole file.
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
    if isinstance(series.dtype, pd.CategoricalDtype):
        levels = tuple(plain(v) for v in series.cat.categories)
        column = replace(column, dtype="category", levels=levels)
        column = replace(column, kind="ordered", dtype="ordered category") if series.cat.ordered else column
    if column.distinct <= 1:
        if column.distinct == 0:
            notes.append(f"column '{series.name}' has no values; it is regenerated empty")
        return replace(column, kind="constant")
    if column.levels or types.is_bool_dtype(series):
        return column
    if types.is_datetime64_any_dtype(series):
        return replace(column, kind="date")
    if types.is_numeric_dtype(series):
        return _numeric(column, present)
    return _text(column, present, notes)


def _numeric(column: Column, present: pd.Series) -> Column:
    values = present.to_numpy(dtype=np.float64)
    whole = pd.api.types.is_integer_dtype(present) or (bool((values == np.round(values)).all()) and float(np.abs(values).max()) < EXACT)
    if whole and column.distinct <= 2:
        return column
    if whole and _numbers_rows(column, present):
        return replace(column, kind="identifier")
    return replace(column, kind="integer" if whole else "float", decimals=0 if whole else _decimals(present))


def _numbers_rows(column: Column, present: pd.Series) -> bool:
    """Every whole number different, and they count up or are called an id."""
    if len(present) < FEWEST_IDS or column.distinct < len(present):
        return False
    if ID_NAME.search(str(column.name)):
        return True
    return not column.missing and bool((np.diff(present.to_numpy()) == 1).all())


def _decimals(present: pd.Series) -> int | None:
    """The fewest digits after the point that give every value back, at most 6; None when there are more."""
    values = present.to_numpy(dtype=np.float64)
    small = next((t for t in ("float16", "float32") if str(present.dtype).lower() == t), None)

    def rounds(d: int) -> bool:
        near = np.round(values, d)
        return bool((near.astype(small) == values).all()) if small else np.allclose(values, near, rtol=1e-15, atol=0)

    return next((d for d in range(1, 7) if rounds(d)), None)


def _text(column: Column, present: pd.Series, notes: list[str]) -> Column:
    pattern = _date_format(present)
    if pattern:
        return replace(column, kind="date", format=pattern)
    differ = len(present) >= FEWEST_IDS and column.distinct >= UNIQUE * len(present)
    if (differ or column.distinct > MOST_CATEGORIES) and _sentences(present):
        made = "texts that fewer than five training rows have are made up of words that many use; they say nothing"
        notes.append(f"column '{column.name}' is free text ({column.distinct} different in {len(present)} rows): {made}")
        return replace(column, kind="text")
    if not differ:
        return column
    if column.distinct < len(present):
        notes.append(f"column '{column.name}': {column.distinct} of {len(present)} texts differ; it is made up afresh like an identifier")
    return replace(column, kind="identifier")


def _sentences(present: pd.Series) -> bool:
    """Whether the median text of a column is a sentence (of at most 1,000 of them, evenly chosen)."""
    texts = present.iloc[:: max(1, len(present) // 1000)].drop_duplicates()
    return float(np.median([len(str(text).split()) for text in texts])) >= SENTENCE


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


def plain(value: Any) -> Any:
    """A value as JSON can hold it: a Python scalar of a numpy one, ISO text of a timestamp."""
    if isinstance(value, pd.Timestamp):
        return (value if value.tz is None else value.tz_convert("UTC")).isoformat()
    return value.item() if isinstance(value, np.generic) else value


def read_schema(data: Any, frame: pd.DataFrame) -> Schema:
    """An edited schema, held against the data; raises DataError naming the column and what is wrong with it."""
    columns = data.get("columns") if isinstance(data, Mapping) else None
    if not isinstance(columns, list) or not all(isinstance(c, Mapping) and "name" in c for c in columns):
        raise DataError('schema: it is no {"columns": [{"name": …}, …]}', hint="scarce data inspect FILE -o schema.json")
    given = {str(c["name"]): c for c in columns}
    unknown = [n for n in given if n not in map(str, frame.columns)]
    if unknown:
        raise DataError(f"schema: column '{unknown[0]}' is not in the data{did_you_mean(unknown[0], map(str, frame.columns))}")
    found = infer(frame)
    edited = tuple(_edit(c, given.get(str(c.name), {}), frame[c.name]) for c in found.columns)
    return Schema(columns=edited, notes=found.notes)


def _edit(column: Column, given: Mapping[str, Any], series: pd.Series) -> Column:
    known = [f.name for f in fields(Column)]
    unknown = [key for key in given if key not in known]
    if unknown:
        raise DataError(
            f"schema: column '{column.name}' has no '{unknown[0]}'{did_you_mean(unknown[0], known)}; edit {', '.join(EDITABLE)}"
        )
    edits = {k: v for k, v in given.items() if k in EDITABLE}
    if edits.get("kind", column.kind) not in KINDS:
        raise DataError(f"schema: kind '{edits['kind']}' of column '{column.name}' is none of {', '.join(KINDS)}")
    edits["levels"] = tuple(edits.get("levels") or column.levels)
    edited = replace(column, **edits)
    problem = _misfit(edited, series)
    if problem:
        raise DataError(f"schema: column '{column.name}' can't be {edited.kind}: {problem}", hint="scarce data inspect FILE")
    return edited


def _misfit(column: Column, series: pd.Series) -> str:
    """Why the data are not what the schema says, or nothing."""
    present = series.dropna()
    if column.kind == "constant" or not len(present):
        return f"it has {column.distinct} different values" if column.distinct > 1 else ""
    types = pd.api.types
    numeric = types.is_numeric_dtype(series)
    text = not numeric and not types.is_datetime64_any_dtype(series) and not column.dtype.endswith("category")
    whole = numeric and bool((present.to_numpy(dtype=np.float64) % 1 == 0).all())
    if column.decimals is not None and not (isinstance(column.decimals, int) and 0 <= column.decimals <= 15):
        return f"decimals must be a whole number from 0 to 15, not {column.decimals!r}"
    if column.kind in ("integer", "float") and not numeric:
        return f"it holds text ({present.iloc[0]!r})" if text else f"it holds {column.dtype} values"
    if column.kind == "integer" and not whole:
        return "it has values with decimals"
    if column.kind == "ordered":
        strange = [v for v in present.unique() if plain(v) not in column.levels]
        return f"{strange[0]!r} is not among its levels {list(column.levels)}" if strange else ""
    if column.kind == "identifier" and not (text or whole):
        return "only texts and whole numbers can be made up afresh"
    if column.kind == "text" and not text:
        return f"it holds {column.dtype} values"
    return _no_date(column, present, text) if column.kind == "date" else ""


def _no_date(column: Column, present: pd.Series, text: bool) -> str:
    if not text:
        return "" if pd.api.types.is_datetime64_any_dtype(present) else f"it holds {column.dtype} values"
    if not isinstance(column.format, str) or "%" not in column.format:
        return 'dates kept as text need a format, like "format": "%d.%m.%Y"'
    parsed = pd.to_datetime(present.astype(str), format=column.format, errors="coerce")
    return f"{present[parsed.isna()].iloc[0]!r} is not in the format {column.format}" if parsed.isna().any() else ""


def from_json(data: Mapping[str, Any]) -> Schema:
    """The schema written by `Schema.to_json`."""
    return Schema(columns=tuple(Column(**{**c, "levels": tuple(c["levels"])}) for c in data["columns"]))
