"""DataDream over the number of shots, and over the pictures generated per class, on outlined shapes.

Every number of shots trains for as many steps (300; the recipe's four shots take 750), so that shots are what differs. Pictures per
class come from the generators of four shots. Few seeds: what is listed are means, and the accuracies seed by seed. Runs are kept.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from common import cached
from datadream import SPACES

from scarce.report.statistics import Child, by_seed, find, paired, summarise
from scarce.runs import api

SEEDS, STEPS, BATCH, CLASSES, STYLE = 3, 300, 8, 6, "outline"
SHOTS, EACH = (1, 2, 4, 8, 16), (6, 24, 100)
SOURCES = {"real": "real", "augmented copies": "augment", "real + synthetic": "both"}


def run() -> list[dict[str, Any]]:
    """A row per number of shots, then a row per number of pictures."""
    return [
        *(_row(f"{n} shots per class", shots(n).results.children) for n in SHOTS),
        *(_row(f"{n} pictures per class", more(n)) for n in EACH),
    ]


def shots(n: int, seeds: int = SEEDS) -> api.Run:
    """The finished run of n shots per class."""
    return cached("datadream/shapes", f"datadream/shots-{n}", {**_settings(n), "seeds": seeds})


def more(each: int) -> list[Child]:
    """Runs of the generators of four shots, which make so many pictures per class."""
    out: list[Child] = []
    for seed in range(SEEDS):
        parent = shots(4).folder / "arms" / "all-classes" / str(seed)
        sets = {**_settings(4), "seed": seed, "seeds": 1, "strategy": [], "generator.from": f"run:{parent}", "generate.per_class": each}
        out += cached("datadream/shapes", f"datadream/each-{each}-{seed}", sets).results.children
    return out


def _settings(n: int) -> Mapping[str, Any]:
    judges = [{"name": "shapes-oracle", "style": STYLE}, {"name": "image-accuracy"}, {"name": "nearest-shot", "space": "pixels"}]
    judges += [{"name": "frechet", "space": space} for space in SPACES]
    learner = {"name": "resnet", "width": 8, "steps": 200, "real_weight": 0.5}
    return {
        "arm": [{"name": "all-classes"}], "evaluator": judges, "data.source": f"builtin:shapes-{STYLE}", "data.target": "shape",
        "data.labelled": f"{n} per class", "generate.per_class": 24, "runtime.threads": 1,
        "strategy.0.epochs": STEPS // math.ceil(n * CLASSES / BATCH), "learner": learner,
    }  # fmt: skip


def _row(what: str, children: Sequence[Child]) -> dict[str, Any]:
    rows, row = summarise(children), dict[str, Any]()
    for short, source in SOURCES.items():
        values = [float(m["value"]) for m in by_seed(children, source, "accuracy").values()]
        row |= {short: statistics.mean(values), f"{short} by seed": [round(v, 3) for v in values]}
    gap = paired(children, "both", "real", "accuracy")
    row |= {"gain": gap.mean, "verdict": gap.verdict}
    for short, name in (("labels", "oracle_shape"), ("nearly copies", "shot_memorised"), ("kernel, pixels", "kernel_distance")):
        found = find(rows, name)
        row[short] = None if found is None else found.value
    return {"what": what, "seeds": SEEDS, **row, "ok": None}
