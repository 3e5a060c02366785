"""Figures of series as plain plotly data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from scarce.contract import Figure
from scarce_timeseries.signals import Floats

COLOURS = {"real": "#6b7280", "real hold-out": "#2f6fb0", "synthetic": "#d9622b"}
MOST_CHANNELS = 6


def overlay(
    name: str, title: str, caption: str, axis: str, curves: Mapping[str, Floats], channels: Sequence[str], *, start: int
) -> list[Figure]:
    """One figure of each source's curve [k, c], its channels side by side; nothing without curves."""
    if not curves:
        return []
    shown = list(channels[:MOST_CHANNELS])
    traces: list[dict[str, Any]] = []
    for c in range(len(shown)):
        for who, values in curves.items():
            x = list(range(start, start + len(values)))
            traces.append(line(who, x, values[:, c], place=c, legend=c == 0))
    return [Figure(name=name, title=title, caption=caption, traces=traces, layout=panels(shown, axis), section="fidelity")]


def line(
    who: str, x: Sequence[Any], y: Floats, *, place: int = 0, legend: bool = True, width: float = 2.0, opacity: float = 1.0
) -> dict[str, Any]:
    """A line of one source in the panel at `place`."""
    mark = "" if place == 0 else str(place + 1)
    found = [None if not np.isfinite(v) else round(float(v), 5) for v in y]
    return {
        "type": "scatter", "mode": "lines", "name": who, "legendgroup": who, "showlegend": legend, "x": list(x), "y": found,
        "xaxis": f"x{mark}", "yaxis": f"y{mark}", "line": {"color": COLOURS[who], "width": width}, "opacity": opacity,
    }  # fmt: skip


def panels(titles: Sequence[str], axis: str, height: int = 320) -> dict[str, Any]:
    """A layout of panels side by side, each under its title."""
    n, layout = len(titles), dict[str, Any](annotations=[], height=height)
    for i, title in enumerate(titles):
        mark, begin, end = "" if i == 0 else str(i + 1), i / n + 0.03 * (i > 0), (i + 1) / n - 0.03 * (i < n - 1)
        layout[f"xaxis{mark}"] = {"domain": [begin, end], "anchor": f"y{mark}", "title": {"text": axis}}
        layout[f"yaxis{mark}"] = {"anchor": f"x{mark}"}
        layout["annotations"].append(
            {
                "text": title, "x": (begin + end) / 2, "y": 1.02, "xref": "paper", "yref": "paper", "xanchor": "center",
                "yanchor": "bottom", "showarrow": False,
            }
        )  # fmt: skip
    return layout
