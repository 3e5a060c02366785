"""A body of a few joints that bows or turns: small enough for every test."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd

from scarce_motion.clip import Clip
from scarce_motion.rotations import about, product
from scarce_motion.skeleton import Skeleton

BODY = Skeleton(
    names=("root", "left_knee", "left_foot", "right_knee", "right_foot", "head"),
    parents=(-1, 0, 1, 0, 3, 0),
    offsets=((0, 0, 0), (0, -0.4, -0.1), (0, -0.4, 0), (0, -0.4, 0.1), (0, -0.4, 0), (0, 0.5, 0)),
    kinds=("free", "hinge", "ball", "hinge", "ball", "fixed"),
    axes={"left_knee": (0, 0, 1), "right_knee": (0, 0, 1)},
)


def clip(frames: int = 24, *, turn: float = 0.0, step: float = 0.05, seed: int = 0, name: str = "clip", **more) -> Clip:
    """Walks along x at `step` metres per frame, turning by `turn` radians per frame, its knees bending in time."""
    rng = np.random.default_rng(seed)
    t = np.arange(frames)
    heading = turn * t + rng.normal(0, 0.02)
    speed = step * (1 + 0.1 * np.sin(t))
    x, z = np.cumsum(speed * np.cos(heading)), -np.cumsum(speed * np.sin(heading))
    root = np.stack([x, 0.8 + 0.02 * np.sin(t / 2), z], 1)
    facing = product(about((0, 1, 0), heading), about((0, 0, 1), 0.1 * np.sin(t / 3)))
    knees = [about((0, 0, 1), -0.3 + 0.3 * np.sin(t / 2 + phase + rng.normal(0, 0.2))) for phase in (0, np.pi)]
    feet = [about((1, 0, 0), 0.1 * np.cos(t / 2 + phase)) for phase in (0, np.pi)]
    rotations = np.stack([facing, knees[0], feet[0], knees[1], feet[1]], 1)
    return Clip(name=name, skeleton=BODY, frames=np.concatenate([root, rotations.reshape(frames, -1)], 1), fps=20.0, **more)


def bodies(n: int, seed: int = 0) -> pd.DataFrame:
    """n motions of 9 to 14 frames that go straight on or turn with the class in `side`; their skeleton travels with the frame."""
    rng = np.random.default_rng(seed)
    code = np.arange(n) % 2
    made = [clip(int(rng.integers(9, 15)), turn=0.12 * c, step=0.05 + 0.04 * (1 - c), seed=seed * 1000 + i) for i, c in enumerate(code)]
    cells, side = np.empty(n, dtype=object), np.empty(n, dtype=object)
    cells[:] = [m.frames for m in made]
    side[:] = [("ahead", "around")[c] for c in code]
    frame = pd.DataFrame({"motion": cells, "actions": side.copy(), "side": side})
    frame.attrs["motion"] = json.dumps({"skeleton": BODY.to_json(), "fps": 20.0})
    return frame
