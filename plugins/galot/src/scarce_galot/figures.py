"""Figures of rounds as plain plotly data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scarce.contract import Figure

ACCURACY, GAIN = "#2f6fb0", "#d9622b"


def accuracy_by_budget(points: Sequence[tuple[float, float]]) -> list[Figure]:
    """One figure of (budget, accuracy) points; nothing with fewer than two."""
    if len(points) < 2:
        return []
    x, y = zip(*points, strict=True)
    trace = {"type": "scatter", "mode": "lines+markers", "x": x, "y": y, "line": {"color": ACCURACY}}
    axes = {"xaxis": {"title": {"text": "records the classifier was trained on"}}, "yaxis": {"title": {"text": "test accuracy"}}}
    caption = "Each point is a fresh classifier; the first has seen the labelled records alone."
    title = "Accuracy against budget"
    return [Figure(name="budget", title=title, caption=caption, traces=[trace], layout={**axes, "height": 320}, section="rounds")]


def radii(search: Mapping[str, Any] | None) -> list[Figure]:
    """Gain of the score and label accuracy over the radii of a search; nothing without one."""
    if search is None:
        return []
    x = [t["epsilon"] for t in search["tried"]]
    gains = {"type": "scatter", "mode": "lines+markers", "name": "gain", "x": x, "y": [t["gain"] for t in search["tried"]]}
    labels = {
        "type": "scatter",
        "mode": "lines+markers",
        "name": "label accuracy",
        "x": x,
        "y": [t["label_accuracy"] for t in search["tried"]],
    }
    traces = [{**gains, "line": {"color": GAIN}}, {**labels, "line": {"color": ACCURACY}, "yaxis": "y2"}]
    layout = {
        "xaxis": {"title": {"text": "radius over the embedding's norm"}, "type": "log"}, "yaxis": {"title": {"text": "gain of the score"}},
        "yaxis2": {"title": {"text": "label accuracy"}, "overlaying": "y", "side": "right", "range": [0, 1.02]}, "height": 340,
    }  # fmt: skip
    chosen = f"the search chose {search['epsilon']:g}" if search["epsilon"] else "no radius raised the score with labels kept"
    caption = f"Samples that were not optimised keep {search['plain']:.2f} of their labels; {chosen}."
    return [Figure(name="radii", title="Gain and label accuracy", caption=caption, traces=traces, layout=layout, section="rounds")]
