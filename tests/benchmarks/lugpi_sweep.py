"""What the weights, the quality of views, the gates and the generator do in LUGPI: sweeps over `lugpi/series`, five seeds a point.

Series are cheap views whose truth is known, so every point has all seeds. A point is an arm; its gain is paired with the baseline
of its own run. Runs are kept under a cache folder, so an interrupted benchmark continues.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from common import cached

from scarce.report.margins import margins
from scarce.report.statistics import find, summarise

SEEDS = 5
ALPHAS, BETAS = (0.0, 0.5, 1.0, 4.0), (0.0, 0.1, 1.0)
CORRUPT = (0.0, 0.25, 0.5, 0.75, 1.0)
VIEW_WEIGHTS = (0.0, 0.5, 1.0)
GENERATORS = (800, 200, 50)
OPEN = {"learner.gate": False}


def points(sweep: str) -> list[dict[str, Any]]:
    """The arms of a sweep, each what it sets of the recipe."""
    if sweep == "weights":
        pairs = [(a, b) for a in ALPHAS for b in BETAS if a or b]
        return [{"name": f"alpha-{a:g}-beta-{b:g}", "learner.alpha": a, "learner.beta": b, **OPEN} for a, b in pairs]
    if sweep == "corrupt":
        gated = [{"name": f"corrupt-{share:g}", "learner.corrupt": share} for share in CORRUPT]
        return [*gated, {"name": "corrupt-1-alpha-4-no-gate", "learner.corrupt": 1.0, "learner.alpha": 4.0, **OPEN}]
    if sweep == "view-weight":
        fixed = [{"name": f"view-weight-{w:g}", "learner.teacher.view_weight": w} for w in VIEW_WEIGHTS]
        return [*fixed, {"name": "view-weight-learnt"}]
    return [{"name": f"signals-{steps}", "generator.from": f"run:{signals(steps)}"} for steps in GENERATORS]


def signals(steps: int) -> Path:
    """The folder of a generator of views that was trained for so many steps."""
    return cached("lugpi/signals", f"lugpi/signals-{steps}", {"runtime.threads": 1, "train.steps": steps}).folder


def measure(sweep: str) -> list[dict[str, Any]]:
    """One row per point: the student's accuracy and its gain over the baseline, alphas and gates by seed, how far the teacher is ahead."""
    arms = points(sweep)
    sets = {"seeds": SEEDS, "arm": arms, "learner.controls": ["baseline"], "runtime.threads": 1, "generator.from": f"run:{signals(800)}"}
    children = cached("lugpi/series", f"lugpi/series-{sweep}", sets).results.children
    rows, out = summarise(children), []
    for arm in (str(point["name"]) for point in arms):
        student = find(rows, "accuracy", "real", arm)
        row: dict[str, Any] = {"sweep": sweep, "point": arm, "seeds": SEEDS, "accuracy": None if student is None else student.value}
        for margin in margins([c for c in children if c.arm == arm]):
            if margin.name in ("accuracy_gain", "teacher_gain"):
                short, gap = {"accuracy_gain": "gain", "teacher_gain": "teacher"}[margin.name], margin.found
                row |= {short: gap.mean, f"{short} low": gap.low, f"{short} high": gap.high, f"{short} verdict": gap.verdict}
        for key in ("alpha", "gate_open"):
            found = find(rows, key, "views", arm)
            row |= {f"{key} by seed": None if found is None else list(found.values)}
        out.append({**row, "ok": None})
    return out


def run() -> list[dict[str, Any]]:
    """Every sweep in turn."""
    return [row for sweep in ("weights", "corrupt", "view-weight", "generator") for row in measure(sweep)]
