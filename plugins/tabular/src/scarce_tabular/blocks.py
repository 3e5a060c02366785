"""Table files a block of rows at a time, so that no more than one is in memory."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from scarce.errors import DataError
from scarce_tabular.textfile import COMMA_NUMBER, header_of, opened, parse, refuse_fields

CELLS = 1_000_000  # of a block of rows
FEWEST = 250  # rows of a block, however wide

Places = npt.NDArray[np.int64]


class Blocks(Protocol):
    """A table file: how many rows it has, some of them, and all of them in order."""

    @property
    def rows(self) -> int:
        """How many."""

    def some(self, places: Places) -> pd.DataFrame:
        """The rows at some places, in order, as the whole file would be read."""

    def frames(self, like: pd.DataFrame) -> Iterator[pd.DataFrame]:
        """All rows in blocks, read as those of `like` were."""


@dataclass(frozen=True)
class ParquetBlocks:
    """A Parquet file; a row group is decoded no more than a block at a time."""

    path: Path
    rows: int
    columns: int

    def some(self, places: Places) -> pd.DataFrame:
        """See `Blocks`."""
        parts, at = [], 0
        for batch in self._batches():
            inside = places[np.searchsorted(places, at) : np.searchsorted(places, at + len(batch))]
            parts.append(batch.take(pa.array(inside - at)))
            at += len(batch)
        frame: pd.DataFrame = pa.Table.from_batches(parts).to_pandas()
        return frame.reset_index(drop=True)

    def frames(self, like: pd.DataFrame) -> Iterator[pd.DataFrame]:
        """See `Blocks`."""
        for batch in self._batches():
            yield pa.Table.from_batches([batch]).to_pandas().reset_index(drop=True)

    def _batches(self) -> Iterator[pa.RecordBatch]:
        with pq.ParquetFile(self.path, pre_buffer=False) as file:
            yield from file.iter_batches(max(FEWEST, CELLS // max(1, self.columns)), use_threads=False)


def parquet_blocks(path: Path) -> ParquetBlocks:
    """Blocks of a Parquet file; DataError where it can't be read."""
    try:
        about = pq.read_metadata(path)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path} is not a readable Parquet file: {error}", hint="write it again, or use CSV") from None
    return ParquetBlocks(path, about.num_rows, about.num_columns)


@dataclass(frozen=True)
class TextBlocks:
    """A CSV file: records are counted and checked once, and cut where they end, also where fields hold line breaks."""

    path: Path
    rows: int
    head: str
    separator: str
    names: tuple[str, ...]

    def some(self, places: Places) -> pd.DataFrame:
        """See `Blocks`."""
        wanted, lines = set(places.tolist()), [self.head]
        lines += [text for i, text in enumerate(_records(self.path, self.separator, len(self.names))) if i in wanted]
        return parse("".join(lines), self.path)

    def frames(self, like: pd.DataFrame) -> Iterator[pd.DataFrame]:
        """See `Blocks`."""
        kinds = {name: pd.api.types.infer_dtype(like[name], skipna=True) for name in like.columns}
        records = _records(self.path, self.separator, len(self.names))
        while block := list(islice(records, max(FEWEST, CELLS // len(self.names)))):
            yield self._frame("".join([self.head, *block]), kinds)

    def _frame(self, text: str, kinds: Mapping[str, str]) -> pd.DataFrame:
        written = {name: str for name, kind in kinds.items() if kind == "string"}
        frame = pd.read_csv(
            io.StringIO(text, newline=""), sep=self.separator, low_memory=False, index_col=False, names=list(kinds), header=0, dtype=written
        )
        for name, kind in kinds.items():
            series = frame[name]
            texts = self.separator == ";" and kind in ("integer", "floating") and not pd.api.types.is_numeric_dtype(series)
            if texts and series.dropna().astype(str).map(COMMA_NUMBER.fullmatch).notna().all():
                frame[name] = pd.to_numeric(series.astype("string").str.replace(",", "."))
        return frame


def text_blocks(path: Path) -> TextBlocks:
    """Blocks of a CSV file, all of whose records have as many fields as its header; DataError otherwise."""
    head, separator, names = header_of(path)
    return TextBlocks(path, sum(1 for _ in _records(path, separator, len(names))), head, separator, tuple(names))


def _records(path: Path, separator: str, fields: int) -> Iterator[str]:
    """The text of each record behind the header, with its end of line; blank ones are left out, as pandas does."""
    with opened(path) as file:
        lines = list[str]()

        def kept() -> Iterator[str]:
            for line in file:
                lines.append(line)
                yield line

        reader: Any = csv.reader(kept(), delimiter=separator)
        next(reader)
        lines.clear()
        try:
            for row in reader:
                if row:
                    refuse_fields(path, reader.line_num, len(row), fields)
                    yield "".join(lines).rstrip("\r\n") + "\n"
                lines.clear()
        except (csv.Error, UnicodeDecodeError) as error:
            raise DataError(f"{path} is not a table near line {reader.line_num}: {error}", hint="write it again as UTF-8 CSV") from None
