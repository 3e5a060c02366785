"""From the metrics of every seed to means with intervals, and paired comparisons over seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

import numpy as np
from scipy import stats

from scarce.contract.frozen import Frozen
from scarce.contract.results import Metric

FEWEST_SEEDS = 5
TOO_FEW = "too few runs to say"
MAIN_METRIC = {"classification": "macro_f1", "regression": "r2"}
SOURCES = {
    "real": "real only", "synthetic": "synthetic", "both": "real + synthetic", "marginals": "marginals",
    "smote": "SMOTE-like", "bootstrap": "bootstrap copy",
}  # fmt: skip
SECTIONS = {
    "utility": {"utility": "utility", "macro_f1": "macro-F1", "accuracy": "accuracy", "roc_auc": "ROC-AUC", "r2": "R²", "rmse": "RMSE"},
    "fidelity": {
        "correlation": "correlation", "correlation_distance": "correlation distance", "correlation_frobenius": "Frobenius",
        "shape": "shape", "column_shape": "column shape", "column_shape_worst": "worst columns",
        "detection": "detection", "c2st_auc": "detection AUC",
    },
    "privacy": {
        "privacy": "privacy", "dcr_median": "DCR median", "nndr_median": "NNDR median", "holdout_share": "hold-out share",
        "exact_copies": "exact copies",
    },
}  # fmt: skip
METRICS = {name: label for labels in SECTIONS.values() for name, label in labels.items()}


class Child(Frozen):
    """One run of one arm and seed: `metrics` are `Metric.to_json()`, cost in seconds by phase, counts of rows."""

    arm: str
    seed: int
    metrics: Sequence[Mapping[str, Any]]
    cost: Mapping[str, Any] = field(default_factory=dict)
    counts: Mapping[str, Any] = field(default_factory=dict)


class Row(Metric):
    """One metric of one source over the seeds of an arm.

    values: one per seed, NaN where it failed; value: mean over the n_seeds finite ones; low, high: 95 % t-interval over
    seeds, None with fewer than two; floor, ceiling, n: means of the reference lines and of the samples a value rests on;
    note, error: those of the first seed that has one.
    """

    arm: str
    values: tuple[float, ...]
    n_seeds: int


class Comparison(Frozen):
    """Paired differences a - b, one per seed, with their 95 % t-interval; n is how many seeds have both."""

    differences: tuple[float, ...]
    mean: float
    low: float | None
    high: float | None
    n: int
    verdict: str


def number(value: Any) -> float:
    """A float; None and what is no number are NaN."""
    return float(value) if isinstance(value, int | float) else math.nan


def t_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """95 % interval of the mean of independent values; None with fewer than two."""
    finite = [v for v in values if math.isfinite(v)]
    if len(finite) < 2:
        return None
    half = float(stats.t.ppf(0.975, len(finite) - 1)) * float(np.std(finite, ddof=1)) / math.sqrt(len(finite))
    return float(np.mean(finite)) - half, float(np.mean(finite)) + half


def _mean(values: Sequence[Any]) -> float | None:
    finite = [number(v) for v in values if math.isfinite(number(v))]
    return float(np.mean(finite)) if finite else None


def summarise(children: Sequence[Child]) -> list[Row]:
    """One row per arm, evaluator, source and metric, in order of first appearance."""
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for child in children:
        for m in child.metrics:
            groups.setdefault((child.arm, m.get("evaluator"), m.get("source"), m["name"]), []).append(m)
    return [_row(key[0], found) for key, found in groups.items()]


def _row(arm: str, found: Sequence[Mapping[str, Any]]) -> Row:
    values = tuple(number(m.get("value")) for m in found)
    mean = _mean(values)
    low, high = t_interval(values) or (None, None)
    facts = {key: _mean([m.get(key) for m in found]) for key in ("floor", "ceiling", "n")}
    said = {key: next((m[key] for m in found if m.get(key)), "") for key in ("note", "error")}
    seen = {"value": math.nan if mean is None else mean, "low": low, "high": high, **facts, "n": round(facts["n"] or 0), **said}
    return Row(**{**found[0], **seen}, arm=arm, values=values, n_seeds=sum(map(math.isfinite, values)))


def label(name: str) -> str:
    """A metric or source as people read it."""
    return METRICS.get(name) or SOURCES.get(name) or name.replace("_", " ")


def find(rows: Sequence[Row], metric: str, source: str = "synthetic", arm: str | None = None) -> Row | None:
    """The first row with a finite mean that fits."""
    fits = (r for r in rows if r.name == metric and r.source == source and arm in (None, r.arm) and math.isfinite(r.value))
    return next(fits, None)


def _by_seed(children: Sequence[Child], side: str | tuple[str, str], metric: str) -> dict[int, Mapping[str, Any]]:
    arm, source = (None, side) if isinstance(side, str) else side
    found: dict[int, Mapping[str, Any]] = {}
    for child in children:
        for m in child.metrics:
            if arm in (None, child.arm) and m["name"] == metric and m.get("source") == source and math.isfinite(number(m.get("value"))):
                found.setdefault(child.seed, m)
    return found


def paired(children: Sequence[Child], a: str | tuple[str, str], b: str | tuple[str, str], metric: str) -> Comparison:
    """Compare two sources seed by seed; a side is a source ("both"), or (arm, source).

    The verdict is "too few runs to say" under five pairs, "no evidence" when the interval holds zero, else
    "better" or "worse" for side a.
    """
    first, second = _by_seed(children, a, metric), _by_seed(children, b, metric)
    seeds = sorted(first.keys() & second.keys())
    differences = tuple(number(first[s]["value"]) - number(second[s]["value"]) for s in seeds)
    gains = [_score(first[s]) - _score(second[s]) for s in seeds]
    interval, gain = t_interval(differences), t_interval(gains)
    if len(seeds) < FEWEST_SEEDS or gain is None:
        verdict = TOO_FEW
    else:
        verdict = "better" if gain[0] > 0 else "worse" if gain[1] < 0 else "no evidence"
    mean = float(np.mean(differences)) if differences else math.nan
    low, high = interval or (None, None)
    return Comparison(differences=differences, mean=mean, low=low, high=high, n=len(seeds), verdict=verdict)


def _score(metric: Mapping[str, Any]) -> float:
    """The value turned so that larger is better."""
    value, target = number(metric["value"]), number(metric.get("target"))
    if metric.get("direction") == "target" and math.isfinite(target):
        return -abs(value - target)
    return -value if metric.get("direction") == "lower" else value
