"""The sheet that `scarce annotate` writes: one HTML file of pictures, curves or rows, which opens offline."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "section{display:inline-block;vertical-align:top;margin:.6rem;padding:.8rem;border:1px solid #ccc;border-radius:8px}"
    "img{image-rendering:pixelated;width:9rem;display:block}h2{font-size:1rem;margin:0 0 .4rem}td{padding:.1rem .6rem .1rem 0}"
)
SIDE = 160  # of a drawn curve, in pixels
LONGEST = 120  # characters of what is neither drawn, nor text, nor a number
COLOURS = ("#2f6fb0", "#d9622b", "#3a8a4d", "#8a4d9e", "#6b7280", "#b08a2f")


def page(records: pd.DataFrame, ids: Sequence[int], classes: Sequence[str], target: str, unsure: str) -> str:
    """The sheet of records [n] under their ids; everything that comes from the data is escaped."""
    known = ", ".join(f"<code>{html.escape(c)}</code>" for c in classes)
    head = f"<p>What does each show? Write one of {known}, or <code>{html.escape(unsure)}</code>, in the row of its id in labels.csv.</p>"
    parts = [f"<section><h2>{i}</h2>{_shown(row)}</section>" for i, row in zip(ids, records.to_dict("records"), strict=True)]
    title = f"{html.escape(target)} of {len(ids)} synthetic records"
    start = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style><h1>{title}</h1>'
    return start + head + "".join(parts) + "</html>"


def _shown(row: Mapping[Any, Any]) -> str:
    """Pictures and curves of a record, and the rest of it as a small table."""
    pictures, cells = [], []
    for name, value in row.items():
        drawn = _drawn(value)
        pictures += [drawn] if drawn else []
        cells += [] if drawn else [f"<tr><td>{html.escape(str(name))}</td><td>{html.escape(_text(value))}</td></tr>"]
    return "".join(pictures) + (f"<table>{''.join(cells)}</table>" if cells else "")


def _text(value: Any) -> str:
    """A number to four digits, text as it is, and the start of anything else."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, str):
        return value
    if _series(value) is not None:
        return "no values"  # one that has some is drawn
    said = " ".join(str(value).split())
    return said if len(said) <= LONGEST else f"{said[:LONGEST]}…"


def _drawn(value: Any) -> str:
    """An encoded picture or a series as HTML; empty for anything else, and for a series without a value."""
    if isinstance(value, Mapping) and isinstance(value.get("bytes"), bytes):
        return f'<img alt="" src="data:image/png;base64,{base64.b64encode(value["bytes"]).decode()}">'
    steps = _series(value)
    return "" if steps is None or not np.isfinite(steps).any() else _curve(steps)


def _series(value: Any) -> np.ndarray | None:
    """[l, c] of two or more numbers, or of as many rows of numbers; None for anything else, such as text or an array [l, h, w]."""
    if not isinstance(value, np.ndarray) or value.ndim == 0 or len(value) < 2:
        return None
    try:
        steps = np.array([[np.nan if v is None else v for v in np.atleast_1d(step).tolist()] for step in value])
    except ValueError:  # rows of unlike length
        return None
    return steps.astype(float) if steps.ndim == 2 and steps.size and steps.dtype.kind in "biuf" else None


def _curve(steps: np.ndarray) -> str:
    """Channels [l, c] of a series over time, on one scale; steps without a value are left out."""
    known = np.isfinite(steps)
    low, high = float(steps[known].min()), float(steps[known].max())
    across, lines = np.linspace(0, SIDE, len(steps)), []
    for channel, there, colour in zip(steps.T, known.T, COLOURS * (1 + steps.shape[1] // len(COLOURS)), strict=False):
        down = SIDE * (1 - (channel[there] - low) / ((high - low) or 1.0))
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(across[there], down, strict=True))
        lines.append(f'<polyline points="{points}" fill="none" stroke="{colour}"/>')
    return f'<svg width="{SIDE}" height="{SIDE}">{"".join(lines)}</svg>'
