"""What each column of a table is to learners and evaluators, and its values as numbers or levels.

The kind comes from the data set's schema; a column the schema doesn't know is judged by its type.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from scarce.contract import Dataset, take

MISSING = "(missing)"
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Names of columns by what they are.

    dropped: identifiers, free text and columns constant on the training rows; formats: strftime patterns of dates kept as text.
    """

    numeric: tuple[str, ...]
    categorical: tuple[str, ...]
    dropped: tuple[str, ...] = ()
    formats: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Kept columns, numeric ones first."""
        return self.numeric + self.categorical

    def without(self, name: str) -> Columns:
        """The same columns but one."""
        numeric, categorical, dropped = (tuple(c for c in part if c != name) for part in (self.numeric, self.categorical, self.dropped))
        return Columns(numeric=numeric, categorical=categorical, dropped=dropped, formats=self.formats)

    def numbers(self, records: Any, name: str) -> Numbers:
        """[n] values of a numeric column."""
        return numbers(records[name], self.formats.get(name, ""))


def columns_of(dataset: Dataset) -> Columns:
    """Sort the columns of a table, looking at its schema and at training rows only."""
    train = take(dataset.records, dataset.rows("train"))
    known = {str(column.get("name")): column for column in dataset.schema.get("columns", ())}
    found: dict[str, list[str]] = {"numeric": [], "categorical": [], "dropped": []}
    for name in train.columns:
        kind = known.get(str(name), {}).get("kind", "")
        if kind in ("identifier", "text", "constant") or train[name].nunique(dropna=False) < 2:
            found["dropped"].append(name)
        elif kind:
            found["numeric" if kind in _NUMERIC else "categorical"].append(name)
        else:
            found["numeric" if _looks_numeric(train[name]) else "categorical"].append(name)
    formats = {name: str(known[str(name)].get("format", "")) for name in found["numeric"] if str(name) in known}
    return Columns(**{part: tuple(names) for part, names in found.items()}, formats=formats)


_NUMERIC = ("integer", "float", "date")


def _looks_numeric(series: pd.Series) -> bool:
    kinds = pd.api.types
    return not kinds.is_bool_dtype(series) and (kinds.is_numeric_dtype(series) or kinds.is_datetime64_any_dtype(series))


def numbers(series: pd.Series, pattern: str = "") -> Numbers:
    """[n] float64, dates (of text, read by `pattern`) as days since 1970, missing and infinite values as NaN."""
    kinds = pd.api.types
    if pattern and not kinds.is_datetime64_any_dtype(series):
        series = pd.to_datetime(series, errors="coerce", format=pattern)
    elif not kinds.is_numeric_dtype(series) and not kinds.is_datetime64_any_dtype(series):
        series = pd.to_numeric(series, errors="coerce")
    if kinds.is_datetime64_any_dtype(series):
        days = series.dt.tz_convert(None) if series.dt.tz is not None else series
        return np.asarray((days - pd.Timestamp(0)) / pd.Timedelta(days=1), dtype=np.float64)
    values = series.to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(np.isfinite(values), values, np.nan)


def levels(series: pd.Series) -> npt.NDArray[np.object_]:
    """[n] strings, missing values as a level of their own."""
    missing = series.isna().to_numpy()
    out = np.array([str(v) for v in series.astype(object).tolist()], dtype=object)
    out[missing] = MISSING
    return out
