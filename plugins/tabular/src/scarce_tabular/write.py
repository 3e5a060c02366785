"""Tables to files, in the format the suffix names, whole or not at all."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from pyarrow import ArrowException

from scarce.errors import DataError
from scarce.files import write_bytes
from scarce_tabular.load import named, one_type


def write_table(frame: pd.DataFrame, path: Path, schema: Mapping[str, Any] | None = None) -> Path:
    """Write .csv, .tsv, .parquet or .json; raises DataError for another suffix, and for names or values no file holds.

    schema: text files write its integers as whole numbers, also beside missing values.
    """
    suffix = path.suffix.lower()
    if suffix in (".csv", ".tsv"):
        return write_bytes(path, _text(_formatted(frame, schema or {}), "\t" if suffix == ".tsv" else ",").encode())
    if suffix in (".parquet", ".pq"):
        return write_bytes(path, _parquet(frame, path))
    if suffix == ".json":
        frame = _formatted(frame, schema or {})
        return write_bytes(path, frame.to_json(orient="records", date_format="iso", indent=1).encode())
    raise DataError(f"{path}: tables are written as .csv, .tsv, .parquet or .json, not '{suffix}'", hint="-o rows.csv")


def _text(frame: pd.DataFrame, separator: str) -> str:
    text = frame.to_csv(index=False, sep=separator)
    # pandas leaves a carriage return inside a text unquoted, and then reads it as the end of the line
    return text if "\r" not in text else frame.to_csv(index=False, sep=separator, quoting=csv.QUOTE_NONNUMERIC)


def _formatted(frame: pd.DataFrame, schema: Mapping[str, Any]) -> pd.DataFrame:
    """Whole numbers without a point, and times of a zone as ISO text in UTC."""
    whole = {str(c["name"]) for c in schema.get("columns", ()) if c.get("kind") == "integer" and c.get("missing")}
    out = {}
    for name in frame.columns:
        series = frame[name]
        if str(name) in whole and pd.api.types.is_float_dtype(series):
            series = series.astype("Int64")
        if isinstance(series.dtype, pd.DatetimeTZDtype):
            series = series.dt.tz_convert("UTC").dt.strftime("%Y-%m-%dT%H:%M:%SZ")
        out[name] = series
    return pd.DataFrame(out, columns=frame.columns)


def _parquet(frame: pd.DataFrame, path: Path) -> bytes:
    frame = named(frame, path.name)[0]
    buffer = io.BytesIO()
    try:
        checked = pd.DataFrame({c: one_type(frame[c])[0] for c in frame.columns}).reset_index(drop=True)
        checked.to_parquet(buffer)  # with its trivial index: without one, names that are numbers come back as texts
    except (ArrowException, ValueError, TypeError) as error:
        raise DataError(f"{path} can't hold this table: {error}", hint="write .csv instead") from None
    return buffer.getvalue()
