"""Plots of kept benchmark results as SVG files, made without a plotting library so that they are the same everywhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"
WIDE, HIGH, LEFT, TOP = 300, 230, 52, 34
COLOURS = {"barrier": "#c2410c", "finetune": "#1d4ed8", "joint": "#15803d"}
OTHER, NAMED = "#6b7280", (*COLOURS, "l2-init")


def text2data_svg() -> str:
    """What is forgotten against what is controlled, by arm of each data set; and what is forgotten, by rho."""
    rows = json.loads((RESULTS / "text2data.json").read_text(encoding="utf-8"))["rows"]
    panels = [_arms([r for r in rows if r["data"] == name and "forgetting" in r], name) for name in ("stocks", "gestures", "table")]
    sweep = json.loads((RESULTS / "text2data-sweep.json").read_text(encoding="utf-8"))["rows"]
    panels.append(_rho(sorted((r for r in sweep if r["alpha"] == r["beta"] == "1.0"), key=lambda r: float(r["rho"]))))
    drawn = "".join(f'<g transform="translate({i * WIDE},0)">{panel}</g>' for i, panel in enumerate(panels))
    font = 'font-family="sans-serif" font-size="11"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE * len(panels)} {HIGH}" {font}>{drawn}</svg>\n'


def _arms(rows: Sequence[dict[str, Any]], name: str) -> str:
    """Forgetting (across) against control error (up), both better towards the lower left."""
    spans = [[v for r in rows for v in (r[f"{key} low"], r[f"{key} high"])] for key in ("forgetting", "error")]
    x, y = _scale(spans[0], LEFT + 8, WIDE - 38), _scale(spans[1], 36, HIGH - 48)
    out = _frame(name, "unconditional loss / pre-trained", "control error", spans)
    for r in rows:
        colour, px, py = COLOURS.get(r["arm"], OTHER), x(r["forgetting"]), HIGH - y(r["error"])
        out += _line(x(r["forgetting low"]), py, x(r["forgetting high"]), py, colour)
        out += _line(px, HIGH - y(r["error low"]), px, HIGH - y(r["error high"]), colour)
        out += f'<circle cx="{px:.1f}" cy="{py:.1f}" r="3.5" fill="{colour}"><title>{r["arm"]}</title></circle>'
        if r["arm"] in NAMED:
            out += f'<text x="{px + 5:.1f}" y="{py - 4:.1f}" fill="{colour}" font-size="9">{r["arm"]}</text>'
    return out


def _rho(rows: Sequence[dict[str, Any]]) -> str:
    """Forgetting by the bound, levels at equal steps."""
    values = [v for r in rows for v in (r["forgetting low"], r["forgetting high"])]
    x, y = _scale([0, len(rows) - 1], LEFT + 8, WIDE - 38), _scale(values, 36, HIGH - 48)
    out = _frame("table, by rho (3 seeds)", "", "unconditional loss / pre-trained", [[], values])
    for i, r in enumerate(rows):
        px = x(i)
        out += _line(px, HIGH - y(r["forgetting low"]), px, HIGH - y(r["forgetting high"]), COLOURS["barrier"])
        out += f'<circle cx="{px:.1f}" cy="{HIGH - y(r["forgetting"]):.1f}" r="3.5" fill="{COLOURS["barrier"]}"/>'
        out += f'<text x="{px:.1f}" y="{HIGH - 14}" text-anchor="middle">{float(r["rho"]):g}</text>'
    return out


def _scale(values: Sequence[float], first: float, last: float) -> Callable[[float], float]:
    """Values to places between two; upwards places count from the bottom."""
    low, high = min(values), max(values)
    return lambda value: first + (value - low) / ((high - low) or 1) * (last - first)


def _frame(title: str, across: str, up: str, spans: Sequence[Sequence[float]]) -> str:
    bottom = HIGH - 28
    out = f'<text x="{WIDE / 2}" y="16" text-anchor="middle" font-weight="bold">{title}</text>'
    out += _line(LEFT, TOP - 8, LEFT, bottom, "#9ca3af") + _line(LEFT, bottom, WIDE - 22, bottom, "#9ca3af")
    out += f'<text transform="translate(12,{HIGH / 2}) rotate(-90)" text-anchor="middle">{up}</text>'
    out += f'<text x="{LEFT - 4}" y="{bottom - 6}" text-anchor="end">{min(spans[1]):.2f}</text>'
    out += f'<text x="{LEFT - 4}" y="{TOP + 4}" text-anchor="end">{max(spans[1]):.2f}</text>'
    if spans[0]:
        out += f'<text x="{WIDE / 2}" y="{HIGH - 4}" text-anchor="middle">{across}</text>'
        out += f'<text x="{LEFT + 8}" y="{HIGH - 15}">{min(spans[0]):.2f}</text>'
        out += f'<text x="{WIDE - 24}" y="{HIGH - 15}" text-anchor="end">{max(spans[0]):.2f}</text>'
    return out


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'
