"""Series as people have them, checked, transformed, cut into windows and split before anything is fitted."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scarce.contract import Dataset, LoadContext
from scarce.errors import DataError
from scarce_timeseries.config import Timeseries
from scarce_timeseries.datasets import BuiltinSeries
from scarce_timeseries.raw import Array, Raw, RawSeries, objects
from scarce_timeseries.tables import OWN, read_frame, trimmed
from scarce_timeseries.tsfile import read_ts
from scarce_timeseries.windows import SPLITS, blocks, cut

LARGEST = 1e30  # beyond it squares leave the range of 32-bit floats


def load_series(ctx: LoadContext, options: Timeseries) -> Dataset:
    """A data set of series with stable ids; raises DataError saying what is wrong, where, and what to do."""
    if ctx.schema is not None:
        raise DataError("time series take no schema file", hint="--set data.options.channels=NAME says what the channels are")
    raw, options = _read(ctx, options)
    if raw.target in OWN:
        raise DataError(f"{raw.name}: a target can't be called '{raw.target}'", hint="give the column another name")
    raw, notes = clean(raw, options)
    records, splits, more = _records(raw, options)
    records, splits, left_out = _present(records, splits, options)
    notes = [*notes, *more, *left_out]
    if options.transform == "percent":
        records = [replace(s, values=percent(s, raw.channels)) for s in records]
    notes += _missing(records)
    values, classes = _labels(records, raw)
    keys = np.array([_hash(s.values) for s in records])
    captions = any(s.caption for s in records)
    labelled = np.array([v is not None for v in values]) if raw.target else np.ones(len(records), dtype=bool)
    return Dataset(
        name=raw.name, ids=_ids(records, keys, options), records=_frame(records, raw, values, captions, options),
        task="classification" if raw.target else "none", target_name=raw.target, target=values if raw.target else None, classes=classes,
        labelled=labelled, split=splits, groups=_groups(records, keys, splits, options), notes=tuple(notes),
        schema={"channels": list(raw.channels), "target": raw.target, "window": options.window, "stride": _stride(options),
                "transform": options.transform},
    )  # fmt: skip


def _read(ctx: LoadContext, options: Timeseries) -> tuple[Raw, Timeseries]:
    if isinstance(ctx.source, pd.DataFrame):
        return read_frame("DataFrame", ctx.source, options, ctx.target or "", ctx.group), options
    if ctx.builtin is not None:
        table: BuiltinSeries = ctx.builtin()
        options = Timeseries(**{**table.options, **options.model_dump(include=options.model_fields_set)})
        target = table.target if ctx.target is None else ctx.target
        raw = read_frame(table.name, pd.read_parquet(table.path), options, target, ctx.group)
        return replace(raw, notes=(table.note, *raw.notes)), options
    path = Path(str(ctx.source))
    if not path.is_file():
        what = f"{path} does not exist" if not path.exists() else f"{path} is a folder, not a file of series"
        raise DataError(what, hint="scarce run RECIPE --data FILE.csv, or scarce data list")
    suffix = path.suffix.lower()
    if suffix in (".ts", ".npz") and (ctx.group or options.caption):
        raise DataError(f"{path}: files of this kind have no columns of groups or captions", hint="write a Parquet file with columns")
    if suffix == ".ts":
        return read_ts(path, ctx.target), options
    if suffix == ".npz":
        return read_npz(path, ctx.target), options
    return read_frame(path.stem, _table(path, suffix), options, ctx.target or "", ctx.group), options


def _table(path: Path, suffix: str) -> pd.DataFrame:
    try:
        if suffix in (".parquet", ".pq"):
            return pd.read_parquet(path)
        head = path.read_text(encoding="utf-8-sig").partition("\n")[0]
        separator = max((",", ";", "\t", "|"), key=head.count)
        return pd.read_csv(path, sep=separator, encoding="utf-8-sig", skipinitialspace=True)
    except (OSError, ValueError, pd.errors.ParserError) as error:  # an empty file is a ValueError too
        raise DataError(f"{path} is not a readable {'Parquet' if suffix != '.csv' else 'CSV'} file: {error}", hint=f"head {path}") from None


def read_npz(path: Path, target: str | None) -> Raw:
    """Arrays X [n, t] or [n, t, c], optional y [n] and captions [n]; missing values at a series' end end it."""
    try:
        with np.load(path, allow_pickle=False) as found:
            arrays = {str(k).lower(): found[k] for k in found.files}
        x = np.asarray(arrays["x"], dtype=np.float64)
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{path} has no numeric array X: {error}", hint="np.savez(FILE, X=array of [series, steps, channels])") from None
    x = x[:, :, None] if x.ndim == 2 else x
    y, captions = arrays.get("y"), arrays.get("captions")
    if x.ndim != 3 or any(a is not None and len(a) != len(x) for a in (y, captions)):
        raise DataError(f"{path}: X has shape {x.shape}, and y and captions must be as long", hint="X is [series, steps, channels]")
    wanted = target if target is not None else ("class" if y is not None else "")
    if wanted not in ("", "class") or (wanted and y is None):
        raise DataError(f"{path} has {'no y' if y is None else 'the one target class'}, not '{wanted}'", hint="--set data.target=class")
    series = [
        RawSeries(
            name=str(i), values=trimmed(v), labels=objects([y[i]]) if wanted and y is not None else None,
            caption=str(captions[i]) if captions is not None and str(captions[i]) else None,
        )
        for i, v in enumerate(x)
    ]  # fmt: skip
    channels = ("value",) if x.shape[2] == 1 else tuple(f"dim_{i}" for i in range(x.shape[2]))
    return Raw(name=path.stem, series=series, channels=channels, target=wanted)


