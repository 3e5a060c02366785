"""Decoded columns in the input's own types and formats."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from scarce_tabular.fields import Floats, Objects, objects
from scarce_tabular.schema import Column


def restore_numbers(values: Floats, absent: npt.NDArray[np.bool_], column: Column) -> pd.Series:
    """[n] numbers as integers, floats, dates or ordered levels of the column's type, missing where `absent`."""
    if column.kind == "ordered":
        places = np.clip(np.rint(values), 0, len(column.levels) - 1).astype(np.int64)
        levels = objects(column.levels)[places]
        levels[absent] = None
        return restore_values(levels, column)
    if column.kind == "date":
        return _dates(values, absent, column)
    dtype: Any = pd.api.types.pandas_dtype(column.dtype)
    if not pd.api.types.is_integer_dtype(dtype):
        return pd.Series(np.where(absent, np.nan, values)).astype(dtype)
    whole = _integers(values, np.dtype(str(dtype).lower()))
    if isinstance(dtype, np.dtype):
        return pd.Series(whole)  # a numpy integer column never had a missing value
    return pd.Series(pd.array(whole, dtype=dtype)).mask(absent)


def restore_values(values: Objects, column: Column) -> pd.Series:
    """[n] levels, constants or identifiers (None: missing) in the column's type."""
    series = pd.Series(values, dtype=object)
    if column.dtype.endswith("category"):
        if column.kind == "identifier":
            return series.astype("category")
        return series.astype(pd.CategoricalDtype(list(column.levels), ordered=column.dtype.startswith("ordered")))
    dtype: Any = pd.api.types.pandas_dtype(column.dtype)
    if pd.api.types.is_datetime64_any_dtype(dtype):
        stamps = pd.to_datetime(series, utc=True, format="ISO8601")
        return (stamps if isinstance(dtype, pd.DatetimeTZDtype) else stamps.dt.tz_localize(None)).astype(dtype)
    try:
        return series.astype(dtype)
    except OverflowError:  # identifiers that count on beyond a small integer type
        return series.astype(np.int64)


def _dates(values: Floats, absent: npt.NDArray[np.bool_], column: Column) -> pd.Series:
    stamps = np.rint(values * 1e6).astype(np.int64).astype("datetime64[us]")
    stamps[absent] = np.datetime64("NaT")
    dates = pd.Series(stamps)
    if column.format:
        return restore_values(dates.dt.strftime(column.format).astype(object).to_numpy(), column)
    dtype = pd.api.types.pandas_dtype(column.dtype)
    return (dates.dt.tz_localize("UTC") if isinstance(dtype, pd.DatetimeTZDtype) else dates).astype(dtype)


def _integers(values: Floats, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """[n] whole numbers inside what the type holds; its largest 64-bit ones are no floats, so they can't be cast."""
    info, whole = np.iinfo(dtype), np.rint(values)
    over = whole >= float(info.max)
    out = np.where(over, 0, np.maximum(whole, float(info.min))).astype(dtype)
    out[over] = info.max
    return out
