"""A sweep as tables for people, and as one HTML file that opens offline; everything in it is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from importlib.util import find_spec
from typing import Any

import numpy as np

from scarce.contract.results import Figure
from scarce.report.page import Block, render_page
from scarce.report.results import SHARES, shown
from scarce.report.statistics import FEWEST_SEEDS, MAIN_METRIC, TOO_FEW, Comparison, label
from scarce.tools.sweep_cells import cell, difference
from scarce.tools.sweep_curve_page import curve_blocks, curve_figures
from scarce.tools.sweep_results import Effect, Place, Result, effects, over_seeds, places


def blocks(found: Sequence[Result], facts: Mapping[str, Any]) -> list[Block]:
    """The numbers as tables: one per factor, wins and losses across tables, the Pareto front, and what is not finished."""
    made = effects(found, facts)
    out = [Block(title="Notes", note=_note(found, made, facts["metric"]))]
    columns = ("seeds", "score", "% of real", "correlation distance", "hold-out share", "trainable", "train CPU s", "not finished")
    for factor, levels in facts["factors"].items():
        rows = [(e.table, *_line(e, facts["metric"]), *difference(e.against)) for e in made if e.factor == factor]
        head = ("table", "level", *columns, f"score − {levels[0]}", "verdict")
        out += [Block(title=factor, head=head, rows=rows)] if rows else []
    out += curve_blocks(found, facts)
    if len({r.table for r in found}) > 1:
        counted = ("factor", "level", "better", "worse", "no evidence", "too few", "mean above / below")
        out.append(Block(title="Across tables", head=counted, rows=_across(made), note="How many tables; nothing is pooled over tables."))
    front = [(p.table, p.point, shown(p.score, facts["metric"]), shown(p.cost)) for p in places(found, facts) if p.front]
    said = "Per table, means over seeds; no other point is as good at no more cost."
    out.append(Block(title="Pareto front", head=("table", "point", "score", facts["cost"]), rows=front, note=said))
    failed = [(r.point, str(r.seed), r.status, r.error) for r in found if r.status != "done"]
    return out + ([Block(title="Not finished", head=("point", "seed", "status", "why"), rows=failed)] if failed else [])


def _note(found: Sequence[Result], made: Sequence[Effect], metric: str) -> str:
    names = [metric] if metric else dict.fromkeys(MAIN_METRIC.get(r.task, "") for r in found)
    claims = sum(e.against is not None and e.against.n >= FEWEST_SEEDS for e in made)
    return (
        f"score: {' or '.join(label(name) for name in names if name) or 'none'} of what is trained on synthetic rows, on real test rows; "
        "±: 95 % t-interval over seeds, each seed the mean over its points. Differences are paired by seed and point; "
        f"{claims} comparisons, verdicts hold for all together (Holm); under {FEWEST_SEEDS} seeds: {TOO_FEW}."
    )


def _line(effect: Effect, metric: str) -> tuple[str, ...]:
    found = effect.members
    size = over_seeds(found, [r.cost("trainable") for r in found])
    return (
        effect.level,
        str(len({r.seed for r in found if r.status == "done"})),
        cell(found, [r.value(metric) for r in found], metric),
        cell(found, [r.of_real(metric) for r in found], SHARES[0]),
        cell(found, [r.value("correlation_distance") for r in found]),
        cell(found, [r.value("holdout_share") for r in found], "holdout_share"),
        f"{np.mean(size):,.0f}" if size else "–",
        cell(found, [r.cost("train_cpu_seconds") for r in found]),
        str(sum(r.status != "done" for r in found) or ""),
    )


def _across(made: Sequence[Effect]) -> list[tuple[str, ...]]:
    by: dict[tuple[str, str], list[Comparison]] = {}
    for e in made:
        by.setdefault((e.factor, e.level), []).extend([e.against] if e.against else [])
    return [
        (*key, *(str(sum(c.verdict == word for c in found)) for word in ("better", "worse", "no evidence", TOO_FEW)),
         f"{sum(c.mean > 0 for c in found)} / {sum(c.mean < 0 for c in found)}")
        for key, found in by.items() if found
    ]  # fmt: skip


def page(found: Sequence[Result], facts: Mapping[str, Any]) -> str:
    """The HTML; the plot needs plotly and is left out without it."""
    score, cost = label(facts["metric"] or "score"), facts["cost"]
    traces = _traces(places(found, facts)) if find_spec("plotly") else []
    axes = {"xaxis": {"title": {"text": escape(cost)}}, "yaxis": {"title": {"text": escape(score)}}}
    front = Figure(name="sweep", title=f"{score} against {cost}", traces=traces, layout={**axes, "height": 460})
    figures = [*curve_figures(found, facts), front] if traces else []
    return render_page(f"Sweep of {facts['name']}", (), blocks(found, facts), figures, facts["command"])


def _traces(found: Sequence[Place]) -> list[dict[str, Any]]:
    """Per table every point as a dot, and the front as a line through its points."""
    out: list[dict[str, Any]] = []
    for table in dict.fromkeys(p.table for p in found):
        mine = sorted((p for p in found if p.table == table), key=lambda p: p.cost)
        front = [p for p in mine if p.front]
        for name, ps, mode in ((table, mine, "markers"), (f"{table}: front", front, "lines")):
            places = {"x": [p.cost for p in ps], "y": [p.score for p in ps], "text": [escape(p.point) for p in ps]}
            out.append({"type": "scatter", "name": escape(name), "mode": mode, **places, "line": {"shape": "hv"}})
    return out
