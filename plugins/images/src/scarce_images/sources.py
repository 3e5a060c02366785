"""Where pictures come from: a folder or archive with a sub-folder per class, a table, or arrays; nothing is decoded here."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from PIL import Image

from scarce.contract import find_column, plain
from scarce.errors import DataError
from scarce_images.config import Images
from scarce_images.pictures import SUFFIXES, Array
from scarce_images.tars import samples_of

PATHS = ("image", "path", "file", "file_name", "filename")
CAPTIONS = ("caption", "text")
LABEL = "label"
METADATA = ("metadata.jsonl", "metadata.csv", "metadata.parquet")
SPLITS = {"train", "training", "test", "testing", "val", "valid", "validation", "dev"}
FORMS = "a folder, .csv, .jsonl, .parquet, .zip, .tar or .npz"


@dataclass(frozen=True, kw_only=True)
class Source:
    """Pictures that are not decoded yet.

    cells: what `read_picture` takes, one per record; names: what people and ids call each; table: the other columns, target
    and "caption" among them, one row per record; target: "" for none.
    """

    name: str
    cells: list[Any]
    names: list[str]
    table: pd.DataFrame
    target: str
    notes: tuple[str, ...] = ()


def from_folder(path: Path, options: Images, target: str | None) -> Source:
    """Pictures below a folder or in a .zip in order of their paths.

    The class of each is the name of its first sub-folder, its caption a .txt file of the same name beside it, or both stand in
    a metadata file (.jsonl, .csv, .parquet; a column `file_name`, others are kept). Raises DataError when there is none.
    """
    files, metadata = _files(path)
    pictures = [name for name in files if PurePosixPath(name).suffix.lower() in SUFFIXES]
    texts = {name for name in files if name.lower().endswith(".txt")}
    if not pictures:
        found = ", ".join(f"{n} {s or 'without suffix'}" for s, n in Counter(PurePosixPath(f).suffix for f in files).most_common(5))
        raise DataError(
            f"{path} has no pictures" + (f"; it has files {found}" if found else ": it is empty"),
            hint=f"pictures are {', '.join(SUFFIXES)}, in a sub-folder per class",
        )
    folders = [name.split("/")[0] if "/" in name else None for name in pictures]
    if {f.lower() for f in folders if f} and {f.lower() for f in folders if f} <= SPLITS:
        shown = ", ".join(sorted({f for f in folders if f}))
        raise DataError(f"{path}: its folders are named {shown}, which are no classes", hint=f"--data {path / str(folders[-1])}")
    frame = pd.DataFrame({"file_name": pictures, LABEL: pd.Series(folders, dtype=object)})
    captions = [_sidecar(files, name, texts) for name in pictures]
    if any(c is not None for c in captions):
        frame["caption"] = pd.Series(captions, dtype=object)
    if metadata is not None:
        frame = _joined(frame, metadata, str(path))
    if frame[LABEL].isna().all():
        frame = frame.drop(columns=LABEL)
    cells = [files[name] for name in pictures]
    wanted = target if target is not None else LABEL if LABEL in frame.columns else ""
    source = _source(path.stem, cells, pictures, frame.drop(columns="file_name"), options, wanted)
    other = Counter(PurePosixPath(f).suffix.lower() for f in files if f not in pictures and f not in texts and f not in METADATA)
    shown = ", ".join(f"{n} {suffix or 'without suffix'}" for suffix, n in other.most_common(5))
    return source if not other else replace(source, notes=(f"files that are no pictures are left out: {shown}",))


def _files(path: Path) -> tuple[dict[str, Any], pd.DataFrame | None]:
    """Relative path -> openable file, in order, without hidden ones; and the metadata at the top, if any."""
    if path.is_dir():
        found: dict[str, Any] = {f.relative_to(path).as_posix(): f for f in path.rglob("*") if f.is_file()}
    else:
        try:
            archive = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile) as error:
            raise DataError(f"{path} is not a readable archive: {error}", hint=f"unzip -t {path}") from None
        names = [n for n in archive.namelist() if not n.endswith("/") and not n.startswith("__MACOSX/")]
        top = {n.split("/")[0] for n in names}
        # An archive of a folder holds that folder, and classes lie below it.
        skip = len(next(iter(top))) + 1 if len(top) == 1 and any(n.count("/") > 1 for n in names) else 0
        found = {n[skip:]: zipfile.Path(archive, n) for n in names}
    shown = {n: found[n] for n in sorted(found) if not any(part.startswith(".") for part in n.split("/"))}
    metadata = next((name for name in METADATA if name in shown), None)
    return shown, None if metadata is None else read_table(shown[metadata], f"{path}/{metadata}")


def _sidecar(files: Mapping[str, Any], name: str, texts: set[str]) -> str | None:
    beside = f"{name.rsplit('.', 1)[0]}.txt"
    if beside not in texts:
        return None
    with files[beside].open("rb") as file:
        text: str = file.read().decode("utf-8-sig", "replace").strip()
    return text or None


def _joined(frame: pd.DataFrame, metadata: pd.DataFrame, name: str) -> pd.DataFrame:
    """Columns of the metadata, in place of those that the folder itself says."""
    if "file_name" not in metadata.columns or metadata["file_name"].duplicated().any():
        raise DataError(f"{name}: its metadata need a column file_name without repetitions", hint="see docs/images.md")
    rows = metadata.set_index("file_name")
    missing = [f for f in rows.index if f not in set(frame["file_name"])]
    if missing:
        raise DataError(f"{name}: its metadata name {missing[0]}, which is not there", hint="names are relative to the folder")
    known = frame["file_name"].isin(rows.index)
    for c in rows.columns:
        values = frame["file_name"].map(rows[c].astype(object))
        frame[c] = values.where(known, frame[c]) if c in frame.columns else values
    return frame


def read_table(path: Any, name: str) -> pd.DataFrame:
    """A CSV, JSONL or Parquet file as a table; in CSV only an empty cell is missing. Raises DataError."""
    suffix = PurePosixPath(path.name).suffix.lower()
    try:
        if suffix in (".parquet", ".pq"):
            return _parquet(path)
        with path.open("rb") as file:
            text = file.read().decode("utf-8-sig")
        if suffix in (".jsonl", ".ndjson"):
            lines = [json.loads(line) for line in text.splitlines() if line.strip()]
            names = dict.fromkeys(name for line in lines for name in line)
            return pd.DataFrame({name: pd.Series([line.get(name) for line in lines], dtype=object) for name in names})
        head = text.partition("\n")[0]
        separator = max((",", ";", "\t", "|"), key=head.count)
        return pd.read_csv(io.StringIO(text), sep=separator, skipinitialspace=True, keep_default_na=False, na_values=[""])
    except (OSError, ValueError, AttributeError, pd.errors.ParserError) as error:
        raise DataError(f"{name} is not a readable {suffix[1:].upper()} file: {error}", hint=f"head {name}") from None


def _parquet(path: Any) -> pd.DataFrame:
    """A Parquet file; class codes become names where its Hugging Face metadata give them."""
    with path.open("rb") as file:
        table = pq.read_table(file)
    frame: pd.DataFrame = table.to_pandas()
    said = json.loads((table.schema.metadata or {}).get(b"huggingface", b"{}")).get("info", {}).get("features", {})
    for name, feature in said.items():
        names = feature.get("names") if isinstance(feature, dict) and feature.get("_type") == "ClassLabel" else None
        if names and name in frame.columns:
            codes = [plain(v) for v in frame[name]]
            frame[name] = pd.Series([names[c] if isinstance(c, int) and 0 <= c < len(names) else None for c in codes], dtype=object)
    return frame


def from_table(name: str, frame: pd.DataFrame, options: Images, target: str | None, folder: Any = None) -> Source:
    """Pictures of a column of paths below `folder`, of bytes, of structs {"bytes", "path"}, of arrays or of Pillow images."""
    if len(frame) == 0:
        raise DataError(f"{name} has no rows", hint="give a table with a row per picture")
    twice = [str(c) for c, count in Counter(map(str, frame.columns)).items() if count > 1]
    if twice:
        raise DataError(f"{name}: column '{twice[0]}' appears more than once", hint="give every column its own name")
    frame = frame.reset_index(drop=True).rename(columns=str)
    if options.path is not None:
        pictures = find_column(frame.columns, options.path, name, "data.options.path")
    else:
        pictures = next((c for c in PATHS if c in frame.columns), "")
        if not pictures:
            what = f"{name} has none of the columns {', '.join(PATHS)}; it has {', '.join(map(str, frame.columns[:20]))}"
            raise DataError(what, hint="--set data.options.path=COLUMN, whose cells are paths or bytes of pictures")
    cells = [_cell(cell, folder) for cell in frame[pictures]]
    names = [_name(given, cell, i) for i, (given, cell) in enumerate(zip(frame[pictures], cells, strict=True))]
    wanted = target if target is not None else LABEL if LABEL in frame.columns else ""
    return _source(name, cells, names, frame.drop(columns=pictures), options, wanted)


def from_tar(name: str, shards: list[Path], options: Images, target: str | None) -> Source:
    """Pictures of .tar files, with the columns of their .json, .cls and .txt files; DataError where there are none."""
    found = list(samples_of(shards, LABEL))
    if not found:
        raise DataError(f"{name} has no pictures in its .tar files", hint="a sample is NAME.png beside NAME.json, .cls or .txt")
    columns = dict.fromkeys(key for _, sample in found for key in sample.facts)
    frame = pd.DataFrame({key: pd.Series([sample.facts.get(key) for _, sample in found], dtype=object) for key in columns})
    wanted = target if target is not None else LABEL if LABEL in frame.columns else ""
    frame = frame if len(columns) else pd.DataFrame(index=range(len(found)))
    return _source(name, [sample.picture for _, sample in found], [key for key, _ in found], frame, options, wanted)


def from_npz(path: Path, options: Images, target: str | None) -> Source:
    """Arrays X [n, h, w] or [n, h, w, c], optional y [n], called as the target is or "label", and captions [n]."""
    try:
        with np.load(path, allow_pickle=False) as found:
            arrays = {str(k).lower(): found[k] for k in found.files}
        x = arrays["x"]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} has no array X of pictures: {error}", hint="np.savez(FILE, X=array [n, h, w, 3], y=classes)") from None
    if x.ndim not in (3, 4) or any(len(arrays[k]) != len(x) for k in ("y", "captions") if k in arrays):
        raise DataError(f"{path}: X has shape {list(x.shape)}, and y and captions must be as long", hint="X is [n, h, w] or [n, h, w, 3]")
    columns: dict[str, Any] = {"image": pd.Series(list(x), dtype=object)}
    columns |= {target or LABEL: arrays["y"].tolist()} if "y" in arrays else {}
    columns |= {"caption": [str(c) or None for c in arrays["captions"]]} if "captions" in arrays else {}
    return from_table(path.stem, pd.DataFrame(columns), options.model_copy(update={"path": "image"}), target)


def _source(name: str, cells: list[Any], names: list[str], table: pd.DataFrame, options: Images, target: str) -> Source:
    """With the target's column checked and the captions' called "caption"."""
    if target in ("image", "caption"):
        raise DataError(f"{name}: a target can't be called '{target}'", hint="give the column another name")
    if target:
        find_column(table.columns, target, name, "data.target")
    if options.caption is not None:
        said: str | None = find_column(table.columns, options.caption, name, "data.options.caption")
    else:
        said = next((c for c in CAPTIONS if c in table.columns and c != target), None)
    if said is not None and said != "caption":
        table = table.drop(columns=[c for c in table.columns if c == "caption"]).rename(columns={said: "caption"})
    if "image" in table.columns:
        table = table.drop(columns="image")
    if "caption" in table.columns:
        texts = [plain(v) for v in table["caption"]]
        table["caption"] = pd.Series([None if t is None or not str(t).strip() else str(t).strip() for t in texts], dtype=object)
    return Source(name=name, cells=cells, names=names, table=table, target=target)


def _cell(cell: Any, folder: Any) -> Any:
    if isinstance(cell, Mapping):
        cell = cell["bytes"] if cell.get("bytes") is not None else cell.get("path")
    if isinstance(cell, str) and cell.strip():
        return Path(cell) if folder is None else folder / cell.strip()
    if isinstance(cell, Sequence) and not isinstance(cell, str | bytes | bytearray):
        return np.asarray(cell)
    return cell


def _name(given: Any, cell: Any, row: int) -> str:
    """A path as it was given; of pictures without one a hash of what was given."""
    path = given.get("path") if isinstance(given, Mapping) else given
    if isinstance(path, str | Path) and str(path).strip():
        return str(path).strip()
    data = cell if isinstance(cell, bytes | bytearray) else b""
    if isinstance(cell, np.ndarray):
        data = np.ascontiguousarray(cell).tobytes() + repr(cell.shape).encode() if cell.dtype.kind in "biuf" else b""
    if isinstance(cell, Image.Image):
        with suppress(Exception):  # one that can't be decoded is reported when it is read
            data = cell.tobytes() + repr(cell.size).encode()
    return hashlib.blake2b(data, digest_size=8).hexdigest() if data else f"row {row}"


def arrays_of(source: Source) -> list[Array]:
    """The cells that are arrays of numbers."""
    return [c for c in source.cells if isinstance(c, np.ndarray) and c.dtype.kind in "biuf" and c.size]
