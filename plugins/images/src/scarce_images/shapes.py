"""Pictures of shapes drawn from scratch: one shape of one colour, position and size on a plain background, and its caption."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image, ImageDraw
from scipy.ndimage import grey_erosion

from scarce.errors import DataError

Picture = npt.NDArray[np.uint8]
Coverage = npt.NDArray[np.float32]
Style = Literal["plain", "outline", "stripes", "rotated", "dark"]

STYLES: tuple[Style, ...] = ("plain", "outline", "stripes", "rotated", "dark")
SHAPES = ("circle", "square", "triangle", "star", "cross", "ring")
# Hue in degrees, saturation, value: far enough apart that a jitter of all three leaves no doubt.
HUES: Mapping[str, tuple[float, float, float]] = {
    "red": (0.0, 0.85, 0.85),
    "yellow": (50.0, 0.85, 0.90),
    "green": (125.0, 0.75, 0.65),
    "cyan": (182.0, 0.75, 0.85),
    "blue": (225.0, 0.80, 0.85),
    "purple": (290.0, 0.70, 0.75),
}
COLOURS = tuple(HUES)
POSITIONS = ("top left", "top", "top right", "left", "centre", "right", "bottom left", "bottom", "bottom right")
RADII: Mapping[str, float] = {"small": 0.13, "large": 0.21}  # shares of the picture's side
SIZES = tuple(RADII)
COLUMNS = ("shape", "colour", "position", "size")

# One combination in six, each shape and each colour once: what a model has never seen together.
HELD_OUT = frozenset((shape, COLOURS[(i + 2) % len(COLOURS)]) for i, shape in enumerate(SHAPES))
SEEN = frozenset((shape, colour) for shape in SHAPES for colour in COLOURS) - HELD_OUT

CENTRES = (0.26, 0.5, 0.74)
SHIFT, GROWTH, TURN = 0.025, 0.07, (30.0, 60.0)  # most a picture differs from its nominal place, size; degrees of style "rotated"
LINE, STRIPE, PALE = 0.03, 0.12, 0.45  # width of an outline and period of stripes (shares of the side), ink of a pale stripe
SUPERSAMPLING = 4


def _around(points: int, *radii: float) -> list[tuple[float, float]]:
    """Corners at equal angles from the top clockwise, their radii taken in turn."""
    angles = (2 * math.pi * i / points - math.pi / 2 for i in range(points))
    return [(radii[i % len(radii)] * math.cos(a), radii[i % len(radii)] * math.sin(a)) for i, a in enumerate(angles)]


ARM = 0.34
CORNERS: Mapping[str, list[tuple[float, float]]] = {
    "square": [(-0.82, -0.82), (0.82, -0.82), (0.82, 0.82), (-0.82, 0.82)],
    "triangle": _around(3, 1.1),
    "star": _around(10, 1.1, 0.46),
    "cross": [(-ARM, -1), (ARM, -1), (ARM, -ARM), (1, -ARM), (1, ARM), (ARM, ARM),
              (ARM, 1), (-ARM, 1), (-ARM, ARM), (-1, ARM), (-1, -ARM), (-ARM, -ARM)],
}  # fmt: skip


def caption(row: Mapping[str, Any]) -> str:
    """What the picture shows, "a small red circle at the top left"; row: of the four COLUMNS those that are to be told, shape always."""
    said = ["a", *(row[name] for name in ("size", "colour", "shape") if name in row)]
    return " ".join(said) + (f" at the {row['position']}" if "position" in row else "")


def draw(shape: str, colour: str, position: str, size: str, *, style: str = "plain", pixels: int = 32, rng: np.random.Generator) -> Picture:
    """uint8 [pixels, pixels, 3] with a little of place, size, hue and background left to `rng`; DataError for an unknown word."""
    for word, known in ((shape, SHAPES), (colour, COLOURS), (position, POSITIONS), (size, SIZES), (style, STYLES)):
        if word not in known:
            raise DataError(f"shapes: '{word}' is none of {', '.join(known)}")
    shift = rng.uniform(-SHIFT, SHIFT, 2)
    alpha = coverage(
        shape, position, size, style=style, pixels=pixels, shift=(float(shift[0]), float(shift[1])),
        growth=1 + rng.uniform(-GROWTH, GROWTH), degrees=rng.uniform(*TURN) if style == "rotated" else 0.0,
    )[..., None]  # fmt: skip
    back = rng.uniform(0.08, 0.16) if style == "dark" else rng.uniform(0.90, 0.97)
    background = back + rng.uniform(-0.02, 0.02, 3)
    hue, saturation, value = HUES[colour]
    hue, saturation, value = hue + rng.uniform(-6, 6), saturation + rng.uniform(-0.08, 0.08), value + rng.uniform(-0.08, 0.08)
    ink = np.array(colorsys.hsv_to_rgb(hue / 360 % 1, saturation, value))
    picture: Picture = np.rint(255 * (alpha * ink + (1 - alpha) * background)).astype(np.uint8)
    return picture


def coverage(
    shape: str, position: str, size: str, *, style: str = "plain", pixels: int = 32, shift: tuple[float, float] = (0.0, 0.0),
    growth: float = 1.0, degrees: float = 0.0,
) -> Coverage:  # fmt: skip
    """float32 [pixels, pixels] in 0-1: how much of each pixel is ink; shift: (x, y) in shares of the side, growth: of the radius."""
    place, side = POSITIONS.index(position), pixels * SUPERSAMPLING
    centre = ((CENTRES[place % 3] + shift[0]) * side, (CENTRES[place // 3] + shift[1]) * side)
    canvas = Image.new("L", (side, side))
    _fill(ImageDraw.Draw(canvas), shape, centre, RADII[size] * growth * side, degrees)
    ink = np.asarray(canvas, dtype=np.float32)
    if style == "outline":
        ink = ink - grey_erosion(ink, size=2 * round(LINE * side) + 1, mode="nearest")
    if style == "stripes":
        phase = (np.arange(side)[None] - centre[0] + np.arange(side)[:, None] - centre[1]) / (STRIPE * side)
        ink = ink * np.where(np.mod(phase, 1) < 0.5, 1.0, PALE)
    means: Coverage = ink.reshape(pixels, SUPERSAMPLING, pixels, SUPERSAMPLING).mean((1, 3)).astype(np.float32)
    return means


def table(n: int, *, seed: int, style: str = "plain", pixels: int = 32, exclude: Iterable[tuple[str, str]] = HELD_OUT) -> pd.DataFrame:
    """n pictures with columns image, shape, colour, position, size and caption, every mixture of words as often as any other.

    exclude: (shape, colour) pairs that never occur; `()` for none, SEEN for nothing but held-out pairs.
    """
    left_out = set(exclude)
    mixtures = [
        (shape, colour, position, size)
        for shape in SHAPES for colour in COLOURS if (shape, colour) not in left_out
        for position in POSITIONS for size in SIZES
    ]  # fmt: skip
    if not mixtures:
        raise DataError("shapes: every combination of shape and colour is excluded")
    rng = np.random.default_rng([seed, STYLES.index(style) if style in STYLES else 0])
    rounds = [rng.permutation(len(mixtures)) for _ in range(-(-n // len(mixtures)))]
    chosen = [mixtures[i] for i in np.concatenate([*rounds, np.empty(0, int)])[:n].astype(int)]
    frame = pd.DataFrame(chosen, columns=list(COLUMNS))
    frame.insert(0, "image", [draw(*words, style=style, pixels=pixels, rng=rng) for words in chosen])
    frame["caption"] = [caption(dict(zip(COLUMNS, words, strict=True))) for words in chosen]
    return frame


def _fill(pen: ImageDraw.ImageDraw, shape: str, centre: tuple[float, float], radius: float, degrees: float) -> None:
    """Paint a shape in 1 on a canvas of 0."""
    if shape in CORNERS:
        turn = math.radians(degrees)
        turned = [(x * math.cos(turn) - y * math.sin(turn), x * math.sin(turn) + y * math.cos(turn)) for x, y in CORNERS[shape]]
        pen.polygon([(centre[0] + radius * x, centre[1] + radius * y) for x, y in turned], fill=1)
        return
    for share, ink in ((1.0, 1), *(((0.5, 0),) if shape == "ring" else ())):
        r = share * radius
        pen.ellipse((centre[0] - r, centre[1] - r, centre[0] + r, centre[1] + r), fill=ink)
