"""Writes the report of a run folder in the best form that is installed."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from scarce.files import write_bytes
from scarce.report.results import Results
from scarce.report.text import short_html, write_text

__all__ = ["short_html", "write_report"]


def write_report(folder: Path, results: Results) -> Path:
    """Write report.html, or report.txt where plotly is absent; an older one in the other form goes."""
    if find_spec("plotly") is None:
        path, other = write_text(folder / "report.txt", results), folder / "report.html"
    else:
        from scarce.report.html import render

        path, other = write_bytes(folder / "report.html", render(results).encode()), folder / "report.txt"
    other.unlink(missing_ok=True)
    return path
