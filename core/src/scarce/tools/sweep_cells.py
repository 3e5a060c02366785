"""How numbers of a sweep are written in tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from scarce.report.results import shown
from scarce.report.statistics import FEWEST_SEEDS, Comparison, t_interval
from scarce.tools.sweep_results import Result, over_seeds


def cell(members: Sequence[Result], values: Iterable[float], name: str = "") -> str:
    """Mean and interval over seeds, written as numbers of that metric are."""
    means = over_seeds(members, values)
    span = t_interval(means)
    return shown(float(np.mean(means)) if means else None, name) + (f" ± {shown((span[1] - span[0]) / 2, name)}" if span else "")


def difference(c: Comparison | None) -> tuple[str, str]:
    """A paired difference and its verdict; under five seeds every one of its values."""
    if c is None:
        return "", ""
    if c.n < FEWEST_SEEDS:
        return ", ".join(f"{d:+.3f}" for d in c.differences), c.verdict
    return f"{c.mean:+.3f} [{c.low:+.3f}, {c.high:+.3f}]", c.verdict
