"""LUGPI on reviews of food: the student of generated pictures beside baseline, self-distillation and shuffled views.

200 and 1,000 labelled texts, 5 seeds; alpha chosen on validation records, and 0.5 without a gate. Pictures are made of keywords by
the packaged generator of emoji. Runs are kept under a cache folder, so an interrupted benchmark continues. Beside
them the demonstrations with telling and blind views. The last row is what one answer of the student costs over one of the baseline.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np
from common import cached

from scarce.catalogue import read_catalogue
from scarce.contract import LearnerContext, TrainingPart, take
from scarce.report.margins import margins
from scarce.report.statistics import find, summarise
from scarce.runs.assembly import assemble
from scarce.runs.loading import load_data
from scarce.runs.recipe import find_recipe, resolve
from scarce.runtime.runtime import SharedRuntime

SIZES, SEEDS = (200, 1000), 5
TOLD = {"lugpi/shapes": ("telling", "blind"), "lugpi/series": ("main",)}
ARMS = [{"name": "chosen"}, {"name": "fixed", "learner.alpha": 0.5, "learner.gate": False}]
CONTROLS = ["baseline", "self", "shuffled"]
MOST_RATIO, TEXTS, TIMES = 1.1, 16, 15


def measure(labelled: int) -> list[dict[str, Any]]:
    """One row per arm: the student's accuracy, what it gained over each control, and what its teacher was ahead."""
    settings = {"data.labelled": labelled, "seeds": SEEDS, "arm": ARMS, "learner.controls": CONTROLS, "runtime.threads": 1}
    name = f"lugpi/reviews-{labelled}"
    return [{"texts": labelled, "alpha": row.pop("arm"), **row} for row in table("lugpi/reviews", name, settings, ("chosen", "fixed"))]


def told(recipe: str) -> list[dict[str, Any]]:
    """One row per arm of a demonstration whose truth is known: a telling view must show a gain, a blind one none."""
    settings: dict[str, Any] = {"seeds": SEEDS, "runtime.threads": 1}
    if recipe == "lugpi/series":
        parent = cached("lugpi/signals", "lugpi/signals", {"runtime.threads": 1})
        settings["generator.from"] = f"run:{parent.folder}"
    rows = table(recipe, recipe, settings, TOLD[recipe])
    for row in rows:
        row["ok"] = row["the baseline verdict"] == ("no evidence" if row["arm"] == "blind" else "better")
    return [{"texts": recipe, **row} for row in rows]


def table(recipe: str, name: str, settings: dict[str, Any], arms: tuple[str, ...]) -> list[dict[str, Any]]:
    """One row per arm: accuracy of the student, gains over its controls with intervals, alphas, and what teachers cost."""
    children = cached(recipe, name, settings).results.children
    rows, out = summarise(children), []
    for arm in arms:
        student = find(rows, "accuracy", "real", arm)
        row: dict[str, Any] = {"arm": arm, "seeds": SEEDS, "accuracy": None if student is None else student.value}
        for margin in margins([c for c in children if c.arm == arm]):
            if margin.name in ("accuracy_gain", "teacher_gain"):
                short = "teacher" if margin.name == "teacher_gain" else margin.over
                gap = margin.found
                row |= {short: gap.mean, f"{short} low": gap.low, f"{short} high": gap.high, f"{short} verdict": gap.verdict}
        for key in ("alpha", "gate_open"):
            found = find(rows, key, "views", arm)
            row |= {f"{key} by seed": None if found is None else list(found.values)}
        cpu = find(rows, "teacher_seconds", "views", arm)
        out.append({**row, "teachers CPU s": None if cpu is None else cpu.value, "ok": None})
    return out


def cost() -> dict[str, Any]:
    """Seconds of a student's answer over those of the baseline's, on texts that neither has read; and whether they weigh the same."""
    catalogue = read_catalogue()
    recipe = resolve(find_recipe("lugpi/tags", catalogue)[1], overrides=[("learner.gate", False), ("learner.alpha", 0.5)])
    assembly, runtime = assemble(recipe, catalogue, name="bench"), SharedRuntime(seed=0, options=recipe.runtime)
    data = load_data(recipe, assembly, catalogue)
    ctx: Any = LearnerContext(dataset=data, codec=None, runtime=runtime, seed=0, parts=assembly.parts_of("learner"))  # type: ignore[arg-type]
    learner = assembly.scope.learner_build("learner", ctx)
    rows = np.flatnonzero(data.labelled & (data.split == "train"))
    assert data.target is not None
    learner.fit([TrainingPart(records=take(data.records, rows), target=data.target[rows], ids=data.ids[rows])])
    baseline, test = learner.arms()["baseline"], data.rows("test")  # type: ignore[attr-defined]
    spent: dict[str, list[float]] = {"student": [], "baseline": []}
    for i in range(TIMES):
        part = take(data.records, test[i * TEXTS : (i + 1) * TEXTS])
        for who, asked in (("student", learner), ("baseline", baseline)) if i % 2 else (("baseline", baseline), ("student", learner)):
            fresh = part.assign(text=[f"{text} {who[0]} {i}" for text in part["text"]])  # what a run has read it reads no more
            began = time.process_time()
            asked.predict(fresh)
            spent[who].append(time.process_time() - began)
    ratio = statistics.median(spent["student"]) / statistics.median(spent["baseline"])
    same = [sum(p.numel() for p in part.head.parameters()) for part in (learner.students["views"], baseline)]  # type: ignore[attr-defined]
    return {
        "texts": "cost of an answer", "ratio": ratio, "student ms": 1000 * statistics.median(spent["student"]) / TEXTS, "weights": same[0],
        "ok": ratio <= MOST_RATIO and same[0] == same[1],
    }  # fmt: skip


def run() -> list[dict[str, Any]]:
    """The demonstrations, both sizes of reviews, then the cost."""
    return [*(row for name in TOLD for row in told(name)), *(row for labelled in SIZES for row in measure(labelled)), cost()]
