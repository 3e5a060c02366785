"""Figures of the evaluator: views beside the texts they were made from, and accuracy by the weight of the teacher."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from scarce.contract import EvaluatorContext, Figure, take
from scarce_lugpi.sides import failed
from scarce_lugpi.tags import TAGS, tags_of
from scarce_lugpi.views import VIEW

LONGEST, SIDE, MOST = 400, 160, 192  # characters of a text, pixels of a drawn series, most pixels of a picture


def beside(ctx: EvaluatorContext, shown: int, source: str) -> list[Figure]:
    """A table of training records drawn at random: class, text, prompt and view; what failed says so."""
    data = ctx.dataset
    rows = data.rows("train")
    rows = rows[data.labelled[rows]]
    rows = np.sort(np.random.default_rng([ctx.seed, 3]).permutation(rows)[:shown])
    if len(rows) == 0 or data.target is None or (source != "tags" and VIEW not in data.views):
        return []
    records = take(data.records, rows)
    texts = [_text(record, data.target_name) for record in records.to_dict("records")]
    if source == "tags":
        prompts, views = [""] * len(rows), [html.escape(" ".join(TAGS[i] for i in tags_of(text)))[:LONGEST] for text in texts]
    else:
        view = data.views[VIEW]
        places, broken = view.rows_of(data.ids[rows]), failed(view.records)
        prompts = [p.text or "" for p in ctx.prompts(rows)] if ctx.prompts else [""] * len(rows)
        views = ["no view" if i < 0 else "failed" if broken[i] else _drawn(view.records.iloc[int(i)]) for i in places]
    body = "".join(
        f"<tr><th>{html.escape(str(label))}</th><td>{html.escape(text[:LONGEST])}</td><td>{html.escape(prompt[:LONGEST])}</td><td>{shown}</td></tr>"
        for label, text, prompt, shown in zip(data.target[rows], texts, prompts, views, strict=True)
    )
    head = f"<tr><th>{html.escape(data.target_name)}</th><th>record</th><th>prompt</th><th>view</th></tr>"
    caption = f"{len(rows)} labelled training records drawn at random. The view is seen by teachers only, and while they are trained."
    table = f'<table style="white-space:normal">{head}{body}</table>'
    return [Figure(name="views", title="Records and their views", caption=caption, html=table, section="privileged")]


def _text(record: Mapping[Any, Any], target: str) -> str:
    """The longest text of a record but its class; of records without texts all their values."""
    texts = [v for name, v in record.items() if isinstance(v, str) and name != target]
    return max(texts, key=len) if texts else ", ".join(f"{name} {_value(v)}" for name, v in record.items() if name != target)


def _value(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _drawn(row: Any) -> str:
    """A picture, a series as curves, or the values of a row."""
    for value in row:
        if isinstance(value, np.ndarray) and value.ndim == 3 and value.dtype == np.uint8:
            return _picture(value)
        if isinstance(value, np.ndarray) and value.ndim <= 2 and value.size > 1:
            return _curve(np.array([np.atleast_1d(step) for step in value], dtype=np.float64))
    return html.escape(", ".join(f"{name} {_value(value)}" for name, value in row.items() if value is not None))


def _picture(value: Any) -> str:
    image, file = Image.fromarray(value), io.BytesIO()
    image.thumbnail((MOST, MOST))
    image.save(file, "PNG")
    data = base64.b64encode(file.getvalue()).decode()
    return f'<img alt="view" style="width:96px;image-rendering:pixelated" src="data:image/png;base64,{data}">'


def _curve(steps: Any) -> str:
    """Channels [l, c] of a series over time, on one scale."""
    low, high = float(np.nanmin(steps)), float(np.nanmax(steps))
    across, lines = np.linspace(0, SIDE, len(steps)), []
    for channel in steps.T:
        down = 60 * (1 - (np.nan_to_num(channel) - low) / ((high - low) or 1.0))
        points = " ".join(f"{x:.0f},{y:.0f}" for x, y in zip(across, down, strict=True))
        lines.append(f'<polyline points="{points}" fill="none" stroke="#2f6fb0"/>')
    return f'<svg width="{SIDE}" height="60">{"".join(lines)}</svg>'


def answers(facts: Mapping[str, Any]) -> list[Figure]:
    """Accuracy on validation records by alpha for each arm whose gate opened, beside the baseline's; nothing for one alpha."""
    traces: list[dict[str, Any]] = []
    for arm, said in facts["arms"].items():
        points = {alpha: value for alpha, value in said["grid"].items() if value is not None}
        if len(points) > 1:
            traces.append({"type": "scatter", "mode": "lines+markers", "name": arm, "x": list(points), "y": list(points.values())})
    if not traces:
        return []
    axes = {"xaxis": {"type": "category", "title": {"text": "alpha"}}, "yaxis": {"title": {"text": "accuracy on validation records"}}}
    caption = "What was chosen from: the best of each line is that arm's student. Nothing here was measured on test records."
    return [
        Figure(
            name="alpha",
            title="Weight of the teacher",
            caption=caption,
            traces=traces,
            layout={**axes, "height": 320},
            section="privileged",
        )
    ]
