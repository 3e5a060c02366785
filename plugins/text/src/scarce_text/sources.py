"""Where texts come from: a folder with a sub-folder per class, a table in a file, or a DataFrame; nothing is cleaned here."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from scarce.errors import DataError
from scarce_text.clean import decoded

SPLITS = {
    "train": "train", "training": "train", "test": "test", "testing": "test", "validation": "validation", "valid": "validation",
    "val": "validation", "dev": "validation",
}  # fmt: skip
UNLABELLED = ("unsup", "unlabelled", "unlabeled")
TEXTS = ("text", "review", "sentence", "content", "document", "body", "message", "comment")
LABELS = ("label", "class", "target", "category")
FORMS = "a folder, .csv, .tsv, .jsonl or .parquet"


@dataclass(frozen=True, kw_only=True)
class Source:
    """Texts as they were found: a table with a row each; names: paths that become ids, None for a table's rows."""

    name: str
    table: pd.DataFrame
    names: list[str] | None = None
    notes: tuple[str, ...] = ()


def read_path(path: Path, encoding: str | None) -> Source:
    """Texts of a folder or a file; raises DataError for what is missing, of another form or not readable."""
    if not path.exists():
        raise DataError(f"{path} does not exist", hint="scarce run RECIPE --data FILE, or scarce data list")
    if path.is_dir():
        return from_folder(path, encoding)
    suffix = path.suffix.lower()
    if suffix not in (".csv", ".tsv", ".tab", ".jsonl", ".ndjson", ".parquet", ".pq"):
        raise DataError(f"{path}: texts are read from {FORMS}, not '{suffix}'", hint="give a table with a row per text")
    if suffix in (".parquet", ".pq"):
        try:
            return from_frame(path.stem, pd.read_parquet(path))
        except (OSError, ValueError) as error:
            raise DataError(f"{path} is not a readable Parquet file: {error}", hint="write it again, or use JSONL") from None
    text, guessed = decoded(path.read_bytes(), str(path), encoding)
    if not text.strip():
        raise DataError(f"{path} is empty", hint="give a header line, and a row per text")
    try:
        frame = _objects(text) if suffix in (".jsonl", ".ndjson") else _fields(text, suffix)
    except (ValueError, AttributeError, pd.errors.ParserError) as error:
        raise DataError(f"{path} is not a readable {suffix[1:].upper()} file: {error}", hint=f"head {path}") from None
    notes = (f"{path.name} is not UTF-8; it is read as {guessed}",) if guessed else ()
    return from_frame(path.stem, frame, notes)


def from_frame(name: str, frame: pd.DataFrame, notes: Sequence[str] = ()) -> Source:
    """Texts of a table; raises DataError without rows, or for a column name that comes twice."""
    frame = frame.reset_index(drop=True).rename(columns=str)
    twice = [c for c, count in Counter(frame.columns).items() if count > 1]
    if twice:
        raise DataError(f"{name}: column '{twice[0]}' appears more than once", hint="give every column its own name")
    if len(frame) == 0:
        raise DataError(f"{name} has no rows", hint="give a table with a row per text")
    return Source(name=name, table=frame, notes=tuple(notes))


def _objects(text: str) -> pd.DataFrame:
    lines = [json.loads(line) for line in text.splitlines() if line.strip()]
    names = dict.fromkeys(name for line in lines for name in line)
    return pd.DataFrame({name: pd.Series([line.get(name) for line in lines], dtype=object) for name in names})


def _fields(text: str, suffix: str) -> pd.DataFrame:
    """A table of texts: only an empty cell is missing; a column of nothing but whole numbers holds numbers."""
    head = text.partition("\n")[0]
    separator = "\t" if suffix in (".tsv", ".tab") else max((",", ";", "\t", "|"), key=head.count)
    if separator == "\t" and (frame := _unquoted(text)) is not None:
        return frame.apply(_numbers)
    frame = pd.read_csv(io.StringIO(text, newline=""), sep=separator, dtype=str, keep_default_na=False, na_values=[""], index_col=False)
    return frame.apply(_numbers)


