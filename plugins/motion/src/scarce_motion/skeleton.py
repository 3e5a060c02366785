"""A skeleton: joints with parents, offsets from them at rest, and what each joint can do."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from scarce.errors import DataError
from scarce_motion.rotations import Floats

KINDS = ("free", "slide", "ball", "hinge", "fixed")
UP = np.array([0.0, 1.0, 0.0])
ALIKE = 0.01  # bones of one skeleton may differ by so much of their length
_FEET = re.compile(r"ankle|foot|toe", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Skeleton:
    """Joints, parents before children; metres, y up, every joint unturned at rest.

    names: [j]; parents: [j], -1 for the root, which is first; offsets: [j][3] from the parent at rest; kinds: [j] - "free" (a root
    that moves and turns), "slide" (a root that only moves), "ball", "hinge" (about its axis) or "fixed" (an end); axes: hinge ->
    its unit axis. `turning` joints have a quaternion in every frame.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: tuple[tuple[float, float, float], ...]
    kinds: tuple[str, ...]
    axes: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)

    @property
    def turning(self) -> tuple[int, ...]:
        """Places of the joints that have a rotation."""
        return tuple(i for i, kind in enumerate(self.kinds) if kind not in ("slide", "fixed"))

    @property
    def width(self) -> int:
        """Numbers in a frame: root position, then a quaternion per turning joint."""
        return 3 + 4 * len(self.turning)

    @property
    def rest(self) -> Floats:
        """[j, 3] offsets."""
        return np.array(self.offsets, dtype=np.float64).reshape(len(self.names), 3)

    @property
    def reach(self) -> float:
        """Metres from the root to the farthest joint along the bones."""
        far = np.zeros(len(self.names))
        for joint, parent in enumerate(self.parents[1:], start=1):
            far[joint] = far[parent] + np.linalg.norm(self.rest[joint])
        return float(far.max())

    @property
    def feet(self) -> tuple[int, ...]:
        """Joints called ankle or foot, else toes; none where nothing is called so."""
        found = [i for i, name in enumerate(self.names) if _FEET.search(name)]
        moved = [i for i in found if "toe" not in self.names[i].lower()]
        return tuple(moved or found)

    def to_json(self) -> dict[str, Any]:
        """Plain data that `skeleton_of` reads."""
        return asdict(self)


def skeleton_of(data: Mapping[str, Any]) -> Skeleton:
    """The skeleton written by `Skeleton.to_json`; DataError for parents, kinds or numbers of joints that don't fit."""
    try:
        made = Skeleton(
            names=tuple(str(n) for n in data["names"]), parents=tuple(int(p) for p in data["parents"]),
            offsets=tuple((float(x), float(y), float(z)) for x, y, z in data["offsets"]), kinds=tuple(str(k) for k in data["kinds"]),
            axes={str(k): (float(v[0]), float(v[1]), float(v[2])) for k, v in dict(data.get("axes", {})).items()},
        )  # fmt: skip
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise DataError(f"a skeleton has names, parents, offsets and kinds: {error!r}", hint="see docs/motion.md") from None
    checked(made)
    return made


def travelling(skeleton: Skeleton, fps: float) -> dict[str, str]:
    """What goes into the `attrs` of a DataFrame of motions, so that they stay readable wherever the frame goes."""
    return {"motion": json.dumps({"skeleton": skeleton.to_json(), "fps": fps})}


def checked(skeleton: Skeleton) -> None:
    """DataError for a skeleton whose parts contradict each other."""
    n = len(skeleton.names)
    lengths = {len(skeleton.parents), len(skeleton.offsets), len(skeleton.kinds), n}
    hint = "see docs/motion.md"
    if lengths != {n} or n == 0 or len(set(skeleton.names)) != n:
        raise DataError(f"a skeleton has one parent, offset and kind for each of its {n} joints, whose names differ", hint=hint)
    late = [name for i, name in enumerate(skeleton.names) if not (-1 if i == 0 else 0) <= skeleton.parents[i] < max(i, 0)]
    if late:
        raise DataError(f"joint '{late[0]}' comes before its parent, or is a second root", hint="list parents before children")
    odd = [k for i, k in enumerate(skeleton.kinds) if k not in (KINDS[:2] if i == 0 else KINDS[2:])]
    if odd:
        raise DataError(f"a joint can't be '{odd[0]}' there: the root is free or slide, others are ball, hinge or fixed", hint=hint)
    lost = [n for n, k in zip(skeleton.names, skeleton.kinds, strict=True) if k == "hinge" and n not in skeleton.axes]
    if lost:
        raise DataError(f"hinge '{lost[0]}' has no axis", hint=hint)


