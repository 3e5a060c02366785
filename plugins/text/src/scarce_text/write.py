"""Tables of texts, written so that they are read again as they were."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pandas as pd

from scarce.contract import plain
from scarce.errors import DataError
from scarce.files import write_bytes


def write_texts(records: pd.DataFrame, path: Path) -> Path:
    """Parquet or JSONL by the suffix, atomically; DataError for another one."""
    if path.suffix.lower() in (".jsonl", ".ndjson"):
        rows = [{c: plain(v) for c, v in row.items()} for row in records.to_dict("records")]
        return write_bytes(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode("utf-8", "surrogatepass"))
    if path.suffix.lower() not in (".parquet", ".pq"):
        raise DataError(f"texts are written as .parquet or .jsonl, not '{path.suffix}'", hint=f"name it {path.with_suffix('.parquet')}")
    buffer = io.BytesIO()
    records.to_parquet(buffer, index=False)
    return write_bytes(path, buffer.getvalue())
