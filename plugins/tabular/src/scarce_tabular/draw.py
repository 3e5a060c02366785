"""Pictures of a table: every column, real beside synthetic."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from scarce.contract import DrawContext, Figure
from scarce_tabular import fields as f
from scarce_tabular.codec import TableCodec

MOST = 24
BINS = 24
COLOURS = {"real": "#6b7280", "synthetic": "#2563eb"}


def draw_columns(ctx: DrawContext) -> list[Figure]:
    """One overlay per column, those that differ most first (total variation of the drawn bars)."""
    assert isinstance(ctx.codec, TableCodec)
    drawn = []
    for column in ctx.codec.fields:
        if isinstance(column, f.Number | f.Levels):
            name = column.column.name
            labels, real, synthetic = _bars(column, ctx.real[name], ctx.synthetic[name])
            drawn.append((float(np.abs(real - synthetic).sum()) / 2, str(name), labels, real, synthetic))
    drawn.sort(key=lambda d: -d[0])
    return [_figure(*d) for d in drawn[:MOST]]


def _bars(column: f.Number | f.Levels, real: pd.Series, synthetic: pd.Series) -> tuple[list[Any], Any, Any]:
    if isinstance(column, f.Levels):
        levels = [v for v in column.levels if v is not None][:BINS]
        shares = [s.value_counts(normalize=True, dropna=False) for s in (real, synthetic)]
        a, b = (np.array([float(share.get(v, 0.0)) for v in levels]) for share in shares)
        return [str(v) for v in levels], a, b
    values = [f.as_floats(column.column, s) for s in (real, synthetic)]
    values = [v[np.isfinite(v)] for v in values]
    edges = np.histogram_bin_edges(np.concatenate(values), bins=BINS)
    middles = (edges[1:] + edges[:-1]) / 2
    shown = [str(pd.Timestamp(m, unit="s"))[:16] for m in middles] if column.column.kind == "date" else middles.tolist()
    a, b = (np.histogram(v, edges)[0] / max(len(v), 1) for v in values)
    return shown, a, b


def _figure(difference: float, name: str, labels: list[Any], real: Any, synthetic: Any) -> Figure:
    traces = [
        {"type": "bar", "name": who, "x": labels, "y": np.round(share, 5).tolist(), "marker": {"color": COLOURS[who]}, "opacity": 0.6}
        for who, share in (("real", real), ("synthetic", synthetic))
    ]
    layout = {"barmode": "overlay", "bargap": 0.02, "height": 240, "yaxis": {"title": {"text": "share"}}}
    caption = f"total variation of the bars: {difference:.3f}"
    return Figure(name=f"column {name}", title=name, caption=caption, traces=traces, layout=layout, section="columns")
