"""Text2Data on two sets of series with captions on 10 % and a table with captions on 5 %: the barrier beside what reviewers would ask for.

Arms of a seed share one first stage. Runs are kept under a cache folder, so an interrupted benchmark continues. The strengths of
the other arms are their defaults; nothing was chosen on these seeds.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from common import cached

from scarce.report.statistics import find, paired, summarise

SEEDS, STEPS = 5, 300
ARMS: dict[str, list[dict[str, Any]]] = {
    "barrier": [{"name": "barrier"}], "barrier-labelled": [{"name": "barrier", "constraint_rows": "labelled"}], "finetune": [],
    "condition-dropout": [{"name": "condition-dropout"}], "joint": [{"name": "joint"}], "ewc": [{"name": "ewc"}],
    "l2-init": [{"name": "l2-init"}], "augment": [{"name": "augment"}],
}  # fmt: skip
METRICS = {"forgetting": "forgetting_ratio", "error": "control_error", "correlation": "control_correlation", "moved": "weight_distance"}
SIZES: dict[str, dict[str, Any]] = {
    "stocks": {"train.batch": 32, "backbone.channels": 48}, "gestures": {"train.batch": 32, "backbone.channels": 48},
    "table": {"train.batch": 128},
}  # fmt: skip


def settings(data: str) -> dict[str, Any]:
    """What the benchmark sets of the recipe: arms, a smaller size, shorter stages, the two evaluators that speak of control."""
    stage = {"name": "two-stage", "steps": STEPS}
    return {
        "seeds": SEEDS, "arm": [{"name": name, "strategy": [stage, *more]} for name, more in ARMS.items()], "train.steps": 800,
        **SIZES[data], "learner": None, "generate.count": 64, "runtime.threads": 1,
        "evaluator": [{"name": "controllability", "rows": 100}, {"name": "forgetting", "rows": 256, "draws": 8}],
    }  # fmt: skip


def measure(data: str) -> list[dict[str, Any]]:
    """One row per arm of a data set, each paired with the barrier; one more for the nearest training record's answers."""
    children = cached(f"text2data/{data}", f"text2data/{data}", settings(data)).results.children
    rows, out = summarise(children), []
    for arm in ARMS:
        row: dict[str, Any] = {"data": data, "arm": arm, "seeds": SEEDS}
        for short, name in METRICS.items():
            found = find(rows, name, "synthetic", arm)
            assert found is not None, (data, arm, name)
            gap = paired(children, (arm, "synthetic"), ("barrier", "synthetic"), name)
            row |= {short: found.value, f"{short} low": found.low, f"{short} high": found.high, f"{short} verdict": gap.verdict}
            row |= {f"{short} minus barrier": gap.mean, f"{short} minus low": gap.low, f"{short} minus high": gap.high}
        own = [c for c in children if c.arm == arm]
        row |= {"cpu s": float(np.mean([c.cost["phase_cpu_seconds"]["finetune"] for c in own]))}
        out.append({**row, "ok": row["forgetting"] <= 1.15 if arm == "barrier" else None})
    nearest = find(rows, "control_error", "retrieval", "barrier")
    assert nearest is not None
    out.append({"data": data, "arm": "nearest training record", "seeds": SEEDS, "error": nearest.value, "ok": None})
    return out


def run() -> list[dict[str, Any]]:
    """Every data set."""
    return [row for data in SIZES for row in measure(data)]
