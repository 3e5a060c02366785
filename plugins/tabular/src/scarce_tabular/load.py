"""Tables as people have them: CSV, Parquet or a DataFrame, checked before anything is fitted."""

from __future__ import annotations

import csv
import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scarce.contract import Dataset, LoadContext
from scarce.errors import DataError, did_you_mean
from scarce.files import read_json
from scarce_tabular.datasets import BuiltinTable
from scarce_tabular.schema import Schema, infer, read_schema

MOST_CLASSES = 20


def load_table(ctx: LoadContext) -> Dataset:
    """A data set of rows with stable ids; raises DataError saying what is wrong, where, and what to do."""
    name, frame, target, notes = _read(ctx)
    frame, more = clean(frame, name)
    target = _target(frame, target if ctx.target is None else ctx.target, name)
    schema = read_schema(read_json(ctx.schema), frame) if ctx.schema else infer(frame)
    keys = content_keys(frame)
    groups = keys if ctx.group is None else frame[_column(frame, ctx.group, name)].astype(str).to_numpy().astype(str)
    values, classes, task = _labels(frame, target, schema, name)
    return Dataset(
        name=name, ids=_ids(keys), records=frame, task=task, target_name=target, target=values, classes=classes,
        labelled=np.ones(len(frame), bool) if target == "" else frame[target].notna().to_numpy(), split=np.full(len(frame), "", "<U10"),
        groups=groups, notes=(*notes, *more, *schema.notes), schema={**schema.to_json(), "target": target, "missing": ctx.missing},
    )  # fmt: skip


def _read(ctx: LoadContext) -> tuple[str, pd.DataFrame, str | None, tuple[str, ...]]:
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
    return path.stem, _read_text(path), None, ()


def _read_text(path: Path) -> pd.DataFrame:
    data = path.read_bytes()
    if not data.strip():
        raise DataError(f"{path} is empty", hint="give a CSV file with a header line and rows")
    if b"\x00" in data[:65536]:
        raise DataError(f"{path} is binary (it has zero bytes), not CSV", hint="scarce reads .csv, .tsv and .parquet")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        what = f"{path} is not UTF-8: byte 0x{data[error.start]:02x} at line {line}"
        raise DataError(what, hint=f"iconv -f latin1 -t utf-8 {path} > utf8.csv") from None
    head = text.split("\n", 1)[0]
    separator = max(",;\t|", key=head.count) if any(head.count(s) for s in ",;\t|") else ","
    names = next(csv.reader(io.StringIO(head.rstrip("\r")), delimiter=separator))
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise DataError(f"{path}: column name '{twice[0]}' appears {names.count(twice[0])} times", hint="give every column its own name")
    try:
        return pd.read_csv(io.StringIO(text), sep=separator, low_memory=False, skipinitialspace=False)
    except (pd.errors.ParserError, ValueError) as error:
        raise DataError(f"{path} is not a table: {error}", hint=f"every line needs the {len(names)} fields of the header") from None


def clean(frame: pd.DataFrame, name: str) -> tuple[pd.DataFrame, list[str]]:
    """A frame whose columns hold one type each, and notes on what was changed; raises DataError when it is unusable."""
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise DataError(f"{name}: column name '{twice[0]}' appears more than once", hint="give every column its own name")
    if len(frame) < 2:
        raise DataError(f"{name} has {len(frame)} row{'s' * (len(frame) != 1)}; a table needs at least 12", hint="give more rows")
    if frame.shape[1] < 1:
        raise DataError(f"{name} has no columns", hint="give a CSV file with a header line")
    notes, out = [], {}
    for column in frame.columns:
        series, note = _one_type(frame[column])
        out[column] = series
        notes += [note] if note else []
    return pd.DataFrame(out).reset_index(drop=True), notes


