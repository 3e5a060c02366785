"""Feature space "ink": what is drawn on a plain background, cut out, scaled alike and without colours.

Distances in pixels are mostly about which colours and places occur; here only what is drawn counts, not how large, where or in
which colour, and faint noise of a generator does not.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from PIL import Image

INK = "ink"
SIDE, FAINT, SURE, LEAST = 20, 0.15, 0.3, 0.05  # pixels of a cutting; shares of the strongest ink: nothing, surely drawn; least strength


def ink(pictures: Iterable[npt.NDArray[np.uint8]]) -> npt.NDArray[np.float64]:
    """[n, SIDE * SIDE] in -1 (background) to 1 of uint8 pictures [h, w, 3]; all -1 where nothing is drawn."""
    return np.stack([_cutting(picture / 255).ravel() for picture in pictures])


def _cutting(picture: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    edge = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    strength = np.abs(picture - np.median(edge, 0)).max(-1)
    strength /= max(float(np.quantile(strength, 0.99)), LEAST)
    drawn = np.clip((strength - FAINT) / (1 - FAINT), 0, 1)
    rows, columns = np.nonzero(drawn > SURE)
    if len(rows) == 0:
        return np.full((SIDE, SIDE), -1.0)
    top, left = (rows.min() + rows.max()) / 2, (columns.min() + columns.max()) / 2
    radius = max(np.ptp(rows), np.ptp(columns)) / 2 + 1
    step = 2 * radius / SIDE
    place = (step, 0.0, left - radius + 0.5, 0.0, step, top - radius + 0.5)
    cut = Image.fromarray((255 * drawn).astype(np.uint8)).transform((SIDE, SIDE), Image.Transform.AFFINE, place, Image.Resampling.BILINEAR)
    return np.asarray(cut, dtype=np.float64) / 127.5 - 1
