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
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _drawn(value: Any) -> str:
    """An encoded picture or a series as HTML; empty for anything else."""
    if isinstance(value, Mapping) and isinstance(value.get("bytes"), bytes):
        return f'<img alt="" src="data:image/png;base64,{base64.b64encode(value["bytes"]).decode()}">'
    if isinstance(value, np.ndarray) and len(value) > 1:
        return _curve(np.array([np.atleast_1d(step) for step in value], dtype=float))
    return ""


def _curve(steps: np.ndarray) -> str:
    """Channels [l, c] of a series over time, on one scale."""
    low, high = float(np.nanmin(steps)), float(np.nanmax(steps))
    across, lines = np.linspace(0, SIDE, len(steps)), []
    for channel, colour in zip(steps.T, COLOURS * (1 + steps.shape[1] // len(COLOURS)), strict=False):
        down = SIDE * (1 - (np.nan_to_num(channel) - low) / ((high - low) or 1.0))
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(across, down, strict=True))
        lines.append(f'<polyline points="{points}" fill="none" stroke="{colour}"/>')
    return f'<svg width="{SIDE}" height="{SIDE}">{"".join(lines)}</svg>'