def _one_type(series: pd.Series) -> tuple[pd.Series, str]:
    types = pd.api.types
    if types.is_numeric_dtype(series) and not types.is_bool_dtype(series):
        if types.is_complex_dtype(series):
            raise DataError(f"column '{series.name}' holds complex numbers", hint="split it into two columns")
        values = series.to_numpy(dtype=np.float64, na_value=np.nan)
        infinite = int(np.isinf(values).sum())
        if infinite:
            return series.where(~np.isinf(values)), f"column '{series.name}': {infinite} infinite values are treated as missing"
        return series, ""
    if not types.is_object_dtype(series):
        return series, ""
    kinds = {type(v) for v in series.dropna()}
    if kinds <= {bool} or kinds <= {str}:
        return series, ""
    if all(issubclass(k, int | float | np.number) and k is not bool for k in kinds):
        return _one_type(pd.to_numeric(series))
    shown = ", ".join(sorted(k.__name__ for k in kinds))
    return series.map(lambda v: v if pd.isna(v) else str(v)), f"column '{series.name}' mixes types ({shown}); its values are read as text"


def _column(frame: pd.DataFrame, wanted: str, name: str) -> Any:
    found = [c for c in frame.columns if str(c) == wanted]
    if not found:
        known = [str(c) for c in frame.columns]
        raise DataError(
            f"{name} has no column '{wanted}'{did_you_mean(wanted, known)}; it has {', '.join(known[:30])}", hint="--set data.target=COLUMN"
        )
    return found[0]


def _target(frame: pd.DataFrame, wanted: str | None, name: str) -> Any:
    if wanted == "":
        return ""
    if wanted is None:
        known = ", ".join(str(c) for c in frame.columns[:30])
        raise DataError(
            f"{name}: which column is to be predicted? It has {known}", hint="--set data.target=COLUMN, or data.target='' for none"
        )
    return _column(frame, wanted, name)


def _labels(frame: pd.DataFrame, target: Any, schema: Schema, name: str) -> tuple[Any, tuple[Any, ...], Any]:
    """Target values, classes, and task: classes for texts, booleans and at most 20 whole numbers, else regression."""
    if target == "":
        return None, (), "none"
    series, kind = frame[target], schema[target].kind
    present = series.dropna()
    if present.nunique() < 2:
        seen = f"only {present.iloc[0]!r}" if len(present) else "nothing"
        raise DataError(f"{name}: target '{target}' has a single class: it holds {seen}", hint="choose a target with at least two values")
    if kind in ("identifier", "date"):
        raise DataError(
            f"{name}: target '{target}' is {'an identifier' if kind == 'identifier' else 'a date'}", hint="choose another column"
        )
    if kind == "float" or (kind == "integer" and present.nunique() > MOST_CLASSES):
        return series.to_numpy(dtype=np.float64, na_value=np.nan), (), "regression"
    values = series.astype(object).to_numpy()
    found = [v.item() if isinstance(v, np.generic) else v for v in present.astype(object).unique()]
    if len(found) > MOST_CLASSES * 5 or (len(found) > len(present) / 2 and len(present) > MOST_CLASSES):
        raise DataError(
            f"{name}: target '{target}' has {len(found)} different values in {len(present)} rows", hint="choose a target with fewer classes"
        )
    return values, tuple(sorted(found, key=lambda v: (str(type(v)), v))), "classification"


def content_keys(frame: pd.DataFrame) -> Any:
    """[n] hash of each row's values: equal rows have equal keys, whatever the storage type."""
    texts = ["\x1f".join(map(str, row)) for row in zip(*(frame[c].tolist() for c in frame.columns), strict=True)]
    return np.array([hashlib.blake2b(text.encode(), digest_size=8).hexdigest() for text in texts])


def _ids(keys: Any) -> Any:
    seen: dict[str, int] = {}
    out = []
    for key in keys.tolist():
        seen[key] = seen.get(key, -1) + 1
        out.append(f"{key}-{seen[key]}" if seen[key] else key)
    return np.array(out)
