"""Pictures of a table by itself, before anything is trained: its columns, what is missing, what goes together."""

from __future__ import annotations

import html
from typing import Any

import numpy as np

from scarce.contract import DrawContext, Figure
from scarce_tabular import fields as f
from scarce_tabular.association import associations
from scarce_tabular.columns import Columns, columns_of
from scarce_tabular.draw import bars, label
from scarce_tabular.texts import Text

ROWS = 20_000  # looked at for pairs of columns
MOST_COLUMNS = 200
MOST_MAPPED = 40
PAIRS = 15
BLUE = "#2f6fb0"


def look(ctx: DrawContext) -> list[Figure]:
    """Missing values, one picture per column (at most 200), and associations of the columns that go together most."""
    columns = columns_of(ctx.dataset)
    return [*_missing(ctx), *_associations(ctx, columns), *_columns(ctx)]


def _columns(ctx: DrawContext) -> list[Figure]:
    out = []
    for field in getattr(ctx.codec, "fields", ())[:MOST_COLUMNS]:
        series = ctx.real[field.column.name]
        if not isinstance(field, f.Number | f.Levels) or (isinstance(field, Text) and not any(v is not None for v in field.levels)):
            continue
        labels, shares, _ = bars(field, series, series.iloc[:0])
        missing = int(series.isna().sum())
        caption = f"{field.column.kind}, {field.column.distinct} different values" + (f", {missing} missing" if missing else "")
        trace = {"type": "bar", "x": labels, "y": np.round(shares, 5).tolist(), "marker": {"color": BLUE}}
        layout = {"bargap": 0.05, "height": 230, "yaxis": {"title": {"text": "share"}}}
        name = label(field.column.name)
        out.append(Figure(name=f"column {name}", title=name, caption=caption, traces=[trace], layout=layout, section="columns"))
    return out


def _missing(ctx: DrawContext) -> list[Figure]:
    shares = ctx.real.isna().mean()
    shares = shares[shares > 0].sort_values(ascending=False)[:MOST_COLUMNS]
    if not len(shares):
        return [Figure(name="missing", title="Missing values", html="<p>No value is missing.</p>", section="missing")]
    names = [html.escape(label(n), quote=False) for n in shares.index]
    trace = {"type": "bar", "x": list(range(len(names))), "y": np.round(shares.to_numpy(), 5).tolist(), "marker": {"color": BLUE}}
    axis = {"tickvals": list(range(len(names))), "ticktext": names, "tickangle": -40}
    layout = {"height": 320, "xaxis": axis, "yaxis": {"title": {"text": "share of rows"}, "range": [0, 1]}}
    return [Figure(name="missing", title="Missing values", traces=[trace], layout=layout, section="missing")]


def _associations(ctx: DrawContext, columns: Columns) -> list[Figure]:
    if len(columns.names) < 2 or len(ctx.real) < 3:
        return []
    rows = np.sort(np.random.default_rng(ctx.seed).permutation(len(ctx.real))[:ROWS])
    matrix = associations(ctx.real.iloc[rows], columns, method="spearman")
    i, j = np.triu_indices(len(matrix), 1)
    order = np.argsort(-np.abs(matrix[i, j]), kind="stable")[:PAIRS]
    cells = [(label(columns.names[i[k]]), label(columns.names[j[k]]), f"{matrix[i[k], j[k]]:+.2f}") for k in order]
    body = "".join(f"<tr>{''.join(f'<td>{html.escape(c)}</td>' for c in row)}</tr>" for row in cells)
    table = f'<table class="pairs"><thead><tr><th>column</th><th>column</th><th>association</th></tr></thead><tbody>{body}</tbody></table>'
    strongest = np.sort(np.argsort(-np.abs(matrix - np.eye(len(matrix))).max(0), kind="stable")[:MOST_MAPPED])
    names = [html.escape(label(columns.names[k], 18), quote=False) for k in strongest]
    ticks: dict[str, Any] = {"tickvals": list(range(len(names))), "ticktext": names, "showgrid": False}
    z = np.round(matrix[np.ix_(strongest, strongest)], 3).tolist()
    scale = [[0.0, "#b5482a"], [0.5, "#ffffff"], [1.0, "#2a5ea8"]]
    trace = {"type": "heatmap", "z": z, "colorscale": scale, "zmin": -1, "zmax": 1}
    layout = {"height": 560, "xaxis": {**ticks, "tickangle": -60}, "yaxis": {**ticks, "autorange": "reversed"}}
    caption = "Spearman of numbers, correlation ratio of a number and levels, Cramér's V of levels; the last two have no sign."
    left = f" The {len(names)} of {len(columns.names)} columns that go together most." if len(names) < len(columns.names) else ""
    return [
        Figure(name="associations", title="What goes together", caption=caption + left, traces=[trace], layout=layout, section="pairs"),
        Figure(name="strongest pairs", title="Strongest pairs", html=table, section="pairs"),
    ]
