"""Text files as tables: encoding, separator and every line are checked before pandas reads them."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import pandas as pd

from scarce.errors import DataError

COMMA_NUMBER = re.compile(r"[-+]?\d+(,\d+)?")


def read_text(path: Path) -> pd.DataFrame:
    """A CSV file (also separated by semicolons, tabs or bars) with a header; raises DataError naming line and problem."""
    return parse(_decode(path), path)


def parse(text: str, path: Path) -> pd.DataFrame:
    """The table that a text is, said to be of the file `path`; DataError as `read_text`."""
    try:
        separator, names = _header(text, path)
        _check_lines(text, separator, names, path)
        frame = pd.read_csv(io.StringIO(text, newline=""), sep=separator, low_memory=False, index_col=False)
        if separator == ";" and _decimal_commas(frame):
            frame = pd.read_csv(io.StringIO(text, newline=""), sep=separator, low_memory=False, index_col=False, decimal=",")
        if names.count("") == 1:  # pandas calls it "Unnamed: 0"
            frame = frame.set_axis([*frame.columns[: names.index("")], "", *frame.columns[names.index("") + 1 :]], axis=1)
        codes = _leading_zeros(text, separator, frame)
        if codes:
            frame = _as_texts(frame, text, separator, codes)
    except (pd.errors.ParserError, csv.Error, ValueError) as error:
        raise DataError(f"{path} is not a table: {error}", hint="write it again as CSV with a header line") from None
    return frame


def _decode(path: Path) -> str:
    data = path.read_bytes()
    if not data.strip():
        raise DataError(f"{path} is empty", hint="give a CSV file with a header line and rows")
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    if encoding != "utf-16" and b"\x00" in data:
        raise DataError(f"{path} is binary (it has zero bytes), not CSV", hint="scarce reads .csv, .tsv and .parquet")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        what = f"{path} is not {'UTF-16' if encoding == 'utf-16' else 'UTF-8'}: byte 0x{data[error.start]:02x} at line {line}"
        raise DataError(what, hint=f"iconv -f latin1 -t utf-8 {path} > utf8.csv") from None


@contextmanager
def opened(path: Path) -> Iterator[TextIO]:
    """A text file, to be read a line at a time."""
    with path.open("rb") as file:
        start = file.read(2)
    with path.open(encoding="utf-16" if start in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig", newline="") as text:
        yield text


def header_of(path: Path) -> tuple[str, str, list[str]]:
    """The first record of a file as it is written, the separator, and the names; DataError where there is none."""
    with opened(path) as file:
        try:
            head = file.readline()
            while head.count('"') % 2 and (more := file.readline()):
                head += more
        except UnicodeDecodeError as error:
            raise DataError(f"{path} is not UTF-8: {error.reason}", hint=f"iconv -f latin1 -t utf-8 {path} > utf8.csv") from None
    if not head.strip() or "\x00" in head:
        raise DataError(f"{path} has no header line", hint="give a CSV file with a header line and rows")
    return head.rstrip("\r\n") + "\n", *_header(head, path)


def _header(text: str, path: Path) -> tuple[str, list[str]]:
    """The separator that splits the first record into most names, and these names."""
    separators = "\t,;|" if path.suffix.lower() == ".tsv" else ",;\t|"
    found = {s: next(csv.reader(io.StringIO(text, newline=""), delimiter=s), []) for s in separators}
    separator = max(found, key=lambda s: len(found[s]))
    return separator, found[separator]


def _check_lines(text: str, separator: str, names: list[str], path: Path) -> None:
    twice = sorted({n for n in names if n and names.count(n) > 1})
    if twice:
        raise DataError(f"{path}: column name '{twice[0]}' appears {names.count(twice[0])} times", hint="give every column its own name")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    for fields in reader:
        if fields:
            refuse_fields(path, reader.line_num, len(fields), len(names))


def refuse_fields(path: Path, line: int, found: int, named: int) -> None:
    """Raise DataError for a record that has not as many fields as the header."""
    if found != named:
        what = f"{path} is not a table: line {line} has {found} fields, the header names {named}"
        raise DataError(what, hint=f"give every line the {named} fields of the header")


def _leading_zeros(text: str, separator: str, frame: pd.DataFrame) -> list[int]:
    """Columns of numbers some of which are written with leading zeros: codes, not numbers."""
    numeric = [i for i, t in enumerate(frame.dtypes) if pd.api.types.is_numeric_dtype(t) and not pd.api.types.is_bool_dtype(t)]
    if not numeric or not re.search(r"(^|[,;\t|\n\"])0\d", text):
        return []
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    next(rows)
    found = {i for row in rows for i in numeric if row and row[i][:1] == "0" and row[i][1:2].isdigit()}
    return sorted(found)


def _as_texts(frame: pd.DataFrame, text: str, separator: str, places: list[int]) -> pd.DataFrame:
    """The frame with some columns as they are written."""
    written = pd.read_csv(io.StringIO(text, newline=""), sep=separator, usecols=places, dtype=str, index_col=False)
    out = frame.copy(deep=False)
    for i, name in zip(places, written.columns, strict=True):
        out[frame.columns[i]] = written[name]
    return out


def _decimal_commas(frame: pd.DataFrame) -> bool:
    """Whether some text column holds nothing but numbers written with a decimal comma."""
    for name in frame.columns:
        present = frame[name].dropna()
        if len(present) and not pd.api.types.is_numeric_dtype(present) and not pd.api.types.is_bool_dtype(present):
            texts = present.astype(str)
            if texts.str.contains(",", regex=False).any() and texts.map(COMMA_NUMBER.fullmatch).notna().all():
                return True
    return False
