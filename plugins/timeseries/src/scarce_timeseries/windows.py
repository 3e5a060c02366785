"""Cutting long series into windows: blocks of time for train, validation and test with a gap of one window between."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from scarce_timeseries.raw import Array, RawSeries

SPLITS = ("train", "validation", "test")
SHARES = (0.1, 0.25)  # of the time outside gaps: validation, test; the rest is train


def blocks(length: int, window: int) -> list[tuple[int, int]] | None:
    """(begin, end) of train, validation and test, each at least a window long and a window apart; None when there is no room."""
    usable = length - 2 * window
    if usable < 3 * window:
        return None
    validation, test = (max(window, round(share * usable)) for share in SHARES)
    train = usable - validation - test
    second = train + window
    third = second + validation + window
    return [(0, train), (second, second + validation), (third, length)]


def cut(series: RawSeries, window: int, stride: int, spans: list[tuple[int, int]]) -> Iterator[tuple[RawSeries, int]]:
    """Windows of a series inside each span, with the number of the span; `start` is the position or time of the first step."""
    for place, (begin, end) in enumerate(spans):
        for at in range(begin, end - window + 1, stride):
            part = slice(at, at + window)
            labels = series.labels if series.labels is None or len(series.labels) == 1 else _most(series.labels[part])
            yield replace(series, values=series.values[part], labels=labels, start=stamp(series.times, at), times=None), place


def stamp(times: Array | None, at: int) -> Any:
    """Where a window starts: an ISO text, a number, or the position where no times are known."""
    if times is None:
        return str(at)
    found = times[at]
    return str(np.datetime_as_string(found, unit="s")) if np.issubdtype(times.dtype, np.datetime64) else f"{float(found):g}"


def _most(labels: Array) -> Array:
    """[1] the most frequent known label, the earliest of equals."""
    out = np.empty(1, dtype=object)
    known = Counter(v for v in labels.tolist() if v is not None)
    out[0] = known.most_common(1)[0][0] if known else None
    return out
