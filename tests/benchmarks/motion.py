"""Text2Data on motion: `text2data/motion` as it stands, a run per seed, against what it is meant to reach.

Captions asked are compositions of two actions that were never trained on; a fifth of the held-out records are clips that no
training record was made of. Runs are kept under a cache folder, so an interrupted benchmark continues.
"""

from __future__ import annotations

from typing import Any

from common import cached

TIMES_CHANCE, SLIDE, BONE = 3.0, 1.5, 0.01
NAMES = {"top-1": "r_precision_1", "top-2": "r_precision_2", "top-3": "r_precision_3", "fréchet": "motion_frechet",
         "diversity": "motion_diversity", "multimodality": "multimodality", "foot skate": "foot_skate",
         "bone error": "bone_length_error", "nearest clip": "clip_nearest_ratio"}  # fmt: skip


def measure(seed: int) -> dict[str, Any]:
    """One row: what synthetic motions score, chance, how feet slide beside real ones, and the CPU seconds of training."""
    [child] = cached("text2data/motion", f"motion/{seed}", {"seed": seed, "runtime.threads": 1}).results.children
    found = {(m["name"], m["source"]): m for m in child.metrics}
    row = {short: float(found[name, "synthetic"]["value"]) for short, name in NAMES.items()}
    chance = float(found["r_precision_3", "synthetic"]["ceiling"])
    slide = row["foot skate"] / float(found["foot_skate", "real"]["value"])
    good = row["top-3"] >= TIMES_CHANCE * chance and slide <= SLIDE and row["bone error"] < BONE
    return {
        "seed": seed, **row, "top-3 real": float(found["r_precision_3", "real"]["value"]), "chance": chance, "slide / real": slide,
        "cpu s": sum(child.cost["phase_cpu_seconds"].values()), "ok": good,
    }  # fmt: skip


def run(seeds: int = 2) -> list[dict[str, Any]]:
    """A row per seed."""
    return [measure(seed) for seed in range(seeds)]
