"""BVH files: a hierarchy of joints with channels in any order, and one line of numbers per frame."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from scarce.errors import DataError
from scarce_motion.clip import Clip
from scarce_motion.rotations import AXES, Floats, from_euler, to_zxy
from scarce_motion.skeleton import Skeleton, checked

HINT = "see docs/motion.md for what is read of a BVH file"


@dataclass
class _Joint:
    name: str
    parent: int
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    channels: list[str] = field(default_factory=list)


def read_bvh(path: Path, scale: float = 1.0) -> Clip:
    """The clip of a file whose lengths are multiplied by `scale`; DataError, with the line or joint, for what can't be read.

    A joint may have any of its six channels in any order: rotations apply in the order in which they stand; a joint with one
    rotation is a hinge, one with none is fixed; positions of other joints than the root are left aside.
    """
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise DataError(f"{path} can't be read: {error}", hint=f"ls -l {path}") from None
    return replace(bvh_clip(str(path), lines, scale), name=path.stem)


def bvh_clip(path: str, lines: list[str], scale: float) -> Clip:
    """The clip of a file's lines; `path` is what errors call it."""
    begin = next((i for i, line in enumerate(lines) if line.strip().upper() == "MOTION"), None)
    if begin is None or not lines or lines[0].strip().upper() != "HIERARCHY":
        raise DataError(f"{path} is no BVH file: it has no line HIERARCHY, or none MOTION", hint=HINT)
    joints = _hierarchy(path, lines[1:begin])
    count, seconds = _header(path, lines[begin + 1 :])
    width = sum(len(j.channels) for j in joints)
    values = _numbers(path, lines[begin + 3 :], count, width)
    skeleton = _skeleton(path, joints, scale)
    return Clip(name=path, skeleton=skeleton, frames=_frames(joints, values, scale), fps=1 / seconds)


def _hierarchy(path: str, lines: list[str]) -> list[_Joint]:
    joints, stack = list[_Joint](), list[int]()
    for number, words in _words(lines):
        head = words[0].upper()
        if head in ("ROOT", "JOINT", "END") and len(words) > 1:
            if head == "ROOT" and joints:
                raise DataError(f"{path}, line {number}: a second ROOT; one skeleton is read from a file", hint=HINT)
            name = _end_name(joints, stack[-1]) if head == "END" and stack else " ".join(words[1:])
            joints.append(_Joint(name, stack[-1] if stack else -1))
        elif head == "{":
            stack.append(len(joints) - 1)
        elif head == "}" and stack:
            stack.pop()
        elif head == "OFFSET" and len(words) == 4 and joints:
            joints[stack[-1]].offset = _three(path, number, words[1:])
        elif head == "CHANNELS" and len(words) > 1 and joints:
            joints[stack[-1]].channels = _channels(path, number, words, joints[stack[-1]].name)
        else:
            raise DataError(f"{path}, line {number}: '{' '.join(words)[:60]}' is not understood", hint=HINT)
    if not joints or stack:
        raise DataError(f"{path}: the hierarchy has {'no joint' if not joints else 'a bracket that is not closed'}", hint=HINT)
    return joints


def _end_name(joints: list[_Joint], parent: int) -> str:
    """ "wrist_end", "wrist_end2", …: end sites have no names of their own."""
    before = sum(j.parent == parent and j.name.startswith(f"{joints[parent].name}_end") for j in joints)
    return f"{joints[parent].name}_end{before + 1 if before else ''}"


def _words(lines: list[str]) -> Iterator[tuple[int, list[str]]]:
    """Line number and words, a bracket at the end of a line as a line of its own."""
    for number, line in enumerate(lines, start=2):
        for piece in re.split(r"([{}])", line):
            if piece.strip():
                yield number, piece.split()


def _three(path: str, number: int, words: list[str]) -> tuple[float, float, float]:
    try:
        x, y, z = (float(w) for w in words)
    except ValueError:
        raise DataError(f"{path}, line {number}: an OFFSET is three numbers, not '{' '.join(words)}'", hint=HINT) from None
    return x, y, z


def _channels(path: str, number: int, words: list[str], name: str) -> list[str]:
    named = [w.lower() for w in words[2:]]
    good = [m for w in named if (m := re.fullmatch(r"([xyz])(position|rotation)", w))]
    if words[1] != str(len(named)) or len(good) != len(named) or len(set(named)) != len(named):
        what = f"{path}, line {number}: '{name}' has the channels '{' '.join(words[1:])}'"
        raise DataError(what, hint="CHANNELS, how many, then each of [XYZ]position and [XYZ]rotation at most once")
    return [f"{m[1].upper()}{m[2][0]}" for m in good]


def _header(path: str, lines: list[str]) -> tuple[int, float]:
    said = [re.sub(r"\s+", " ", line.strip()) for line in lines[:2]]
    count = re.fullmatch(r"Frames: ?(\d+)", said[0], re.IGNORECASE) if said else None
    seconds = re.fullmatch(r"Frame Time: ?([0-9.eE+-]+)", said[1], re.IGNORECASE) if len(said) > 1 else None
    if count is None or seconds is None:
        raise DataError(f"{path}: after MOTION come 'Frames: N' and 'Frame Time: SECONDS', not {said}", hint=HINT)
    if int(count[1]) == 0:
        raise DataError(f"{path} has no frames", hint="leave the file out")
    if not float(seconds[1]) > 0:
        raise DataError(f"{path} has a frame time of {seconds[1]} s", hint="give the file a frame time above 0")
    return int(count[1]), float(seconds[1])


