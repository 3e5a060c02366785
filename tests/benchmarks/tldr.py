"""TL;DR on three real tables, five seeds: what a LoRA-tuned BERT makes of them, beside the MLP on the same splits.

Every seed is a whole run (new split, training, sampling, learner), kept under a cache folder, so an interrupted benchmark
continues. Settings were chosen on validation rows of other seeds. `mlp` is the recipe of `tabular`; `mlp-slow` trains the
same network with BERT's batch, steps and passes; `mlp-long` a network of 512 × 4 without a limit on passes for about as
many CPU seconds as BERT takes; `bert-3` draws three rows per training row from BERT's trained networks. Churn is not
among them: five seeds would take more than an hour by themselves.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from common import cached

from scarce.report.statistics import MAIN_METRIC, Child, find, paired, summarise
from scarce.runs import api
from scarce.runs.folder import read_recipe

SEEDS = 5
TABLES = {"sacramento": "table", "credit-data": "table", "pima": "table"}
THRICE = ("sacramento",)
COSTS = ("train_cpu_seconds", "sample_cpu_seconds", "trainable")
LONG = {"pima": 3000}  # steps that take the MLP as long as BERT
SLOW: dict[str, Any] = {
    "train.steps": 4000, "train.epochs": 200, "train.batch": 32, "train.rate": 1e-3, "diffusion.categorical_prior": "marginal",
}  # fmt: skip
WIDE: dict[str, Any] = {"backbone.width": 512, "backbone.layers": 4, "train.epochs": 1e9}


def thrice(table: str, bert: api.Run) -> list[Child]:
    """Each seed's trained network, asked for three rows per training row and judged on the same split."""
    out: list[Child] = []
    for seed in range(SEEDS):
        parent = {"generator.from": f"run:{bert.folder}/arms/main/{seed}", "generate.ratio": 3.0, "seed": seed}
        out += cached("tldr/table", f"tldr/{table}-x3/{seed}", parent, table).results.children
    return out


def runs(table: str) -> dict[str, api.Run]:
    """BERT and MLP runs of one table, by arm."""
    recipe, data = TABLES[table], table
    made = {
        "bert": cached(f"tldr/{recipe}", f"tldr/{table}", {"seeds": SEEDS}, data),
        "mlp": cached(f"tabular/{recipe}", f"tldr/{table}-mlp", {"seeds": SEEDS}, data),
    }
    made["mlp-slow"] = cached(f"tabular/{recipe}", f"tldr/{table}-mlp-slow", {"seeds": SEEDS, **SLOW}, data)
    if table in LONG:
        sets = {"seeds": SEEDS, **WIDE, "train.steps": LONG[table]}
        made["mlp-long"] = cached(f"tabular/{recipe}", f"tldr/{table}-mlp-long", sets, data)
    return made


def measure(table: str) -> list[dict[str, Any]]:
    """One row per arm of a table."""
    made = runs(table)
    found = {arm: list(run.results.children) for arm, run in made.items()}
    found |= {"bert-3": thrice(table, made["bert"])} if table in THRICE else {}
    children: list[Child] = [child.with_(arm=arm) for arm, own in found.items() for child in own]
    metric = MAIN_METRIC[made["bert"].results.task]
    rows, out = summarise(children), []
    for arm, own in found.items():

        def mean(name: str, source: str = "synthetic", arm: str = arm) -> Any:
            row = find(rows, name, source, arm)
            assert row is not None, (table, arm, name, source)
            return row

        score, real, corr, share = mean(metric), mean(metric, "real"), mean("correlation_distance"), mean("holdout_share")
        gap = paired(children, (arm, "synthetic"), ("bert", "synthetic"), metric)
        cost = {k: float(np.mean([c.cost.get(k, math.nan) for c in own])) for k in COSTS}
        out.append(
            {
                "table": table, "arm": arm, "score": score.value, "sd": float(np.std(score.values, ddof=1)), "real": real.value,
                "of real": score.value / real.value, "minus bert": gap.mean, "low": gap.low, "high": gap.high, "verdict": gap.verdict,
                "corr": corr.value, "corr floor": corr.floor, "dcr / real": mean("dcr_median").value / mean("dcr_median").floor,
                "share": share.value, "attack": mean("membership_auc").value, "c2st": mean("c2st_auc").value,
                "seeds": len(score.values), "rate": read_recipe(made.get(arm, made["bert"]).folder)[0].train.rate,
                "trainable": cost["trainable"], "train cpu s": cost["train_cpu_seconds"], "sample cpu s": cost["sample_cpu_seconds"],
                "ok": score.value >= 0.95 * real.value and corr.value <= 1.25 * corr.floor,
            }
        )  # fmt: skip
    return out


def run() -> list[dict[str, Any]]:
    """All tables."""
    rows = [row for table in TABLES for row in measure(table)]
    good = sum(row["ok"] for row in rows if row["arm"] == "bert")
    print(f"BERT keeps 95 % of the real score within 1.25 of the floor's correlation distance on {good} of {len(TABLES)} tables")
    return rows
