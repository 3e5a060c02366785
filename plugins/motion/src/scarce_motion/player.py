"""Moving skeletons for a page without scripts: one SVG path per motion whose outline changes with time (SMIL)."""

from __future__ import annotations

import html
from collections.abc import Sequence

import numpy as np

from scarce_motion.features import positions, split_frames
from scarce_motion.rotations import Floats
from scarce_motion.skeleton import Skeleton

SIZE, MARGIN = 150, 8
COLOURS = {"real": "#6b7280", "synthetic": "#d9622b"}
SIGHT = np.deg2rad(30.0)  # how far the view is turned from the side
MOST_FRAMES = 60


def gallery(skeleton: Skeleton, rows: Sequence[tuple[str, str, Floats]], fps: float) -> str:
    """HTML of motions side by side; rows: who ("real", "synthetic"), what it is called, frames [t, w]."""
    cells = "".join(
        f'<div style="text-align:center;width:{SIZE}px">{svg(skeleton, frames, fps, COLOURS.get(who, "#2f6fb0"))}'
        f'<div style="font-size:11px;color:#555">{html.escape(who)}: {html.escape(title)}</div></div>'
        for who, title, frames in rows
    )
    return f'<div style="display:flex;flex-wrap:wrap;gap:8px">{cells}</div>'


def svg(skeleton: Skeleton, frames: Floats, fps: float, colour: str) -> str:
    """One motion, played again and again; the view follows the root. Of a point, the trace with the point moving on it."""
    seconds = len(frames) / fps
    frames = frames[:: max(1, -(-len(frames) // MOST_FRAMES))]
    joints = positions(skeleton, *split_frames(frames))
    view = seen(joints, follow=len(skeleton.names) > 1)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{SIZE}" height="{SIZE}" viewBox="0 0 {SIZE} {SIZE}" role="img">'
    if len(skeleton.names) == 1:
        path = "M" + " L".join(f"{x:.0f} {y:.0f}" for x, y in view[:, 0])
        xs, ys = (";".join(f"{v:.0f}" for v in view[:, 0, axis]) for axis in (0, 1))
        return (
            f'{head}<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.5" opacity="0.6"/><circle r="4" fill="{colour}">'
            f"{moving('cx', xs, seconds)}{moving('cy', ys, seconds)}</circle></svg>"
        )
    shapes = [outline(skeleton, frame) for frame in view]
    line = f'fill="none" stroke="{colour}" stroke-width="2.5" stroke-linecap="round"'
    floor = f'<path d="M0 {SIZE - MARGIN} H{SIZE}" stroke="#ddd"/>'
    return f'{head}{floor}<path d="{shapes[0]}" {line}>{moving("d", ";".join(shapes), seconds)}</path></svg>'


def moving(attribute: str, values: str, seconds: float) -> str:
    """An animation of one attribute, over and over."""
    return f'<animate attributeName="{attribute}" values="{values}" dur="{seconds:.2f}s" repeatCount="indefinite"/>'


def seen(joints: Floats, *, follow: bool) -> Floats:
    """[t, j, 2] pixels of joints [t, j, 3], from the side; the scale shows the whole motion, the floor is the lowest point."""
    across = joints[..., 0] * np.cos(SIGHT) + joints[..., 2] * np.sin(SIGHT) if follow else joints[..., 0]
    if follow:
        across = across - across[:, :1]
    up = joints[..., 1]
    middle = 0.0 if follow else (across.max() + across.min()) / 2
    reach = max(float(np.abs(across - middle).max()) * 2, float(up.max() - up.min()), 1e-3)
    scale = (SIZE - 2 * MARGIN) / reach
    return np.stack([SIZE / 2 + (across - middle) * scale, SIZE - MARGIN - (up - up.min()) * scale], -1)


def outline(skeleton: Skeleton, points: Floats) -> str:
    """Bones of one frame as a path: from each joint to its parent."""
    pairs = [(p, j) for j, p in enumerate(skeleton.parents) if p >= 0]
    x, y = points.round().astype(int).T
    return "".join(f"M{x[a]} {y[a]}L{x[b]} {y[b]}" for a, b in pairs)
