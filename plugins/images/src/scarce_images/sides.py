"""What evaluators compare: valid pictures of each source, and how many of those asked for they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from scarce.contract import EvaluatorContext, Metric, take
from scarce.contract.frozen import Frozen

NAN = float("nan")
FEWEST = 10
Rows = npt.NDArray[np.int64]


class Side(Frozen):
    """Records with a picture, their classes or None, and which share of the records asked for they are."""

    records: Any
    target: Any = None
    share: float = 1.0

    def __len__(self) -> int:
        return len(self.records)

    def penalised(self, value: float, ceiling: float) -> float:
        """The mean over all asked for, of which invalid and missing ones score what useless data would."""
        return self.share * value + (1 - self.share) * ceiling

    def part(self, rows: Any) -> Side:
        """The chosen records."""
        return self.with_(records=take(self.records, rows), target=None if self.target is None else self.target[rows])

    def some(self, most: int, seed: int) -> Side:
        """At most so many of them, in order."""
        return self.part(some(len(self), most, seed))

    def of(self, label: Any) -> Side:
        """Those of one class."""
        return self.part(np.flatnonzero([v == label for v in ([] if self.target is None else self.target)]))


def some(n: int, most: int, seed: int) -> Rows:
    """Positions of at most so many of n, in order."""
    return np.arange(n) if n <= most else np.sort(np.random.default_rng([seed, n]).choice(n, most, replace=False))


def real(ctx: EvaluatorContext, *splits: Any) -> Side:
    """Real pictures of the splits."""
    rows = ctx.dataset.rows(*splits)
    return Side(records=take(ctx.dataset.records, rows), target=None if ctx.dataset.target is None else ctx.dataset.target[rows])


def learnt(ctx: EvaluatorContext) -> Side:
    """Training pictures that the generator has seen in this run: labelled ones alone where every term of its plan says so."""
    found, phases = real(ctx, "train"), () if ctx.generator is None else ctx.generator.plan.phases
    if phases and all(term.rows == "labelled" for phase in phases for term in phase.terms):
        return found.part(np.flatnonzero(ctx.dataset.labelled[ctx.dataset.rows("train")]))
    return found


def side(ctx: EvaluatorContext, source: str) -> Side:
    """Pictures of a sample; a cell that is no picture of 8 bits is a failure, as is a record that was asked for and is missing."""
    records, target = ctx.samples[source], ctx.targets.get(source)
    asked = max(ctx.expected if source == "synthetic" else 0, len(records))
    if len(records) == 0:
        return Side(records=records, share=0.0)
    good = np.flatnonzero([picture(cell) for cell in records["image"]])
    fits = target is not None and len(target) == len(records)
    return Side(records=take(records, good), target=np.asarray(target)[good] if fits else None, share=len(good) / asked)


def picture(cell: Any) -> bool:
    """Whether a cell is a picture: uint8 [h, w, 3]."""
    return isinstance(cell, np.ndarray) and cell.dtype == np.uint8 and cell.ndim == 3 and cell.shape[2] == 3 and cell.size > 0


def failed(ctx: EvaluatorContext, name: str, why: str) -> list[Metric]:
    """One failed row per source."""
    return [Metric(name=name, value=NAN, source=source, error=why) for source in ctx.samples]


def few(train: Side, held: Side, training: int = FEWEST) -> str:
    """Why there are too few real pictures to compare with, or nothing; training: how many of those must be there."""
    short = len(train) < training or len(held) < FEWEST
    return f"needs {training} training and {FEWEST} hold-out pictures, found {len(train)} and {len(held)}" if short else ""


def note_of(found: Side, *more: str) -> str:
    """What a person should know of a number: the space, and failures."""
    lost = f"{100 * (1 - found.share):.3g} % of the pictures asked for are invalid or missing and count as failures"
    return "; ".join([*more, *([lost] if found.share < 1 else [])])
