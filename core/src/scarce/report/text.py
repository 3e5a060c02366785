"""The report without plotly: plain text, the terminal's summary, and the notebook's short form."""

from __future__ import annotations

import io
from pathlib import Path

from rich import box
from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table as RichTable
from rich.text import Text

from scarce.files import write_bytes
from scarce.report.costs import costs
from scarce.report.results import Results, Table, side, tables
from scarce.report.statistics import FEWEST_SEEDS
from scarce.report.verdict import Verdict, flags

COLOURS = {"green": "green", "amber": "yellow", "red": "red", "grey": "bright_black"}
TITLES = {
    "utility": "Utility: train on it, test on real rows", "rounds": "Rounds: generate, learn, again", "fidelity": "Fidelity",
    "privileged": "Views: what they were worth to a student that has none",
    "teachers": "Teachers: what they know on validation records, and what they cost",
    "control": "Control: what was asked, and what came", "privacy": "Privacy", "diversity": "Diversity",
    "more": "More measures", "cost": "What each arm cost, and what it reached",
}  # fmt: skip


def all_tables(results: Results) -> list[Table]:
    """The tables of sections, then that of costs where there are several arms."""
    cost = costs(results)
    return [*tables(results), *([cost] if cost else [])]


def interval_note(results: Results) -> str:
    """What ± means here."""
    seeds = len({child.seed for child in results.children})
    return f"± 95 % t-interval over {seeds} seeds" if seeds > 1 else f"one seed; a claim needs {FEWEST_SEEDS}"


def terminal_summary(results: Results) -> RenderableType:
    """A rich renderable: verdict line, then the numbers beside their baselines."""
    verdict = results.verdict()
    made = all_tables(results)
    parts: list[RenderableType] = [_lights(verdict), Text(verdict.sentence), *map(Text, [*results.worth, *results.margins])]
    parts += [*map(_rich, made), Text(interval_note(results), style="dim")]
    parts += [Text(note, style="dim") for table in made if table.section == "cost" for note in table.notes]
    parts += [Text(f"! {side(results, f.arm, f.source)}, {f.word}: {f.reason}", style="dim") for f in flags(results.children)]
    parts += [Text(f"! not measured: {failure}", style="yellow") for table in made for failure in table.failures]
    return Group(*parts)


def _lights(verdict: Verdict) -> Text:
    line = Text("Verdict  ", style="bold")
    for name, light in verdict.lights.items():
        line.append(f"● {name}: {light}   ", style=f"bold {COLOURS[light]}")
    return line


def _rich(table: Table) -> RichTable:
    out = RichTable(title=TITLES[table.section], title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    out.add_column("", overflow="fold")
    for column in table.columns:
        out.add_column(escape(column), justify="right", overflow="fold")
    for line in table.lines:
        style = {"synthetic": "bold", "reference": "dim italic"}.get(line.kind, "")
        out.add_row(escape(line.label + (f" ({line.mark})" if line.mark else "")), *map(escape, line.cells), style=style)
    return out


def write_text(path: Path, results: Results) -> Path:
    """The whole report as plain text, atomically."""
    console = Console(width=120, color_system=None, record=True, file=io.StringIO())
    console.print(Text(f"{results.name}\n{results.summary}\n"))
    console.print(terminal_summary(results))
    lines = [f"{name}: {reason}" for name, reason in results.verdict().reasons.items()]
    for title, facts in (("Data", results.data_card), ("Cost", results.cost), ("Provenance", results.provenance)):
        lines += ["", title, *(f"  {key}: {value}" for key, value in facts.items())]
    console.print(Text("\n".join([*lines, "", f"Again: {results.command}"])))
    return write_bytes(path, console.export_text().encode())


def short_html(results: Results) -> str:
    """The terminal's summary as an HTML fragment without scripts, for notebooks."""
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(Text(results.name, style="bold"), terminal_summary(results))
    return console.export_html(inline_styles=True, code_format='<pre style="line-height:1.25">{code}</pre>')
