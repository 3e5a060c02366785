"""Samples of GALOT used again: by other classifiers (transfer), and five times in a row as what the next rounds begin with (cycles).

Drawn shapes, the arms of `galot-shapes`. A cycle is one round of 60 pictures, whose classifier begins with the pictures of all cycles
before beside the real ones; what pictures show is read off them exactly. Runs are kept, so an interrupted benchmark continues.
"""

from __future__ import annotations

import statistics
from typing import Any

from common import cached
from galot import child, played, settings

from scarce.report.statistics import Child, find, paired, summarise

ARMS, CYCLES, CYCLED, MOVED = ("random", "margin"), 5, 1, 3  # seeds of cycles and of transfer, which trains ten learners a run
LEARNERS: dict[str, dict[str, Any]] = {
    "resnet": {"width": 8, "steps": 150}, "vit": {"width": 48, "heads": 4, "layers": 2, "steps": 300},
    "mobilenet": {"width": 0.35, "steps": 150}, "features": {"steps": 100},
}  # fmt: skip
SHOWN = ("shape", "colour", "position", "size")


def transfer(learner: str) -> dict[str, Any]:
    """One row: accuracy of a learner on the real pictures, and beside them on what either arm made, paired over seeds."""
    children: list[Child] = []
    for arm in ARMS:
        run = played("shapes", arm)
        for seed in range(MOVED):
            sets = {
                "data.modality": "images", "data.source": "builtin:shapes", "data.labelled": "5 per class", "arm": [{"name": arm}],
                "seed": seed, "runtime.threads": 1, "data.synthetic": [f"run:{child(run, arm, seed)}"],
                "learner": {"name": learner, **LEARNERS[learner]}, "evaluator": [{"name": "image-accuracy"}],
            }  # fmt: skip
            children += cached("galot/transfer", f"galot/transfer/{learner}-{arm}-{seed}", sets).results.children
    rows, row = summarise(children), dict[str, Any]()
    for arm in ARMS:
        for source, short in (("real", "real"), ("both", f"{arm}, with real"), ("synthetic", f"{arm} alone")):
            found = find(rows, "accuracy", source, arm)
            row |= {short: None if found is None else found.value}
    gap = paired(children, ("margin", "both"), ("random", "both"), "accuracy")
    facts = {"margin - random": gap.mean, "low": gap.low, "high": gap.high, "verdict": gap.verdict}
    return {"what": f"transfer to {learner}", "seeds": MOVED, **row, **facts, "ok": None}


def cycles(arm: str) -> list[dict[str, Any]]:
    """A row per cycle: accuracy after it, labels kept, diversity, and how far what pictures show is from real pictures."""
    found: list[list[dict[tuple[str, str], float]]] = [[] for _ in range(CYCLES)]
    for seed in range(CYCLED):
        before: list[str] = []
        for number in range(CYCLES):
            sets = {
                **settings(arm), "seeds": 1, "seed": seed, "data.synthetic": before, "generate.rounds": 1,
                "evaluator": [{"name": "rounds"}, {"name": "shapes-oracle"}, {"name": "shapes-histograms"}],
            }  # fmt: skip
            run = cached("galot/shapes", f"galot/cycles/{arm}-{seed}-{number + 1}", sets)
            before = [*before, f"run:{run.folder}"]
            found[number].append({(m["name"], m["source"]): float(m["value"]) for m in run.results.children[0].metrics})
    keys = {"accuracy": ("round_accuracy", "round 1"), "labels": ("oracle_shape", "synthetic"), "diversity": ("round_diversity", "round 1")}
    keys |= {f"{name} shift": (f"shown_{name}_shift", "synthetic") for name in SHOWN}
    out = []
    for number, values in enumerate(found):
        row = {short: statistics.mean(v[key] for v in values) for short, key in keys.items()}
        spread = {"accuracy by seed": [round(v["round_accuracy", "round 1"], 3) for v in values]}
        out.append({"what": f"cycle {number + 1}, {arm}", "seeds": CYCLED, **row, **spread, "ok": None})
    return out


def run() -> list[dict[str, Any]]:
    """The transfer table, then the cycles of each arm."""
    return [*(transfer(name) for name in LEARNERS), *(row for arm in ARMS for row in cycles(arm))]
