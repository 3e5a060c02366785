"""What generated pictures must beat: plain copies, and copies that are shifted, turned and of other colours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image, ImageEnhance

from scarce.contract import BaselineContext, take
from scarce_images.pictures import Pixels

SHIFT, DEGREES, COLOUR = 0.1, 10.0, 0.2  # most of: side, turn, change of brightness, contrast and saturation
JITTERS = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)


def image_baselines(ctx: BaselineContext) -> Mapping[str, Any]:
    """ "augment" and "bootstrap": n pictures each, drawn from the labelled training pictures, so with their share of classes."""
    rows = ctx.dataset.rows("train")
    rows = rows[ctx.dataset.labelled[rows]] if ctx.dataset.labelled[rows].any() else rows
    rng = np.random.default_rng(ctx.seed)
    copies: pd.DataFrame = take(ctx.dataset.records, rows[rng.integers(len(rows), size=ctx.n)])
    changed = pd.Series([augmented(cell, rng) for cell in copies["image"]], dtype=object)
    return {"augment": copies.assign(image=changed), "bootstrap": copies}


def augmented(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """A picture turned by up to 10 degrees, shifted by up to a tenth, with up to 20 % other brightness, contrast and saturation.

    Edges are mirrored where it moves away from them. It is never flipped: left and right, and letters, mean something.
    """
    side = len(pixels)
    edge = side // 2
    wide = Image.fromarray(np.pad(pixels, ((edge, edge), (edge, edge), (0, 0)), mode="symmetric"))
    shift = tuple(rng.uniform(-SHIFT, SHIFT, 2) * side)
    turned = wide.rotate(float(rng.uniform(-DEGREES, DEGREES)), Image.Resampling.BICUBIC, translate=shift)
    picture = turned.crop((edge, edge, edge + side, edge + side))
    for jitter in JITTERS:
        picture = jitter(picture).enhance(float(rng.uniform(1 - COLOUR, 1 + COLOUR)))
    return np.array(picture)
