"""Differences inside a run, judged over seeds: what one source of data gained over others on the same records."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from scarce.contract.frozen import Frozen
from scarce.report.statistics import FEWEST_SEEDS, TOO_FEW, Child, Comparison, contrast, label, number


class Margin(Frozen):
    """One metric that is a difference (`Metric.over`), over the seeds of an arm."""

    arm: str
    name: str
    over: str
    found: Comparison

    @property
    def sentence(self) -> str:
        """ "accuracy gained over the baseline: +0.012 [-0.003, +0.027], 5 seeds: no evidence"."""
        interval = "" if self.found.low is None else f" [{self.found.low:+.3f}, {self.found.high:+.3f}]"
        seeds = f"{self.found.n} seed{'s' * (self.found.n != 1)}"
        return f"{label(self.name)} over {self.over}: {self.found.mean:+.3f}{interval}, {seeds}: {self.found.verdict}"


def margins(children: Sequence[Child]) -> list[Margin]:
    """Every difference of every arm, in order of first appearance."""
    groups: dict[tuple[str, str, str], dict[int, Mapping[str, Any]]] = {}
    for child in children:
        for m in child.metrics:
            if m.get("over") and math.isfinite(number(m.get("value"))):
                groups.setdefault((child.arm, m["name"], m["over"]), {}).setdefault(child.seed, m)
    return [
        Margin(arm=arm, name=name, over=over, found=contrast({s: number(m["value"]) for s, m in sorted(by.items())}, _direction(by)))
        for (arm, name, over), by in groups.items()
    ]


def _direction(by: Mapping[int, Mapping[str, Any]]) -> str:
    return next(str(m.get("direction")) for m in by.values())


def statements(children: Sequence[Child]) -> list[str]:
    """A sentence per difference; those of several arms say which."""
    found = margins(children)
    many = len({m.arm for m in found}) > 1
    return [f"{m.arm}: {m.sentence}" if many else m.sentence for m in found]


def conclusion(children: Sequence[Child]) -> str:
    """One plain sentence on the first metric that is a difference: over what there is a gain, and over what no evidence of one."""
    found = margins(children)
    own = [m for m in found if m.name == found[0].name]
    if not own:
        return ""
    if own[0].found.n < FEWEST_SEEDS:
        return f"{own[0].found.n} of at least {FEWEST_SEEDS} runs: {TOO_FEW} whether there is {label(own[0].name)}."
    said = [(words, [m.over for m in own if m.found.verdict == verdict]) for verdict, words in (
        ("better", "evidence of {} over"), ("worse", "evidence of a loss, not of {}, against"), ("no evidence", "no evidence of {} over"),
    )]  # fmt: skip
    text = "; ".join(f"{words.format(label(own[0].name))} {_listed(names)}" for words, names in said if names)
    return text[:1].upper() + text[1:] + "."


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
