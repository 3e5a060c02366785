"""Clips in one .npz: a skeleton once, and the frames of all clips one after another.

names [j] text, parents [j], offsets [j, 3] metres, kinds [j] text, axes [j, 3] (0 where no hinge), fps,
lengths [n] frames of each clip, root [f, 3] metres, rotations [f, k, 4] w x y z of joints that turn, f the sum of lengths,
actions [n] text ("run > jump"), captions [n] text, clips [n] text; the last three may be left out
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scarce.errors import DataError
from scarce_motion.clip import Clip, frames_of
from scarce_motion.skeleton import Skeleton, skeleton_of

THEN = " > "  # between actions of one clip
NEEDED = ("names", "parents", "offsets", "kinds", "fps", "lengths", "root", "rotations")


def split_actions(text: Any) -> tuple[str, ...]:
    """The actions that "run > jump" lists."""
    return tuple(part.strip() for part in text.split(THEN.strip()) if part.strip()) if isinstance(text, str) else ()


def read_npz(path: Path) -> list[Clip]:
    """The clips of a file; DataError for arrays that are missing or don't fit each other."""
    try:
        with np.load(path, allow_pickle=False) as found:
            arrays = {str(k): found[k] for k in found.files}
    except (OSError, ValueError) as error:
        raise DataError(f"{path} can't be read: {error}", hint="np.savez of the arrays that docs/motion.md lists") from None
    if lost := [name for name in NEEDED if name not in arrays]:
        raise DataError(f"{path} has no array '{lost[0]}'", hint=f"it must have {', '.join(NEEDED)}")
    names = [str(n) for n in arrays["names"]]
    axes = {n: a.tolist() for n, a in zip(names, arrays.get("axes", np.zeros((len(names), 3))), strict=False) if np.abs(a).sum() > 0}
    skeleton = skeleton_of({**{k: arrays[k].tolist() for k in ("parents", "offsets", "kinds")}, "names": names, "axes": axes})
    lengths, root, turns = arrays["lengths"].astype(int), arrays["root"], arrays["rotations"]
    total, k = int(lengths.sum()), len(skeleton.turning)
    if root.shape != (total, 3) or turns.shape != (total, k, 4):
        what = f"{path}: root has shape {root.shape}, rotations {turns.shape}; they must be ({total}, 3) and ({total}, {k}, 4)"
        raise DataError(what, hint="lengths must sum to the number of frames; fixed joints have no rotation")
    said = {name: arrays.get(name, np.full(len(lengths), "")) for name in ("actions", "captions", "clips")}
    if any(len(values) != len(lengths) for values in said.values()):
        raise DataError(f"{path}: actions, captions and clips must have one text for each of the {len(lengths)} clips", hint="np.savez")
    frames, ends = frames_of(root.astype(np.float64), turns.astype(np.float64)), np.cumsum(lengths)
    return [
        Clip(
            name=str(said["clips"][i]) or f"{path.stem}-{i}", skeleton=skeleton, frames=frames[end - n : end], fps=float(arrays["fps"]),
            actions=split_actions(str(said["actions"][i])), caption=str(said["captions"][i]) or None,
        )
        for i, (n, end) in enumerate(zip(lengths.tolist(), ends.tolist(), strict=True))
    ]  # fmt: skip


def npz_bytes(clips: Sequence[Clip], skeleton: Skeleton, fps: float) -> bytes:
    """The file of clips of one skeleton and rate."""
    axes = np.array([skeleton.axes.get(name, (0.0, 0.0, 0.0)) for name in skeleton.names])
    frames = np.concatenate([c.frames for c in clips]) if clips else np.zeros((0, skeleton.width))
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer, names=np.array(skeleton.names), parents=np.array(skeleton.parents), offsets=skeleton.rest, kinds=np.array(skeleton.kinds),
        axes=axes, fps=np.array(fps), lengths=np.array([len(c.frames) for c in clips], dtype=np.int64), root=frames[:, :3],
        rotations=frames[:, 3:].reshape(len(frames), len(skeleton.turning), 4),
        actions=np.array([THEN.join(c.actions) for c in clips], dtype=str), captions=np.array([c.caption or "" for c in clips], dtype=str),
        clips=np.array([c.name for c in clips], dtype=str),
    )  # fmt: skip
    return buffer.getvalue()