def _unquoted(text: str) -> pd.DataFrame | None:
    """Lines with as many tabs as the first, in which a quotation mark is a character like others; None where that doesn't hold."""
    rows = [line.split("\t") for line in text.split("\n") if line.strip("\r")]
    if len({len(row) for row in rows}) != 1:
        return None
    cells = [[_inner(cell.strip("\r")) or None for cell in row] for row in rows]
    return pd.DataFrame(cells[1:], columns=[str(c) for c in cells[0]], dtype=object)


def _inner(cell: str) -> str:
    quoted = len(cell) > 1 and cell[0] == cell[-1] == '"'
    return cell[1:-1].replace('""', '"') if quoted else cell


def _numbers(series: pd.Series) -> pd.Series:
    present = [str(v) for v in series if isinstance(v, str)]
    if not present or not all(v.isascii() and v.removeprefix("-").isdigit() and str(int(v)) == v for v in present):
        return series.astype(object)
    return pd.Series([int(v) if isinstance(v, str) else None for v in series], dtype=object)


def from_folder(path: Path, encoding: str | None) -> Source:
    """Texts of the .txt files below a folder in order of their paths, the first sub-folder being their class.

    Where the sub-folders are called train, validation and test, classes lie one folder below, and the splits are those; a class
    folder `unsup` or `unlabelled` has none. Raises DataError without a text.
    """
    found = sorted((p for p in path.rglob("*") if p.is_file()), key=lambda p: p.relative_to(path).as_posix())
    shown = [p for p in found if not any(part.startswith(".") for part in p.relative_to(path).parts)]
    files = [p for p in shown if p.suffix.lower() in (".txt", "")]
    if not files:
        kinds = ", ".join(f"{n} {s or 'without suffix'}" for s, n in Counter(p.suffix for p in shown).most_common(5))
        what = f"{path} has no .txt files" + (f"; it has {kinds}" if kinds else ": it is empty")
        raise DataError(what, hint="give a sub-folder per class with a .txt file per text, or a table")
    places = [p.relative_to(path).parts[:-1] for p in files]
    official = {part[0].lower() for part in places if part} <= set(SPLITS) and all(places)
    rows, guessed = [], Counter[str]()
    for file, parts in zip(files, places, strict=True):
        text, used = decoded(file.read_bytes(), str(file), encoding)
        guessed[used] += 1
        parts = parts[1:] if official else parts
        label = parts[0] if parts and parts[0].lower() not in UNLABELLED else None
        rows.append({"text": text, "label": label, **({"split": file.relative_to(path).parts[0]} if official else {})})
    frame = pd.DataFrame(rows).astype(object)
    frame = frame.drop(columns="label") if frame["label"].isna().all() else frame
    notes = [f"{n} of {len(files)} files are not UTF-8; they are read as {used}" for used, n in guessed.items() if used]
    other = Counter(p.suffix.lower() for p in shown if p not in set(files))
    notes += [f"files that are no texts are left out: {', '.join(f'{n} {s}' for s, n in other.most_common(5))}"] if other else []
    return Source(name=path.name, table=frame, names=[p.relative_to(path).as_posix() for p in files], notes=tuple(notes))


def joined(train: Source, test: Source) -> Source:
    """Training texts (and validation ones, where a split column says so), then those of a test file."""
    first, second = train.table, test.table
    missing = [c for c in first.columns if c not in second.columns and c != "split"]
    if missing:
        what = f"{test.name}, the test part, has no column '{missing[0]}'; it has {', '.join(second.columns[:20])}"
        raise DataError(what, hint="give both parts the same columns")
    given = first["split"] if "split" in first.columns else pd.Series(["train"] * len(first), dtype=object)
    parts = [first.assign(split=given), second[[c for c in first.columns if c != "split"]].assign(split="test")]
    names = None
    if train.names is not None and test.names is not None:
        names = [f"train/{n}" for n in train.names] + [f"test/{n}" for n in test.names]
    return Source(name=train.name, table=pd.concat(parts, ignore_index=True), names=names, notes=(*train.notes, *test.notes))