def clean(raw: Raw, options: Timeseries) -> tuple[Raw, list[str]]:
    """Series of at least two finite steps, transformed by steps; DataError for channels that hold nothing."""
    notes, kept = list(raw.notes), []
    wild = sum(int((np.abs(s.values) > LARGEST).sum()) for s in raw.series)
    if wild:
        notes.append(f"{wild} infinite values are treated as missing")
    for s in raw.series:
        values = np.where(np.abs(s.values) > LARGEST, np.nan, s.values)
        changed = steps_of(replace(s, values=values), raw.channels, options.transform)
        kept += [changed] if len(changed.values) > 1 else []
    if not kept:
        raise DataError(
            f"{raw.name} has no series of two or more steps", hint="--set data.options.layout=long, where each row is one time step"
        )
    if len(kept) < len(raw.series):
        notes.append(f"{len(raw.series) - len(kept)} series of fewer than two steps are left out")
    together = np.concatenate([s.values for s in kept])
    empty = np.isnan(together).all(0)
    if empty.any():
        name = raw.channels[int(np.flatnonzero(empty)[0])]
        raise DataError(f"{raw.name}: channel '{name}' has no value", hint="name the others: --set data.options.channels=[…]")
    constant = np.nanmax(together, 0) == np.nanmin(together, 0)
    if constant.all():
        raise DataError(f"{raw.name}: every channel is constant, so there is nothing to learn", hint="scarce data inspect FILE")
    notes += [f"channel '{c}' is constant" for c, same in zip(raw.channels, constant, strict=True) if same]
    return replace(raw, series=kept), notes


def steps_of(series: RawSeries, channels: tuple[str, ...], transform: str) -> RawSeries:
    """Differences or log returns of neighbouring steps (the first step goes), or the series as it is."""
    if transform not in ("diff", "log-return"):
        return series
    values = _logs(series, channels) if transform == "log-return" else series.values
    times = None if series.times is None else series.times[1:]
    labels = series.labels if series.labels is None or len(series.labels) == 1 else series.labels[1:]
    return replace(series, values=np.diff(values, axis=0), times=times, labels=labels)


def percent(series: RawSeries, channels: tuple[str, ...]) -> Array:
    """[t, c] 100 log(x / x_first) of one window, with its first present value: changes in percent."""
    logs = _logs(series, channels)
    first = np.argmax(~np.isnan(logs), axis=0)
    return np.asarray(100 * (logs - logs[first, np.arange(logs.shape[1])]))


def _logs(series: RawSeries, channels: tuple[str, ...]) -> Array:
    low = np.nanmin(np.where(np.isnan(series.values), np.inf, series.values), 0)
    if (low <= 0).any():
        which = int(np.flatnonzero(low <= 0)[0])
        what = f"series '{series.name}', channel '{channels[which]}' holds {low[which]:g}: logarithms need values above 0"
        raise DataError(what, hint="--set data.options.transform=diff")
    return np.log(series.values)


