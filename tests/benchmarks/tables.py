"""Seven real tables, five seeds: is the synthetic training set as good as the real one, and does it copy anybody?

Every seed is a whole run of `tabular/table` (new split, training, sampling, learner), kept under a cache folder, so an
interrupted benchmark continues. The plan of each budget was chosen on validation rows of other seeds.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from scarce.files import file_hash
from scarce.report.statistics import Row, find, summarise
from scarce.runs import api

TABLES = ("pima", "credit-data", "german", "churn", "attrition", "health-insurance", "sacramento")
SEEDS = 5
BUDGETS: dict[int, dict[str, Any]] = {15: {}, 60: {"train.steps": 4000, "backbone.width": 512, "backbone.layers": 4}}


def folder(budget: int) -> Path:
    """Where the runs of one budget and one state of the recipe lie."""
    root = Path(os.environ.get("SCARCE_CACHE", Path.home() / ".cache" / "scarce")) / "bench"
    recipe = next((Path(__file__).parents[2] / "plugins/tabular").rglob("table.toml"))
    return root / f"tables-{budget}-{file_hash(recipe)[:8]}"


def measure(table: str, budget: int) -> dict[str, Any]:
    """One table: means over seeds of everything that is bounded, and how many bounds hold."""
    home = folder(budget) / table
    if (home / "recipe.resolved.json").is_file():
        run = api.resume(home)
    else:
        sets = {"seeds": SEEDS, "data.target": None, **BUDGETS[budget]}
        run = api.run("tabular/table", data=f"builtin:{table}", set=sets, out=home, quiet=True)
    results = run.results
    rows = summarise(results.children)
    score = "macro_f1" if results.task == "classification" else "r2"

    def mean(name: str, source: str = "synthetic", field: str = "value") -> float:
        row = find(rows, name, source)
        value = None if row is None else getattr(row, field)
        return math.nan if value is None else float(value)

    shares = find(rows, "holdout_share")
    cpu = [float(c.cost["train_cpu_seconds"]) for c in results.children]
    out = {
        "table": table, "score": mean(score), "sd": spread(find(rows, score)), "real": mean(score, "real"), "both": mean(score, "both"),
        "smote": mean(score, "smote"), "of real": mean(score) / mean(score, "real"), "corr": mean("correlation_distance"),
        "corr floor": mean("correlation_distance", field="floor"), "dcr / real": mean("dcr_median") / mean("dcr_median", field="floor"),
        "copies": mean("exact_copies"), "copies real": mean("exact_copies", field="floor"),
        "share": mean("holdout_share"), "share low": mean_low(results), "c2st": mean("c2st_auc"), "train cpu s": float(np.mean(cpu)),
    }  # fmt: skip
    assert shares is not None
    bounds = {
        "score": out["of real"] >= 0.95,
        "corr": out["corr"] <= 1.25 * out["corr floor"],
        "dcr": out["dcr / real"] >= 0.85,
        "copies": out["copies"] <= out["copies real"],
        "share": out["share low"] <= 0.55,
        "cpu": max(cpu) <= budget,
    }
    failed = [name for name, holds in bounds.items() if not holds]
    return {**out, "misses": ",".join(failed) or "-", "ok": not failed}


def spread(row: Row | None) -> float:
    """Standard deviation over seeds."""
    values = [] if row is None else [v for v in row.values if math.isfinite(v)]
    return float(np.std(values, ddof=1)) if len(values) > 1 else math.nan


def mean_low(results: Any) -> float:
    """Mean over seeds of the lower end of the hold-out share's interval."""
    lows = [m["low"] for c in results.children for m in c.metrics if m["name"] == "holdout_share" and m["source"] == "synthetic"]
    return float(np.mean([v for v in lows if v is not None]))


def run(budget: int = 15) -> list[dict[str, Any]]:
    """All tables, then their mean."""
    rows = []
    for table in TABLES:
        rows.append(measure(table, budget))
        print(f"{table}: {rows[-1]['of real']:.3f} of real, misses {rows[-1]['misses']}", flush=True)
    share = float(np.mean([row["of real"] for row in rows]))
    good = sum(row["of real"] >= 0.95 for row in rows)
    print(f"{good} of {len(rows)} tables reach 95 % of the real score; mean {share:.3f}")
    return rows
