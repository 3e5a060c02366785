"""Evaluator `membership`: can an attacker who holds the synthetic records tell which real records they were learned from?

Each candidate record is scored by its distance to the nearest synthetic record relative to its distance to the k-th
nearest record of a reference population, so that a record in a crowd is not taken for a copied one. The attack is
fixed beforehand; half of the hold-out records are the attacker's reference, the other half the non-members.
Sources: van Breugel et al., DOMIAS (arXiv 2302.12580); Chen et al., GAN-Leaks (arXiv 1909.03935); low false-positive
rates after Carlini et al. (arXiv 2112.03570).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import roc_auc_score

from scarce.contract import Dataset, EvaluatorContext, EvaluatorSpec, Metric, hookimpl, take
from scarce.contract.frozen import Frozen
from scarce.parts.config import Configured
from scarce.parts.config import Membership as MembershipOptions
from scarce.parts.detection import auc_interval
from scarce.parts.privacy import Vectors, nearest, some, wilson

FEWEST = 10
RATE, RATE_FROM = 0.01, 500  # a false-positive rate, and the non-members it takes to place it


class Candidates(Frozen):
    """Vectors [2n, d] of n members, then n non-members, and their distance [2n] to the reference population."""

    rows: Vectors
    usual: Vectors
    reference: int

    @property
    def n(self) -> int:
        """How many there are on each side."""
        return len(self.rows) // 2


def attack(candidates: Candidates, synthetic: Vectors) -> Vectors:
    """[2n] how strongly each candidate looks like a member; finite also where distances are 0."""
    near = nearest(candidates.rows, synthetic)[0][:, 0]
    least = 1e-3 * float(np.median(candidates.usual)) + 1e-9
    score: Vectors = np.log(candidates.usual + least) - np.log(near + least)
    return score


def true_positives(scores: Vectors, rate: float) -> float:
    """Share of members that score above all but at most `rate` of the non-members; scores [2n] as `attack` gives them."""
    n = len(scores) // 2
    return float((scores[:n] > np.sort(scores[n:])[-1 - int(rate * n)]).mean())


class Membership(Configured[MembershipOptions], EvaluatorSpec):
    """A membership-inference attack on the released records by relative distances."""

    @hookimpl
    def evaluator_measure(self, ctx: EvaluatorContext) -> list[Metric]:
        """`membership_auc` of every source and, from 500 records a side, `membership_tpr` at 1 % false positives."""
        candidates = self._candidates(ctx)
        return [m for source, records in ctx.samples.items() for m in self._source(ctx, source, records, candidates)]

    def _candidates(self, ctx: EvaluatorContext) -> Candidates:
        rng, data = np.random.default_rng([ctx.seed, 4]), ctx.dataset
        held = data.rows("validation", "test")
        # Rows of one group may be equal, so a group is either reference or non-member; a split keeps it off the members.
        known = rng.permutation(np.unique(data.groups[held]))
        half = np.isin(data.groups[held], known[: len(known) // 2])
        reference = ctx.codec.vectors(take(data.records, held[half]))
        sides = [ctx.codec.vectors(take(data.records, rows)) for rows in (_told(data, data.rows("train")), _told(data, held[~half]))]
        sides = [np.unique(side, axis=0) if len(side) else side for side in sides]
        n = min(self.options.rows, *map(len, sides))
        reference = reference[some(len(reference), self.options.rows, rng)]
        rows = np.concatenate([side[some(len(side), n, rng)] for side in sides])
        usual = nearest(rows, reference, self.options.neighbours)[0][:, -1] if len(reference) and n else np.zeros(len(rows))
        return Candidates(rows=rows, usual=usual, reference=len(reference))

    def _source(self, ctx: EvaluatorContext, source: str, records: Any, candidates: Candidates) -> list[Metric]:
        n = candidates.n
        if min(n, candidates.reference) < FEWEST or len(records) == 0:
            error = f"needs {FEWEST} records a side and as reference, found {n} and {candidates.reference}, and {len(records)} {source}"
            return [Metric(name="membership_auc", value=float("nan"), source=source, error=error)]
        scores = attack(candidates, ctx.codec.vectors(records))
        auc = float(roc_auc_score(np.repeat([1, 0], n), scores))
        low, high = auc_interval(auc, n)
        note = f"{n} training against {n} hold-out records, {candidates.reference} more known to the attacker"
        area = Metric(name="membership_auc", value=auc, source=source, direction="target", target=0.5, low=low, high=high, n=n)
        if n < RATE_FROM:
            return [area.with_(floor=0.5, note=note)]
        found = true_positives(scores, RATE)
        low, high = wilson(found, n)
        hits = Metric(name="membership_tpr", value=found, source=source, direction="lower", low=low, high=high, floor=RATE, n=n)
        said = f"training records recognised where {100 * RATE:g} % of hold-out records are mistaken for one"
        return [area.with_(floor=0.5, note=note), hits.with_(note=said)]


def _told(data: Dataset, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Rows whose target is known: those without one are all in train, so that alone would tell members apart."""
    return rows if data.target is None else rows[~pd.isna(data.target[rows])]