def _stride(options: Timeseries) -> int | None:
    return None if options.window is None else options.stride or max(1, options.window // 4)


def _records(raw: Raw, options: Timeseries) -> tuple[list[RawSeries], Array, list[str]]:
    """Whole series without splits; or windows, split by time where series are long enough, else kept together by series."""
    if options.window is None:
        return [replace(s, times=None) for s in raw.series], np.full(len(raw.series), "", "<U10"), []
    window, stride = options.window, _stride(options) or 1
    longest = max(len(s.values) for s in raw.series)
    if longest < window or (len(raw.series) < 3 and longest < 5 * window):
        need = window if len(raw.series) > 2 else 5 * window
        what = f"{raw.name}: the longest series has {longest} steps; windows of {window} steps need at least {need}"
        raise DataError(what, hint=f"--set data.options.window={max(2, longest // 10)}")
    short = [s for s in raw.series if len(s.values) < window]
    notes = [f"{len(short)} series shorter than a window of {window} steps are left out"] if short else []
    whole = [s for s in raw.series if len(s.values) >= window]
    spans = [blocks(len(s.values), window) for s in whole]
    by_time = any(span is not None for span in spans)
    brief = sum(span is None for span in spans)
    if by_time and brief:
        notes.append(f"{brief} series are too short to be split by time; all their windows are for training")
    out, splits = [], []
    for s, span in zip(whole, spans, strict=True):
        for part, place in cut(s, window, stride, span or [(0, len(s.values))]):
            out.append(part)
            splits.append(SPLITS[place] if by_time else "")
    if by_time:
        notes.append(f"windows are split by time (test last), with a gap of {window} steps between the parts")
    return out, np.array(splits, dtype="<U10"), notes


def _present(records: list[RawSeries], splits: Array, options: Timeseries) -> tuple[list[RawSeries], Array, list[str]]:
    """Records with few enough missing values."""
    share = np.array([np.isnan(s.values).mean() for s in records])
    kept = np.flatnonzero(share <= options.max_missing)
    if len(kept) == 0:
        raise DataError("every series has too many missing values", hint="--set data.options.max_missing=0.9")
    gone = len(records) - len(kept)
    notes = [f"{gone} of {len(records)} series with over {100 * options.max_missing:g} % missing values are left out"] if gone else []
    return [records[i] for i in kept], splits[kept], notes


def _missing(records: list[RawSeries]) -> list[str]:
    share = float(np.mean([np.isnan(s.values).mean() for s in records]))
    return [f"{100 * share:.2g} % of values are missing; they are interpolated between their neighbours"] if share else []


def _labels(records: list[RawSeries], raw: Raw) -> tuple[Array, tuple[Any, ...]]:
    """[n] class values (None: unknown) and the classes in order."""
    values = objects(None if s.labels is None else _one(s.labels) for s in records)
    if not raw.target:
        return values, ()
    found = list(dict.fromkeys(v for v in values if v is not None))
    known = sum(v is not None for v in values)
    if len(found) < 2:
        raise DataError(f"{raw.name}: target '{raw.target}' has {len(found)} classes", hint="choose a target with at least two values")
    if len(found) > 100 or (len(found) > known / 2 and known > 20):
        what = f"{raw.name}: target '{raw.target}' has {len(found)} different values in {known} series; series have classes as target"
        raise DataError(what, hint="--set data.target='' for none")
    return values, tuple(sorted(found, key=lambda v: (str(type(v)), v)))


def _one(labels: Array) -> Any:
    found = Counter(v for v in labels.tolist() if v is not None)
    return found.most_common(1)[0][0] if found else None


def _hash(values: Array, salt: str = "") -> str:
    return hashlib.blake2b(np.ascontiguousarray(values + 0.0).tobytes() + salt.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _ids(records: list[RawSeries], keys: Array, options: Timeseries) -> Array:
    windows = options.window is not None
    names = [f"{s.name}@{s.start}" if windows else f"{k}" for s, k in zip(records, keys, strict=True)]
    seen: Counter[str] = Counter()
    out = []
    for name in names:
        out.append(f"{name}-{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return np.array(out)


def _groups(records: list[RawSeries], keys: Array, splits: Array, options: Timeseries) -> Array:
    """[n] what shares a split: a group that is given, the series windows were cut from, or equal series."""
    apart = options.window is not None and not (splits != "").any()
    return np.array([s.group or (s.name if apart else key) for s, key in zip(records, keys, strict=True)])


def _frame(records: list[RawSeries], raw: Raw, values: Array, captions: bool, options: Timeseries) -> pd.DataFrame:
    out: dict[str, Any] = {"series": [s.values for s in records]}
    if captions:
        out["caption"] = objects(s.caption for s in records)
    if raw.target:
        out[raw.target] = values
    if raw.named or options.window is not None:
        out["source"] = [s.name for s in records]
    if any(s.start is not None for s in records):
        out["start"] = objects(s.start for s in records)
    return pd.DataFrame({k: pd.Series(v, dtype=object) for k, v in out.items()})
