"""What each arm cost, beside what it reached: one table over seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from scarce.report.results import Line, Results, Table, cell, column
from scarce.report.statistics import MAIN_METRIC, Child, find, number, summarise, t_interval

REACHED = ("control_error", "forgetting_ratio", "correlation_distance")
EVALUATIONS = "gradient_evaluations"


def own_seconds(child: Child, children: Sequence[Child]) -> float:
    """CPU seconds of the phases this child trained alone; NaN where no phase has seconds.

    Arms of a seed that begin alike share a phase: it is trained once and its seconds are copied, so equal ones are one phase.
    """
    phases: Mapping[str, float] = child.cost.get("phase_cpu_seconds", {})
    others = [c.cost.get("phase_cpu_seconds", {}) for c in children if c.seed == child.seed and c.arm != child.arm]
    own = [seconds for name, seconds in phases.items() if all(other.get(name) != seconds for other in others)]
    return float(sum(own)) if phases else math.nan


def _evaluations(child: Child) -> float:
    return next((number(m.get("value")) for m in child.metrics if m["name"] == EVALUATIONS), math.nan)


def costs(results: Results) -> Table | None:
    """Per arm the main numbers of its synthetic data, then seconds, memory, weights and gradients; None for one arm.

    Means with their 95 % t-interval over seeds; a column nothing was recorded of is left out.
    """
    if len(results.arms) < 2:
        return None
    rows = summarise(results.children)
    names = [n for n in (MAIN_METRIC.get(results.task, ""), *REACHED) if find(rows, n)]
    heads = [row for name in names if (row := find(rows, name))]
    measures: dict[str, tuple[Callable[[Child], float], int]] = {
        "training, CPU s": (lambda c: number(c.cost.get("train_cpu_seconds")), 1),
        "of its own phases, CPU s": (lambda c: own_seconds(c, results.children), 1),
        "training, s": (lambda c: number(c.cost.get("train_seconds")), 1),
        "peak memory, MB": (lambda c: number(c.cost.get("peak_memory_mb")), 0),
        "trainable weights": (lambda c: number(c.cost.get("trainable")), 0),
        "gradient evaluations": (_evaluations, 0),
    }
    kept = {n: f for n, f in measures.items() if any(math.isfinite(f[0](c)) for c in results.children)}
    if not kept:
        return None
    lines = []
    for arm in results.arms:
        own = [c for c in results.children if c.arm == arm]
        cells = [cell(find(rows, name, arm=arm)) for name in names]
        lines.append(Line(label=arm, cells=(*cells, *(_spread([value(c) for c in own], digits) for value, digits in kept.values()))))
    notes = (
        "A phase that arms share is trained once; its seconds count in the training of each of them, and in no arm's own phases.",
        "Peak memory is that of the whole process up to the end of the run: arms that ran later in one process can't show less.",
    )
    return Table(section="cost", columns=(*map(column, heads), *kept), lines=tuple(lines), notes=notes)


def _spread(values: Sequence[float], digits: int) -> str:
    """Mean and half of its interval, which is left out where it rounds to nothing."""
    finite = [v for v in values if math.isfinite(v)]
    if not finite:
        return "–"
    low, high = t_interval(finite) or (0.0, 0.0)
    half = f"{(high - low) / 2:,.{digits}f}"
    return f"{np.mean(finite):,.{digits}f}" + (f" ± {half}" if float(half.replace(",", "")) else "")
