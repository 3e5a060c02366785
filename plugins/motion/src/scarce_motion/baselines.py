"""What generated motions must beat: plain copies, and copies that are shaken and played at another speed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch

from scarce.contract import BaselineContext, State, take
from scarce_motion.clip import Clip, faster
from scarce_motion.codec import MotionCodec, as_frames

NOISE, SPEED = 0.1, 0.15  # standard deviations of an encoded channel; largest relative change of speed


def motion_baselines(ctx: BaselineContext) -> Mapping[str, Any]:
    """ "jitter" and "bootstrap": n motions each, of labelled training motions where there are such."""
    rows = ctx.dataset.rows("train")
    rows = rows[ctx.dataset.labelled[rows]] if ctx.dataset.labelled[rows].any() else rows
    rng = np.random.default_rng(ctx.seed)
    frame = take(ctx.dataset.records, rng.choice(rows, ctx.n))
    assert isinstance(ctx.codec, MotionCodec)
    return {"jitter": shaken(frame, ctx.codec, rng, ctx.seed), "bootstrap": frame}


def shaken(frame: pd.DataFrame, codec: MotionCodec, rng: np.random.Generator, seed: int) -> pd.DataFrame:
    """Copies at another speed, with one smooth random offset per channel and motion."""
    clips = [Clip(name="", skeleton=codec.skeleton, frames=as_frames(cell), fps=codec.fps) for cell in frame["motion"]]
    quick = [faster(c, float(rng.uniform(1 - SPEED, 1 + SPEED))).frames for c in clips]
    state = codec.encode(frame.assign(motion=pd.Series(quick, index=frame.index, dtype=object)))
    offset = torch.from_numpy(rng.normal(0, NOISE, (len(frame), 1, state.num.shape[-1]))).to(state.num)
    made = codec.decode(State(state.num + offset, state.cat, state.mask), None, seed)
    keep = {name: frame[name].to_numpy() for name in frame.columns if name not in ("motion", "source", "caption")}
    return made.assign(**keep)
