"""Tables to files, in the format the suffix names, whole or not at all."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd

from scarce.errors import DataError
from scarce.files import write_bytes


def write_table(frame: pd.DataFrame, path: Path) -> Path:
    """Write .csv, .tsv, .parquet or .json; raises DataError for another suffix."""
    suffix = path.suffix.lower()
    if suffix in (".csv", ".tsv"):
        return write_bytes(path, frame.to_csv(index=False, sep="\t" if suffix == ".tsv" else ",").encode())
    if suffix in (".parquet", ".pq"):
        buffer = io.BytesIO()
        frame.rename(columns=str).to_parquet(buffer, index=False)
        return write_bytes(path, buffer.getvalue())
    if suffix == ".json":
        return write_bytes(path, frame.to_json(orient="records", date_format="iso", indent=1).encode())
    raise DataError(f"{path}: tables are written as .csv, .tsv, .parquet or .json, not '{suffix}'", hint="-o rows.csv")
