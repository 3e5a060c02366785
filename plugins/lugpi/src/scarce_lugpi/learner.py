"""Learner `lugpi`: a student taught by a teacher that sees views, beside students taught by the teachers of controls."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from torch import nn

from scarce.contract import Guidance, Learner, LearnerContext, LearnerSpec, Predictions, TrainingPart, hookimpl, usable_parts
from scarce.contract.dataset import Rows
from scarce.contract.protocols import Array
from scarce.errors import DataError, RunError
from scarce_lugpi import config
from scarce_lugpi.teaching import TRUE, Teaching, teach
from scarce_lugpi.views import Viewed, viewed

BASELINE = "baseline"


class Lugpi(LearnerSpec):
    """Learning with generated privileged information (LUGPI, arXiv 2309.15238)."""

    def __init__(self, options: config.Lugpi) -> None:
        self.options = options

    @hookimpl
    def learner_build(self, ctx: LearnerContext) -> Learner:
        """A fresh `Taught`."""
        return Taught(ctx, self.options)


class Taught:
    """A student and, beside it, the students of the controls: learners of one kind on the same records, none with a view.

    Students are built on the data set without its views and without the generator, so that there is none to ask for.
    """

    def __init__(self, ctx: LearnerContext, options: config.Lugpi) -> None:
        self.ctx, self.options = ctx, options
        self.student: LearnerSpec = ctx.parts["student"]
        self.alone = replace(ctx, dataset=replace(ctx.dataset, views={}), generator=None, parts={})
        self.students: dict[str, Learner] = {}
        self.said: dict[str, Any] = {}

    def fit(self, parts: Sequence[TrainingPart]) -> None:
        """Train the baseline, the teachers and their students; a student whose teacher has no head-room is the baseline.

        Raises DataError unless just one part has records of the data set, by whose ids views are found.
        """
        usable = [part.with_(records=records) for records, _, part in usable_parts(self.ctx.dataset, parts)]
        told = [i for i, part in enumerate(usable) if part.ids is not None]
        if len(told) != 1:
            raise DataError(f"{len(told)} parts of the training data have ids, by which views are found, instead of one")
        own = usable[told[0]]
        codes, began = self.ctx.dataset.codes_of(own.target), time.process_time()
        reader: LearnerSpec | None = self.ctx.parts.get("view")
        found = viewed(self.ctx, self.options, self._built(), reader, own.records, codes, own.ids)
        read = time.process_time() - began
        bench = Bench(self, usable, told[0], found)
        self.students = {BASELINE: bench.baseline}
        arms = {arm: bench.arm(arm) for arm in (TRUE, *self.options.controls) if arm != BASELINE}
        self.said = {
            "views": {"asked": found.asked, "failed": found.lost, "train": found.trained, "validation": len(found.held)},
            "baseline": {"validation": bench.score(bench.baseline)}, "arms": arms, "student_parameters": parameters(bench.baseline),
            "cpu_seconds": {"tokens": read, "teacher": bench.teaching, "student": bench.fitting, "students": bench.all_fits},
            "options": self.options.model_dump(include={"source", "alpha", "beta", "tau", "folds", "gate", "corrupt"}),
        }  # fmt: skip

    def predict(self, records: Any) -> Predictions:
        """What the student says of records; no view is needed."""
        return self._fitted(TRUE).predict(records)

    def arms(self) -> Mapping[str, Learner]:
        """The student of each control that the recipe names."""
        return {name: self._fitted(name) for name in self.options.controls}

    def facts(self) -> Mapping[str, Any]:
        """Of each arm how good its teacher is on validation records, whether its gate opened and which alpha was chosen; cost."""
        self._fitted(TRUE)
        return self.said

    def _built(self) -> Learner:
        return self.student.learner_build(self.alone)

    def _fitted(self, arm: str) -> Learner:
        if arm not in self.students:
            raise RunError("this learner was asked for an answer before it was fitted", hint="call fit first")
        return self.students[arm]


class Bench:
    """Fits students on the same parts under the guidance of one teacher or another, and scores them on validation records.

    place: of the part that has views among `parts`. fitting, teaching, all_fits: CPU seconds of the baseline, of all teachers
    and of all students.
    """

    def __init__(self, owner: Taught, parts: Sequence[TrainingPart], place: int, found: Viewed) -> None:
        self.owner, self.parts, self.place, self.found = owner, parts, place, found
        self.options, self.truth = owner.options, found.codes[found.trained :]
        self.teaching = self.all_fits = 0.0
        self.baseline = self.fitted(None)
        self.fitting = self.all_fits
        self.right = self.answers(self.baseline) == self.truth

    def fitted(self, guide: Guidance | None) -> Learner:
        """A fresh student of all parts."""
        began, learner = time.process_time(), self.owner._built()
        learner.fit([part.with_(guide=guide) if i == self.place else part for i, part in enumerate(self.parts)])
        self.all_fits += time.process_time() - began
        return learner

    def answers(self, learner: Learner) -> Rows:
        """[v] class codes that a learner gives validation records."""
        if len(self.truth) == 0:
            return self.truth
        return self.owner.ctx.dataset.codes_of(learner.predict(self.found.held).values)

    def score(self, learner: Learner) -> float | None:
        """Accuracy on validation records; None without any."""
        return _mean(self.answers(learner) == self.truth)

    def arm(self, arm: str) -> dict[str, Any]:
        """Teach and distil one arm, keep its student, and say what came of it."""
        ctx, began = self.owner.ctx, time.process_time()
        teaching = teach(arm, self.found, len(ctx.dataset.classes), self.options, ctx.runtime)
        self.teaching += time.process_time() - began
        opened = not self.options.gate or teaching.right.sum() > self.right.sum()
        facts = {"teacher": teaching.facts, "open": bool(opened), "rescued": _mean(teaching.right & ~self.right)}
        student, alpha, grid = self.distil(teaching) if opened else (self.baseline, None, {})
        self.owner.students[arm] = student
        if not opened:
            ctx.runtime.say(f"lugpi, {arm}: the teacher is no better than the baseline on validation records, so it teaches nothing")
        return {**facts, "alpha": alpha, "grid": grid, "validation": self.score(student)}

    def distil(self, teaching: Teaching) -> tuple[Learner, float, dict[str, float | None]]:
        """The best student on validation records, its alpha (the least of equal ones), and what each alpha scored."""
        o, rows, n = self.options, self.found.rows, len(self.parts[self.place].records)
        grid = o.grid if o.alpha == "validation" else (float(o.alpha),)
        if len(grid) > 1 and len(self.truth) == 0:
            raise DataError("learner.alpha: no validation record has a view to choose by", hint="--set learner.alpha=0.5")
        made = {
            alpha: self.fitted(teaching.guidance(rows, n, alpha=alpha, beta=o.beta, tau=o.tau)) if alpha or o.beta else self.baseline
            for alpha in grid
        }
        scores = {alpha: self.score(student) for alpha, student in made.items()}
        best = max(grid, key=lambda alpha: (scores[alpha] or 0.0, -alpha))
        return made[best], best, {f"{alpha:g}": value for alpha, value in scores.items()}


def _mean(values: Array) -> float | None:
    return float(np.mean(values)) if len(values) else None


def parameters(learner: Learner) -> int:
    """Weights of all networks that a fitted learner is or holds."""
    held = [part for part in (learner, *vars(learner).values()) if isinstance(part, nn.Module)]
    found = {id(p): p.numel() for part in held for p in part.parameters()}
    return sum(found.values())
