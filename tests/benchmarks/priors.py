"""Does the empirical full prior reach the standard prior's final correlation distance in half the training steps?

Six real tables, five seeds, the network and budget of `tabular/table`; "full" is given half the steps of "standard".
Runs are kept under a cache folder, so an interrupted benchmark continues.
"""

from __future__ import annotations

import math
from typing import Any

from common import cached

from scarce.report.statistics import find, paired, summarise

TABLES = ("pima", "credit-data", "german", "attrition", "health-insurance", "sacramento")
SEEDS = 5
STEPS, EPOCHS, BATCH = 1200, 100, 512  # of tabular/table


def measure(table: str) -> dict[str, Any]:
    """Mean correlation distance of both arms, and their paired difference."""
    rows = cached("tabular/table", f"priors/{table}-size", {"train.steps": 1, "generate.count": 30, "evaluator": []}, table)
    steps = min(STEPS, math.ceil(EPOCHS * rows.results.children[0].counts["train"] / BATCH))
    arms = [
        {"name": "standard", "diffusion.prior": "standard", "train.steps": steps},
        {"name": "full-half", "diffusion.prior": "full", "train.steps": steps // 2},
        {"name": "per-class-half", "diffusion.prior": "per-class", "train.steps": steps // 2},
    ]
    sets = {"seeds": SEEDS, "arm": arms, "train.epochs": 1e9, "evaluator": [{"name": "correlation"}], "learner": None}
    results = cached("tabular/table", f"priors/{table}", sets, table).results
    found = {arm["name"]: find(summarise(results.children), "correlation_distance", "synthetic", str(arm["name"])) for arm in arms}
    standard, half, own = (found[str(arm["name"])] for arm in arms)
    assert standard is not None
    assert half is not None
    assert own is not None
    gap = paired(results.children, ("full-half", "synthetic"), ("standard", "synthetic"), "correlation_distance")
    return {
        "table": table, "steps": steps, "standard": standard.value, "full, half the steps": half.value, "difference": gap.mean,
        "low": gap.low, "high": gap.high, "verdict": gap.verdict, "per class, half": own.value, "floor": half.floor,
        "ok": half.value <= standard.value,
    }  # fmt: skip


def run() -> list[dict[str, Any]]:
    """All tables."""
    rows = []
    for table in TABLES:
        rows.append(measure(table))
        print(f"{table}: standard {rows[-1]['standard']:.4f}, full at half the steps {rows[-1]['full, half the steps']:.4f}", flush=True)
    print(f"{sum(row['ok'] for row in rows)} of {len(rows)} tables reach it (four are asked)")
    return rows
