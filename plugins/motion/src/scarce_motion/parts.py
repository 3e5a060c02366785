"""Which clips train and which are held out, before anything is made of them; and which compositions are never trained on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np

from scarce_motion.clip import Clip

HELD_CLIPS = 0.25  # of an action's clips, at least one of two
HELD_PAIRS = {"test": 0.25, "validation": 0.1}
_TRIES = 64


def place(seed: int, name: str) -> float:
    """A position in [0, 1) that depends on seed and name alone."""
    return int.from_bytes(hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=8).digest(), "big") / 2.0**64


def clip_splits(clips: Sequence[Clip], seed: int) -> list[str]:
    """[n] "train" or "test": of every action with two clips or more, a quarter (at least one) is held out, chosen by seed."""
    groups: dict[tuple[str, ...], list[int]] = {}
    for i, clip in enumerate(clips):
        groups.setdefault(clip.actions, []).append(i)
    out = ["train"] * len(clips)
    for members in groups.values():
        count = max(1, round(HELD_CLIPS * len(members))) if len(members) > 1 else 0
        for i in sorted(members, key=lambda i: place(seed, clips[i].name))[:count]:
            out[i] = "test"
    return out


def pair_splits(pairs: Sequence[tuple[str, str]], seed: int) -> list[str]:
    """[n] the split of each pair; of the draws tried, the one that leaves most actions in training both as first and as second."""
    best: list[str] = []
    reached = -1
    for attempt in range(_TRIES):
        order = sorted(range(len(pairs)), key=lambda i: place(seed, f"{attempt}/{pairs[i]}"))
        out, start = ["train"] * len(pairs), 0
        for name, share in HELD_PAIRS.items():
            stop = start + max(1, round(share * len(pairs))) if len(pairs) > 4 else start
            for i in order[start:stop]:
                out[i] = name
            start = stop
        kept = [p for p, s in zip(pairs, out, strict=True) if s == "train"]
        found = _distinct(a for a, _ in kept) + _distinct(b for _, b in kept)
        if found > reached:
            best, reached = out, found
    return best


def _distinct(values: Iterable[str]) -> int:
    return len(set(values))


def generator_of(seed: int, name: str) -> np.random.Generator:
    """Random numbers that depend on seed and name alone, so that other records change none of them."""
    return np.random.default_rng(int.from_bytes(hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=8).digest(), "big"))
