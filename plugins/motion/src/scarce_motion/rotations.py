"""Unit quaternions as arrays [..., 4] in the order w, x, y, z; angles in radians."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
AXES = {"X": 0, "Y": 1, "Z": 2}
LEAST = 1e-6  # shorter quaternions have no direction


def product(a: Floats, b: Floats) -> Floats:
    """The rotation b followed by a."""
    aw, ax, ay, az = np.moveaxis(a, -1, 0)
    bw, bx, by, bz = np.moveaxis(b, -1, 0)
    return np.stack(
        [
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ],
        -1,
    )


def inverse(q: Floats) -> Floats:
    """The rotation back."""
    return np.asarray(q * np.array([1.0, -1.0, -1.0, -1.0]))


def about(axis: Any, angle: Any) -> Floats:
    """Rotations about a unit axis [3] by angles [...]."""
    half = np.asarray(angle, dtype=np.float64)[..., None] / 2
    return np.concatenate([np.cos(half), np.sin(half) * np.asarray(axis, dtype=np.float64)], -1)


def turned(q: Floats, v: Floats) -> Floats:
    """Vectors [..., 3] rotated by q [..., 4]."""
    w, u = q[..., :1], q[..., 1:]
    cross = 2 * np.cross(u, v)
    return np.asarray(v + w * cross + np.cross(u, cross))


def vector(q: Floats) -> Floats:
    """[..., 3] rotation vectors (axis times angle) of the shorter way round."""
    q = np.where(q[..., :1] < 0, -q, q)
    size = np.linalg.norm(q[..., 1:], axis=-1, keepdims=True)
    angle = 2 * np.arctan2(size, q[..., :1])
    return np.asarray(q[..., 1:] * np.where(size > 1e-12, angle / np.maximum(size, 1e-12), 2.0))


def twist(q: Floats, axis: Any) -> Floats:
    """[...] signed angles of the part of q about a unit axis; 0 where q turns the axis upside down."""
    along = q[..., 1:] @ np.asarray(axis, dtype=np.float64)
    angle = 2 * np.arctan2(along, q[..., 0])
    angle = np.where(along**2 + q[..., 0] ** 2 < LEAST, 0.0, angle)
    return np.asarray((angle + np.pi) % (2 * np.pi) - np.pi)


def slerp(a: Floats, b: Floats, share: Any) -> Floats:
    """From a (share 0) to b (share 1) at constant speed by the shorter way; share broadcasts over [...]."""
    share = np.asarray(share, dtype=np.float64)[..., None]
    step = vector(product(b, inverse(a)))
    angle = np.linalg.norm(step, axis=-1, keepdims=True)
    axis = step / np.maximum(angle, 1e-12)
    half = angle * share / 2
    return unit(product(np.concatenate([np.cos(half), np.sin(half) * axis], -1), a))


def unit(q: Floats) -> Floats:
    """Quaternions of length 1."""
    return np.asarray(q / np.maximum(np.linalg.norm(q, axis=-1, keepdims=True), LEAST))


def continuous(q: Floats) -> Floats:
    """[t, ..., 4] the same rotations with signs such that neighbours in time are near each other."""
    dots = (q[1:] * q[:-1]).sum(-1, keepdims=True)
    signs = np.cumprod(np.where(dots < 0, -1.0, 1.0), axis=0)
    return np.concatenate([q[:1], q[1:] * signs])


def six(q: Floats) -> Floats:
    """[..., 6] the first two columns of the rotation matrix (Zhou 2019, arXiv 1812.07035)."""
    x = turned(q, np.broadcast_to([1.0, 0.0, 0.0], (*q.shape[:-1], 3)))
    y = turned(q, np.broadcast_to([0.0, 1.0, 0.0], (*q.shape[:-1], 3)))
    return np.concatenate([x, y], -1)


def from_six(values: Floats) -> Floats:
    """Quaternions of two columns, made orthonormal by Gram and Schmidt; columns that are parallel give some rotation."""
    x = values[..., :3] / np.maximum(np.linalg.norm(values[..., :3], axis=-1, keepdims=True), LEAST)
    y = values[..., 3:] - (x * values[..., 3:]).sum(-1, keepdims=True) * x
    size = np.linalg.norm(y, axis=-1, keepdims=True)
    spare = np.cross(x, np.where(np.abs(x[..., :1]) < 0.9, [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]))
    y = np.where(size > LEAST, y, spare)
    y = y / np.maximum(np.linalg.norm(y, axis=-1, keepdims=True), LEAST)
    return from_matrix(np.stack([x, y, np.cross(x, y)], -1))


def from_matrix(m: Floats) -> Floats:
    """Quaternions of rotation matrices [..., 3, 3], by the largest of the four components."""
    xx, yy, zz = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    squares = np.stack([1 + xx + yy + zz, 1 + xx - yy - zz, 1 - xx + yy - zz, 1 - xx - yy + zz], -1)
    wx, wy, wz = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]
    xy, xz, yz = m[..., 0, 1] + m[..., 1, 0], m[..., 0, 2] + m[..., 2, 0], m[..., 1, 2] + m[..., 2, 1]
    rows = [
        np.stack(row, -1)
        for row in (
            (squares[..., 0], wx, wy, wz),
            (wx, squares[..., 1], xy, xz),
            (wy, xy, squares[..., 2], yz),
            (wz, xz, yz, squares[..., 3]),
        )
    ]
    best = squares.argmax(-1)[..., None]
    return unit(np.select([best == k for k in range(4)], rows))


def from_euler(order: str, angles: Floats) -> Floats:
    """Rotations of angles [..., k] about the axes that `order` names, the first outermost (BVH's order of channels)."""
    out = np.broadcast_to(np.array([1.0, 0.0, 0.0, 0.0]), (*angles.shape[:-1], 4))
    for i, axis in enumerate(order):
        out = product(out, about(np.eye(3)[AXES[axis]], angles[..., i]))
    return out


def to_zxy(q: Floats) -> Floats:
    """[..., 3] angles about z, x, y, the first outermost; near x = 90 degrees the last is 0."""
    w, x, y, z = np.moveaxis(q, -1, 0)
    sine = np.clip(2 * (y * z + w * x), -1.0, 1.0)
    locked = np.abs(sine) > 1 - 1e-9
    first = np.arctan2(2 * (w * z - x * y), 1 - 2 * (x * x + z * z))
    last = np.arctan2(2 * (w * y - x * z), 1 - 2 * (x * x + y * y))
    alone = np.arctan2(2 * (x * y + w * z), 1 - 2 * (y * y + z * z))
    return np.stack([np.where(locked, alone, first), np.arcsin(sine), np.where(locked, 0.0, last)], -1)
