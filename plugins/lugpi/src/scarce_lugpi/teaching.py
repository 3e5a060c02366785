"""What a teacher of one arm says of the training records, and how good it is on validation records."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from scarce.contract import Guidance, Runtime
from scarce.contract.dataset import Rows
from scarce.contract.frozen import Frozen
from scarce.contract.protocols import Array
from scarce_lugpi import config
from scarce_lugpi.pairing import exchanged, folds_of
from scarce_lugpi.sides import Side
from scarce_lugpi.teacher import Lesson, ask, train_teacher, turned
from scarce_lugpi.views import Viewed

TRUE = "views"


class Teaching(Frozen):
    """One arm's teacher. probabilities [t, k] and embedding [t, e] of its training records; right: [v] on validation records.

    facts: plain data on it.
    """

    probabilities: Array
    embedding: Array
    right: Array
    facts: dict[str, Any]

    def guidance(self, rows: Rows, n: int, *, alpha: float, beta: float, tau: float) -> Guidance:
        """What it says of n labelled training records, of which it knows those at `rows`."""
        said = np.full((n, self.probabilities.shape[1]), 1 / self.probabilities.shape[1])
        near, known = np.zeros((n, self.embedding.shape[1])), np.zeros(n, dtype=bool)
        said[rows], near[rows], known[rows] = self.probabilities, self.embedding, True
        return Guidance(probabilities=said, alpha=alpha, tau=tau, embedding=near if beta else None, beta=beta, known=known)


def view_of(arm: str, found: Viewed, corrupt: float, runtime: Runtime) -> Side:
    """The views that the teacher of an arm sees: the true ones with a share exchanged, or those of a control.

    Training records exchange views among themselves, and validation records too.
    """
    held = (np.arange(len(found.codes)) >= found.trained).astype(np.int64)
    random = runtime.generator("lugpi.pairs")
    if arm == "self":
        return found.view.absent()
    if arm == "noise":
        return found.view.noise(random)
    share = corrupt if arm == TRUE else 1.0
    groups = held + 2 * found.codes if arm == "class-shuffled" else held
    return found.view[torch.from_numpy(exchanged(groups, share, random))]


def teach(arm: str, found: Viewed, classes: int, options: config.Lugpi, runtime: Runtime) -> Teaching:
    """Train the teachers of an arm: one on all training records, and one without each fold, which speaks of that fold."""
    lesson = Lesson(
        own=found.own, view=view_of(arm, found, options.corrupt, runtime), codes=torch.from_numpy(found.codes), trained=found.trained,
        classes=classes,
    )  # fmt: skip
    rows, t = torch.arange(found.trained), options.teacher
    whole = train_teacher(lesson, rows, t, runtime, f"lugpi.{arm}", 0)
    said = ask(whole, lesson, rows)
    folds = min(options.folds, found.trained)
    if folds > 1:
        place = folds_of(found.codes[: found.trained], folds, runtime.generator("lugpi.folds"))
        parts = [(torch.from_numpy(np.flatnonzero(place != f)), np.flatnonzero(place == f)) for f in range(folds)]
        models = [train_teacher(lesson, rest, t, runtime, f"lugpi.{arm}.{f}", f + 1) for f, (rest, _) in enumerate(parts)]
        out = said._replace(probabilities=said.probabilities.copy(), embedding=said.embedding.copy())
        for model, (rest, own) in zip(models, parts, strict=True):
            told, seen = ask(model, lesson, torch.from_numpy(own)), ask(model, lesson, rest)
            out.probabilities[own] = told.probabilities
            out.embedding[own] = turned(told.embedding, seen.embedding, said.embedding[rest.numpy()])
        said = out
    held, truth = lesson.validation, found.codes[found.trained :]
    told, alone = ask(whole, lesson, held), ask(whole, lesson, held, blind=True)
    right = told.probabilities.argmax(1) == truth
    facts = {
        "out_of_fold": float((said.probabilities.argmax(1) == found.codes[: found.trained]).mean()),
        "validation": float(right.mean()) if len(right) else None,
        "without_view": float((alone.probabilities.argmax(1) == truth).mean()) if len(right) else None,
        "gate": float(told.gate.mean()) if len(right) and arm != "self" else None,
    }
    return Teaching(probabilities=said.probabilities, embedding=said.embedding, right=right, facts=facts)
