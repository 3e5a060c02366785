"""Evaluator `diversity`: how much of the real variety do synthetic records reach, and do they only repeat it?

Coverage after Naeem et al. (arXiv 2002.09797): the share of real records that have a synthetic one nearer than their
k-th real neighbour, with as many synthetic as real records. Distances are Euclidean between `Codec.vectors`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from scarce.contract import EvaluatorContext, EvaluatorSpec, Metric, hookimpl, take
from scarce.contract.frozen import Frozen
from scarce.parts.config import Configured
from scarce.parts.config import Diversity as DiversityOptions
from scarce.parts.privacy import TIE, Vectors, nearest, some

FEWEST = 10
_NOTE = "rows copied from the training data cover it too: good coverage is worth something only beside good privacy"


class Real(Frozen):
    """All training records, n of them [n, d] with their radius [n], and what n hold-out records score against them."""

    train: Vectors
    rows: Vectors
    radius: Vectors
    coverage: float
    distance: float


def radii(rows: Vectors, k: int) -> Vectors:
    """[n] distance of each row to its k-th nearest other row."""
    return nearest(rows, rows, k + 1)[0][:, -1]


def coverage(rows: Vectors, radius: Vectors, by: Vectors) -> float:
    """Share of rows within whose radius lies a row of `by`; 0 without any."""
    return float((nearest(rows, by)[0][:, 0] <= radius + TIE).mean()) if len(by) else 0.0


class Diversity(Configured[DiversityOptions], EvaluatorSpec):
    """Coverage of the real records, and how far synthetic records keep from them."""

    @hookimpl
    def evaluator_measure(self, ctx: EvaluatorContext) -> list[Metric]:
        """`coverage` and `nearest_train` of every source; their floors are what real hold-out records score."""
        data, rng = ctx.dataset, np.random.default_rng([ctx.seed, 5])
        sides = [ctx.codec.vectors(take(data.records, data.rows(*s))) for s in (("train",), ("validation", "test"))]
        asked = max([ctx.expected, *map(len, ctx.samples.values())])
        n = min(self.options.rows, asked, *map(len, sides))
        if n < FEWEST:
            error = f"needs {FEWEST} records of each kind, found {len(sides[0])} training, {len(sides[1])} hold-out and {asked} synthetic"
            return [Metric(name="coverage", value=float("nan"), source=s, error=error) for s in ctx.samples]
        rows, held = (side[some(len(side), n, rng)] for side in sides)
        radius = radii(rows, self.options.neighbours)
        floors = {"coverage": coverage(rows, radius, held), "distance": _distance(held, sides[0])}
        real = Real(train=sides[0], rows=rows, radius=radius, **floors)
        return [m for source, records in ctx.samples.items() for m in self._source(ctx, source, records, real)]

    def _source(self, ctx: EvaluatorContext, source: str, records: Any, real: Real) -> list[Metric]:
        n, asked = len(real.rows), max(ctx.expected if source == "synthetic" else 0, len(records))
        # Records that were asked for and not delivered cover nothing.
        used = round(n * len(records) / asked) if asked >= n else len(records)
        rows = ctx.codec.vectors(take(records, some(len(records), used, np.random.default_rng([ctx.seed, 6])))) if used else real.rows[:0]
        found = coverage(real.rows, real.radius, rows)
        out = [Metric(name="coverage", value=found, source=source, direction="higher", floor=real.coverage, ceiling=0.0, n=n, note=_NOTE)]
        if used and real.distance > 0:
            near = _distance(rows, real.train) / real.distance
            out.append(Metric(name="nearest_train", value=near, source=source, direction="target", target=1.0, floor=1.0, n=used))
        return out


def _distance(rows: Vectors, train: Vectors) -> float:
    return float(np.median(nearest(rows, train)[0][:, 0]))