def difference(a: Skeleton, b: Skeleton) -> str:
    """What sets two skeletons apart in words; empty where they are one."""
    mine, other = set(a.names), set(b.names)
    if mine != other:
        lost, more = sorted(mine - other), sorted(other - mine)
        return " and ".join([*([f"lacks {', '.join(lost[:5])}"] if lost else []), *([f"also has {', '.join(more[:5])}"] if more else [])])
    if a.names != b.names or a.parents != b.parents:
        return "joins the joints otherwise"
    if a.kinds != b.kinds:
        i = next(i for i in range(len(a.kinds)) if a.kinds[i] != b.kinds[i])
        return f"has '{a.names[i]}' as {b.kinds[i]}, not {a.kinds[i]}"
    far = np.linalg.norm(a.rest[1:] - b.rest[1:], axis=1) > ALIKE * np.maximum(np.linalg.norm(a.rest[1:], axis=1), 1e-3)
    return f"has another bone to '{a.names[1 + int(far.argmax())]}'" if far.any() else ""


def swapped(name: str) -> str:
    """A name with left and right exchanged: "left_knee" is "right_knee"."""
    pairs = {"left": "right", "Left": "Right", "LEFT": "RIGHT"}
    both = pairs | {v: k for k, v in pairs.items()}
    return re.sub(r"left|right|Left|Right|LEFT|RIGHT", lambda m: both[m[0]], name)


def mirror_of(skeleton: Skeleton) -> tuple[tuple[int, ...], int] | None:
    """[j] the partner of each joint, and the axis (0 x, 2 z) that a mirror reverses; None where the sides differ."""
    index = {name: i for i, name in enumerate(skeleton.names)}
    partners = tuple(index.get(swapped(name), i) for i, name in enumerate(skeleton.names))
    sides = np.array([abs(skeleton.rest[i] - skeleton.rest[j]) for i, j in enumerate(partners)]).sum(0)
    axis = int(np.argmax(sides[[0, 2]])) * 2 if sides.sum() > 0 else 2
    flip = np.ones(3)
    flip[axis] = -1.0
    same = np.abs(skeleton.rest * flip - skeleton.rest[list(partners)]).max() <= ALIKE
    kinds = all(skeleton.kinds[i] == skeleton.kinds[j] for i, j in enumerate(partners))
    return (partners, axis) if same and kinds else None


_SIDE = (
    ("hip", "root", (0.0, 0.0, 0.084887), "ball"),
    ("knee", "hip", (0.0, -0.421546, 0.0), "hinge"),
    ("ankle", "knee", (0.0, -0.40987, 0.0), "ball"),
    ("shoulder", "chest", (-0.02405, 0.2435, 0.18311), "ball"),
    ("elbow", "shoulder", (0.0, -0.274788, 0.0), "hinge"),
)
_ENDS = (("wrist", "elbow", (0.0, -0.258947, 0.0)), ("toe", "ankle", (0.14, -0.05, 0.0)))


def _humanoid() -> Skeleton:
    rows: list[tuple[str, str, tuple[float, float, float], str]] = [
        ("root", "", (0.0, 0.0, 0.0), "free"), ("chest", "root", (0.0, 0.236151, 0.0), "ball"),
        ("neck", "chest", (0.0, 0.223894, 0.0), "ball"),
    ]  # fmt: skip
    ends: list[tuple[str, str, tuple[float, float, float], str]] = [("head", "neck", (0.0, 0.25, 0.0), "fixed")]
    for side, sign in (("right", 1.0), ("left", -1.0)):
        for out, parts in ((rows, _SIDE), (ends, tuple((*end, "fixed") for end in _ENDS))):
            for name, parent, (x, y, z), kind in parts:
                above = parent if parent in ("root", "chest") else f"{side}_{parent}"
                out.append((f"{side}_{name}", above, (x, y, sign * z), kind))
    rows += ends
    places = {name: i for i, (name, *_) in enumerate(rows)}
    return Skeleton(
        names=tuple(places), parents=tuple(places.get(parent, -1) for _, parent, *_ in rows),
        offsets=tuple(offset for *_, offset, _ in rows), kinds=tuple(kind for *_, kind in rows),
        axes={name: (0.0, 0.0, 1.0) for name, *_, kind in rows if kind == "hinge"},
    )  # fmt: skip


HUMANOID = _humanoid()
"""DeepMimic's humanoid (arXiv 1804.02717): x forward, z right; head, wrists and toes are ends that only pictures and feet use."""

POINT = Skeleton(names=("root",), parents=(-1,), offsets=((0.0, 0.0, 0.0),), kinds=("slide",))
"""One point that moves: a hand's trajectory."""
