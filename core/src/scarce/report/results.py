"""What a report is made of, and its numbers as tables that HTML and plain text share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scarce.contract.results import Figure
from scarce.report.statistics import MAIN_METRIC, METRICS, SOURCES, Child, Row, find, summarise
from scarce.report.verdict import Verdict, flags, judge

UTILITY = ("utility", "macro_f1", "accuracy", "roc_auc", "r2", "rmse")
FIDELITY = (
    "correlation",
    "shape",
    "detection",
    "correlation_distance",
    "correlation_frobenius",
    "column_shape",
    "column_shape_worst",
    "c2st_auc",
)
PRIVACY = ("privacy", "dcr_median", "nndr_median", "holdout_share", "exact_copies")
SHARES = ("exact_copies", "holdout_share")


@dataclass(frozen=True, kw_only=True)
class Results:
    """Everything a report shows; figures are those of one representative child.

    summary: a sentence on what was run; task: "classification", "regression" or "none"; plan: `Plan.to_json()`;
    cost: names to seconds or text; command: the one line that reproduces the run.
    """

    name: str
    children: Sequence[Child]
    task: str = "none"
    summary: str = ""
    figures: Sequence[Figure] = ()
    data_card: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    plan: Sequence[Mapping[str, Any]] = ()
    cost: Mapping[str, Any] = field(default_factory=dict)
    command: str = ""

    @property
    def arms(self) -> tuple[str, ...]:
        """Names of the arms in order."""
        return tuple(dict.fromkeys(child.arm for child in self.children))

    def verdict(self, arm: str | None = None) -> Verdict:
        """The verdict on one arm (default: the first)."""
        return judge(self.children, self.task, arm)


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a table; kind is "synthetic", "baseline" or "reference"; mark a word of warning."""

    label: str
    cells: tuple[str, ...]
    kind: str = "baseline"
    mark: str = ""


@dataclass(frozen=True, kw_only=True)
class Table:
    """One section's numbers: columns with an arrow for the better direction, notes on the synthetic data, failures."""

    section: str
    columns: tuple[str, ...]
    lines: tuple[Line, ...]
    notes: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()


def shown(value: float | None, metric: str = "") -> str:
    """A number of a metric as people read it; a dash for none."""
    if value is None or not math.isfinite(value):
        return "–"
    if metric in SHARES:
        return f"{100 * value:.1f} %"
    return f"{value:.3f}" if abs(value) < 100 else f"{value:,.4g}" if abs(value) < 10_000 else f"{value:,.0f}"


def _cell(row: Row | None) -> str:
    if row is None or not math.isfinite(row.mean):
        return "failed" if row is not None and row.error else "–"
    half = "" if row.high is None or row.n_seeds < 2 else f" ± {shown(row.high - row.mean, row.metric)}"
    return shown(row.mean, row.metric) + half


def _column(row: Row) -> str:
    arrow = {"higher": " ↑", "lower": " ↓", "none": ""}.get(row.direction, f" → {row.target:g}" if row.target is not None else "")
    return METRICS.get(row.metric, row.metric.replace("_", " ")) + arrow + (f" ({row.unit})" if row.unit else "")


def tables(results: Results) -> list[Table]:
    """One table per section that has numbers: utility, fidelity, privacy, and the rest."""
    rows = summarise(results.children)
    named = {"utility": UTILITY, "fidelity": FIDELITY, "privacy": PRIVACY}
    rest = tuple(dict.fromkeys(r.metric for r in rows if r.metric not in UTILITY + FIDELITY + PRIVACY))
    marks = {flag.source: flag.word for flag in flags(results.children)}
    made = ((section, [r for r in rows if r.metric in metrics]) for section, metrics in (*named.items(), ("more", rest)))
    return [_table(section, found, results, marks) for section, found in made if found]


def _table(section: str, rows: Sequence[Row], results: Results, marks: Mapping[str, str]) -> Table:
    keys = [k for k in dict.fromkeys((r.evaluator, r.metric) for r in rows) if any(math.isfinite(r.mean) for r in rows if _key(r) == k)]
    heads = [next(r for r in rows if _key(r) == k) for k in keys]
    twice = {r.metric for r in heads if [h.metric for h in heads].count(r.metric) > 1}
    columns = tuple(_column(r) + (f" [{r.evaluator}]" if r.metric in twice else "") for r in heads)
    order = {source: i for i, source in enumerate(SOURCES)}
    pairs = sorted(dict.fromkeys((r.arm, r.source) for r in rows), key=lambda p: (results.arms.index(p[0]), order.get(p[1], 2)))
    lines = []
    for arm, source in pairs:
        own = [next((r for r in rows if (r.arm, r.source) == (arm, source) and _key(r) == k), None) for k in keys]
        label = SOURCES.get(source, source) if len(results.arms) < 2 else f"{arm} · {SOURCES.get(source, source)}"
        kind = "synthetic" if source == "synthetic" else "baseline"
        lines.append(Line(label=label, cells=tuple(map(_cell, own)), kind=kind, mark=marks.get(source, "")))
    lines += _references(section, heads)
    if section == "utility":
        columns, lines = _with_percent(columns, lines, pairs, rows, results.task)
    notes = {r.note: f"{METRICS.get(r.metric, r.metric)}: {r.note}" for r in reversed(rows) if r.note and r.source == "synthetic"}
    failures = dict.fromkeys(f"{METRICS.get(r.metric, r.metric)}, {SOURCES.get(r.source, r.source)}: {r.error}" for r in rows if r.error)
    return Table(section=section, columns=columns, lines=tuple(lines), notes=tuple(reversed(notes.values())), failures=tuple(failures))


def _key(row: Row) -> tuple[str, str]:
    return row.evaluator, row.metric


def _references(section: str, heads: Sequence[Row]) -> list[Line]:
    """What perfect and what useless data would score; for utility, real rows are a line of their own already."""
    said = {"utility": ("", "always the same answer"), "privacy": ("real hold-out rows", "")}
    best, worst = said.get(section, ("real hold-out rows" if section == "fidelity" else "perfect data", "useless data"))
    made = [(best, [r.floor for r in heads]), (worst, [r.ceiling for r in heads])]
    return [
        Line(label=label, cells=tuple(shown(v, r.metric) for v, r in zip(values, heads, strict=True)), kind="reference")
        for label, values in made if label and any(v is not None for v in values)
    ]  # fmt: skip


def _with_percent(
    columns: tuple[str, ...], lines: list[Line], pairs: Sequence[tuple[str, str]], rows: Sequence[Row], task: str
) -> tuple[tuple[str, ...], list[Line]]:
    """Utility gains a column: the main metric in percent of the real rows' one."""
    metric = MAIN_METRIC.get(task, "")
    cells = []
    for arm, source in pairs:
        row, real = find(rows, metric, source, arm), find(rows, metric, "real", arm)
        cells.append(f"{100 * row.mean / real.mean:.0f} %" if row and real and real.mean > 0 else "–")
    cells += ["–"] * (len(lines) - len(cells))
    widened = [
        Line(label=line.label, cells=(*line.cells, cell), kind=line.kind, mark=line.mark) for line, cell in zip(lines, cells, strict=True)
    ]
    return (*columns, "% of real"), widened
