"""Evaluator `privileged`: what views were worth to a student, and what its teacher knew."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from sklearn.metrics import f1_score

from scarce.contract import EvaluatorContext, EvaluatorSpec, Figure, Metric, hookimpl
from scarce.contract.dataset import Rows
from scarce_lugpi import config
from scarce_lugpi.figures import answers, beside
from scarce_lugpi.learner import BASELINE
from scarce_lugpi.teaching import TRUE

STUDENT = "real"
NAMES = {
    BASELINE: "the baseline", "self": "self-distillation", "shuffled": "shuffled views", "noise": "views of noise",
    "class-shuffled": "views shuffled in classes",
}  # fmt: skip


class Privileged(EvaluatorSpec):
    """The student of true views against the baseline and the students of controls, on test records; teachers on validation ones."""

    def __init__(self, options: config.Privileged) -> None:
        self.options = options

    @hookimpl
    def evaluator_measure(self, ctx: EvaluatorContext) -> list[Metric]:
        """Of each control `accuracy_gain` and `macro_f1_gain`, the student's score less the control's; of each arm its teacher.

        Teachers, on validation records: `teacher_gain` over the baseline, `teacher_rescued` (right where the baseline is wrong),
        `view_reliance` (accuracy with less accuracy without views), `view_gate`, `gate_open`, `alpha`. Of the run: `views_failed`,
        `teacher_seconds`, `student_seconds`, `student_parameters`.
        """
        facts = ctx.facts.get(STUDENT)
        if not facts or "arms" not in facts or STUDENT not in ctx.predictions:
            return [Metric(name="accuracy_gain", value=math.nan, source=STUDENT, error="this run has no learner 'lugpi'")]
        teachers = [metric for arm, said in facts["arms"].items() for metric in _teacher(arm, said, facts)]
        return [*_gains(ctx), *teachers, *_costs(facts)]

    @hookimpl
    def evaluator_draw(self, ctx: EvaluatorContext) -> list[Figure]:
        """Views beside their texts, and what each alpha scored on validation records."""
        facts = ctx.facts.get(STUDENT)
        if not facts or "arms" not in facts:
            return []
        return [*beside(ctx, self.options.shown, facts["options"]["source"]), *answers(facts)]


def _gains(ctx: EvaluatorContext) -> Iterator[Metric]:
    data = ctx.dataset
    truth = np.asarray([] if data.target is None else data.codes_of(data.target[data.rows("test")]))
    student, n = _scores(ctx, STUDENT, truth), int((truth >= 0).sum())
    for control, name in NAMES.items():
        if control in ctx.predictions:
            other = _scores(ctx, control, truth)
            for metric, value in student.items():
                gained = value - other[metric]
                yield Metric(name=f"{metric}_gain", value=gained, source=control, direction="higher", floor=None, n=n, over=name)


def _scores(ctx: EvaluatorContext, source: str, truth: Rows) -> dict[str, float]:
    known, said = truth >= 0, ctx.dataset.codes_of(ctx.predictions[source].values)
    k = range(len(ctx.dataset.classes))
    f1 = f1_score(truth[known], said[known], labels=list(k), average="macro", zero_division=0.0)
    return {"accuracy": float((truth == said)[known].mean()), "macro_f1": float(f1)}


def _teacher(arm: str, said: Mapping[str, Any], facts: Mapping[str, Any]) -> Iterator[Metric]:
    """What is known of one arm's teacher; nothing of what needs validation records where there are none."""
    teacher, usual, n = said["teacher"], facts["baseline"]["validation"], facts["views"]["validation"]
    if teacher["validation"] is not None and usual is not None:
        note = f"out of fold {teacher['out_of_fold']:.3f}, on validation records {teacher['validation']:.3f}, the baseline {usual:.3f}"
        yield Metric(
            name="teacher_gain", value=teacher["validation"] - usual, source=arm, direction="higher", n=n, note=note,
            over="the baseline, on validation records" if arm == TRUE else "",
        )  # fmt: skip
        yield Metric(name="teacher_rescued", value=said["rescued"], source=arm, direction="higher", n=n)
    if teacher["without_view"] is not None and arm != "self":
        yield Metric(name="view_reliance", value=teacher["validation"] - teacher["without_view"], source=arm, n=n)
        yield Metric(name="view_gate", value=teacher["gate"], source=arm, n=n)
    yield Metric(
        name="gate_open", value=float(said["open"]), source=arm, note="" if said["open"] else "closed: the student is the baseline"
    )
    tried = ", ".join(f"{alpha}: {value:.3f}" for alpha, value in said["grid"].items() if value is not None)
    yield Metric(
        name="alpha", value=said["alpha"] or 0.0, source=arm, note=f"accuracy on validation records by alpha: {tried}" if tried else ""
    )


def _costs(facts: Mapping[str, Any]) -> Iterator[Metric]:
    views, cost = facts["views"], facts["cpu_seconds"]
    share = views["failed"] / max(views["asked"], 1)
    yield Metric(name="views_failed", value=share, source=TRUE, direction="lower", n=views["asked"])
    yield Metric(name="teacher_seconds", value=cost["tokens"] + cost["teacher"], source=TRUE, unit="CPU s", note="teachers of all arms")
    yield Metric(name="student_seconds", value=cost["student"], source=TRUE, unit="CPU s", note="one student, the baseline")
    yield Metric(name="student_parameters", value=float(facts["student_parameters"]), source=TRUE)
