"""Tables as series: one row per time step ("long"), one row per series ("wide"), or a column of arrays."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from scarce.contract import find_column
from scarce.errors import DataError
from scarce_timeseries.config import Timeseries
from scarce_timeseries.raw import Array, Floats, Raw, RawSeries, objects

OWN = ("series", "caption", "source", "start")  # columns of a record besides its target


@dataclass(frozen=True, kw_only=True)
class Table:
    """A frame and which of its columns are no values: the target, captions and groups ("" where there is none)."""

    name: str
    frame: pd.DataFrame
    options: Timeseries
    target: Any = ""
    caption: Any = ""
    group: Any = ""

    @property
    def taken(self) -> set[Any]:
        """Columns that are never channels."""
        o = self.options
        return {c for c in (self.target, self.caption, self.group) if c != ""} | {c for c in self.frame.columns if c in (o.series, o.time)}


def read_frame(name: str, frame: pd.DataFrame, options: Timeseries, target: str, group: str | None) -> Raw:
    """Series of a frame in the layout the options name, or the one it shows; DataError when there is none."""
    if len(frame) == 0 or frame.shape[1] == 0:
        raise DataError(f"{name} is empty: {len(frame)} rows, {frame.shape[1]} columns", hint="give a file with a header line and rows")
    twice = [str(c) for c, count in Counter(map(str, frame.columns)).items() if count > 1]
    if twice:
        raise DataError(f"{name}: column '{twice[0]}' appears more than once", hint="give every column its own name")
    ready = "series" in frame.columns and isinstance(frame["series"].iloc[0], list | tuple | np.ndarray)
    columns = list(frame.columns)
    caption = "" if options.caption is None else find_column(columns, options.caption, name, "data.options.caption")
    table = Table(
        name=name, frame=frame.reset_index(drop=True), options=options,
        target="" if target == "" else find_column(columns, target, name, "data.target"),
        caption="caption" if ready and not caption and "caption" in columns else caption,
        group="" if group is None else find_column(columns, group, name, "data.group"),
    )  # fmt: skip
    if ready:
        return read_ready(table)
    long = options.layout == "long" or (options.layout == "auto" and (options.time or options.series))
    return read_long(table) if long else read_wide(table)


def read_ready(table: Table) -> Raw:
    """Records that carry their values in a column `series`: arrays or lists [t] or [t, c]."""
    frame, values = table.frame, []
    for i, cell in enumerate(frame["series"]):
        try:
            array = np.array([np.asarray(step, dtype=np.float64) for step in cell], dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise DataError(
                f"{table.name}, row {i}: its series holds no numbers ({error})", hint="use float arrays [steps, channels]"
            ) from None
        values.append(array[:, None] if array.ndim == 1 else array)
        if values[-1].ndim != 2 or values[-1].shape[1] != values[0].shape[1]:
            what = f"{table.name}, row {i}: a series of shape {array.shape} where the first has {values[0].shape[1]} channels"
            raise DataError(what, hint="use float arrays [steps, channels]")
    channels = table.options.channels or (("value",) if values[0].shape[1] == 1 else tuple(f"dim_{i}" for i in range(values[0].shape[1])))
    if len(channels) != values[0].shape[1]:
        raise DataError(f"{table.name} has {values[0].shape[1]} channels, not {len(channels)}", hint="--set data.options.channels=[]")
    named = "source" in frame.columns
    names = frame["source"].astype(str).tolist() if named else [str(i) for i in range(len(frame))]
    starts = frame["start"].tolist() if "start" in frame.columns else [None] * len(frame)
    series = [_row(table, i, names[i], v, starts[i]) for i, v in enumerate(values)]
    return Raw(name=table.name, series=series, channels=tuple(channels), target=str(table.target), named=named)


def read_wide(table: Table) -> Raw:
    """One series per row: numeric columns in order; missing values at its end end a series."""
    columns, channels, notes = _steps(table)
    if len(columns) < 2:
        what = f"{table.name}: read as one series per row, each has {len(columns)} step{'s' * (len(columns) != 1)}"
        raise DataError(what, hint="--set data.options.layout=long, where each row is one time step")
    cube = np.stack([_numbers(table, c) for step in columns for c in step], 1).reshape(len(table.frame), len(columns), len(channels))
    series = [_row(table, i, str(i), trimmed(v)) for i, v in enumerate(cube)]
    if len({len(s.values) for s in series}) > 1:
        notes.append("missing values at the end of a row are the end of its series")
    return Raw(name=table.name, series=series, channels=channels, target=str(table.target), notes=tuple(notes))


def trimmed(values: Floats) -> Floats:
    """Values [t, c] without the steps at their end that hold nothing."""
    present = np.flatnonzero(~np.isnan(values).all(1))
    return values[: present[-1] + 1] if len(present) else values[:0]


def _row(table: Table, i: int, name: str, values: Floats, start: Any = None) -> RawSeries:
    def cell(column: Any) -> Any:
        return None if column == "" else objects([table.frame[column].iloc[i]])[0]

    said, group = cell(table.caption), cell(table.group)
    return RawSeries(
        name=name, values=values, labels=None if table.target == "" else objects([cell(table.target)]), start=start,
        caption=None if said is None else str(said), group=None if group is None else str(group),
    )  # fmt: skip


def _steps(table: Table) -> tuple[list[tuple[Any, ...]], tuple[str, ...], list[str]]:
    """Columns of each step in order of the channels, the channels, and notes on columns that are left out."""
    left = [c for c in table.frame.columns if c not in table.taken]
    prefixes = table.options.channels
    if prefixes:
        found = {(m[1], int(m[2])): c for c in left if (m := re.fullmatch(r"(.*?)[ _.-]?(\d+)", str(c)))}
        counts = {p: sorted(k for name, k in found if name == p) for p in prefixes}
        if not all(counts.values()) or len({tuple(v) for v in counts.values()}) > 1:
            shown = ", ".join(f"{p} has {len(v)}" for p, v in counts.items())
            raise DataError(
                f"{table.name}: columns such as {prefixes[0]}1, {prefixes[0]}2 per channel: {shown}", hint="--set data.options.channels=[]"
            )
        return [tuple(found[p, k] for p in prefixes) for k in counts[prefixes[0]]], prefixes, []
    # What pandas calls the row numbers of a CSV file it wrote itself.
    numeric = [c for c in left if not re.fullmatch(r"Unnamed: \d+", str(c)) and _is_numeric(table, c)]
    other = [str(c) for c in left if c not in set(numeric)]
    notes = [f"columns without numbers are left out: {', '.join(other[:10])}"] if other else []
    return [(c,) for c in numeric], ("value",), notes


def _is_numeric(table: Table, column: Any) -> bool:
    """Whether a column holds numbers; one that holds both numbers and texts is a mistake, not a name."""
    values = table.frame[column]
    if pd.api.types.is_numeric_dtype(values):
        return True
    if pd.api.types.is_datetime64_any_dtype(values) or values.isna().all():
        return bool(values.isna().all())
    parsed = pd.to_numeric(values, errors="coerce")
    bad = parsed.isna() & values.notna()
    if bad.any() and parsed.notna().sum() > bad.sum():
        row = int(np.flatnonzero(bad)[0])
        raise DataError(
            f"{table.name}, row {row}: column '{column}' holds {values.iloc[row]!r}, not a number", hint="leave missing cells empty"
        )
    return not bad.any()


def _numbers(table: Table, column: Any) -> Floats:
    values = table.frame[column]
    parsed = pd.to_numeric(values, errors="coerce")
    bad = parsed.isna() & values.notna()
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise DataError(
            f"{table.name}, row {row}: column '{column}' holds {values.iloc[row]!r}, not a number", hint="leave missing cells empty"
        )
    return np.asarray(parsed.to_numpy(dtype=np.float64, na_value=np.nan))


def read_long(table: Table) -> Raw:
    """One row per time step: series by an id column (or one), steps in order of time (or of the rows)."""
    frame, options, name = table.frame, table.options, table.name
    ids = None if options.series is None else find_column(frame.columns, options.series, name, "data.options.series")
    time = None if options.time is None else find_column(frame.columns, options.time, name, "data.options.time")
    taken = table.taken | {ids, time}
    if options.channels:
        channels = [find_column(frame.columns, c, name, "data.options.channels") for c in options.channels]
    else:
        channels = [c for c in frame.columns if c not in taken and _is_numeric(table, c)]
    if not channels:
        raise DataError(
            f"{name} has no numeric column besides {', '.join(map(str, taken - {None})) or 'none'}", hint="scarce data inspect FILE"
        )
    values = np.stack([_numbers(table, c) for c in channels], 1)
    times = None if time is None else _times(frame[time], name)
    keys = frame[ids].astype(str).to_numpy() if ids is not None else np.full(len(frame), name)
    order = list(dict.fromkeys(keys.tolist()))
    places = {key: np.flatnonzero(keys == key) for key in order} if len(order) < 200 else frame.groupby(keys, sort=False).indices
    sorted_count, odd, steps, series = 0, 0, 0, []
    for key in order:
        rows = np.asarray(places[key])
        if times is not None:
            rows, moved, irregular = _in_order(rows, times[rows], key)
            sorted_count, odd, steps = sorted_count + moved, odd + irregular, steps + len(rows) - 1
        series.append(_long(table, rows, key, values, times))
    notes = [f"{sorted_count} of {len(order)} series were not in order of time and are sorted"] if sorted_count else []
    notes += (
        [f"irregular time stamps: {100 * odd / steps:.1f} % of steps differ from the usual one; steps are taken as equal"] if odd else []
    )
    return Raw(
        name=name, series=series, channels=tuple(map(str, channels)), target=str(table.target), named=ids is not None, notes=tuple(notes)
    )


def _long(table: Table, rows: Array, key: str, values: Floats, times: Array | None) -> RawSeries:
    def first(column: Any) -> str | None:
        found = [] if column == "" else [v for v in objects(table.frame[column].iloc[rows]) if v is not None]
        return str(found[0]) if found else None

    labels = None if table.target == "" else objects(table.frame[table.target].iloc[rows])
    return RawSeries(
        name=key, values=values[rows], labels=labels, times=None if times is None else times[rows],
        caption=first(table.caption), group=first(table.group),
    )  # fmt: skip


def _times(values: pd.Series, name: str) -> Array:
    """[n] numbers or datetime64; DataError for a stamp that is neither."""
    if pd.api.types.is_numeric_dtype(values):
        found = values.to_numpy(dtype=np.float64, na_value=np.nan)
        bad = ~np.isfinite(found)
    else:
        parsed = pd.to_datetime(values, errors="coerce", utc=True, format="mixed")
        found, bad = parsed.dt.tz_localize(None).to_numpy(dtype="datetime64[us]"), parsed.isna().to_numpy()
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise DataError(f"{name}, row {row}: time stamp {values.iloc[row]!r} can't be read", hint="write ISO dates or numbers")
    return np.asarray(found)


def _in_order(rows: Array, times: Array, key: str) -> tuple[Array, int, int]:
    """Rows in order of time, whether they moved, and how many steps differ from the median one; DataError for equal stamps."""
    order = np.argsort(times, kind="stable")
    steps = np.diff(times[order]).astype(np.float64)
    if (steps == 0).any():
        at = times[order][int(np.flatnonzero(steps == 0)[0])]
        raise DataError(f"series '{key}' has two rows at time {at}", hint="--set data.options.series=COLUMN that tells series apart")
    usual = float(np.median(steps)) if len(steps) else 0.0
    return rows[order], int((np.diff(order) < 0).any()), int((np.abs(steps - usual) > 0.01 * usual).sum())
