"""A page of figures that opens offline: what `scarce data inspect FILE -o page.html` writes."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from importlib.util import find_spec

from scarce.contract.results import Figure
from scarce.errors import PluginError


def render_page(title: str, lines: Sequence[str], head: Sequence[str], rows: Sequence[Sequence[str]], figures: Sequence[Figure]) -> str:
    """HTML of lines of text, a table and figures; whatever came from the data is escaped.

    Raises PluginError where plotly or jinja2 is missing.
    """
    missing = [name for name in ("jinja2", "plotly") if find_spec(name) is None]
    if missing:
        raise PluginError(f"an HTML page needs {' and '.join(missing)}, which is not installed", hint="pip install 'scarce[report]'")
    import jinja2

    from scarce.report.html import _json, _plotly, _ready

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    marked = [(f"plot-{i}", f, _ready(f.html)) for i, f in enumerate(figures)]
    plots = {mark: {"traces": f.traces, "layout": f.layout} for mark, f, _ in marked if f.traces}
    source = resources.files("scarce.report").joinpath("page.html.j2").read_text(encoding="utf-8")
    return environment.from_string(source).render(
        title=title, lines=lines, head=head, rows=rows, figures=marked, plots=_json(plots), plotly=_plotly() if plots else ""
    )
