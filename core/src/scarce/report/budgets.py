"""Rounds over arms and seeds: what a metric came to for the records that a learner had seen, one line per arm."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from scarce.contract.frozen import Frozen
from scarce.contract.results import Figure
from scarce.report.statistics import FEWEST_SEEDS, TOO_FEW, Child, label, number, t_interval

COLOURS = ("#2f6fb0", "#d9622b", "#4f9d69", "#8d6bb8", "#b7791f", "#5b6470")
DASHES = ("solid", "dash", "dot", "dashdot")  # for more arms than colours


class Point(Frozen):
    """One round of one arm: mean budget in records, and the metric's finite values, one per seed."""

    budget: float
    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Over seeds."""
        return float(np.mean(self.values))


def budget_figures(children: Sequence[Child]) -> list[Figure]:
    """A figure for each metric of two or more rounds that says its budget; none for a single child, which draws its own.

    Such a metric's source is "round N", and its note begins with the budget ("120 records").
    """
    if len(children) < 2:
        return []
    names = dict.fromkeys(m["name"] for child in children for m in child.metrics if _place(m))
    return [figure for name in names if (figure := _figure(children, name))]


def budget_points(children: Sequence[Child], metric: str) -> list[Point]:
    """The rounds in order, over the children of one arm."""
    found: dict[int, list[tuple[float, float]]] = {}
    for child in children:
        for m in child.metrics:
            if m["name"] == metric and (place := _place(m)) and math.isfinite(number(m.get("value"))):
                found.setdefault(place[0], []).append((place[1], number(m["value"])))
    return [
        Point(budget=float(np.mean([budget for budget, _ in said])), values=tuple(value for _, value in said))
        for _, said in sorted(found.items())
    ]


def _place(metric: Any) -> tuple[int, float] | None:
    """Number and budget of the round that a metric is of; None where it does not say both."""
    turn = re.fullmatch(r"round (\d+)", str(metric.get("source")))
    budget = re.match(r"(\d+) records\b", str(metric.get("note")))
    return (int(turn[1]), float(budget[1])) if turn and budget else None


def _figure(children: Sequence[Child], metric: str) -> Figure | None:
    by_arm = {arm: budget_points([c for c in children if c.arm == arm], metric) for arm in dict.fromkeys(c.arm for c in children)}
    drawn = {arm: points for arm, points in by_arm.items() if len(points) > 1}
    if not drawn:
        return None
    traces: list[dict[str, Any]] = []
    for i, (arm, points) in enumerate(drawn.items()):
        traces += _line(arm if len(by_arm) > 1 else "mean over seeds", points, i)
    points = [point for own in drawn.values() for point in own]
    low, high = _axis(points)
    layout = {
        "xaxis": {"title": {"text": "records the learner was trained on"}},
        "yaxis": {"title": {"text": label(metric)}, "range": [low, high]}, "height": 360,
    }  # fmt: skip
    title = f"{label(metric).capitalize()} against budget, {'arm by arm' if len(by_arm) > 1 else 'over seeds'}"
    caption = _caption(points, low, high)
    return Figure(name=f"{metric}_budget", title=title, caption=caption, traces=traces, layout=layout, section="rounds")


def _line(name: str, points: Sequence[Point], number: int) -> list[dict[str, Any]]:
    """The mean of each round, under it the band over the rounds that have one."""
    colour, dash = COLOURS[number % len(COLOURS)], DASHES[number // len(COLOURS) % len(DASHES)]
    bands = [(p.budget, *span) for p in points if (span := t_interval(p.values))]
    traces: list[dict[str, Any]] = []
    if len(bands) > 1:
        x, low, high = ([float(v) for v in side] for side in zip(*bands, strict=True))
        traces.append({
            "type": "scatter", "mode": "lines", "name": f"{name}, 95 % interval", "x": x + x[::-1], "y": high + low[::-1], "fill": "toself",
            "fillcolor": colour + "26", "line": {"width": 0, "color": colour}, "hoverinfo": "skip", "showlegend": False,
        })  # fmt: skip
    x, y = [p.budget for p in points], [p.mean for p in points]
    return [*traces, {"type": "scatter", "mode": "lines+markers", "name": name, "x": x, "y": y, "line": {"color": colour, "dash": dash}}]


def _axis(points: Sequence[Point]) -> tuple[float, float]:
    """Ends that show every seed with as much room again: the interval of two seeds can be ten times as wide as they are apart."""
    values = [value for point in points for value in point.values]
    room = max(max(values) - min(values), 0.01) / 2
    return min(values) - room, max(values) + room


def _caption(points: Sequence[Point], low: float, high: float) -> str:
    """What lines and bands are, over how many seeds, and what that many can't settle."""
    seeds = sorted({len(point.values) for point in points})
    many = f"{seeds[0]} to {seeds[-1]} seeds" if seeds[1:] else f"{seeds[0]} seed{'s' * (seeds[0] > 1)}"
    spans = [span for point in points if (span := t_interval(point.values))]
    said = [f"Lines are means over {many}"]
    said += ["bands are 95 % t-intervals over seeds" if seeds[0] > 1 else "bands, 95 % t-intervals, are there from two seeds on"]
    parts = ["; ".join(said) + "."]
    if any(span[0] < low or span[1] > high for span in spans):
        parts.append("Bands that leave the axis are wider than it.")
    if seeds[0] < FEWEST_SEEDS:
        parts.append(f"{seeds[0]} of at least {FEWEST_SEEDS} seeds: {TOO_FEW} which line is higher, or rises.")
    return " ".join(parts)
