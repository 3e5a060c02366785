"""Series to files, in the format the suffix names, whole or not at all."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pyarrow import ArrowException

from scarce.errors import DataError
from scarce.files import write_bytes
from scarce_timeseries.signals import Floats, as_series


def write_series(frame: pd.DataFrame, path: Path, schema: Mapping[str, Any] | None = None) -> Path:
    """Write .parquet (a list per series), .csv (one row per step) or .npz (X, y, captions); DataError for another suffix.

    A frame without a column `series` is written as the table it is.
    """
    suffix = path.suffix.lower()
    if suffix in (".parquet", ".pq"):
        return write_bytes(path, _parquet(frame, path))
    if suffix == ".csv":
        table = _long(frame, schema or {}) if "series" in frame.columns else frame
        return write_bytes(path, table.to_csv(index=False).encode())
    if suffix == ".npz" and "series" in frame.columns:
        return write_bytes(path, _npz(frame, schema or {}))
    raise DataError(f"{path}: series are written as .parquet, .csv or .npz, not '{suffix}'", hint="-o series.parquet")


def _parquet(frame: pd.DataFrame, path: Path) -> bytes:
    buffer = io.BytesIO()
    if "series" in frame.columns and pd.api.types.is_object_dtype(frame["series"]):
        frame = frame.assign(series=pd.Series([as_lists(cell) for cell in frame["series"]], index=frame.index, dtype=object))
    try:
        frame.to_parquet(buffer)
    except (ArrowException, ValueError, TypeError) as error:
        raise DataError(f"{path} can't hold these series: {error}", hint="write .csv instead") from None
    return buffer.getvalue()


def as_lists(cell: Any) -> Any:
    """A series as nested lists, which Parquet holds; anything else as it is."""
    return np.asarray(cell).tolist() if isinstance(cell, np.ndarray) else cell


def _long(frame: pd.DataFrame, schema: Mapping[str, Any]) -> pd.DataFrame:
    """One row per step: id, step, channels, then what is known of the series, repeated."""
    parts = []
    for i, cell in enumerate(frame["series"]):
        values = as_series(cell)
        part = pd.DataFrame(values, columns=_channels(values, schema))
        part.insert(0, "step", np.arange(len(values)))
        part.insert(0, "id", i)
        parts.append(part.assign(**{str(c): frame[c].iloc[i] for c in frame.columns if c != "series"}))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["id", "step"])


def _channels(values: Floats, schema: Mapping[str, Any]) -> list[str]:
    names = list(schema.get("channels", ()))
    return names if len(names) == values.shape[1] else [f"dim_{i}" for i in range(values.shape[1])] if values.shape[1] > 1 else ["value"]


def _npz(frame: pd.DataFrame, schema: Mapping[str, Any]) -> bytes:
    series = [as_series(cell) for cell in frame["series"]]
    width = series[0].shape[1] if series else 1
    x = np.full((len(series), max(map(len, series), default=0), width), np.nan)
    for i, values in enumerate(series):
        x[i, : len(values)] = values
    arrays: dict[str, Any] = {"X": x}
    target = str(schema.get("target", ""))
    if target and target in frame.columns:
        arrays["y"] = np.array(frame[target].tolist())
    if "caption" in frame.columns:
        arrays["captions"] = np.array(["" if c is None else str(c) for c in frame["caption"]], dtype=str)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()
