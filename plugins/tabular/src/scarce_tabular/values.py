"""Values of one column as numbers or levels, and back to the column's own type and format."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from scarce_tabular.schema import Column, is_missing

Numbers = npt.NDArray[np.float64]
Objects = npt.NDArray[np.object_]


def to_numbers(series: pd.Series, column: Column) -> Numbers:
    """[n] float64; dates as seconds since 1970, timedeltas as seconds, missing as NaN. Raises ValueError otherwise."""
    if column.kind == "date":
        return _seconds(series, column.format)
    if column.kind == "timedelta":
        return np.asarray(series.dt.total_seconds(), dtype=np.float64)
    if not pd.api.types.is_numeric_dtype(series.dtype) or pd.api.types.is_bool_dtype(series.dtype):
        series = pd.to_numeric(series.astype(object).where(series.notna(), None), errors="raise")
    return np.asarray(series.to_numpy(dtype=np.float64, na_value=np.nan), dtype=np.float64)


def _seconds(series: pd.Series, form: str) -> Numbers:
    if not pd.api.types.is_datetime64_any_dtype(series.dtype):
        plain = series.astype(object).where(series.notna(), None)
        series = pd.to_datetime(plain, format=form or None, utc="%z" in form)
    if series.dt.tz is not None:
        series = series.dt.tz_convert(None)
    exact = series.to_numpy().astype("datetime64[us]")
    return np.where(np.isnat(exact), np.nan, exact.astype(np.int64) / 1e6)


def rounded(values: Numbers, column: Column) -> Numbers:
    """Values at the column's precision."""
    if column.kind == "integer":
        return np.rint(values)
    if column.step:
        return np.asarray(np.rint(values / column.step) * column.step)
    return values if column.decimals is None else np.round(values, column.decimals)


def from_numbers(values: Numbers, column: Column) -> pd.Series:
    """[n] values in the column's dtype and format; NaN becomes missing."""
    values = rounded(values, column)
    missing = np.isnan(values)
    if column.kind == "date":
        return _dates(values, missing, column)
    if column.kind == "timedelta":
        return pd.Series(pd.to_timedelta(values, unit="s")).astype(column.dtype)
    if column.format == "text":
        decimals = 0 if column.kind == "integer" else column.decimals
        text = [None if m else f"{v:.{decimals}f}" for v, m in zip(values.tolist(), missing.tolist(), strict=True)]
        return typed(text, column.dtype)
    dtype = pd.api.types.pandas_dtype(column.dtype)
    if dtype == object:
        whole = column.kind == "integer"
        return typed([None if m else int(v) if whole else v for v, m in zip(values.tolist(), missing.tolist(), strict=True)], "object")
    if not pd.api.types.is_integer_dtype(dtype):
        return pd.Series(pd.array(np.where(missing, 0.0, values), dtype=dtype)).mask(missing) if missing.any() else pd.Series(values).astype(dtype)
    kind = getattr(dtype, "numpy_dtype", dtype)
    limits = np.iinfo(kind)
    whole = np.array([min(max(int(v), limits.min), limits.max) for v in np.where(missing, 0.0, values).tolist()], dtype=kind)
    return pd.Series(pd.array(whole, dtype=dtype)).mask(missing) if missing.any() else pd.Series(whole).astype(dtype)


def _dates(values: Numbers, missing: npt.NDArray[np.bool_], column: Column) -> pd.Series:
    whole = np.rint(np.where(missing, 0.0, values) * 1e6).astype(np.int64).astype("datetime64[us]")
    whole[missing] = np.datetime64("NaT")
    stamps = pd.Series(whole)
    if column.format:
        zoned = stamps.dt.tz_localize("UTC") if "%z" in column.format else stamps
        text = zoned.dt.strftime(column.format)
        return typed([None if m else t for t, m in zip(text.tolist(), missing.tolist(), strict=True)], column.dtype)
    if column.dtype == "object":
        days = column.step is not None and column.step >= 86400
        made = [None if m else (d.date() if days else d) for d, m in zip(stamps.dt.to_pydatetime(), missing.tolist(), strict=True)]
        return typed(made, "object")
    dtype = pd.api.types.pandas_dtype(column.dtype)
    zone = getattr(dtype, "tz", None)
    return stamps.dt.tz_localize("UTC").dt.tz_convert(zone).astype(dtype) if zone is not None else stamps.astype(dtype)


def typed(values: Sequence[Any], dtype: str) -> pd.Series:
    """[n] Python values (None: missing) in a dtype; a dtype that can't hold missing values becomes one that can."""
    if any(v is None for v in values):
        dtype = "object" if dtype == "bool" else "float64" if pd.api.types.pandas_dtype(dtype).kind in "iu" and dtype[0] in "iu" else dtype
    if dtype == "object":
        out = np.empty(len(values), dtype=object)
        out[:] = list(values)
        return pd.Series(out, dtype=object)
    return pd.Series(list(values), dtype=dtype)


def to_levels(series: pd.Series) -> Objects:
    """[n] Python values; missing as None."""
    values = series.astype(object)
    missing = series.isna().to_numpy()
    out = np.empty(len(series), dtype=object)
    out[:] = [plain(v) for v in values.tolist()] if not _is_text(series) else values.to_numpy()
    out[missing] = None
    return out


def _is_text(series: pd.Series) -> bool:
    return isinstance(series.dtype, pd.StringDtype)


def plain(value: Any) -> Any:
    """A value as str, bool, int or float; dates and the rest as text."""
    if isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, np.generic):
        return plain(value.item())
    return None if is_missing(value) else str(value)


def from_levels(values: Sequence[Any], column: Column) -> pd.Series:
    """[n] level values (None: missing) in the column's dtype."""
    if column.dtype == "category":
        dtype = pd.CategoricalDtype(list(column.levels), ordered=column.kind == "ordered")
        return pd.Series(pd.Categorical(list(values), dtype=dtype))
    if column.dtype.startswith("datetime64"):
        return pd.Series(pd.to_datetime(list(values))).astype(column.dtype)
    return typed(values, column.dtype)


def read_number(text: Any, column: Column) -> float:
    """What a person wrote for a value of this column, as a number; raises ValueError."""
    if column.kind == "date":
        if isinstance(text, datetime.date | pd.Timestamp | np.datetime64):
            stamp = pd.Timestamp(text)
        else:
            stamp = _stamp(str(text), column.format)
        stamp = stamp.tz_convert(None) if stamp.tz is not None else stamp
        return float(stamp.value / 10**9) if hasattr(stamp, "value") else float("nan")
    if column.kind == "timedelta":
        return float(pd.Timedelta(text).total_seconds())
    return float(text)


def _stamp(text: str, form: str) -> pd.Timestamp:
    try:
        return pd.Timestamp(pd.to_datetime(text, format=form)) if form else pd.Timestamp(text)
    except ValueError:
        return pd.Timestamp(text)
