"""Where pictures come from: a folder or archive with a sub-folder per class, a table, or arrays; nothing is decoded here."""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import zipfile
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from PIL import Image

from scarce.contract import find_column, plain
from scarce.errors import DataError
from scarce_images.config import Images
from scarce_images.pictures import MOST_TEXT, SUFFIXES, UNREADABLE, Array, BrokenPicture, endless, fault, too_large
from scarce_images.tars import samples_of, text_of

PATHS = ("image", "path", "file", "file_name", "filename")
CAPTIONS = ("caption", "text")
LABEL = "label"
METADATA = ("metadata.jsonl", "metadata.csv", "metadata.parquet")
SPLITS = {"train", "training", "test", "testing", "val", "valid", "validation", "dev"}
FORMS = "a folder, .csv, .jsonl, .parquet, .zip, .tar or .npz"
LEAST_TABLE = 16_000_000  # bytes that metadata in a .zip may always have; beyond that MOST_TEXT for each file there
HEADER = 12_000  # bytes in which an array's shape and type must stand; numpy itself takes no more than 10,000

Head = tuple[tuple[int, ...], np.dtype[Any]]  # shape and type of an array that is not read yet


@dataclass(frozen=True, kw_only=True)
class Source:
    """Pictures that are not decoded yet.

    cells: what `read_picture` takes, one per record, a BrokenPicture for one that is known to be none; names: what people and ids
    call each; table: the other columns, target and "caption" among them, one row per record; target: "" for none.
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
    files, metadata = _files(path, text_columns(options, target))
    pictures = [name for name in files if PurePosixPath(name).suffix.lower() in SUFFIXES]
    texts = {name[:-4]: name for name in files if name.lower().endswith(".txt")}
    if not pictures:
        _refuse_empty(path, files)
    folders = [name.split("/")[0] for name in pictures if "/" in name]
    if folders and {f.lower() for f in folders} <= SPLITS:
        shown = ", ".join(sorted(set(folders)))
        raise DataError(f"{path}: its folders are named {shown}, which are no classes", hint=f"--data {path / folders[-1]}")
    if metadata is not None:
        metadata = _named_files(metadata, str(path))
        there = set(pictures)
        pictures += [name for name in metadata.index if name not in there]
    frame = _joined(_said(files, pictures, texts), metadata)
    cells = [files.get(name, BrokenPicture("no such file")) for name in pictures]
    if "caption" in frame.columns:
        captions = frame["caption"].tolist()
        cells = [text if isinstance(text, BrokenPicture) else cell for text, cell in zip(captions, cells, strict=True)]
        frame["caption"] = pd.Series([None if isinstance(text, BrokenPicture) else text for text in captions], dtype=object)
    wanted = target if target is not None else LABEL if LABEL in frame.columns else ""
    source = _source(path.stem, cells, pictures, frame.drop(columns="file_name"), options, wanted)
    known = {*pictures, *texts.values(), *METADATA}
    other = Counter(PurePosixPath(f).suffix.lower() for f in files if f not in known)
    return source if not other else replace(source, notes=(f"files that are no pictures are left out: {_listed(other)}",))


def text_columns(options: Images, target: str | None) -> set[str]:
    """Columns of a CSV file that are text whatever stands there: class 007 is not 7, nor `true` a truth value."""
    named = {options.caption, options.path, LABEL if target is None else target}
    return {*CAPTIONS, *PATHS, *(column for column in named if column)}


def _refuse_empty(path: Path, files: Mapping[str, Any]) -> NoReturn:
    found = _listed(Counter(PurePosixPath(f).suffix for f in files))
    raise DataError(
        f"{path} has no pictures" + (f"; it has files {found}" if found else ": it is empty"),
        hint=f"pictures are {', '.join(SUFFIXES)}, in a sub-folder per class",
    )


def _listed(suffixes: Counter[str]) -> str:
    return ", ".join(f"{n} {suffix or 'without suffix'}" for suffix, n in suffixes.most_common(5))


def _said(files: Mapping[str, Any], pictures: list[str], texts: Mapping[str, str]) -> pd.DataFrame:
    """What folders and side-cars say of each picture: file_name, label, and caption where there is any."""
    folders = [name.split("/")[0] if "/" in name else None for name in pictures]
    frame = pd.DataFrame({"file_name": pictures, LABEL: pd.Series(folders, dtype=object)})
    beside = [texts.get(name.rsplit(".", 1)[0]) for name in pictures]
    captions = [None if name is None else text_of(files[name], name) for name in beside]
    return frame if all(c is None for c in captions) else frame.assign(caption=pd.Series(captions, dtype=object))


def _files(path: Path, texts: Collection[str]) -> tuple[dict[str, Any], pd.DataFrame | None]:
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
    if metadata is None:
        return shown, None
    most = None if path.is_dir() else max(LEAST_TABLE, MOST_TEXT * len(shown))  # a few bytes of an archive can become any number
    return shown, read_table(shown[metadata], f"{path}/{metadata}", texts, most)


def _named_files(metadata: pd.DataFrame, name: str) -> pd.DataFrame:
    """Metadata by their file names, `./a.png` as `a.png`; DataError for a name twice or one that lies elsewhere."""
    if "file_name" not in metadata.columns:
        raise DataError(f"{name}: its metadata need a column file_name", hint="see docs/images.md")
    names = []
    for given in metadata["file_name"]:
        path = PurePosixPath(given if isinstance(given, str) else "")
        if not path.parts or path.is_absolute() or ".." in path.parts:
            raise DataError(f"{name}: its metadata name {given}, which is no path below it", hint="names are relative to the folder")
        names.append(path.as_posix())
    twice = [n for n, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(f"{name}: its metadata name {twice[0]} more than once", hint="a column file_name without repetitions")
    return metadata.drop(columns="file_name").set_axis(pd.Index(names, dtype=object), axis=0)


def _joined(frame: pd.DataFrame, rows: pd.DataFrame | None) -> pd.DataFrame:
    """Columns of the metadata, in place of those that the folder itself says; no label where nothing has one."""
    if rows is not None:
        known = frame["file_name"].isin(rows.index)
        for c in rows.columns:
            values = frame["file_name"].map(rows[c].astype(object))
            frame[c] = values.where(known, frame[c]) if c in frame.columns else values
    return frame.drop(columns=LABEL) if frame[LABEL].isna().all() else frame


def read_table(path: Any, name: str, texts: Collection[str] = (), most: int | None = None) -> pd.DataFrame:
    """A CSV, JSONL or Parquet file as a table; in CSV only an empty cell is missing. Raises DataError.

    texts: columns of a CSV file that stay as they are written; most: bytes that may be read, None for all.
    """
    suffix = PurePosixPath(path.name).suffix.lower()
    try:
        with path.open("rb") as file:
            if suffix in (".parquet", ".pq"):
                return _parquet(file if most is None else io.BytesIO(_limited(file, most, name)))
            text = _limited(file, most, name).decode("utf-8-sig")
        if suffix in (".jsonl", ".ndjson"):
            return _records(text, name)
        head = text.partition("\n")[0]
        separator = max((",", ";", "\t", "|"), key=head.count)
        kept = dict.fromkeys(texts, object)
        return pd.read_csv(io.StringIO(text), sep=separator, skipinitialspace=True, keep_default_na=False, na_values=[""], dtype=kept)
    except (*UNREADABLE, AttributeError) as error:
        raise DataError(f"{name} is not a readable {suffix[1:].upper()} file: {error}", hint=f"head {name}") from None


def _limited(file: Any, most: int | None, name: str) -> bytes:
    data: bytes = file.read() if most is None else file.read(most + 1)
    if most is not None and len(data) > most:
        raise DataError(f"{name} has more than {most:,} bytes", hint="unpack the archive, and give the folder: --data FOLDER")
    return data


def _records(text: str, name: str) -> pd.DataFrame:
    """The table of a JSONL file; DataError for a line that is no record."""
    lines = list[dict[str, Any]]()
    for number, line in enumerate(text.split("\n"), 1):  # not splitlines, which also parts texts at what only looks like a new line
        if not line.strip():
            continue
        record = json.loads(line)
        if not isinstance(record, dict):
            what = f"{name} is not a readable JSONL file: line {number} is {line.strip()[:60]}, which is no record"
            raise DataError(what, hint='a line is {"file_name": "0.png", "label": "cat"}')
        lines.append(record)
    names = dict.fromkeys(key for line in lines for key in line)
    return pd.DataFrame({key: pd.Series([line.get(key) for line in lines], dtype=object) for key in names})


def _parquet(file: Any) -> pd.DataFrame:
    """A Parquet file; class codes become names where its Hugging Face metadata give them."""
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
    names = [_name(given, cell, i, options) for i, (given, cell) in enumerate(zip(frame[pictures], cells, strict=True))]
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
        with zipfile.ZipFile(path) as archive:
            members = {name[:-4].lower(): name for name in archive.namelist() if name.endswith(".npy")}
            heads: dict[str, Head] = {key: _head(archive, members[key]) for key in ("x", "y", "captions") if key in members}
            if "x" not in heads:
                raise ValueError(f"it has {', '.join(archive.namelist()[:5]) or 'nothing'}")
            _check_heads(path, heads, options)
            arrays = {key: _array(archive, members[key]) for key in heads}
    except (*UNREADABLE, MemoryError) as error:
        what = f"{path} has no array X of pictures: {error or type(error).__name__}"
        raise DataError(what, hint="np.savez(FILE, X=array [n, h, w, 3], y=classes)") from None
    columns: dict[str, Any] = {"image": pd.Series(list(arrays["x"]), dtype=object)}
    columns |= {target or LABEL: arrays["y"].tolist()} if "y" in arrays else {}
    columns |= {"caption": [str(c) or None for c in arrays["captions"]]} if "captions" in arrays else {}
    return from_table(path.stem, pd.DataFrame(columns), options.model_copy(update={"path": "image"}), target)


def _head(archive: zipfile.ZipFile, name: str) -> Head:
    """Shape and type of an array in an archive, of which only the first bytes are decompressed."""
    with archive.open(name) as member:
        start = io.BytesIO(member.read(HEADER))
    version = np.lib.format.read_magic(start)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if read is None:  # version 3 is for the names of fields, which no array of pictures has
        raise ValueError(f"{name} is of version {version[0]}.{version[1]}")
    shape, _, dtype = read(start)
    if dtype.hasobject:
        raise ValueError(f"{name} holds Python objects, which are never unpickled")
    return shape, dtype


def _array(archive: zipfile.ZipFile, name: str) -> Array:
    with archive.open(name) as member:
        found: Array = np.lib.format.read_array(member, allow_pickle=False)
    return found


def _check_heads(path: Path, heads: Mapping[str, Head], options: Images) -> None:
    """DataError for arrays that are none of pictures, classes and captions, or are too large, before any is decompressed."""
    shape, dtype = heads["x"]
    others = {key: head for key, head in heads.items() if key != "x"}
    wrong = [f"{key} {list(found)}" for key, (found, _) in others.items() if found != shape[:1]]
    if len(shape) not in (3, 4) or wrong:
        shown = "".join(f", {w}" for w in wrong)
        what = f"{path}: X has shape {list(shape)}{shown}, and y and captions must be as long"
        raise DataError(what, hint="X is [n, h, w] or [n, h, w, 3], y and captions are [n]")
    if why := fault(shape[1:], dtype, options):
        large = "data.options.max_pixels" in why
        hint = "--set data.options.max_pixels=NUMBER, or make the pictures smaller" if large else "X is numbers, [n, h, w] or [n, h, w, 3]"
        raise DataError(f"{path}: {shape[0]} of {shape[0]} pictures can't be read: {why}", hint=hint)
    if long := [key for key, (_, kind) in others.items() if kind.itemsize > 4 * MOST_TEXT]:  # four bytes a letter
        raise DataError(f"{path}: {long[0]} has texts of more than {MOST_TEXT:,} letters", hint="shorten them, or leave them out")
    size = sum(math.prod(found) * kind.itemsize for found, kind in heads.values())
    if size > _memory():
        what = f"{path}: its arrays take {size / 1e9:,.0f} GB, and this machine has {_memory() / 1e9:,.0f} GB of memory"
        raise DataError(what, hint="save the pictures as files in a folder: then data.hold says how many are held")


def _memory() -> float:
    """Bytes of memory of this machine; endless where the system doesn't say."""
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):  # as on Windows
        return math.inf


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


def _name(given: Any, cell: Any, row: int, options: Images) -> str:
    """A path as it was given; of pictures without one a hash of what was given, of those that can't be read the row."""
    path = given.get("path") if isinstance(given, Mapping) else given
    if isinstance(path, str | Path) and str(path).strip():
        return str(path).strip()
    data = cell if isinstance(cell, bytes | bytearray) else b""
    if isinstance(cell, np.ndarray):
        data = np.ascontiguousarray(cell).tobytes() + repr(cell.shape).encode() if _sound(cell, options) else b""
    if isinstance(cell, Image.Image) and not too_large(*cell.size, options):
        with suppress(Exception):  # one that can't be decoded is reported when it is read
            data = cell.tobytes() + repr(cell.size).encode()
    return hashlib.blake2b(data, digest_size=8).hexdigest() if data else f"row {row}"


def arrays_of(source: Source, options: Images) -> list[Array]:
    """The cells that are arrays and can be read as pictures: the values of others say nothing of their range."""
    return [c for c in source.cells if isinstance(c, np.ndarray) and _sound(c, options)]


def _sound(cell: Array, options: Images) -> bool:
    return not fault(cell.shape, cell.dtype, options) and not endless(cell)
