"""The report without plotly and jinja2: plain text, the terminal's summary, and the notebook's short form."""

from __future__ import annotations

import html
import io
from pathlib import Path

from rich import box
from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table as RichTable
from rich.text import Text

from scarce.report.results import Results, Table, tables
from scarce.report.statistics import FEWEST_SEEDS, SOURCES
from scarce.report.verdict import Verdict, flags
from scarce.runtime.files import write_bytes

COLOURS = {"green": "green", "amber": "yellow", "red": "red", "grey": "bright_black"}
HEX = {"green": "#1a7f37", "amber": "#b7791f", "red": "#c0362c", "grey": "#8a8f98"}
TITLES = {"utility": "Utility: train on it, test on real rows", "fidelity": "Fidelity", "privacy": "Privacy", "more": "More measures"}


def interval_note(results: Results) -> str:
    """What ± means here."""
    seeds = len({child.seed for child in results.children})
    return f"± 95 % t-interval over {seeds} seeds" if seeds > 1 else f"one seed; a claim needs {FEWEST_SEEDS}"


def terminal_summary(results: Results) -> RenderableType:
    """A rich renderable: verdict line, then the numbers beside their baselines."""
    verdict = results.verdict()
    made = tables(results)
    parts: list[RenderableType] = [
        _lights(verdict),
        Text(verdict.sentence),
        *(_rich(t) for t in made),
        Text(interval_note(results), style="dim"),
    ]
    parts += [
        Text(f"! {SOURCES.get(flag.source, flag.source)}, {flag.word}: {flag.reason}", style="dim") for flag in flags(results.children)
    ]
    parts += [Text(f"! not measured: {failure}", style="yellow") for table in made for failure in table.failures]
    return Group(*parts)


def _lights(verdict: Verdict) -> Text:
    line = Text("Verdict  ", style="bold")
    for name, light in verdict.lights.items():
        line.append(f"● {name}: {light}   ", style=f"bold {COLOURS[light]}")
    return line


def _rich(table: Table) -> RichTable:
    out = RichTable(title=TITLES[table.section], title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    out.add_column("")
    for column in table.columns:
        out.add_column(escape(column), justify="right")
    for line in table.lines:
        style = {"synthetic": "bold", "reference": "dim italic"}.get(line.kind, "")
        out.add_row(escape(line.label + (f" ({line.mark})" if line.mark else "")), *map(escape, line.cells), style=style)
    return out


def write_text(path: Path, results: Results) -> Path:
    """The whole report as plain text, atomically."""
    console = Console(width=120, color_system=None, record=True, file=io.StringIO())
    console.print(Text(f"{results.name}\n{results.summary}\n"))
    console.print(terminal_summary(results))
    verdict = results.verdict()
    for name, reason in verdict.reasons.items():
        console.print(Text(f"{name}: {reason}"))
    for title, facts in (("Data", results.data_card), ("Cost", results.cost), ("Provenance", results.provenance)):
        console.print(Text(f"\n{title}"))
        for key, value in facts.items():
            console.print(Text(f"  {key}: {value}"))
    console.print(Text(f"\nAgain: {results.command}"))
    return write_bytes(path, console.export_text().encode())


def short_html(results: Results) -> str:
    """Verdict and tables as an HTML fragment without scripts, for notebooks."""
    verdict = results.verdict()
    lights = " ".join(
        f'<b style="color:{HEX[light]}" title="{html.escape(verdict.reasons[name])}">● {html.escape(name)}: {light}</b>'
        for name, light in verdict.lights.items()
    )
    body = "".join(_html_table(table) for table in tables(results))
    said = f"<b>{html.escape(results.name)}</b> {lights}<p>{html.escape(verdict.sentence)}</p>"
    return f"<div>{said}{body}<small>{interval_note(results)}</small></div>"


def _html_table(table: Table) -> str:
    head = "".join(f"<th>{html.escape(c)}</th>" for c in ("", *table.columns))
    body = "".join(
        f"<tr><th>{html.escape(line.label)}{html.escape(line.mark and f' ({line.mark})')}</th>"
        + "".join(f"<td>{html.escape(cell)}</td>" for cell in line.cells) + "</tr>"
        for line in table.lines
    )  # fmt: skip
    return f"<table><caption>{html.escape(TITLES[table.section])}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
