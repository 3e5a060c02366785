"""What is made of training clips: mirrored, faster or slower, turned, repeated, and one after another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from scarce_motion.clip import Clip, faster, part
from scarce_motion.rotations import Floats, about, continuous, product, slerp, turned, twist
from scarce_motion.skeleton import UP, mirror_of, swapped

SPEEDS = (0.85, 1.2)
SHORT = 1.5  # seconds; a clip that wraps and is shorter is repeated
FASTEST = 1.6  # how much faster one clip of a pair is played before it is cut


def mirrored(clip: Clip) -> Clip | None:
    """Left and right exchanged, in joints and in what is said; None where the skeleton's sides differ."""
    found = mirror_of(clip.skeleton)
    if found is None or not clip.skeleton.turning:
        return None
    partners, axis = found
    place = {joint: k for k, joint in enumerate(clip.skeleton.turning)}
    order = [place[partners[joint]] for joint in clip.skeleton.turning]
    signs = -np.ones(4)
    signs[[0, 1 + axis]] = 1.0
    flip = np.ones(3)
    flip[axis] = -1.0
    made = clip.with_frames(clip.root * flip, clip.rotations[:, order] * signs)
    said = None if clip.caption is None else swapped(clip.caption)
    return replace(made, actions=tuple(swapped(a) for a in clip.actions), caption=said, name=f"{clip.name} mirrored")


def headed(clip: Clip, angle: float) -> Clip:
    """The clip turned about the vertical."""
    turn = about(UP, angle)
    root = turned(np.broadcast_to(turn, (len(clip.frames), 4)), clip.root)
    rotations = clip.rotations.copy()
    if clip.skeleton.kinds[0] == "free":
        rotations[:, 0] = product(np.broadcast_to(turn, (len(clip.frames), 4)), rotations[:, 0])
    return clip.with_frames(root, rotations)


def joined(first: Clip, second: Clip, blend: int) -> Clip:
    """The second goes on where the first ends, heading alike; over `blend` frames one passes into the other."""
    blend = max(1, min(blend, len(first.frames) - 1, len(second.frames) - 1))
    a, b = len(first.frames) - 1 - blend // 2, blend - 1 - blend // 2
    if first.skeleton.kinds[0] == "free":
        here, there = (float(twist(c.rotations[i, 0], UP)) for c, i in ((first, a), (second, b)))
        second = headed(second, here - there)
    shift = (first.root[a] - second.root[b]) * np.array([1.0, 0.0, 1.0])
    second = second.with_frames(second.root + shift, second.rotations)
    share = (np.arange(blend) + 1) / (blend + 1)
    share = share * share * (3 - 2 * share)
    root = first.root[-blend:] + share[:, None] * (second.root[:blend] - first.root[-blend:])
    rotations = slerp(first.rotations[-blend:], second.rotations[:blend], share[:, None])
    return first.with_frames(
        np.concatenate([first.root[:-blend], root, second.root[blend:]]),
        _steady(np.concatenate([first.rotations[:-blend], rotations, second.rotations[blend:]])),
    )


def repeated(clip: Clip, seconds: float, blend: int = 2) -> Clip:
    """A clip that wraps, again and again until it is that long; others as they are."""
    out = clip
    while clip.wraps and len(clip.frames) > 2 * blend and out.seconds < seconds:
        out = joined(out, clip, blend)
    return out


def varied(clip: Clip, rng: np.random.Generator, most: int) -> Clip:
    """One random variant: speed, heading and, of a short clip that wraps, how often and where it begins."""
    if clip.wraps and clip.seconds < SHORT:
        start = int(rng.integers(len(clip.frames)))
        long = repeated(clip, 2 * clip.seconds + float(rng.uniform(SHORT, 1.6 * SHORT)))
        clip = part(long, start, start + round((long.seconds - clip.seconds) * clip.fps))
    clip = faster(clip, float(rng.uniform(*SPEEDS)))
    return part(headed(clip, float(rng.uniform(-np.pi, np.pi))), 0, most)


def composed(first: Clip, second: Clip, rng: np.random.Generator, most: int, blend: int) -> Clip:
    """A variant of one, then a variant of the other, in at most so many frames."""
    half = (most + blend) // 2
    parts = []
    for clip in (first, second):
        clip = varied(clip, rng, 10 * most)
        parts.append(part(faster(clip, min(FASTEST, max(1.0, len(clip.frames) / half))), 0, half))
    made = joined(parts[0], parts[1], blend)
    return replace(made, actions=(*first.actions, *second.actions), name=f"{first.name} + {second.name}", caption=None, wraps=False)


def pool(clips: Sequence[Clip]) -> dict[str, list[Clip]]:
    """Action -> clips that show it alone, mirrored ones among them."""
    out: dict[str, list[Clip]] = {}
    for clip in [*clips, *(m for c in clips if (m := mirrored(c)) is not None)]:
        if len(clip.actions) == 1:
            out.setdefault(clip.actions[0], []).append(clip)
    return out


def fitting_pairs(found: Mapping[str, Sequence[Clip]]) -> list[tuple[str, str]]:
    """Ordered pairs of different actions of which the second begins about as high as the first ends.

    About is a third of the highest root: nobody walks and then gets up.
    """
    tall = max(float(np.median(c.root[:, 1])) for clips in found.values() for c in clips)
    return [(a, b) for a in found for b in found if a != b and abs(found[a][0].root[-1, 1] - found[b][0].root[0, 1]) < max(tall / 3, 0.05)]


def _steady(rotations: Floats) -> Floats:
    return continuous(rotations) if rotations.shape[1] else rotations
