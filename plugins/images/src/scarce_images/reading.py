"""Reads shape, colour, position and size off pictures of shapes: the nearest of all that can be drawn."""

from __future__ import annotations

import colorsys
import itertools
from collections.abc import Mapping
from functools import lru_cache

import numpy as np
import pandas as pd
from PIL import Image

from scarce_images.shapes import COLOURS, GROWTH, HUES, POSITIONS, SHAPES, SHIFT, SIZES, TURN, Coverage, Picture, coverage

FINEST = 32  # larger pictures are read at this side
CHUNK = 512  # pictures at a time
TURNS = 4  # angles tried of style "rotated"
# Of a picture's contrast, what the nearest drawing must explain: drawn pictures have 0.87 and more, thin lines 0.75. A ghost of a
# second shape, or blur or noise that a person would notice, costs a picture its validity; a small second shape may not.
LEAST_SHARE: Mapping[str, float] = {"plain": 0.8, "rotated": 0.8, "dark": 0.7, "stripes": 0.7, "outline": 0.65}
LEAST_CONTRAST = 0.15  # between ink and background, in 0-1
MOST_OFF = 0.30  # between ink and the nearest colour, in 0-1


def measure(images: Picture, style: str = "plain") -> pd.DataFrame:
    """What each of uint8 [n, p, p, 3] shows: columns shape, colour, position, size, `score` (0-1) and `valid`.

    A picture is background + coverage x (ink - background). The background is the median of the rim; of all coverages (shape,
    position, size, and small shifts of them) the one that leaves least squares wins, and its least-squares ink gives the
    colour. score: share of the squared contrast explained; valid: whether score, contrast and colour are like a drawn picture's.
    """
    if not len(images):
        return _measure(np.zeros((1, FINEST, FINEST, 3), np.uint8), style).iloc[:0]
    return pd.concat([_measure(images[i : i + CHUNK], style) for i in range(0, len(images), CHUNK)], ignore_index=True)


def _measure(images: Picture, style: str) -> pd.DataFrame:
    x = _small(images).astype(np.float32) / 255
    n, pixels = x.shape[:2]
    rim = np.concatenate([x[:, 0], x[:, -1], x[:, :, 0], x[:, :, -1]], axis=1)
    background = np.median(rim, axis=1)
    contrast = (x - background[:, None, None]).reshape(n, -1, 3)
    facts, drawn, lengths = templates(style, pixels)
    along = (contrast.transpose(0, 2, 1).reshape(3 * n, -1) @ drawn.T).reshape(n, 3, len(drawn))
    explained = (along**2).sum(1)
    best = explained.argmax(1)
    rows = np.arange(n)
    score = explained[rows, best] / np.maximum((contrast**2).sum((1, 2)), 1e-9)
    ink = along[rows, :, best] / lengths[best, None]
    offs = np.linalg.norm((ink + background)[:, None] - INKS, axis=2)
    colour = offs.argmin(1)
    valid = (score >= LEAST_SHARE[style]) & (np.abs(ink).max(1) >= LEAST_CONTRAST) & (offs[rows, colour] <= MOST_OFF)
    frame: pd.DataFrame = facts.iloc[best].reset_index(drop=True)
    frame.insert(1, "colour", np.array(COLOURS, dtype=object)[colour])
    return frame.assign(score=score, valid=valid)


INKS = np.array([colorsys.hsv_to_rgb(hue / 360, saturation, value) for hue, saturation, value in HUES.values()])


@lru_cache(maxsize=8)
def templates(style: str, pixels: int) -> tuple[pd.DataFrame, Coverage, Coverage]:
    """Shape, position and size of every coverage tried, the coverages [t, pixels * pixels] divided by their lengths [t]."""
    shifts = SHIFT * np.linspace(-0.75, 0.75, 4 if style == "outline" else 3)  # thin lines miss each other sooner
    growths = (1 - 0.6 * GROWTH, 1 + 0.6 * GROWTH)
    degrees = tuple(np.linspace(*TURN, TURNS)) if style == "rotated" else (0.0,)
    words = list(itertools.product(SHAPES, POSITIONS, SIZES))
    variants = list(itertools.product(itertools.product(shifts, shifts), growths, degrees))
    facts = pd.DataFrame([w for w in words for _ in variants], columns=["shape", "position", "size"])
    drawn = np.stack([
        coverage(shape, position, size, style=style, pixels=pixels, shift=shift, growth=growth, degrees=degree).ravel()
        for shape, position, size in words for shift, growth, degree in variants
    ])  # fmt: skip
    lengths = np.linalg.norm(drawn, axis=1)
    return facts, drawn / lengths[:, None], lengths


def _small(images: Picture) -> Picture:
    """At most FINEST pixels a side, by area means."""
    if images.shape[1] <= FINEST:
        return images
    return np.stack([np.asarray(Image.fromarray(p).resize((FINEST, FINEST), Image.Resampling.BOX)) for p in images])
