"""Curves of a sweep's score over a factor whose levels are numbers: where they reach the largest level, where two of them cross."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise, product
from typing import Any

import numpy as np

from scarce.contract.frozen import Frozen
from scarce.report.statistics import FEWEST_SEEDS, TOO_FEW, Comparison
from scarce.tools.sweep_results import Result, against, grouped

WIDE = 20.0  # largest over smallest finite level, from which on an axis is logarithmic


class Curve(Frozen):
    """Results by level of one factor, rising, on one table under one setting of the other factors ("" where none varies)."""

    factor: str
    table: str
    setting: str
    levels: Mapping[str, Sequence[Result]]

    @property
    def top(self) -> str:
        """The largest level: what the others are measured against."""
        return list(self.levels)[-1]

    def against_top(self, metric: str) -> dict[str, Comparison | None]:
        """Every smaller level minus the largest, paired by seed on equal splits."""
        return {level: _paired(found, self.levels[self.top], metric) for level, found in list(self.levels.items())[:-1]}


def rising(levels: Sequence[str]) -> list[str]:
    """The levels from smallest to largest ("inf" last); none unless there are two or more and all are numbers, or "N per class"."""
    values = {level: number_in(level) for level in levels}
    return [] if len(values) < 2 or any(map(math.isnan, values.values())) else sorted(values, key=lambda level: values[level])


def number_in(level: str) -> float:
    """The number that a level is, or that "N per class" begins with; NaN for any other."""
    try:
        return float(level.removesuffix("per class"))
    except ValueError:
        return math.nan


def places_of(levels: Sequence[str]) -> tuple[list[float], bool]:
    """Where rising levels stand on an axis, and whether it is logarithmic; an infinite one stands a step beyond the last finite one."""
    values = [number_in(level) for level in levels]
    finite = [v for v in values if math.isfinite(v)]
    log = len(finite) > 1 and finite[0] > 0 and finite[-1] / finite[0] >= WIDE
    step = finite[-1] - finite[-2] if len(finite) > 1 else 1.0
    beyond = finite[-1] ** 2 / finite[-2] if log else finite[-1] + step if finite else 1.0
    return [v if math.isfinite(v) else beyond for v in values], log


def curves(found: Sequence[Result], facts: Mapping[str, Any]) -> list[Curve]:
    """A curve per numeric factor, table and setting of the other factors that has a score at two levels or more."""
    out = []
    for factor, names in facts["factors"].items():
        groups = grouped(found, facts, factor) if (levels := rising(names)) else {}
        for table in dict.fromkeys(r.table for r in found):
            mine: dict[Any, dict[str, list[Result]]] = {}
            for rest, group in groups.items():
                kept = {level: [r for r in group.get(level, ()) if r.table == table and r.metric(facts["metric"])] for level in levels}
                mine[rest] = {level: members for level, members in kept.items() if members}
            mine = {rest: kept for rest, kept in mine.items() if len(kept) > 1}
            out += [Curve(factor=factor, table=table, setting=_setting(rest, list(mine)), levels=kept) for rest, kept in mine.items()]
    return out


def _setting(rest: Sequence[tuple[str, str]], all_rests: Sequence[Sequence[tuple[str, str]]]) -> str:
    """What distinguishes one setting of the other factors from the rest of them."""
    return ", ".join(f"{name}={level}" for name, level in rest if not all((name, level) in other for other in all_rests))


def _paired(a: Sequence[Result], b: Sequence[Result], metric: str) -> Comparison | None:
    return against(product(a, b), metric)


def called(factor: str, level: str) -> str:
    """A level as people read it."""
    full = factor == "data.labelled" and level in ("1", "1.0")
    return f"fully supervised ({factor}={level})" if full else f"{factor}={level}"


def reached(curve: Curve, metric: str) -> str:
    """From which level on no level is worse than the largest: paired 95 % intervals, each for itself."""
    made = curve.against_top(metric)
    top = called(curve.factor, curve.top)
    if any(c is None or c.n < FEWEST_SEEDS for c in made.values()):
        return f"{TOO_FEW} from which level on none is worse than {top}"
    differs = [level for level, c in made.items() if c is not None and c.verdict in ("worse", "higher", "lower")]
    if not differs:
        return f"no level, down to {next(iter(made))}, is worse than {top}"
    after = [level for level in made if float(level) > float(differs[-1])]
    if not after:
        return f"every smaller level that was run, up to {differs[-1]}, is worse than {top}"
    c = made[after[0]]
    assert c is not None
    return f"from {after[0]} on no level is worse than {top} (there {c.mean:+.3f} [{c.low:+.3f}, {c.high:+.3f}])"


def crossed(a: Curve, b: Curve, metric: str) -> str:
    """Where the means of two curves cross, interpolated on the axis, and what paired differences say on either side."""
    levels = [level for level in a.levels if level in b.levels]
    made = {level: c for level in levels if (c := _paired(a.levels[level], b.levels[level], metric))}
    if not made:
        return f"{a.setting} and {b.setting} share no pair of runs"
    spots, log = places_of(list(made))
    where = []
    for (x, (low, c)), (y, (high, d)) in pairwise(zip(spots, made.items(), strict=True)):
        if c.mean * d.mean < 0:
            ends, share = (np.log([x, y]) if log else np.array([x, y])), c.mean / (c.mean - d.mean)
            at = float(ends[0] + share * (ends[1] - ends[0]))
            where.append(f"between {low} and {high} (about {math.exp(at) if log else at:.3g})")
    said = f"the means of {a.setting} and {b.setting} " + (f"cross {' and '.join(where)}" if where else "do not cross")
    verdicts = {level: c.verdict for level, c in made.items()}
    if set(verdicts.values()) == {TOO_FEW}:
        return f"{said}; {TOO_FEW}"
    by = {v: [level for level, found in verdicts.items() if found == v] for v in dict.fromkeys(verdicts.values())}
    return f"{said}; {a.setting} is " + ", ".join(f"{verdict} at {', '.join(at)}" for verdict, at in by.items())
