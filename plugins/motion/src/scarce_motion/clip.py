"""One clip: a skeleton's frames at one rate, checked and brought to another rate."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from scarce.errors import DataError
from scarce_motion.rotations import LEAST, Floats, continuous, slerp
from scarce_motion.skeleton import Skeleton

NEAR_UNIT = 1e-3  # a quaternion whose length is further from 1 is counted as mended


@dataclass(frozen=True, kw_only=True)
class Clip:
    """frames: [t, 3 + 4 k] root position in metres, then a quaternion per turning joint; fps: frames per second.

    actions: what is done, in order; caption: a person's own text; wraps: whether the end goes on at the beginning; mended: how
    many quaternions were not of length 1.
    """

    name: str
    skeleton: Skeleton
    frames: Floats
    fps: float
    actions: tuple[str, ...] = ()
    caption: str | None = None
    wraps: bool = False
    mended: int = 0

    @property
    def seconds(self) -> float:
        """From the first frame to the end of the last."""
        return len(self.frames) / self.fps

    @property
    def root(self) -> Floats:
        """[t, 3] positions."""
        return self.frames[:, :3]

    @property
    def rotations(self) -> Floats:
        """[t, k, 4] quaternions."""
        return self.frames[:, 3:].reshape(len(self.frames), -1, 4)

    def with_frames(self, root: Floats, rotations: Floats) -> Clip:
        """The clip with other frames."""
        return replace(self, frames=frames_of(root, rotations))


def frames_of(root: Floats, rotations: Floats) -> Floats:
    """[t, 3 + 4 k] of positions [t, 3] and quaternions [t, k, 4]."""
    return np.concatenate([root, rotations.reshape(len(root), -1)], 1)


def mended(clip: Clip) -> Clip:
    """The clip with quaternions of length 1, signs that don't jump, and gaps filled from their neighbours.

    Raises DataError, naming the clip, for one without frames, of another width, without a frame rate, with a quaternion of
    length 0, or without any complete frame.
    """
    frames = np.asarray(clip.frames, dtype=np.float64)
    if len(frames) == 0:
        raise DataError(f"clip '{clip.name}' has no frames", hint="leave it out, or give it at least one frame")
    if frames.ndim != 2 or frames.shape[1:] != (clip.skeleton.width,):
        what = f"clip '{clip.name}' has frames of {frames.shape[1:]} numbers; its skeleton's have {clip.skeleton.width}"
        raise DataError(what, hint="a frame is the root's position, then w, x, y, z of every joint that turns")
    if not np.isfinite(clip.fps) or clip.fps <= 0:
        raise DataError(f"clip '{clip.name}' has {clip.fps:g} frames per second", hint="give the file a frame time above 0")
    whole = np.isfinite(frames).all(1)
    if not whole.any():
        raise DataError(f"clip '{clip.name}' has no complete frame", hint="leave it out")
    near = np.abs(np.flatnonzero(whole)[:, None] - np.arange(len(frames))).argmin(0)
    filled = np.where(np.isfinite(frames), frames, frames[np.flatnonzero(whole)[near]])
    for axis in range(3):
        known = np.isfinite(frames[:, axis])
        filled[:, axis] = np.interp(np.arange(len(frames)), np.flatnonzero(known), frames[known, axis])
    turns = filled[:, 3:].reshape(len(frames), -1, 4)
    sizes = np.linalg.norm(turns, axis=-1)
    if (sizes < LEAST).any():
        frame, joint = np.argwhere(sizes < LEAST)[0]
        name = clip.skeleton.names[clip.skeleton.turning[joint]]
        what = f"clip '{clip.name}': the quaternion of '{name}' in frame {frame} is zero, which is no rotation"
        raise DataError(what, hint="write 1 0 0 0 for a joint at rest")
    wrong = int((np.abs(sizes - 1) > NEAR_UNIT).sum())
    turns = continuous(turns / sizes[..., None]) if turns.shape[1] else turns
    return replace(clip, frames=frames_of(filled[:, :3], turns), mended=clip.mended + wrong)


def at_rate(clip: Clip, fps: float) -> Clip:
    """The clip at another frame rate: positions linearly between frames, rotations by slerp; it begins where it began."""
    if abs(clip.fps - fps) < 1e-3 * fps or len(clip.frames) == 1:
        return replace(clip, fps=fps)
    count = max(2, int(np.floor((len(clip.frames) - 1) * fps / clip.fps + 1e-6)) + 1)
    return replace(sampled(clip, np.arange(count) * clip.fps / fps), fps=fps)


def faster(clip: Clip, factor: float) -> Clip:
    """The clip played so many times faster at the same frame rate; at least two frames."""
    count = max(2, round((len(clip.frames) - 1) / factor) + 1)
    return clip if len(clip.frames) < 2 else sampled(clip, np.linspace(0, len(clip.frames) - 1, count))


def sampled(clip: Clip, places: Any) -> Clip:
    """The clip at moments given in its own frames, which may lie between them."""
    places = np.clip(places, 0, len(clip.frames) - 1)
    low = np.minimum(places.astype(np.int64), max(0, len(clip.frames) - 2))
    high, share = np.minimum(low + 1, len(clip.frames) - 1), places - low
    root = clip.root[low] + share[:, None] * (clip.root[high] - clip.root[low])
    rotations = slerp(clip.rotations[low], clip.rotations[high], share[:, None])
    return clip.with_frames(root, continuous(rotations) if rotations.shape[1] else rotations)


def part(clip: Clip, start: int, stop: int) -> Clip:
    """Some of its frames."""
    return replace(clip, frames=clip.frames[start:stop])
