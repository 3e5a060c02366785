"""From the metrics of every seed to means with intervals, and paired comparisons over seeds."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import field
from importlib import resources
from typing import Any

import numpy as np
from scipy import stats

from scarce.contract.frozen import Frozen
from scarce.contract.results import Metric

FEWEST_SEEDS = 5
CONFIDENCE = 0.95
TOO_FEW = "too few runs to say"
MAIN_METRIC = {"classification": "macro_f1", "regression": "r2"}
LABELS: dict[str, Any] = tomllib.loads(resources.files("scarce.report").joinpath("labels.toml").read_text(encoding="utf-8"))
SOURCES: dict[str, str] = LABELS["sources"]
SECTIONS: dict[str, dict[str, str]] = LABELS["sections"]
METRICS = {name: label for labels in SECTIONS.values() for name, label in labels.items()}


class Child(Frozen):
    """One run of one arm and seed: `metrics` are `Metric.to_json()`, cost in seconds by phase, counts of rows.

    curve: what a learner scored on each subset of the real rows, as metrics that also say how many `rows`.
    """

    arm: str
    seed: int
    metrics: Sequence[Mapping[str, Any]]
    cost: Mapping[str, Any] = field(default_factory=dict)
    counts: Mapping[str, Any] = field(default_factory=dict)
    curve: Sequence[Mapping[str, Any]] = ()


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
    """Paired differences a - b, one per seed (distances to the target where there is one), with their 95 % t-interval.

    n: how many seeds have both; p: paired t-test of no difference; wilcoxon: signed-rank test; equivalent: two one-sided
    paired t-tests (TOST) of a difference of `margin` or more. The three are None with fewer than five pairs.
    """

    differences: tuple[float, ...]
    mean: float
    low: float | None
    high: float | None
    n: int
    verdict: str
    seeds: tuple[int, ...] = ()
    direction: str = "none"
    margin: float | None = None
    p: float | None = None
    wilcoxon: float | None = None
    equivalent: float | None = None


def number(value: Any) -> float:
    """A float; None and what is no number are NaN."""
    return float(value) if isinstance(value, int | float) else math.nan


def t_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """95 % interval of the mean of independent values; None with fewer than two."""
    finite = [v for v in values if math.isfinite(v)]
    if len(finite) < 2:
        return None
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(finite) - 1)) * float(np.std(finite, ddof=1)) / math.sqrt(len(finite))
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


def by_seed(children: Sequence[Child], side: str | tuple[str, str], metric: str) -> dict[int, Mapping[str, Any]]:
    """Seed -> the first finite metric of that name and source ("both"), or (arm, source)."""
    arm, source = (None, side) if isinstance(side, str) else side
    found: dict[int, Mapping[str, Any]] = {}
    for child in children:
        for m in child.metrics:
            if arm in (None, child.arm) and m["name"] == metric and m.get("source") == source and math.isfinite(number(m.get("value"))):
                found.setdefault(child.seed, m)
    return found


def paired(
    children: Sequence[Child], a: str | tuple[str, str], b: str | tuple[str, str], metric: str, margin: float | None = None
) -> Comparison:
    """Compare two sources seed by seed; a side is a source ("both"), or (arm, source). The verdict is that of `contrast`."""
    first, second = by_seed(children, a, metric), by_seed(children, b, metric)
    differences = {s: compared(first[s]) - compared(second[s]) for s in sorted(first.keys() & second.keys())}
    direction = next((str(m.get("direction")) for m in first.values()), "none")
    return contrast(differences, direction, margin)


def contrast(differences: Mapping[int, float], direction: str, margin: float | None = None) -> Comparison:
    """What paired differences by seed say of side a.

    The verdict is "too few runs to say" under five pairs; else "better" or "worse" ("higher", "lower" when no direction is
    the better one) if the t-interval excludes zero, "equivalent within MARGIN" if TOST rejects at 5 %, both if both do, else
    "no evidence".
    """
    values = tuple(differences.values())
    low, high = t_interval(values) or (None, None)
    mean = float(np.mean(values)) if values else math.nan
    facts: dict[str, float | None] = {}
    if len(values) >= FEWEST_SEEDS:
        turned = [-v for v in values]
        same = None if margin is None else max(_above(values, -margin), _above(turned, -margin))
        facts = {"p": min(1.0, 2 * min(_above(values, 0), _above(turned, 0))), "wilcoxon": _signed_rank(values), "equivalent": same}
    made = Comparison(
        differences=values, mean=mean, low=low, high=high, n=len(values), verdict=TOO_FEW, seeds=tuple(differences), direction=direction,
        margin=margin, **facts,
    )  # fmt: skip
    return made.with_(verdict=_verdict(made, made.p, made.equivalent))


def adjusted(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """The same comparisons with verdicts that hold for all of them together: p of both kinds of test adjusted after Holm."""
    pairs = zip(comparisons, holm([c.p for c in comparisons]), holm([c.equivalent for c in comparisons]), strict=True)
    return [c.with_(verdict=_verdict(c, p, same)) for c, p, same in pairs]


def holm(values: Sequence[float | None]) -> list[float | None]:
    """p values adjusted after Holm (1979) for as many tests as there are values; None stays None."""
    order = sorted((p, i) for i, p in enumerate(values) if p is not None)
    out: list[float | None] = [None] * len(values)
    highest = 0.0
    for rank, (p, i) in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * p))
        out[i] = highest
    return out


def _above(values: Sequence[float], bound: float) -> float:
    """One-sided p of the hypothesis that the mean is `bound` or less."""
    error, over = float(np.std(values, ddof=1)) / math.sqrt(len(values)), float(np.mean(values)) - bound
    if error == 0:
        return 0.0 if over > 0 else 1.0
    return float(stats.t.sf(over / error, len(values) - 1))


def _signed_rank(values: Sequence[float]) -> float:
    return float(stats.wilcoxon(values).pvalue) if any(values) else 1.0


def _verdict(comparison: Comparison, p: float | None, equivalent: float | None) -> str:
    if p is None:
        return TOO_FEW
    up, down = {"higher": ("better", "worse"), "none": ("higher", "lower")}.get(comparison.direction, ("worse", "better"))
    said = [up if comparison.mean > 0 else down] if p < 1 - CONFIDENCE else []
    said += [f"equivalent within {comparison.margin:g}"] if equivalent is not None and equivalent < 1 - CONFIDENCE else []
    return ", yet ".join(said) or "no evidence"


def compared(metric: Mapping[str, Any]) -> float:
    """What of a metric is compared: its value, or the distance to its target."""
    value, target = number(metric["value"]), number(metric.get("target"))
    return abs(value - target) if metric.get("direction") == "target" and math.isfinite(target) else value
