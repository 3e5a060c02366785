"""Curves of a sweep as a table with sentences, and as figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from scarce.contract.results import Figure
from scarce.report.page import Block
from scarce.report.statistics import label, t_interval
from scarce.tools.sweep_cells import cell, difference
from scarce.tools.sweep_curves import Curve, called, crossed, curves, number_in, places_of, reached
from scarce.tools.sweep_results import Result, over_seeds

COLOURS = ("#2f6fb0", "#d9622b", "#4f9d69", "#8d6bb8", "#b7791f", "#5b6470", "#1f9e9e", "#b04f7f")


def _together(found: Sequence[Result], facts: Mapping[str, Any]) -> list[list[Curve]]:
    """Curves of one factor on one table, at most as many as there are colours."""
    by: dict[tuple[str, str], list[Curve]] = {}
    for curve in curves(found, facts):
        by.setdefault((curve.factor, curve.table), []).append(curve)
    return [mine[: len(COLOURS)] for mine in by.values()]


def curve_blocks(found: Sequence[Result], facts: Mapping[str, Any]) -> list[Block]:
    """Per numeric factor and table: every level against the largest, where that is reached, and where settings cross."""
    out, metric = [], facts["metric"]
    for mine in _together(found, facts):
        rows, said = [], []
        for curve in mine:
            made = curve.against_top(metric)
            for level, members in curve.levels.items():
                score = cell(members, [r.value(metric) for r in members], metric)
                rows.append((curve.setting, level, str(len({r.seed for r in members})), score, *difference(made.get(level))))
            said.append(f"with {curve.setting}, {reached(curve, metric)}" if curve.setting else reached(curve, metric))
        said += [crossed(mine[0], other, metric) for other in mine[1:]]
        head = ("setting", "level", "seeds", "score", f"score − that at {mine[0].top}", "verdict")
        note = ". ".join(text[0].upper() + text[1:] for text in said) + ". Differences are paired by seed; each interval holds for itself."
        out.append(Block(title=f"{mine[0].factor} on {mine[0].table}: every level against the largest", head=head, rows=rows, note=note))
    return out


def curve_figures(found: Sequence[Result], facts: Mapping[str, Any]) -> list[Figure]:
    """The score over each numeric factor with intervals over seeds; dashed, what the largest level scores."""
    return [_figure(mine, facts["metric"]) for mine in _together(found, facts)]


def _figure(mine: Sequence[Curve], metric: str) -> Figure:
    names = sorted({level for curve in mine for level in curve.levels}, key=number_in)
    spots, log = places_of(names)
    at = dict(zip(names, spots, strict=True))
    traces = [t for curve, colour in zip(mine, COLOURS, strict=False) for t in _traces(curve, at, metric, colour)]
    factor, score = mine[0].factor, label(metric or "score")
    axis = {
        "title": {"text": escape(factor)},
        "tickmode": "array",
        "tickvals": spots,
        "ticktext": names,
        "type": "log" if log else "linear",
    }
    caption = f"Means and 95 % t-intervals over seeds; dashed: {escape(called(factor, mine[0].top))}."
    return Figure(
        name=f"curve {factor} {mine[0].table}", title=f"{score} over {factor}, {mine[0].table}", caption=caption, traces=traces,
        layout={"xaxis": axis, "yaxis": {"title": {"text": escape(score)}}, "height": 380},
    )  # fmt: skip


def _traces(curve: Curve, at: Mapping[str, float], metric: str, colour: str) -> list[dict[str, Any]]:
    """A line with a bar per level, and the level of its top as a dashed line over all of them."""
    by_seed = {level: over_seeds(members, [r.value(metric) for r in members]) for level, members in curve.levels.items()}
    means = [float(np.mean(values)) for values in by_seed.values()]
    spans = [t_interval(values) for values in by_seed.values()]
    bars = [0.0 if span is None else (span[1] - span[0]) / 2 for span in spans]
    name, x = escape(curve.setting or "score"), [at[level] for level in by_seed]
    shown = {"type": "scatter", "legendgroup": name}
    dashed = {"color": colour, "dash": "dash", "width": 1}
    return [
        {**shown, "mode": "lines+markers", "name": name, "x": x, "y": means, "line": {"color": colour},
         "error_y": {"type": "data", "array": bars, "thickness": 1.2}},
        {**shown, "mode": "lines", "showlegend": False, "name": escape(called(curve.factor, curve.top)), "line": dashed,
         "x": [min(at.values()), max(at.values())], "y": [means[-1], means[-1]]},
    ]  # fmt: skip
