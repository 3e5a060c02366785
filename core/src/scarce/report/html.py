"""The report as one HTML file that opens offline: verdict first, every number beside its baselines."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from scarce.contract.results import Figure
from scarce.report.results import Results, shown, tables
from scarce.report.statistics import MAIN_METRIC, METRICS, SOURCES, Comparison, find, paired, summarise
from scarce.report.text import TITLES, interval_note
from scarce.report.verdict import flags

_COLOURS = {"real": "#2f6fb0", "synthetic": "#d9622b", "both": "#8d6bb8"}
_PALETTE = ("#d9622b", "#2f6fb0", "#4f9d69", "#8d6bb8", "#b7791f", "#5b6470")


def render(results: Results) -> str:
    """The HTML of the report; whatever came from the data is escaped."""
    import jinja2

    source = resources.files("scarce.report").joinpath("report.html.j2").read_text(encoding="utf-8")
    template = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True).from_string(
        source
    )
    bars = _bars(results)
    figures = [(f"plot-{i}", f) for i, f in enumerate([bars, *results.figures] if bars else results.figures)]
    plots = {mark: {"traces": f.traces, "layout": f.layout} for mark, f in figures if f.traces}
    cards = (("Data", results.data_card), ("Cost", results.cost), ("Provenance", results.provenance))
    return template.render(
        results=results, verdicts=[(arm, results.verdict(arm)) for arm in results.arms or ("",)], flags=flags(results.children),
        sources=SOURCES, titles=TITLES, tables={t.section: t for t in tables(results)}, comparisons=_comparisons(results),
        figures={name: [(mark, f, _ready(f.html)) for mark, f in figures if _section(f) == name] for name in TITLES},
        seeds=_seeds(results), interval=interval_note(results), phases=[_phase(p) for p in results.plan],
        cards=[(title, _flat(facts)) for title, facts in cards if facts], plots=_json(plots), plotly=_plotly() if plots else "",
    )  # fmt: skip


def _section(figure: Figure) -> str:
    return figure.section if figure.section in TITLES else "more"


def _ready(text: str) -> Any:
    """An evaluator's own HTML as it is; if it brings a script, escaped like any other text."""
    import markupsafe

    return text if "<script" in text.lower() else markupsafe.Markup(text)


def _plotly() -> Any:
    import markupsafe
    from plotly.offline import get_plotlyjs

    return markupsafe.Markup(get_plotlyjs().replace("</script", "<\\/script"))


def _json(data: Any) -> Any:
    """JSON that is safe inside a script element; NaN and infinities become null."""
    import markupsafe

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


def _bars(results: Results) -> Figure | None:
    """The main metric of each source with its interval over seeds, and every seed as a dot."""
    metric = MAIN_METRIC.get(results.task, "")
    rows = [r for r in summarise(results.children) if r.metric == metric and math.isfinite(r.mean)]
    if not rows:
        return None
    traces: list[dict[str, Any]] = []
    order = [s for s in SOURCES if any(r.source == s for r in rows)]
    order += [s for s in dict.fromkeys(r.source for r in rows) if s not in order]
    for arm, colour in zip(results.arms, _PALETTE * len(results.arms), strict=False):
        found = [r for s in order if (r := find(rows, metric, s, arm))]
        x = [SOURCES.get(r.source, r.source) for r in found]
        colours = [_COLOURS.get(r.source, "#aeb6c1") for r in found] if len(results.arms) == 1 else colour
        spread = {"type": "data", "array": [0 if r.high is None else r.high - r.mean for r in found], "color": "#333", "thickness": 1.2}
        bar = {"type": "bar", "name": arm, "x": x, "y": [r.mean for r in found], "error_y": spread, "marker": {"color": colours}}
        dots = [(SOURCES.get(r.source, r.source), v) for r in found for v in r.values if math.isfinite(v)] if len(results.arms) == 1 else []
        seeds = {"type": "scatter", "mode": "markers", "name": "one seed", "x": [d[0] for d in dots], "y": [d[1] for d in dots]}
        traces += [bar, {**seeds, "marker": {"color": "rgba(20,20,20,.45)", "size": 5}}] if dots else [bar]
    low = min(min(v for v in r.values if math.isfinite(v)) for r in rows)
    layout: dict[str, Any] = {"yaxis": {"title": {"text": METRICS[metric]}, "range": [min(low, max(0.0, low - 0.1)), None]}}
    layout |= {"barmode": "group", "showlegend": len(results.arms) > 1, "height": 340}
    title = f"{METRICS[metric]} on real test rows, by what the model was trained on"
    caption = (
        f"Bars are means, {interval_note(results)}; dots are seeds. The axis does not start at zero."
        if low > 0.1
        else interval_note(results)
    )
    return Figure(name="utility", title=title, caption=caption, traces=traces, layout=layout, section="utility")


def _comparisons(results: Results) -> list[tuple[str, Comparison]]:
    """Paired over seeds: what synthetic rows add to real ones, and each arm against the first."""
    metric = MAIN_METRIC.get(results.task)
    if metric is None:
        return []
    sides = [
        (f"{SOURCES[a]} − {SOURCES[b]}", (arm, a), (arm, b), arm)
        for arm in results.arms
        for a, b in (("both", "real"), ("synthetic", "real"))
    ]
    made = [(label if len(results.arms) == 1 else f"{arm}: {label}", a, b) for label, a, b, arm in sides]
    made += [(f"synthetic of {arm} − {results.arms[0]}", (arm, "synthetic"), (results.arms[0], "synthetic")) for arm in results.arms[1:]]
    found = [(label, paired(results.children, a, b, metric)) for label, a, b in made]
    return [(f"{METRICS[metric]}: {label}", c) for label, c in found if c.n]


def _seeds(results: Results) -> list[tuple[str, str, list[str]]]:
    """Every value: metric, source, one text per child."""
    many = len(results.arms) > 1
    return [
        (
            METRICS.get(r.metric, r.metric),
            (f"{r.arm} · " if many else "") + SOURCES.get(r.source, r.source),
            [shown(v, r.metric) for v in r.values],
        )
        for r in summarise(results.children)
    ]


def _phase(phase: Mapping[str, Any]) -> tuple[str, ...]:
    """name, start, terms, adapters, budget, serves of a phase of the plan."""
    budget = phase.get("budget") or {}
    named = (", ".join(str(item.get("name", "")) for item in phase.get(part) or ()) for part in ("terms", "adapters"))
    steps = ", ".join(
        f"{budget[k]:g} {word}" for k, word in (("steps", "steps"), ("batch", "rows a step"), ("rate", "rate")) if k in budget
    )
    return (str(phase.get("name", "")), str(phase.get("start", "")), *named, steps, str(phase.get("serves", "")))


def _flat(facts: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested plain data as lines ("a.b", text); a list of mappings has one line each."""
    lines: list[tuple[str, str]] = []
    for key, value in facts.items():
        if isinstance(value, Mapping):
            lines += _flat(value, f"{prefix}{key}.")
        elif isinstance(value, Sequence) and not isinstance(value, str):
            lines.append((f"{prefix}{key}", ("\n" if any(isinstance(v, Mapping) for v in value) else ", ").join(map(_item, value)) or "–"))
        else:
            lines.append((f"{prefix}{key}", _item(value)))
    return lines


def _item(value: Any) -> str:
    if isinstance(value, Mapping):
        return " · ".join(_item(v) for v in value.values() if v not in ("", None))
    text = f"{value:,.4g}" if isinstance(value, float) else str(value)
    return f"{text[:12]}…" if re.fullmatch("[0-9a-f]{40,}", text) else text
