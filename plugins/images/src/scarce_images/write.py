"""Pictures to files, in the format the suffix names, whole or not at all."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from scarce.errors import DataError, RunError
from scarce.files import write_bytes
from scarce_images.tars import tar_bytes

STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
# What Hugging Face calls the types of columns; with another type among them a file carries no such description.
FEATURES = {"string": "string", "large_string": "large_string", "double": "float64", "float": "float32", "bool": "bool"}


def write_images(frame: pd.DataFrame, path: Path, schema: Mapping[str, Any] | None = None) -> Path:
    """Write .parquet, .npz, .zip, .tar or a folder (no suffix); DataError for another suffix or for records without pictures.

    A folder and a .zip hold a sub-folder per class with PNG files, and metadata.jsonl with every other column; a .tar has
    `000000.png` beside `000000.json` (WebDataset).
    """
    if "image" not in frame.columns:
        raise DataError(f"{path}: there is no column 'image' to write", hint="scarce sample RUN -o pictures.parquet")
    target = str((schema or {}).get("target", ""))
    suffix = path.suffix.lower()
    if suffix in (".parquet", ".pq"):
        return write_bytes(path, parquet_bytes(frame))
    if suffix == ".npz":
        return write_bytes(path, _npz(frame, target))
    if suffix == ".zip":
        return write_bytes(path, _zip(frame, target))
    if suffix == ".tar":
        return write_bytes(path, tar_bytes(frame, map(png, frame["image"]), target))
    if suffix == "":
        return _folder(frame, path, target)
    raise DataError(f"{path}: pictures are written as .parquet, .zip, .tar, .npz or a folder, not '{suffix}'", hint="-o pictures.parquet")


def png(pixels: Any) -> bytes:
    """A PNG file of uint8 [h, w, 3]."""
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(pixels, dtype=np.uint8)).save(buffer, format="PNG")
    return buffer.getvalue()


def parquet_bytes(frame: pd.DataFrame) -> bytes:
    """A Parquet file whose column `image` holds structs {bytes: PNG, path: null}, with Hugging Face's description of it."""
    cells = pa.array([{"bytes": png(cell), "path": None} for cell in frame["image"]], type=STRUCT)
    rest = frame.drop(columns="image")
    try:
        others = pa.Table.from_pandas(rest, preserve_index=False)
        columns = {"image": cells, **{name: others[name] for name in others.column_names}}
        table = pa.table(columns, metadata=others.schema.metadata if rest.shape[1] else None)
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise DataError(f"Parquet can't hold these records: {error}", hint="-o FOLDER instead") from None
    names = {str(f.name): FEATURES.get(str(f.type), str(f.type) if pa.types.is_integer(f.type) else "") for f in table.schema}
    names.pop("image")
    if all(names.values()):
        features: dict[str, Any] = {"image": {"_type": "Image"}} | {k: {"dtype": v, "_type": "Value"} for k, v in names.items()}
        described = {"huggingface": json.dumps({"info": {"features": features}})}
        table = table.replace_schema_metadata({**(table.schema.metadata or {}), **described})
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


def _npz(frame: pd.DataFrame, target: str) -> bytes:
    images = [np.asarray(cell, dtype=np.uint8) for cell in frame["image"]]
    arrays: dict[str, Any] = {"X": np.stack(images) if images else np.zeros((0, 1, 1, 3), np.uint8)}
    if target and target in frame.columns:
        arrays["y"] = np.array(frame[target].tolist())
        if arrays["y"].dtype == object:
            raise DataError("an .npz file holds no missing classes", hint="-o pictures.parquet")
    if "caption" in frame.columns:
        arrays["captions"] = np.array(["" if c is None or c != c else str(c) for c in frame["caption"]], dtype=str)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def _files(frame: pd.DataFrame, target: str) -> Iterator[tuple[str, bytes]]:
    """Relative path and content of every file: pictures, then metadata.jsonl."""
    labels = frame[target].tolist() if target and target in frame.columns else [None] * len(frame)
    names, lines = list[str](), list[str]()
    folders = _folders(labels)
    for i, (cell, label) in enumerate(zip(frame["image"], labels, strict=True)):
        name = f"{i:06d}.png" if label is None or label != label else f"{folders[label]}/{i:06d}.png"
        names.append(name)
        yield name, png(cell)
    for name, (_, row) in zip(names, frame.drop(columns="image").iterrows(), strict=True):
        facts = {str(k): None if v is None or v != v else v for k, v in row.astype(object).items()}
        lines.append(json.dumps({"file_name": name, **facts}, ensure_ascii=False, default=_plain))
    yield "metadata.jsonl", ("\n".join(lines) + "\n").encode()


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else str(value)


def _folders(labels: list[Any]) -> dict[Any, str]:
    """A folder name per class: what file systems don't take in a name becomes an underscore, and no two are equal."""
    out: dict[Any, str] = {}
    taken: set[str] = set()
    for label in dict.fromkeys(labels):
        name = base = re.sub(r"[^\w .,()+-]", "_", str(label)).strip(" .")[:80] or "_"
        count = 1
        while name.lower() in taken:
            count += 1
            name = f"{base}_{count}"
        taken.add(name.lower())
        out[label] = name
    return out


def _zip(frame: pd.DataFrame, target: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:  # PNG files don't shrink
        for name, data in _files(frame, target):
            archive.writestr(zipfile.ZipInfo(name), data)  # without the time, so equal pictures give equal archives
    return buffer.getvalue()


def _folder(frame: pd.DataFrame, path: Path, target: str) -> Path:
    """Written beside, then renamed; RunError where a folder with other things stands there already."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise RunError(f"{path} is there already and is not an empty folder", hint=f"choose another place, or rm -r {path}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        raise RunError(f"{path} can't be written: {error.strerror}", hint=f"ls -ld {path.parent}") from None
    try:
        for name, data in _files(frame, target):
            (beside / name).parent.mkdir(parents=True, exist_ok=True)
            (beside / name).write_bytes(data)
        beside.chmod(0o755)
        os.replace(beside, path)
    except OSError as error:
        raise RunError(f"{path} can't be written: {error.strerror}", hint=f"df -h {path.parent}") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return path
