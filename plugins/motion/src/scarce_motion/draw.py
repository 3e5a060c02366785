"""Pictures of motions for the report: skeletons that move, real ones beside synthetic ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from scarce.contract import DrawContext, Figure
from scarce_motion.codec import MotionCodec, as_frames
from scarce_motion.player import gallery
from scarce_motion.rotations import Floats

SHOWN = 6


def draw_motion(ctx: DrawContext) -> list[Figure]:
    """A few motions of each source at random; without synthetic ones the real ones alone."""
    assert isinstance(ctx.codec, MotionCodec)
    rows = [*chosen("real", ctx.real, ctx.seed), *chosen("synthetic", ctx.synthetic, ctx.seed)]
    if not rows:
        return []
    caption = f"{SHOWN} motions of each, drawn at random and played over and over; the view follows the body."
    page = gallery(ctx.codec.skeleton, rows, ctx.codec.fps)
    return [Figure(name="motions", title="Motions", caption=caption, html=page, section="motion")]


def chosen(who: str, frame: pd.DataFrame, seed: int) -> list[tuple[str, str, Floats]]:
    """A few records at random with what they show."""
    rows: Any = np.random.default_rng([seed, 8]).permutation(len(frame))[:SHOWN]
    said = frame["actions"].tolist() if "actions" in frame.columns else [None] * len(frame)
    return [(who, said[i] or "", as_frames(frame["motion"].iloc[i])) for i in rows.tolist()]
