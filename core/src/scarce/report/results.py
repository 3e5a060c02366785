"""What a report is made of, and its numbers as tables that HTML and plain text share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

from scarce.contract.frozen import Frozen
from scarce.contract.results import Figure
from scarce.report import margins
from scarce.report.statistics import MAIN_METRIC, METRICS, SECTIONS, SOURCES, Child, Row, find, label, summarise
from scarce.report.verdict import Verdict, flags, judge
from scarce.report.worth import statements

LEAST = 5e-4  # less is zero to three digits
SHARES = (
    "exact_copies", "holdout_share", "dtw_holdout_share", "shot_holdout_share", "shot_copies", "shot_memorised", "coverage",
    "membership_tpr",
)  # fmt: skip


class Results(Frozen):
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

    @property
    def worth(self) -> list[str]:
        """Sentences on what the synthetic rows were worth in real ones; none without a learning curve."""
        return statements(self.children, self.task)

    @property
    def margins(self) -> list[str]:
        """Sentences on differences inside the runs, judged over seeds; none without any."""
        return margins.statements(self.children)


class Line(Frozen):
    """One line of a table; kind is "synthetic", "baseline" or "reference"; mark a word of warning."""

    label: str
    cells: tuple[str, ...]
    kind: str = "baseline"
    mark: str = ""


class Table(Frozen):
    """One section's numbers: columns with an arrow for the better direction, notes on the synthetic data, failures."""

    section: str
    columns: tuple[str, ...]
    lines: tuple[Line, ...]
    notes: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()


def side(results: Results, arm: str, source: str) -> str:
    """A source as people read it, with its arm where there are several."""
    return label(source) if len(results.arms) == 1 else f"{arm} · {label(source)}"


def shown(value: float | None, metric: str = "") -> str:
    """A number of a metric as people read it; a dash for none. What three digits would call zero has a power of ten."""
    if value is None or not math.isfinite(value):
        return "–"
    if metric in SHARES:
        return f"{100 * value:.1f} %"
    if 0 < abs(value) < LEAST:
        return f"{value:.1e}"
    return f"{value:.3f}" if abs(value) < 100 else f"{value:,.4g}" if abs(value) < 10_000 else f"{value:,.0f}"


def cell(row: Row | None) -> str:
    """A mean with half of its interval over seeds; "failed" where it has an error."""
    if row is None or not math.isfinite(row.value):
        return "failed" if row is not None and row.error else "–"
    if row.high is None or row.n_seeds < 2:
        return shown(row.value, row.name)
    half = row.high - row.value
    return f"{shown(row.value, row.name)} ± {shown(0.0 if half < LEAST <= abs(row.value) else half, row.name)}"


def column(row: Row) -> str:
    """A metric as the head of a column: label, arrow to the better direction, unit."""
    arrow = {"higher": " ↑", "lower": " ↓", "none": ""}.get(row.direction, f" → {row.target:g}" if row.target is not None else "")
    return label(row.name) + arrow + (f" ({row.unit})" if row.unit else "")


def tables(results: Results) -> list[Table]:
    """One table per section that has numbers: utility, fidelity, privacy, diversity, and the rest."""
    rows = summarise(results.children)
    marks = {(flag.arm, flag.source): flag.word for flag in flags(results.children)}
    made = [(section, [r for r in rows if r.name in names]) for section, names in SECTIONS.items()]
    made.append(("more", [r for r in rows if r.name not in METRICS]))
    return [_table(section, found, results, marks) for section, found in made if found]


def _table(section: str, rows: Sequence[Row], results: Results, marks: Mapping[tuple[str, str], str]) -> Table:
    heads = list({(r.evaluator, r.name): r for r in reversed(rows) if math.isfinite(r.value)}.values())[::-1]
    twice = {r.name for r in heads if [h.name for h in heads].count(r.name) > 1}
    columns = [column(r) + (f" [{r.evaluator}]" if r.name in twice else "") for r in heads]
    order = {source: i for i, source in enumerate(SOURCES)}
    pairs = sorted({(r.arm, r.source): None for r in rows}, key=lambda p: (results.arms.index(p[0]), order.get(p[1], 2)))
    lines = []
    for arm, source in pairs:
        own = {(r.evaluator, r.name): r for r in rows if (r.arm, r.source) == (arm, source)}
        cells = [cell(own.get((h.evaluator, h.name))) for h in heads]
        cells += [_percent(rows, results.task, arm, source)] if section == "utility" else []
        kind, mark = "synthetic" if source == "synthetic" else "baseline", marks.get((arm, source), "")
        lines.append(Line(label=side(results, arm, source), cells=tuple(cells), kind=kind, mark=mark))
    said = {r.note: f"Synthetic, {label(r.name)}: {r.note}" for r in rows[::-1] if r.note and r.source == "synthetic"}
    return Table(
        section=section, columns=(*columns, *(["% of real"] if section == "utility" else [])), lines=(*lines, *_references(section, heads)),
        notes=tuple(said.values())[::-1],
        failures=tuple(dict.fromkeys(f"{label(r.name)}, {label(r.source)}: {r.error}" for r in rows if r.error)),
    )  # fmt: skip


def _percent(rows: Sequence[Row], task: str, arm: str, source: str) -> str:
    """Utility has one more column: the main metric in percent of the real rows' one."""
    row, real = (find(rows, MAIN_METRIC.get(task, ""), s, arm) for s in (source, "real"))
    return f"{100 * row.value / real.value:.0f} %" if row and real and real.value > 0 else "–"


def _references(section: str, heads: Sequence[Row]) -> list[Line]:
    """What perfect and what useless data would score; for utility, real rows are a line of their own already."""
    best = {"utility": "", **dict.fromkeys(("privacy", "fidelity", "diversity"), "real hold-out rows")}.get(section, "perfect data")
    worst = {"utility": "always the same answer", "privacy": ""}.get(section, "useless data")
    made = [(best, [(r.floor, r.name) for r in heads]), (worst, [(r.ceiling, r.name) for r in heads])]
    found = [(name, tuple(shown(v, m) for v, m in values)) for name, values in made if name and any(v is not None for v, _ in values)]
    more = ("–",) if section == "utility" else ()
    return [Line(label=name, cells=(*cells, *more), kind="reference") for name, cells in found]