def _numbers(path: str, lines: list[str], count: int, width: int) -> Floats:
    rows = [line.split() for line in lines if line.strip()]
    wrong = next((i for i, row in enumerate(rows) if len(row) != width), None)
    if wrong is not None:
        what = f"{path}: frame {wrong} has {len(rows[wrong])} numbers, its joints have {width} channels"
        raise DataError(what, hint="the file may be cut short, or a joint lacks its CHANNELS")
    if len(rows) != count:
        raise DataError(f"{path} says {count} frames and has {len(rows)}", hint="the file may be cut short")
    try:
        return np.array(rows, dtype=np.float64).reshape(count, width)
    except ValueError as error:
        raise DataError(f"{path}: a frame has what is no number: {error}", hint=HINT) from None


def _skeleton(path: str, joints: list[_Joint], scale: float) -> Skeleton:
    turns = ["".join(c[0] for c in j.channels if c[1] == "r") for j in joints]
    kinds = ["free" if turns[0] else "slide"] + [{0: "fixed", 1: "hinge"}.get(len(t), "ball") for t in turns[1:]]
    axes = {j.name: _axis(t) for j, t, kind in zip(joints, turns, kinds, strict=True) if kind == "hinge"}
    if len({j.name for j in joints}) != len(joints):
        raise DataError(f"{path}: two joints have one name", hint="give every joint its own name")
    made = Skeleton(
        names=tuple(j.name for j in joints), parents=tuple(j.parent for j in joints),
        offsets=((0.0, 0.0, 0.0), *((j.offset[0] * scale, j.offset[1] * scale, j.offset[2] * scale) for j in joints[1:])),
        kinds=tuple(kinds), axes=axes,
    )  # fmt: skip
    checked(made)
    return made


def _axis(name: str) -> tuple[float, float, float]:
    x, y, z = np.eye(3)[AXES[name]].tolist()
    return x, y, z


def _frames(joints: list[_Joint], values: Floats, scale: float) -> Floats:
    place, out = 0, list[Floats]()
    for i, joint in enumerate(joints):
        mine = values[:, place : place + len(joint.channels)]
        place += len(joint.channels)
        if i == 0:
            root = np.broadcast_to(np.array(joint.offset), (len(values), 3)).copy()
            for k, channel in enumerate(joint.channels):
                if channel[1] == "p":
                    root[:, AXES[channel[0]]] = mine[:, k]
            out.append(root * scale)
        order = [(k, c[0]) for k, c in enumerate(joint.channels) if c[1] == "r"]
        if order:
            out.append(from_euler("".join(axis for _, axis in order), np.deg2rad(mine[:, [k for k, _ in order]])))
    return np.concatenate(out, 1)


def bvh_text(clip: Clip) -> str:
    """The clip as a BVH file: the root with positions, rotations in the order Z X Y, hinges with one, in metres and degrees."""
    children: dict[int, list[int]] = {i: [] for i in range(-1, len(clip.skeleton.names))}
    for i, parent in enumerate(clip.skeleton.parents):
        children[parent].append(i)
    lines = ["HIERARCHY"]
    order = _describe(clip.skeleton, children, 0, lines)
    columns = [clip.root]
    for joint in order:
        columns.append(_angles(clip, joint))
    values = np.concatenate(columns, 1)
    lines += ["MOTION", f"Frames: {len(values)}", f"Frame Time: {1 / clip.fps:.8f}"]
    lines += [" ".join(f"{v:.6f}" for v in row) for row in values]
    return "\n".join(lines) + "\n"


def _describe(skeleton: Skeleton, children: dict[int, list[int]], joint: int, lines: list[str], depth: int = 0) -> list[int]:
    """Write a joint and all below it; the turning ones in the order of their channels."""
    pad, kind, name = "  " * depth, skeleton.kinds[joint], skeleton.names[joint]
    end = kind == "fixed" and not children[joint]
    offset = " ".join(f"{v:.6f}" for v in skeleton.offsets[joint])
    head = "End Site" if end else f"{'JOINT' if joint else 'ROOT'} {name}"
    lines += [f"{pad}{head}", f"{pad}{{", f"{pad}  OFFSET {offset}"]
    channels = ["Xposition", "Yposition", "Zposition"] if joint == 0 else []
    if kind in ("free", "ball"):
        channels += ["Zrotation", "Xrotation", "Yrotation"]
    elif kind == "hinge":
        axis = np.abs(skeleton.axes[name])
        along = "XYZ"[int(axis.argmax())]
        channels += [f"{along}rotation"] if axis.max() > 1 - 1e-6 else ["Zrotation", "Xrotation", "Yrotation"]
    if not end:
        lines.append(f"{pad}  CHANNELS {len(channels)} {' '.join(channels)}".rstrip())
    out = [joint] if joint in skeleton.turning else []
    for child in children[joint]:
        out += _describe(skeleton, children, child, lines, depth + 1)
    if joint == 0 and not children[0]:
        lines += ["  End Site", "  {", "    OFFSET 0.000000 0.000000 0.000000", "  }"]
    lines.append(f"{pad}}}")
    return out


def _angles(clip: Clip, joint: int) -> Floats:
    """[t, 3] or, of a hinge about one axis, [t, 1] degrees."""
    q = clip.rotations[:, clip.skeleton.turning.index(joint)]
    if clip.skeleton.kinds[joint] == "hinge":
        axis = np.array(clip.skeleton.axes[clip.skeleton.names[joint]])
        if np.abs(axis).max() > 1 - 1e-6:
            angle = 2 * np.arctan2(q[:, 1:] @ axis, q[:, 0]) * np.sign(axis[np.abs(axis).argmax()])
            return np.rad2deg(_near_zero(angle))[:, None]
    return np.rad2deg(np.unwrap(to_zxy(q), axis=0))


def _near_zero(angle: Floats) -> Floats:
    return np.asarray((angle + np.pi) % (2 * np.pi) - np.pi)
