"""The report as one HTML file that opens offline: verdict first, every number beside its baselines."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from scarce.contract.results import Figure
from scarce.report.budgets import budget_figures
from scarce.report.page import fill
from scarce.report.results import Results, shown, side
from scarce.report.statistics import MAIN_METRIC, SOURCES, Comparison, label, paired, summarise
from scarce.report.text import TITLES, all_tables, interval_note
from scarce.report.verdict import flags
from scarce.report.worth import curve_figure

_COLOURS = {"real": "#2f6fb0", "synthetic": "#d9622b", "both": "#8d6bb8"}


def render(results: Results) -> str:
    """The HTML of the report; whatever came from the data is escaped."""
    own = (_bars(results), curve_figure(results.children, results.task), *budget_figures(results.children))
    drawn = [f for f in (*own, *results.figures) if f]
    figures = [f.with_(section=f.section if f.section in TITLES else "more") for f in drawn]
    cards = (("Data", results.data_card), ("Cost", results.cost), ("Provenance", results.provenance))
    return fill(
        "report.html.j2", figures,
        results=results, verdicts=[(arm, results.verdict(arm)) for arm in results.arms or ("",)], flags=flags(results.children),
        side=partial(side, results), titles=TITLES, tables={t.section: t for t in all_tables(results)}, comparisons=_comparisons(results),
        seeds=_seeds(results), interval=interval_note(results),
        cards=[(title, _flat(facts)) for title, facts in cards if facts],
    )  # fmt: skip


def _bars(results: Results) -> Figure | None:
    """The main metric of each source with its interval over seeds, and every seed as a dot."""
    metric, one = MAIN_METRIC.get(results.task, ""), len(results.arms) == 1
    rows = [r for r in summarise(results.children) if r.name == metric and math.isfinite(r.value)]
    if not rows:
        return None
    traces: list[dict[str, Any]] = []
    order = {source: i for i, source in enumerate(SOURCES)}
    for arm in results.arms:
        found = sorted((r for r in rows if r.arm == arm), key=lambda r: order.get(r.source, 2))
        spread = {"type": "data", "array": [0 if r.high is None else r.high - r.value for r in found], "color": "#333", "thickness": 1.2}
        marker = {"marker": {"color": [_COLOURS.get(r.source, "#aeb6c1") for r in found]}} if one else {}
        x, y = [label(r.source) for r in found], [r.value for r in found]
        traces.append({"type": "bar", "name": arm, "x": x, "y": y, "error_y": spread, **marker})
    dots = [(label(r.source), v) for r in rows for v in r.values if math.isfinite(v)] if one else []
    dot = {"type": "scatter", "mode": "markers", "name": "one seed", "marker": {"color": "rgba(20,20,20,.45)", "size": 5}}
    traces += [{**dot, "x": [d[0] for d in dots], "y": [d[1] for d in dots]}] if dots else []
    low = min(v for r in rows for v in r.values if math.isfinite(v))
    axis = {"title": {"text": label(metric)}, "range": [min(low, max(0.0, low - 0.1)), None]}
    title = f"{label(metric)} on real test rows, by what the model was trained on"
    caption = f"Bars are means ({interval_note(results)}), dots are seeds." + (" The axis does not start at zero." if low > 0.1 else "")
    layout = {"yaxis": axis, "barmode": "group", "showlegend": not one, "height": 340}
    return Figure(name="utility", title=title, caption=caption, traces=traces, layout=layout, section="utility")


def _comparisons(results: Results) -> list[tuple[str, Comparison]]:
    """Paired over seeds: what synthetic rows add to real ones, and each arm against the first."""
    metric = MAIN_METRIC.get(results.task, "")
    pairs = [((arm, a), (arm, "real")) for arm in results.arms for a in ("both", "synthetic")]
    pairs += [((arm, "synthetic"), (results.arms[0], "synthetic")) for arm in results.arms[1:]]
    found = [(f"{label(metric)}: {side(results, *a)} − {side(results, *b)}", paired(results.children, a, b, metric)) for a, b in pairs]
    return [(name, c) for name, c in found if c.n]


def _seeds(results: Results) -> list[tuple[str, str, list[str]]]:
    """Every value: metric, source, one text per child."""
    rows = summarise(results.children)
    return [(label(r.name), side(results, r.arm, r.source), [shown(v, r.name) for v in r.values]) for r in rows]


def _flat(facts: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested plain data as lines ("a.b", text); a list of mappings has one line each."""
    lines: list[tuple[str, str]] = []
    for key, value in facts.items():
        lines += _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else [(f"{prefix}{key}", _item(value))]
    return lines


def _item(value: Any) -> str:
    if isinstance(value, Mapping):
        return " · ".join(_item(v) for v in value.values() if v not in ("", None))
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ("\n" if any(isinstance(v, Mapping) for v in value) else ", ").join(map(_item, value)) or "–"
    text = f"{value:,.4g}" if isinstance(value, float) else str(value)
    return f"{text[:12]}…" if re.fullmatch("[0-9a-f]{40,}", text) else text
