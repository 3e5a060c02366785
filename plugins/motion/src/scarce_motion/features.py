"""Motions of one skeleton as numbers that don't depend on place and heading, and back (HumanML3D's idea, arXiv 2304.01116).

A frame is: height of the root (m), its velocity over the ground in the heading's frame (m/s: forward x, sideways z), turn of the
heading (rad/s), six numbers of a rotation per turning joint (the root's without the heading), and contact of each foot, 0 to 1.
A "slide" root has no turn, and velocities along the world's axes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from scarce_motion.rotations import Floats, about, continuous, from_six, inverse, product, six, turned, twist, unit, vector
from scarce_motion.skeleton import UP, Skeleton

GAIN = 0.2  # per frame: how fast the heading follows the body that stands
NEAR, SLOW = (0.04, 0.10), (0.3, 0.8)  # metres above the floor, metres per second: full contact, none
CHUNK = 256
Lengths = npt.NDArray[np.int64]


def parts_of(skeleton: Skeleton) -> list[tuple[str, int]]:
    """Name and number of the channels of each part of a frame, in order."""
    free = skeleton.kinds[0] == "free"
    turns = [(skeleton.names[i], 6) for i in skeleton.turning]
    feet = [("contact", len(skeleton.feet))] if skeleton.feet else []
    return [("height", 1), ("velocity", 2), *([("turn", 1)] if free else []), *turns, *feet]


def padded(motions: Sequence[Floats], length: int, width: int) -> tuple[Floats, Lengths]:
    """[n, length, width] frames, the last one repeated to the end, and [n] how many there are."""
    out = np.zeros((len(motions), length, width))
    for i, frames in enumerate(motions):
        out[i, : len(frames)] = frames
        out[i, len(frames) :] = frames[-1]
    return out, np.array([len(m) for m in motions], dtype=np.int64)


def headings(root: Floats) -> Floats:
    """[n, l] heading of root rotations [n, l, 4], smooth through every tumble.

    It turns with the body about the vertical, and is drawn to where the body faces as long as that stands upright.
    """
    facing = twist(root, UP)
    upright = turned(root, np.broadcast_to(UP, (*root.shape[:-1], 3)))[..., 1].clip(0, 1)
    step = vector(product(root[:, 1:], inverse(root[:, :-1])))[..., 1]
    out = np.zeros(root.shape[:2])
    out[:, 0] = facing[:, 0]
    for i in range(1, root.shape[1]):
        guess = out[:, i - 1] + step[:, i - 1]
        off = (facing[:, i] - guess + np.pi) % (2 * np.pi) - np.pi
        out[:, i] = guess + GAIN * upright[:, i] ** 2 * off
    return out


def positions(skeleton: Skeleton, root: Floats, rotations: Floats) -> Floats:
    """[..., j, 3] joint positions of root [..., 3] and quaternions [..., k, 4]: forward kinematics."""
    place = {joint: k for k, joint in enumerate(skeleton.turning)}
    still = np.broadcast_to(np.array([1.0, 0.0, 0.0, 0.0]), (*root.shape[:-1], 4))
    world, out = [still] * len(skeleton.names), [root] * len(skeleton.names)
    for j, parent in enumerate(skeleton.parents):
        own = rotations[..., place[j], :] if j in place else None
        if parent < 0:
            world[j] = still if own is None else own
            continue
        out[j] = out[parent] + turned(world[parent], np.broadcast_to(skeleton.rest[j], root.shape))
        world[j] = world[parent] if own is None else product(world[parent], own)
    return np.stack(out, -2)


def split_frames(frames: Floats) -> tuple[Floats, Floats]:
    """Root positions [..., 3] and quaternions [..., k, 4] of frames [..., 3 + 4 k]."""
    return frames[..., :3], frames[..., 3:].reshape(*frames.shape[:-1], -1, 4)


def encode(skeleton: Skeleton, frames: Floats, lengths: Lengths, fps: float, floor: Floats) -> Floats:
    """[n, l, c] features of padded frames; floor: [feet] height of each foot when it stands."""
    pieces = [_encode(skeleton, frames[i : i + CHUNK], lengths[i : i + CHUNK], fps, floor) for i in range(0, len(frames), CHUNK)]
    width = sum(size for _, size in parts_of(skeleton))
    return np.concatenate(pieces) if pieces else np.zeros((0, frames.shape[1], width))


def _encode(skeleton: Skeleton, frames: Floats, lengths: Lengths, fps: float, floor: Floats) -> Floats:
    root, rotations = split_frames(frames)
    free = skeleton.kinds[0] == "free"
    heading = headings(rotations[..., 0, :]) if free else np.zeros(root.shape[:2])
    back = about(UP, -heading)
    moved = np.diff(root, axis=1, append=root[:, -1:])
    velocity = turned(back, moved)[..., [0, 2]] * fps
    turn = np.diff(heading, axis=1, append=heading[:, -1:])[..., None] * fps
    parts = [root[..., 1:2], _held(velocity, lengths)]
    parts += [_held(turn, lengths)] if free else []
    for k in range(rotations.shape[-2]):
        q = product(back, rotations[..., 0, :]) if k == 0 and free else rotations[..., k, :]
        parts.append(six(q))
    if skeleton.feet:
        parts.append(_held(contacts(positions(skeleton, root, rotations)[..., list(skeleton.feet), :], fps, floor), lengths))
    return np.concatenate(parts, -1)


def _held(values: Floats, lengths: Lengths) -> Floats:
    """What is a difference to the next frame has no value in the last: that of the one before stands there and after."""
    last = np.maximum(lengths - 2, 0)
    steps = np.minimum(np.arange(values.shape[1])[None], last[:, None])
    return np.take_along_axis(values, steps[..., None], 1)


def contacts(feet: Floats, fps: float, floor: Floats) -> Floats:
    """[n, l, f] 1 for a foot that is on the floor and stands still, falling to 0 with height and speed; feet: [n, l, f, 3]."""
    speed = np.linalg.norm(np.diff(feet, axis=1, append=feet[:, -1:])[..., [0, 2]], axis=-1) * fps
    return _ramp(feet[..., 1] - floor, NEAR) * _ramp(speed, SLOW)


def _ramp(values: Floats, bounds: tuple[float, float]) -> Floats:
    return np.asarray(np.clip((bounds[1] - values) / (bounds[1] - bounds[0]), 0.0, 1.0))


def floor_of(skeleton: Skeleton, frames: Floats, lengths: Lengths) -> Floats:
    """[feet] a low height of each foot (the 2 % quantile) over all frames."""
    if not skeleton.feet:
        return np.zeros(0)
    exists = np.arange(frames.shape[1])[None] < lengths[:, None]
    heights = positions(skeleton, *split_frames(frames))[..., list(skeleton.feet), 1]
    return np.asarray(np.quantile(heights[exists], 0.02, axis=0))


def decode(skeleton: Skeleton, features: Floats, fps: float) -> Floats:
    """[n, l, 3 + 4 k] frames of features: they begin above the origin, heading along x; hinges turn about their axes alone."""
    free = skeleton.kinds[0] == "free"
    start = 4 if free else 3
    turn = features[..., 3] / fps if free else np.zeros(features.shape[:2])
    heading = np.concatenate([np.zeros((len(turn), 1)), np.cumsum(turn, 1)[:, :-1]], 1)
    ahead = about(UP, heading)
    flat = np.stack([features[..., 1], np.zeros_like(turn), features[..., 2]], -1) / fps
    path = np.cumsum(turned(ahead, flat), 1)
    root = np.concatenate([np.zeros((len(path), 1, 3)), path[:, :-1]], 1)
    root[..., 1] = features[..., 0]
    out = [root]
    for k, joint in enumerate(skeleton.turning):
        q = from_six(features[..., start + 6 * k : start + 6 * k + 6])
        if skeleton.kinds[joint] == "hinge":
            axis = np.array(skeleton.axes[skeleton.names[joint]])
            q = about(axis, twist(q, axis))
        q = product(ahead, q) if k == 0 and free else q
        out.append(np.moveaxis(continuous(np.moveaxis(unit(q), 1, 0)), 0, 1))
    return np.concatenate(out, -1)
