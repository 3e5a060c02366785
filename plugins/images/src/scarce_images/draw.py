"""Pictures of pictures: a gallery with real ones on the left and synthetic ones on the right, a row per class."""

from __future__ import annotations

import base64
import html
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from scarce.contract import DrawContext, Figure
from scarce_images.pictures import Pixels
from scarce_images.write import png

CLASSES, SHOWN = 8, 8  # most rows, and most pictures of each side in a row
SIDE, GAP, SMALLEST = 64, 2, 48  # pixels: most of a picture as it is kept, between pictures, least of one on the page


def draw_images(ctx: DrawContext) -> list[Figure]:
    """A gallery by class, of random pictures where there are no classes; without synthetic pictures of the real ones alone."""
    sides: dict[str, pd.DataFrame] = {"real, training": ctx.real, "synthetic": ctx.synthetic}
    sides = {who: frame for who, frame in sides.items() if len(frame)}
    if not sides:
        return []
    target, classes = ctx.dataset.target_name, list(ctx.dataset.classes)
    rng = np.random.default_rng([ctx.seed, 8])
    shown = [classes[i] for i in sorted(rng.permutation(len(classes))[:CLASSES])]
    rows = shown if shown and target in next(iter(sides.values())).columns else [None]
    cells = [[_strip(_some(frame, target, label, rng)) for frame in sides.values()] for label in rows]
    head = "".join(f"<th>{html.escape(who)}</th>" for who in sides)
    body = "".join(
        f"<tr><th>{'' if label is None else html.escape(str(label))}</th>{''.join(f'<td>{c}</td>' for c in line)}</tr>"
        for label, line in zip(rows, cells, strict=True)
    )
    many = f"{len(rows)} of {len(classes)} classes, " if len(classes) > len(rows) and rows != [None] else ""
    return [
        Figure(
            name="images_gallery", title="Real and synthetic pictures" if len(sides) > 1 else "Pictures", section="fidelity",
            caption=f"{many}at most {SHOWN} pictures of each, drawn at random.", html=f"<table><tr><th></th>{head}</tr>{body}</table>",
        )
    ]  # fmt: skip


def _some(frame: pd.DataFrame, target: str, label: Any, rng: np.random.Generator) -> list[Pixels]:
    """At most SHOWN pictures of a class, or of all."""
    own = np.arange(len(frame)) if label is None else np.flatnonzero([v == label for v in frame.get(target, [])])
    return [frame["image"].iloc[i] for i in rng.permutation(own)[:SHOWN]]


def _strip(pictures: list[Pixels]) -> str:
    """One image element with pictures side by side, of a few kilobytes; a dash where there are none."""
    if not pictures:
        return "–"
    side = min(SIDE, max(len(p) for p in pictures))
    small = [Image.fromarray(p) if len(p) == side else Image.fromarray(p).resize((side, side), Image.Resampling.BOX) for p in pictures]
    strip = Image.new("RGB", (len(small) * (side + GAP) - GAP, side), "white")
    for i, picture in enumerate(small):
        strip.paste(picture, (i * (side + GAP), 0))
    data = base64.b64encode(png(strip)).decode()
    height = max(side, SMALLEST)
    style = f"height:{height}px;max-width:none;image-rendering:{'pixelated' if side < SMALLEST else 'auto'}"
    return f'<img alt="{len(small)} pictures" style="{style}" src="data:image/png;base64,{data}">'
