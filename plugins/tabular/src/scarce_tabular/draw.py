"""Pictures of a table: every column, real beside synthetic."""

from __future__ import annotations

import html
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
            labels, real, synthetic = bars(column, ctx.real[name], ctx.synthetic[name])
            if labels:
                drawn.append((float(np.abs(real - synthetic).sum()) / 2, label(name), labels, real, synthetic))
    drawn.sort(key=lambda d: -d[0])
    return [_figure(*d) for d in drawn[:MOST]]


def label(name: Any, most: int = 60) -> str:
    """A column's name as a picture shows it: shortened."""
    text = str(name) or "(no name)"
    return text if len(text) <= most else f"{text[: most - 1]}…"


def bars(column: f.Number | f.Levels, real: pd.Series, synthetic: pd.Series) -> tuple[list[Any], Any, Any]:
    """Labels of a column's bars (plotly reads them as markup, so they are escaped) and the share of rows in each, twice."""
    if isinstance(column, f.Levels):
        levels = [v for v in column.levels if v is not None][:BINS]
        shares = [s.value_counts(normalize=True, dropna=False) for s in (real, synthetic)]
        a, b = (np.array([float(share.get(v, 0.0)) for v in levels]) for share in shares)
        shown = [html.escape(label(v), quote=False) for v in levels]
        return [text if shown.count(text) == 1 else f"{text} ({i})" for i, text in enumerate(shown)], a, b
    values = [f.as_floats(column.column, s) for s in (real, synthetic)]
    values = [v[np.isfinite(v)] for v in values]
    edges = np.histogram_bin_edges(np.concatenate(values), bins=BINS)  # of no values: from 0 to 1
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
