"""Tables as people have them: CSV, Parquet or a DataFrame, checked before anything is fitted."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scarce.contract import Dataset, LoadContext
from scarce.errors import DataError, RunError, did_you_mean
from scarce.files import read_json
from scarce_tabular.constraints import check, parse, settle
from scarce_tabular.datasets import BuiltinTable
from scarce_tabular.schema import Column, Schema, infer, plain, read_schema
from scarce_tabular.textfile import read_text

MOST_CLASSES = 20
CHUNK = 50_000
LARGEST = 1e38  # the largest numbers that 32-bit floats hold


def load_table(ctx: LoadContext, constraints: Sequence[str] = ()) -> Dataset:
    """A data set of rows with stable ids that keep the constraints; raises DataError saying what is wrong, where, and what to do."""
    return dataset_of(_read(ctx), ctx, constraints)


Read = tuple[str, pd.DataFrame, str | None, tuple[str, ...]]
"""What a table is called, its rows, its own target, and notes."""


def dataset_of(read: Read, ctx: LoadContext, constraints: Sequence[str] = ()) -> Dataset:
    """The data set of rows that were read; see `load_table`."""
    name, frame, target, notes = read
    frame, more = clean(frame, name)
    target = _target(frame, target if ctx.target is None else ctx.target, name)
    schema = _schema(frame, ctx)
    values, classes, task = _labels(frame, target, schema, name)
    rules = parse(constraints, [str(c) for c in frame.columns])
    schema = settle(rules, schema, str(target), classes=task == "classification")
    check(rules, frame, schema)
    if task == "regression" and frame[target].isna().any():  # a number to be predicted can't be drawn for them
        kept = frame[target].notna().to_numpy()
        more.append(f"{int((~kept).sum())} rows without a value of the target '{target}' are left out")
        frame, values = frame[kept].reset_index(drop=True), values[kept]
        schema = replace(schema, columns=tuple(replace(c, missing=0) if c.name == target else c for c in schema.columns))
    keys = content_keys(frame)
    same = same_keys(frame, schema, keys)
    return Dataset(
        name=name, ids=_ids(keys), records=frame, task=task, target_name=target, target=values, classes=classes,
        labelled=np.ones(len(frame), bool) if task == "none" else frame[target].notna().to_numpy(),
        split=np.full(len(frame), "", "<U10"), groups=groups_of(frame, ctx.group, same, name), notes=(*notes, *more, *schema.notes),
        schema={**schema.to_json(), "target": target, "missing": ctx.missing, **({"constraints": rules.to_json()} if constraints else {})},
    )  # fmt: skip


def _schema(frame: pd.DataFrame, ctx: LoadContext) -> Schema:
    """The edited schema, or the inferred one; the group column is a name, never a feature."""
    try:
        found = read_schema(read_json(ctx.schema), frame) if ctx.schema else infer(frame)
    except RunError as error:
        raise DataError(f"schema: {error.message}", hint="scarce data inspect FILE -o schema.json writes one to edit") from None
    return replace(found, columns=tuple(_as_name(c) if str(c.name) == ctx.group else c for c in found.columns))


def _as_name(column: Column) -> Column:
    named_by = column.kind in ("integer", "category", "ordered", "text") and not column.dtype.startswith("bool")
    return replace(column, kind="identifier") if named_by else column


def _read(ctx: LoadContext) -> Read:
    if isinstance(ctx.source, pd.DataFrame):
        return "DataFrame", ctx.source.reset_index(drop=True), None, ()
    if ctx.builtin is not None:
        table: BuiltinTable = ctx.builtin()
        return table.name, pd.read_parquet(table.path), table.target, (table.note,)
    path = Path(str(ctx.source))
    if not path.is_file():
        what = f"{path} does not exist" if not path.exists() else f"{path} is a folder, not a table"
        raise DataError(what, hint="scarce run RECIPE --data FILE.csv, or scarce data list")
    if path.suffix.lower() in (".parquet", ".pq"):
        try:
            return path.stem, pd.read_parquet(path), None, ()
        except Exception as error:
            raise DataError(f"{path} is not a readable Parquet file: {error}", hint="write it again, or use CSV") from None
    return path.stem, read_text(path), None, ()


def clean(frame: pd.DataFrame, name: str) -> tuple[pd.DataFrame, list[str]]:
    """A frame whose columns hold one type each, and notes on what was changed; raises DataError when it is unusable."""
    frame, notes = named(frame, name)
    if len(frame) < 2:
        raise DataError(f"{name} has {len(frame)} row{'s' * (len(frame) != 1)}; a table needs at least 12", hint="give more rows")
    if frame.shape[1] < 1:
        raise DataError(f"{name} has no columns", hint="give a CSV file with a header line")
    out = {}
    for column in frame.columns:
        out[column], note = one_type(frame[column])
        notes += [note] if note else []
    return pd.DataFrame(out).reset_index(drop=True), notes


def named(frame: pd.DataFrame, name: str) -> tuple[pd.DataFrame, list[str]]:
    """A frame whose columns are all called by texts or all by whole numbers; raises DataError for a name used twice."""
    names = frame.columns.tolist()
    notes = []
    kinds: set[type] = {type(n) for n in names}
    if kinds not in (set(), {str}, {int}):
        names, notes = [str(n) for n in names], ["column names are read as text"]
    twice = [n for n, count in Counter(names).items() if count > 1]
    if twice:
        what = f"{name}: column name '{twice[0]}' appears {names.count(twice[0])} times"
        raise DataError(what, hint="give every column its own name")
    return frame.set_axis(names, axis=1), notes


def one_type(series: pd.Series) -> tuple[pd.Series, str]:
    """A column that holds one type of value, and a note when that changed something."""
    types = pd.api.types
    if isinstance(series.dtype, pd.ArrowDtype):
        series = series.convert_dtypes(dtype_backend="numpy_nullable")
    if types.is_numeric_dtype(series) and not types.is_bool_dtype(series):
        return _finite(series)
    if types.is_string_dtype(series.dtype) and not types.is_object_dtype(series):
        return series, ""
    if types.is_bool_dtype(series) or types.is_datetime64_any_dtype(series):
        return series, ""
    if types.is_timedelta64_dtype(series):
        return series.dt.total_seconds(), f"column '{series.name}' holds durations; they are read as seconds"
    if isinstance(series.dtype, pd.CategoricalDtype):
        return _categories(series)
    return _objects(series)


def _finite(series: pd.Series) -> tuple[pd.Series, str]:
    if pd.api.types.is_complex_dtype(series):
        raise DataError(f"column '{series.name}' holds complex numbers", hint="split it into two columns")
    if isinstance(series.dtype, pd.SparseDtype):
        series = pd.Series(series.array.to_dense(), index=series.index, name=series.name)
    values = series.to_numpy(dtype=np.float64, na_value=np.nan)
    wild = np.abs(values) > LARGEST
    if not wild.any():
        return series, ""
    what = "infinite values are" if np.isinf(values[wild]).all() else f"values that are infinite or beyond {LARGEST:g} are"
    return series.where(~wild), f"column '{series.name}': {int(wild.sum())} {what} treated as missing"


def _categories(series: pd.Series) -> tuple[pd.Series, str]:
    """A category of texts, numbers or booleans as it is; other levels (intervals, dates) by their text."""
    levels = series.cat.categories.tolist()
    if len({type(v) for v in levels}) <= 1 and all(isinstance(v, str | bool | int | float) for v in levels):
        return series, ""
    texts = [str(v) for v in levels]
    if len(set(texts)) < len(texts):
        return _objects(series.astype(object))
    return series.cat.rename_categories(texts), f"column '{series.name}': its levels are read as text ({texts[0]!r})"


def _objects(series: pd.Series) -> tuple[pd.Series, str]:
    """Python objects: all texts or all booleans as they are, numbers as numbers, anything else by its text."""
    gone = series.isna()
    present = series[~gone].astype(object)
    kinds = {type(v) for v in present}
    if all(issubclass(k, str) for k in kinds):
        return series.astype(object), ""
    if all(issubclass(k, bool | np.bool_) for k in kinds):
        return present.map(bool).astype(object).reindex(series.index), ""
    if all(issubclass(k, int | float | Decimal | np.number) and k is not bool for k in kinds):
        try:
            return _finite(_numbers(present).reindex(series.index))
        except (OverflowError, TypeError):
            pass
    shown = ", ".join(sorted(k.__name__ for k in kinds))
    what = f"mixes types ({shown})" if len(kinds) > 1 else f"holds {shown} values"
    return present.map(str).astype(object).reindex(series.index), f"column '{series.name}' {what}; its values are read as text"


def _numbers(present: pd.Series) -> pd.Series:
    numbers = pd.to_numeric(present)
    return numbers.astype(np.float64) if pd.api.types.is_object_dtype(numbers) else numbers


def _column(frame: pd.DataFrame, wanted: str, name: str, setting: str) -> Any:
    found = [c for c in frame.columns if str(c) == str(wanted)]
    if not found:
        known = [str(c) for c in frame.columns]
        what = f"{name} has no column '{wanted}'{did_you_mean(wanted, known)}; it has {', '.join(known[:30])}"
        alone = "separate the columns by a comma, semicolon, tab or |" if len(known) == 1 else f"--set data.{setting}=COLUMN"
        raise DataError(what, hint=alone)
    return found[0]


def _target(frame: pd.DataFrame, wanted: str | None, name: str) -> Any:
    if wanted == "":
        return ""
    if wanted is None:
        known = ", ".join(str(c) for c in frame.columns[:30])
        raise DataError(
            f"{name}: which column is to be predicted? It has {known}", hint="--set data.target=COLUMN, or data.target='' for none"
        )
    return _column(frame, wanted, name, "target")


def same_keys(frame: pd.DataFrame, schema: Schema, keys: Any = None) -> Any:
    """[n] hash of what rows say: those that differ only in a name are equal; keys: of all their values."""
    told = [c.name for c in schema.columns if c.kind not in ("identifier", "text")]
    return content_keys(frame[told]) if told or keys is None else keys


def groups_of(frame: pd.DataFrame, group: str | None, keys: Any, name: str) -> Any:
    """[n] which rows stay together: equal rows, or those of one value of the group column (missing: each by itself)."""
    if group is None:
        return keys
    series = frame[_column(frame, group, name, "group")]
    return np.where(series.isna(), keys, series.astype(str).to_numpy(dtype=str, na_value="")).astype(str)


def _labels(frame: pd.DataFrame, target: Any, schema: Schema, name: str) -> tuple[Any, tuple[Any, ...], Any]:
    """Target values, classes, and task: classes for texts, booleans and at most 20 whole numbers, else regression."""
    if target == "":
        return None, (), "none"
    series, kind = frame[target], schema[target].kind
    present = series.dropna()
    if present.nunique() < 2:
        seen = f"only {present.iloc[0]!r}" if len(present) else "nothing"
        raise DataError(f"{name}: target '{target}' has a single class: it holds {seen}", hint="choose a target with at least two values")
    if kind in ("identifier", "date", "text"):
        what = {"identifier": "an identifier", "date": "a date", "text": "free text"}[kind]
        raise DataError(f"{name}: target '{target}' is {what}", hint="choose another column")
    if kind == "float" or (kind == "integer" and present.nunique() > MOST_CLASSES):
        return series.to_numpy(dtype=np.float64, na_value=np.nan), (), "regression"
    found = [plain(v) for v in present.astype(object).unique()]
    if len(found) > MOST_CLASSES * 5 or (len(found) > len(present) / 2 and len(present) > MOST_CLASSES):
        raise DataError(
            f"{name}: target '{target}' has {len(found)} different values in {len(present)} rows", hint="choose a target with fewer classes"
        )
    values = series.astype(object).where(series.notna(), None).to_numpy(dtype=object)
    return values, tuple(sorted(found, key=lambda v: (str(type(v)), v))), "classification"


def content_keys(frame: pd.DataFrame) -> Any:
    """[n] hash of each row's values: equal rows have equal keys."""
    keys = []
    for start in range(0, len(frame), CHUNK):  # Python objects of all rows at once would take ten times the table
        part = frame.iloc[start : start + CHUNK]
        for row in zip(*(_values(part[c]) for c in frame.columns), strict=True):
            text = "\x1f".join(map(str, row)).encode("utf-8", "surrogatepass")
            keys.append(hashlib.blake2b(text, digest_size=8).hexdigest())
    return np.array(keys)


def _values(series: pd.Series) -> list[Any]:
    # dates as whole numbers: some pandas releases crash where a time zone moves a date past their range
    return series.array.view("i8").tolist() if pd.api.types.is_datetime64_any_dtype(series) else series.tolist()


def _ids(keys: Any) -> Any:
    seen: dict[str, int] = {}
    out = []
    for key in keys.tolist():
        seen[key] = seen.get(key, -1) + 1
        out.append(f"{key}-{seen[key]}" if seen[key] else key)
    return np.array(out)
