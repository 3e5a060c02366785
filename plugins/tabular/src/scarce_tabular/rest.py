"""Tables larger than memory: a sample of the rows is held, the others are read in blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scarce.contract import Dataset, LoadContext
from scarce.errors import DataError
from scarce.files import file_hash
from scarce_tabular.blocks import Blocks, Places, parquet_blocks, text_blocks
from scarce_tabular.constraints import check, from_json
from scarce_tabular.load import dataset_of, groups_of, load_table, named, one_type, same_keys
from scarce_tabular.schema import from_json as schema_from_json

types = pd.api.types


def load_held(ctx: LoadContext, constraints: Sequence[str] = ()) -> Dataset:
    """A data set of at most `ctx.hold` rows of a file, drawn under the seed, and the others as its rest; DataError as `load_table`."""
    if isinstance(ctx.source, pd.DataFrame):
        raise DataError("data.hold: rows that are given from Python are in memory already", hint="write them to a Parquet file and name it")
    found = None if ctx.builtin is None else ctx.builtin()
    path = Path(str(ctx.source)) if found is None else Path(found.path)
    if ctx.hold is None or not path.is_file():
        return load_table(ctx, constraints)
    blocks: Blocks = parquet_blocks(path) if path.suffix.lower() in (".parquet", ".pq") else text_blocks(path)
    if blocks.rows <= ctx.hold:
        return load_table(ctx, constraints)
    places = np.sort(np.random.default_rng(ctx.seed).choice(blocks.rows, ctx.hold, replace=False))
    note = f"{ctx.hold:,} of {blocks.rows:,} rows are held, drawn at random; the others are for the generator's training alone"
    name, target, notes = (path.stem, None, ()) if found is None else (found.name, found.target, (found.note,))
    data = dataset_of((name, blocks.some(places), target, (*notes, note)), ctx, constraints)
    return replace(data, rest=Further(path, blocks, places, data, ctx.group))


@dataclass(frozen=True)
class Further:
    """The rows of a file at other places than those of the data set that is held; see `contract.Rest`."""

    path: Path
    blocks: Blocks
    places: Places
    held: Dataset
    group: str | None

    @property
    def rows(self) -> int:
        """See `contract.Rest`."""
        return self.blocks.rows - len(self.places)

    @cached_property
    def mark(self) -> str:
        """The hash of the file."""
        return file_hash(self.path)

    def __iter__(self) -> Iterator[Dataset]:
        frame: pd.DataFrame = self.held.records
        at = 0
        for block in self.blocks.frames(frame):
            taken = self.places[np.searchsorted(self.places, at) : np.searchsorted(self.places, at + len(block))] - at
            rows = np.setdiff1d(np.arange(len(block)), taken, assume_unique=True)
            yield self._part(named(block, self.held.name)[0].iloc[rows].reset_index(drop=True), rows + at)
            at += len(block)

    def _part(self, block: pd.DataFrame, rows: Places) -> Dataset:
        held, like = self.held, self.held.records
        frame = pd.DataFrame({name: _as(block[name], like[name], held.name) for name in like.columns})
        target, values = held.target_name, None
        if held.task == "regression":
            kept = frame[target].notna().to_numpy()
            frame, rows = frame[kept].reset_index(drop=True), rows[kept]
            values = frame[target].to_numpy(dtype=np.float64, na_value=np.nan)
        elif held.task == "classification":
            values = frame[target].astype(object).where(frame[target].notna(), None).to_numpy(dtype=object)
        schema = schema_from_json({"columns": held.schema["columns"]})
        check(from_json(held.schema.get("constraints", {})), frame, schema)
        ids = np.array([f"row {row}" for row in rows.tolist()], dtype=str)
        labelled = np.ones(len(frame), bool) if held.task == "none" else frame[target].notna().to_numpy()
        groups = groups_of(frame, self.group, same_keys(frame, schema), held.name)
        none = np.full(len(frame), "", "<U10")
        return replace(held, ids=ids, records=frame, target=values, labelled=labelled, split=none, groups=groups, notes=(), rest=None)


def _as(series: pd.Series, like: pd.Series, name: str) -> pd.Series:
    """A column of a block in the type of the held rows; DataError where they have numbers or dates, and it has something else."""
    series = one_type(series)[0]
    if series.dtype == like.dtype and not types.is_object_dtype(like):
        return series
    if series.isna().all():
        return series.astype(np.float64 if _number(like) else object if types.is_bool_dtype(like) else like.dtype)
    if _number(like) and _number(series):
        whole = types.is_integer_dtype(like) and types.is_float_dtype(series) and series.isna().any()
        return series.astype("Int64" if whole else series.dtype if types.is_integer_dtype(like) else like.dtype)
    same_kind = types.is_datetime64_any_dtype(like) == types.is_datetime64_any_dtype(series) and not _number(like)
    if not same_kind:
        odd = series[series.notna() & pd.to_numeric(series, errors="coerce").isna()] if _number(like) else series
        shown = (odd if len(odd) else series).dropna().iloc[0]
        what = f"{name}: column '{series.name}' holds {like.dtype} in the rows that are held, and {shown!r} in others"
        raise DataError(what, hint="make its values of one type, or leave data.hold out")
    if _number(series) and not _booleans(like):
        return series.map(str, na_action="ignore").astype(object)
    return series


def _number(series: pd.Series) -> bool:
    return bool(types.is_numeric_dtype(series) and not types.is_bool_dtype(series))


def _booleans(series: pd.Series) -> Any:
    return types.infer_dtype(series, skipna=True) == "boolean"
