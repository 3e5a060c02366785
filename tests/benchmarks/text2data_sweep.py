"""rho, alpha and beta of the barrier on the table with captions on 5 %, one at a time around the defaults, three seeds.

Points of a seed share one first stage. Shorter stages than the recipe's. Kept under a cache folder, so an interrupted
benchmark continues.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from scarce.catalogue.catalogue import read_catalogue
from scarce.files import file_hash
from scarce.report.statistics import contrast, t_interval
from scarce.tools.sweep import Result, results, run_sweep

RECIPE, SEEDS = "text2data/table", 3
OVER: dict[str, list[Any]] = {
    "strategy.1.rho": [1.0, 1.02, 1.05, 1.1, 1.25, 1.5, "inf"], "strategy.1.alpha": [0.1, 1.0, 10.0], "strategy.1.beta": [0.1, 1.0, 10.0],
}  # fmt: skip
METRICS = {"forgetting": "forgetting_ratio", "error": "control_error"}
SETTINGS: dict[str, Any] = {
    "seeds": SEEDS, "arm": [], "strategy": [{"name": "two-stage", "steps": 200}, {"name": "barrier"}], "train.steps": 800,
    "train.batch": 128, "learner": None, "generate.count": 64, "runtime.threads": 1,
    "evaluator": [{"name": "controllability", "rows": 100}, {"name": "forgetting", "rows": 256, "draws": 8}],
}  # fmt: skip


def run() -> list[dict[str, Any]]:
    """A row per point: both numbers with intervals, their paired differences to the default, and whether it is on the Pareto front."""
    root = Path(os.environ.get("SCARCE_CACHE", Path.home() / ".cache" / "scarce")) / "bench"
    home = root / f"text2data-sweep-{file_hash(read_catalogue().recipe_path(RECIPE))[:8]}"
    run_sweep(RECIPE, over=OVER, one_at_a_time=True, set=SETTINGS, metric="control_error", out=home, quiet=True)
    found = [r for r in results(home) if r.status == "done"]
    default = {r.seed: r for r in found if r.point == "default"}
    rows = [_row(name, [r for r in found if r.point == name], default) for name in dict.fromkeys(r.point for r in found)]
    for row in rows:
        no_worse = [o for o in rows if o is not row and all(o[m] <= row[m] for m in METRICS)]
        row["front"] = not any(o[m] < row[m] for o in no_worse for m in METRICS)
    return rows


def _row(name: str, mine: list[Result], default: dict[int, Result]) -> dict[str, Any]:
    row: dict[str, Any] = {"point": name, "seeds": len(mine)} | {key.rpartition(".")[2]: v for key, v in mine[0].levels.items()}
    for short, metric in METRICS.items():
        values = [r.value(metric) for r in mine]
        low, high = t_interval(values) or (None, None)
        gap = contrast({r.seed: r.value(metric) - default[r.seed].value(metric) for r in mine}, "lower")
        row |= {short: float(np.mean(values)), f"{short} low": low, f"{short} high": high}
        row |= {f"{short} minus default": gap.mean, f"{short} minus low": gap.low, f"{short} minus high": gap.high}
        row |= {f"{short} verdict": "" if name == "default" else gap.verdict}
    return row
