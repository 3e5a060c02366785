"""Pages that open offline: templates filled with tables and figures; whatever comes from the data is escaped."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from importlib import resources
from importlib.util import find_spec
from typing import Any

import jinja2
import markupsafe

from scarce.contract.frozen import Frozen
from scarce.contract.results import Figure
from scarce.errors import PluginError


class Block(Frozen):
    """A table with a title and a note; without a head it is the note alone."""

    title: str = ""
    head: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    note: str = ""


def render_page(title: str, lines: Sequence[str], blocks: Sequence[Block], figures: Sequence[Figure] = (), command: str = "") -> str:
    """HTML of a command, lines of text, tables and figures. Raises PluginError where there are plots and plotly is missing."""
    return fill("page.html.j2", figures, title=title, lines=lines, blocks=blocks, command=command)


def fill(template: str, figures: Sequence[Figure], **facts: Any) -> str:
    """A template of this package under these facts, `figures` as (mark, figure, its own HTML), and the plots of those that have traces."""
    plots = {f"plot-{i}": {"traces": f.traces, "layout": f.layout} for i, f in enumerate(figures) if f.traces}
    if plots and find_spec("plotly") is None:
        raise PluginError("plots on a page need plotly, which is not installed", hint="pip install 'scarce[report]'")
    source = resources.files("scarce.report").joinpath(template).read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    marked = [(f"plot-{i}", f, _ready(f.html)) for i, f in enumerate(figures)]
    return environment.from_string(source).render(figures=marked, plots=_json(plots), plotly=_plotly() if plots else "", **facts)


def _ready(text: str) -> Any:
    """An evaluator's own HTML as it is; if it brings a script, escaped like any other text."""
    return text if "<script" in text.lower() else markupsafe.Markup(text)


def _plotly() -> Any:
    from plotly.offline import get_plotlyjs

    return markupsafe.Markup(get_plotlyjs().replace("</script", "<\\/script"))


def _json(data: Any) -> Any:
    """JSON that is safe inside a script element; NaN and infinities become null."""
    text = json.dumps(_plain(data), allow_nan=False, separators=(",", ":"))
    return markupsafe.Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(v) for v in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)
