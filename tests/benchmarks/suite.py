"""`tldr/suite` in its reduced form: one small table, 25 passes, every rank or every network, five seeds.

The whole suite is `scarce sweep tldr/suite`. Kept under a cache folder, so an interrupted benchmark continues.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from scarce.catalogue.catalogue import read_catalogue
from scarce.files import file_hash
from scarce.report.statistics import t_interval
from scarce.tools.sweep import results, run_sweep

SEEDS, TABLE, PASSES = 5, "wine", 25


VARIED = {"rank": "16,2,4,8,rule", "backbone": "bert,bert-random-frozen,bert-random-trained,mlp"}


def run(factor: str = "rank") -> list[dict[str, Any]]:
    """A row per point: score, correlation distance, trainable parameters, and the score per 10,000 of them."""
    root = Path(os.environ.get("SCARCE_CACHE", Path.home() / ".cache" / "scarce")) / "bench"
    home = root / f"suite-{TABLE}-{factor}-{file_hash(read_catalogue().recipe_path('tldr/suite'))[:8]}"
    fixed = {"table": TABLE, "backbone": "bert", "prior": "full", "rank": "16"}
    only = [f"{name}={level}" for name, level in {**fixed, factor: VARIED[factor]}.items()]
    run_sweep("tldr/suite", only=only, set={"seeds": SEEDS, "train.epochs": PASSES}, out=home, quiet=True)
    found = [r for r in results(home) if r.status == "done"]
    rows = []
    for point in dict.fromkeys(r.point for r in found):
        mine = [r for r in found if r.point == point]
        score = [r.value("macro_f1") for r in mine]
        trainable = float(mine[0].cost("trainable"))
        each = [s / trainable * 1e4 for s in score]
        (low, high), (each_low, each_high) = t_interval(score) or (math.nan, math.nan), t_interval(each) or (math.nan, math.nan)
        rows.append(
            {
                "point": point, "seeds": len(mine), "score": float(np.mean(score)), "low": low, "high": high,
                "real": float(np.mean([r.value("macro_f1", "real") for r in mine])),
                "corr": float(np.mean([r.value("correlation_distance") for r in mine])),
                "share": float(np.mean([r.value("holdout_share") for r in mine])), "trainable": trainable,
                "score per 10k": float(np.mean(each)), "per 10k low": each_low, "per 10k high": each_high,
                "train cpu s": float(np.mean([r.cost("train_cpu_seconds") for r in mine])),
            }
        )  # fmt: skip
    return rows
