"""Text2Data on molecules: both recipes as they stand, a run per seed, and validity as training goes on.

The controls are real molecules with 0.1 Å of noise and real places with their elements shuffled; the arm `text-blind` has the same
first stage and no second one. Runs are kept under a cache folder, so an interrupted benchmark continues.
"""

from __future__ import annotations

from typing import Any

from common import cached

SEEDS, CURVE = 5, (1000, 2000, 4000, 8000)
SHARES = ("valid", "novel", "unique", "new_valid", "molecule_stability")
VALID, NOVEL = 0.5, 0.5


def of(child: Any) -> dict[tuple[str, str], float]:
    """(metric, source) -> value of one run."""
    return {(m["name"], m["source"]): float(m["value"]) for m in child.metrics}


def measure(recipe: str, seed: int) -> dict[str, Any]:
    """One row: shares of samples, of the controls, and errors of control beside those of the arm that is blind to text."""
    children = cached(f"text2data/{recipe}", f"{recipe}/{seed}", {"seed": seed, "runtime.threads": 1}).results.children
    arms = {child.arm: of(child) for child in children}
    mine, blind = arms["barrier"], arms["text-blind"]
    row: dict[str, Any] = {"recipe": recipe, "seed": seed, **{name: mine[name, "synthetic"] for name in SHARES}}
    row |= {f"{name} of {who}": mine[name, who] for who in ("jitter", "shuffled-types") for name in ("valid", "new_valid")}
    row |= {"error": mine["control_error", "synthetic"], "error blind": blind["control_error", "synthetic"]}
    names = [name for name, source in mine if name.startswith("mae_") and source == "synthetic"]
    better = [name for name in names if mine[name, "synthetic"] < blind[name, "synthetic"]]
    row |= {"better": ", ".join(name.removeprefix("mae_") for name in better) or "none"}
    row |= {"cpu s": sum(sum(child.cost["phase_cpu_seconds"].values()) for child in children)}
    good = row["valid"] >= VALID and row["novel"] >= NOVEL and row["new_valid"] > row["new_valid of shuffled-types"] and len(better) >= 2
    return {**row, "ok": good}


def run(seeds: int = SEEDS, of_steps: bool = False) -> list[dict[str, Any]]:
    """A row per recipe and seed, or the curve."""
    if of_steps:
        return curve()
    return [measure(recipe, seed) for recipe in ("molecules", "quantum") for seed in range(seeds)]


def curve(recipe: str = "quantum", seed: int = 0) -> list[dict[str, Any]]:
    """A row per number of steps of the first stage, each a run of its own under its own schedule of rates."""
    rows = []
    for steps in CURVE:
        sets = {
            "seed": seed, "train.steps": steps, "arm": [], "strategy": [{"name": "two-stage", "steps": 1, "rate": 1e-9}], "learner": None,
            "evaluator": [{"name": "validity"}], "runtime.threads": 1,
        }  # fmt: skip
        found = cached(f"text2data/{recipe}", f"{recipe}-curve/{steps}", sets).results.children[0]
        values = of(found)
        shares = {name: values[name, "synthetic"] for name in SHARES}
        rows.append({"recipe": recipe, "steps": steps, **shares, "cpu s": sum(found.cost["phase_cpu_seconds"].values()), "ok": None})
    return rows
