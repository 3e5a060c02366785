"""Evaluator `detection`: a classifier two-sample test (Lopez-Paz and Oquab, arXiv 1610.06545).

A classifier is cross-validated on `Codec.vectors` of as many synthetic as real hold-out records. Area under the
curve 0.5: it can't tell them apart; 1.0: always.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from scarce.contract import EvaluatorContext, EvaluatorSpec, Metric, hookimpl, take
from scarce.parts.config import Configured
from scarce.parts.config import Detection as DetectionOptions

Vectors = npt.NDArray[np.float64]
FEWEST = 5
_TREES_FROM = 100


def auc_interval(auc: float, n: int) -> tuple[float, float]:
    """95 % interval of an area under the curve of n against n (Hanley and McNeil, 1982)."""
    q1, q2 = auc / (2 - auc), 2 * auc * auc / (1 + auc)
    variance = (auc * (1 - auc) + (n - 1) * (q1 - auc**2) + (n - 1) * (q2 - auc**2)) / (n * n)
    # At an area of exactly 0 or 1 the formula gives no width; one misplaced pair in n is the least we can't exclude.
    half = max(1.959964 * float(np.sqrt(max(variance, 0.0))), 1.0 / n)
    return max(0.0, auc - half), min(1.0, auc + half)


def two_sample_auc(first: Vectors, second: Vectors, *, folds: int, seed: int) -> float:
    """Cross-validated area under the curve of telling `first` from `second`; both [n, d]."""
    x = np.concatenate([first, second])
    y = np.repeat([1, 0], [len(first), len(second)])
    splits = StratifiedKFold(min(folds, len(first)), shuffle=True, random_state=seed)
    # Tables are small: a second thread costs more in waiting than it brings.
    with threadpool_limits(1):
        scores = cross_val_predict(_classifier(len(first), seed), x, y, cv=splits, method="predict_proba")[:, 1]
    return float(roc_auc_score(y, scores))


def _classifier(n: int, seed: int) -> Any:
    """Trees need rows to split; below that a regularised linear model."""
    if n < _TREES_FROM:
        return make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=200))
    return HistGradientBoostingClassifier(max_iter=50, max_leaf_nodes=15, learning_rate=0.15, early_stopping=False, random_state=seed)


class Detection(Configured[DetectionOptions], EvaluatorSpec):
    """Can a classifier tell synthetic from real hold-out records?"""

    @hookimpl
    def evaluator_measure(self, ctx: EvaluatorContext) -> list[Metric]:
        """`c2st_auc` of every source; its floor is what real training records score."""
        data = ctx.dataset
        real = ctx.codec.vectors(take(data.records, data.rows("validation", "test")))
        train = ctx.codec.vectors(take(data.records, data.rows("train")))
        floor = self._auc(train, real, ctx.seed)
        vectors = {source: ctx.codec.vectors(records) if len(records) else real[:0] for source, records in ctx.samples.items()}
        return [self._metric(source, rows, real, floor, ctx.seed) for source, rows in vectors.items()]

    def _auc(self, rows: Vectors, real: Vectors, seed: int) -> tuple[float, int] | None:
        n = min(len(rows), len(real), self.options.rows)
        if n < FEWEST:
            return None
        rng = np.random.default_rng([seed, 3])
        first, second = (v[rng.choice(len(v), n, replace=False)] for v in (rows, real))
        return two_sample_auc(first, second, folds=self.options.folds, seed=int(rng.integers(2**31))), n

    def _metric(self, source: str, rows: Vectors, real: Vectors, floor: tuple[float, int] | None, seed: int) -> Metric:
        found = self._auc(rows, real, seed)
        if found is None:
            error = f"needs {FEWEST} records on each side, found {len(rows)} {source} and {len(real)} real hold-out records"
            return Metric(name="c2st_auc", value=float("nan"), source=source, error=error)
        auc, n = found
        low, high = auc_interval(auc, n)
        kind = "linear model" if n < _TREES_FROM else "boosted trees"
        return Metric(
            name="c2st_auc", value=auc, source=source, direction="target", target=0.5, low=low, high=high,
            floor=None if floor is None else floor[0], ceiling=1.0, n=n, note=f"{kind}, {n} {source} against {n} real hold-out records",
        )  # fmt: skip
