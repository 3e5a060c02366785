"""A look at texts: a few of each class, and how long they are."""

from __future__ import annotations

import html

import numpy as np
import pandas as pd

from scarce.contract import DrawContext, Figure

CLASSES, SHOWN, LETTERS = 8, 3, 300


def draw_texts(ctx: DrawContext) -> list[Figure]:
    """The beginnings of random training texts by class, and a histogram of their words."""
    frame: pd.DataFrame = ctx.real
    if len(frame) == 0:
        return []
    target, rng = ctx.dataset.target_name, np.random.default_rng([ctx.seed, 3])
    labels = list(ctx.dataset.classes)[:CLASSES] if target in frame.columns else [None]
    lines = []
    for label in labels:
        own = np.arange(len(frame)) if label is None else np.flatnonzero([v == label for v in frame[target]])
        for row in rng.permutation(own)[:SHOWN]:
            text = frame["text"].iloc[row]
            shown = html.escape(text[:LETTERS]) + ("…" if len(text) > LETTERS else "")
            lines.append(f"<tr><th>{'' if label is None else html.escape(str(label))}</th><td>{shown}</td></tr>")
    words = [len(text.split()) for text in frame["text"]]
    caption = f"At most {SHOWN} texts of each of {len(labels)} classes, drawn at random, their first {LETTERS} characters."
    axes = {"xaxis": {"title": {"text": "words"}}, "yaxis": {"title": {"text": "texts"}}}
    return [
        Figure(name="texts", title="Texts", section="fidelity", caption=caption, html=f"<table>{''.join(lines)}</table>"),
        Figure(
            name="texts_lengths", title="Lengths of texts", section="fidelity", caption="Words of each training text.",
            traces=[{"type": "histogram", "x": words, "nbinsx": 40}], layout=axes,
        ),
    ]  # fmt: skip
