"""Text2Data on molecules: both recipes, a run per seed and what five say together, and validity as training goes on.

The controls are real molecules with 0.1 Å of noise and real places with their elements shuffled; the arm `text-blind` has the same
first stage and no second one. A sample that is no molecule has the error of the blind arm's samples. What the recipes measure
beside is left out. Runs are kept under a cache folder, so an interrupted benchmark continues.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from common import cached

from scarce.report.statistics import contrast

SEEDS, CURVE = 5, (500, 1000, 2000, 4000)
SHARES = ("valid", "novel", "unique", "new_valid", "molecule_stability")
VALID, NOVEL, BETTER = 0.5, 0.5, 2
CONTROLS = ("jitter", "shuffled-types")
JUDGED = [{"name": "validity"}, {"name": "controllability", "rows": 200}, {"name": "forgetting", "rows": 256, "draws": 4}]
Found = Mapping[tuple[str, str], Mapping[str, Any]]
Row = dict[str, Any]


def of(child: Any) -> Found:
    """(metric, source) -> what one run says of it."""
    return {(m["name"], m["source"]): m for m in child.metrics}


def error(mine: Found, blind: Found, name: str) -> tuple[float, float]:
    """Mean absolute error of a property of the arm and of the blind arm, where what has no such property has the blind arm's error.

    The evaluator counts it as a shuffled answer; that is taken out by the share that has one.
    """
    clean = []
    for found in (mine, blind):
        row, share = found[f"mae_{name}", "synthetic"], float(found["control_answered", "synthetic"]["value"])
        clean.append((float(row["value"]) - (1 - share) * float(row["ceiling"])) / share)
    share = float(mine["control_answered", "synthetic"]["value"])
    return share * clean[0] + (1 - share) * clean[1], clean[1]


def measure(recipe: str, seed: int) -> Row:
    """One row: shares of samples and of the controls, and errors under text control beside those of the blind arm."""
    sets = {"seed": seed, "runtime.threads": 1, "learner": None, "evaluator": JUDGED}
    children = cached(f"text2data/{recipe}", f"{recipe}/{seed}", sets).results.children
    arms = {child.arm: of(child) for child in children}
    mine, blind = arms["barrier"], arms["text-blind"]
    value = lambda name, source="synthetic", found=mine: float(found[name, source]["value"])  # noqa: E731
    row: Row = {"recipe": recipe, "seed": seed, **{name: value(name) for name in SHARES}}
    row |= {f"{name} of {who}": value(name, who) for who in CONTROLS for name in SHARES[:4]}
    row |= {f"{name} blind": value(name, found=blind) for name in ("valid", "new_valid")}
    for name in [n.removeprefix("mae_") for n, source in mine if n.startswith("mae_") and source == "synthetic"]:
        row[f"{name} error"], row[f"{name} error blind"] = error(mine, blind, name)
        row[f"{name} error shuffled"] = float(mine[f"mae_{name}", "synthetic"]["ceiling"])
    row |= {"correlation": value("control_correlation"), "correlation blind": value("control_correlation", found=blind)}
    row |= {"forgetting": value("forgetting_ratio")}
    return {**row, "cpu s": sum(children[0].cost["phase_cpu_seconds"].values()), "ok": None}


def together(rows: Sequence[Row]) -> Row:
    """What the seeds of one recipe say together: means, and paired differences with 95 % intervals of t."""

    def gap(a: str, b: str, direction: str) -> Row:
        found = contrast({row["seed"]: row[a] - row[b] for row in rows}, direction)
        return {f"{a} - {b}": found.mean, f"{a} - {b} low": found.low, f"{a} - {b} high": found.high, f"{a} - {b} verdict": found.verdict}

    mean = {name: float(np.mean([row[name] for row in rows])) for name, v in rows[0].items() if isinstance(v, float)}
    out: Row = {"recipe": rows[0]["recipe"], "seed": f"mean of {len(rows)}", **mean}
    for name in SHARES[:4]:
        out |= gap(name, f"{name} of shuffled-types", "higher")
    names = [name.removesuffix(" error") for name in mean if name.endswith(" error")]
    for name in names:
        out |= gap(f"{name} error", f"{name} error blind", "lower")
    better = [name for name in names if out[f"{name} error - {name} error blind verdict"] == "better"]
    beats = all(out[f"{name} - {name} of shuffled-types verdict"] == "better" for name in ("valid", "novel"))
    good = beats and mean["valid"] >= VALID and mean["novel"] >= NOVEL and len(better) >= BETTER
    return {**out, "better": ", ".join(better) or "none", "ok": good}


def run(seeds: int = SEEDS, of_steps: bool = False) -> list[Row]:
    """A row per recipe and seed and one of all seeds, or the curve."""
    if of_steps:
        return curve()
    rows = []
    for recipe, many in (("quantum", seeds), ("molecules", 1)):
        mine = [measure(recipe, seed) for seed in range(many)]
        rows += [*mine, together(mine)] if many > 1 else mine
    return rows


def curve(recipe: str = "quantum", seed: int = 0) -> list[Row]:
    """A row per number of steps of the first stage, each a run of its own under its own schedule of rates."""
    rows = []
    for steps in CURVE:
        sets = {
            "seed": seed, "train.steps": steps, "arm": [], "strategy": [{"name": "two-stage", "steps": 1, "rate": 1e-9}], "learner": None,
            "evaluator": [{"name": "validity"}], "runtime.threads": 1, "generate.guidance": 1.0,
        }  # fmt: skip
        found = cached(f"text2data/{recipe}", f"{recipe}-curve/{steps}", sets).results.children[0]
        values = {name: float(of(found)[name, "synthetic"]["value"]) for name in SHARES}
        rows.append({"recipe": recipe, "steps": steps, **values, "cpu s": sum(found.cost["phase_cpu_seconds"].values()), "ok": None})
    return rows
