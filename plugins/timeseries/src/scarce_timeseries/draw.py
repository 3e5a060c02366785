"""Pictures of series: a few real ones beside synthetic ones, and where their values lie at each step."""

from __future__ import annotations

import html
from typing import Any

import numpy as np
import pandas as pd

from scarce.contract import DrawContext, Figure
from scarce_timeseries.codec import SeriesCodec
from scarce_timeseries.figures import COLOURS, MOST_CHANNELS, line, panels
from scarce_timeseries.signals import Floats, as_series, resampled

SHOWN = 6
QUANTILES = (0.1, 0.5, 0.9)


def draw_series(ctx: DrawContext) -> list[Figure]:
    """Curves, and bands of values by step; without synthetic series those of the real ones alone."""
    assert isinstance(ctx.codec, SeriesCodec)
    sides: dict[str, pd.DataFrame] = {"real": ctx.real}
    sides |= {"synthetic": ctx.synthetic} if len(ctx.synthetic) else {}
    sides = {who: frame for who, frame in sides.items() if len(frame)}
    channels = ctx.codec.channels[:MOST_CHANNELS]
    return [curves(sides, channels, ctx.codec, ctx.seed), bands(sides, channels, ctx.codec)] if sides else []


def curves(sides: dict[str, pd.DataFrame], channels: tuple[str, ...], codec: SeriesCodec, seed: int) -> Figure:
    """A few series of each source, the same classes in both where there are classes."""
    traces: list[dict[str, Any]] = []
    wanted: list[Any] = []
    for who, frame in sides.items():
        rows = chosen(frame, codec.target, wanted, seed)
        wanted = frame[codec.target].iloc[rows].tolist() if codec.target in frame.columns else []
        for k, row in enumerate(rows):
            values = as_series(frame["series"].iloc[row])
            for c in range(len(channels)):
                traces.append(line(who, range(len(values)), values[:, c], place=c, legend=k == c == 0, width=1.2, opacity=0.8))
    shown = ", ".join(html.escape(str(v), quote=False) for v in dict.fromkeys(wanted))
    caption = f"{SHOWN} series of each; classes: {shown}." if shown else f"{SHOWN} series of each, drawn at random."
    return Figure(name="series_curves", title="Series", caption=caption, traces=traces, layout=panels(channels, "step"), section="series")


def chosen(frame: pd.DataFrame, target: str, wanted: list[Any], seed: int) -> list[int]:
    """Positions of a few series: one of each wanted class where there is one, else at random."""
    order = np.random.default_rng([seed, 8]).permutation(len(frame)).tolist()
    if not wanted or target not in frame.columns:
        return [int(i) for i in order[:SHOWN]]
    labels, out = frame[target].tolist(), list[int]()
    for label in wanted:
        out += [i for i in order if labels[i] == label and i not in out][:1]
    return out


def bands(sides: dict[str, pd.DataFrame], channels: tuple[str, ...], codec: SeriesCodec) -> Figure:
    """Median, and the 10 % and 90 % quantiles, of all series at each step (series of other lengths are resampled)."""
    traces: list[dict[str, Any]] = []
    for who, frame in sides.items():
        series: list[Floats] = [as_series(cell) for cell in frame["series"].iloc[:2000] if len(cell)]
        same = np.stack([resampled(v, codec.length) for v in series])
        low, middle, high = np.nanquantile(same, QUANTILES, axis=0)
        for c in range(len(channels)):
            edge = {"fill": "tonexty", "fillcolor": f"{COLOURS[who]}33", "hoverinfo": "skip"}
            traces.append(line(who, range(codec.length), low[:, c], place=c, legend=False, width=0.0))
            traces.append({**line(who, range(codec.length), high[:, c], place=c, legend=False, width=0.0), **edge})
            traces.append(line(who, range(codec.length), middle[:, c], place=c, legend=c == 0))
    caption = "The median and the middle 80 % of values at each step."
    return Figure(
        name="series_bands", title="Values by step", caption=caption, traces=traces, layout=panels(channels, "step"), section="series"
    )
