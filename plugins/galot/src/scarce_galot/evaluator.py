"""Evaluator `rounds`: what rounds of generate and learn came to, and what limited them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from scarce.contract import EvaluatorContext, EvaluatorSpec, Figure, Metric, hookimpl
from scarce_galot.figures import accuracy_by_budget, radii

KEPT = 0.95  # share of the label accuracy before an ascent below which labels are said to suffer
RIGHT = 0.98  # label accuracy before an ascent below which the generator itself is said to be at fault

SAID: dict[str, tuple[str, Literal["higher", "none"]]] = {
    "gain": ("acquisition_gain", "none"), "label_accuracy": ("label_accuracy", "higher"),
    "label_accuracy_before": ("label_accuracy_before", "higher"), "diversity": ("round_diversity", "none"),
    "diversity_before": ("round_diversity_before", "none"),
}  # fmt: skip
"""Fact of a round -> the metric's name and direction; more of a score is not better data."""


class Rounds(EvaluatorSpec):
    """Accuracy against budget, and beside each round's gain the share of samples that an oracle gives their class."""

    @hookimpl
    def evaluator_measure(self, ctx: EvaluatorContext) -> list[Metric]:
        """aubc and the last round's label accuracy of "synthetic"; of "round 1", … accuracy, gain, label accuracy and diversity.

        Both of the last are of the round's samples and, "before", of fresh ones whose conditions were not moved.
        The note of a round's accuracy says in words what limited it.
        """
        if not ctx.rounds:
            reason = "this run has no rounds: set generate.rounds above 1, or name an [acquisition]"
            return [Metric(name="aubc", value=math.nan, error=reason)]
        points, tested = curve(ctx.rounds), len(ctx.dataset.rows("test"))
        said = [f"round {r['round'] + 1}: {limits(r)}" for r in ctx.rounds if limits(r)]
        note = "; ".join([f"{len(points)} points", *said])
        out = [Metric(name="aubc", value=aubc(points), direction="higher", floor=1.0, n=tested, note=note)]
        last = [r["label_accuracy"] for r in ctx.rounds if "label_accuracy" in r][-1:]
        out += [Metric(name="label_accuracy", value=value, direction="higher", floor=1.0) for value in last]
        return out + [metric for facts in ctx.rounds for metric in _of_round(facts, tested)]

    @hookimpl
    def evaluator_draw(self, ctx: EvaluatorContext) -> list[Figure]:
        """Accuracy against budget; gain beside label accuracy over the radii that were tried in the last search."""
        searches = [r["search"] for r in ctx.rounds if "search" in r]
        return [*accuracy_by_budget(curve(ctx.rounds)), *radii(searches[-1] if searches else None)]


def curve(rounds: Sequence[Mapping[str, Any]]) -> list[tuple[float, float]]:
    """(budget, test accuracy) before the first round, where there was a learner, and after each."""
    points = [(rounds[0]["budget_before"], rounds[0]["accuracy_before"])] if rounds else []
    points += [(r["budget"], r["accuracy"]) for r in rounds]
    return [(float(budget), float(accuracy)) for budget, accuracy in points if accuracy is not None]


def aubc(points: Sequence[tuple[float, float]]) -> float:
    """Area under accuracy over budget by trapezoids, over the range of budgets; the accuracy itself where that is one point."""
    if not points:
        return math.nan
    budgets, accuracies = np.array(points).T
    width = budgets[-1] - budgets[0]
    return float(np.trapezoid(accuracies, budgets) / width) if width > 0 else float(accuracies[-1])


def limits(facts: Mapping[str, Any]) -> str:
    """What kept a round from gaining more, in words; empty where nothing did."""
    gate, said = facts.get("gate", "open"), []
    if gate != "open":
        said.append(f"warm-up limits it: {gate.removeprefix('closed: ')}")
    tried = facts.get("search", {}).get("tried", ())
    if facts.get("search", {}).get("epsilon") == 0:
        said.append("no radius raised the score with labels kept")
    if flat := facts.get("gain", 1.0) <= 0 and facts.get("epsilon", 1.0) > 0:
        said.append("the score did not rise on fresh samples")
    if "calls" in facts and (flat or (tried and all(t["gain"] <= 0 for t in tried))):
        said.append(f"differentiated: {facts['grad_calls']} of the sampler's {facts['calls']} calls")
    before, after = facts.get("label_accuracy_before"), facts.get("label_accuracy")
    if before is not None and before < RIGHT:
        said.append(f"by the oracle, the generator is right on {before:.2f} of its samples before any move")
    if before and after < KEPT * before:
        said.append(f"labels suffer: {after:.2f} of the samples keep their class, {before:.2f} before")
    if facts.get("skipped"):
        said.append(f"{facts['skipped']} gradients were not finite")
    return "; ".join(said)


def _of_round(facts: Mapping[str, Any], tested: int) -> list[Metric]:
    who, out = f"round {facts['round'] + 1}", []
    if facts["accuracy"] is not None:
        note = f"{facts['budget']} records" + (f"; {said}" if (said := limits(facts)) else "")
        out.append(Metric(name="round_accuracy", value=facts["accuracy"], source=who, direction="higher", n=tested, note=note))
    for key, (name, direction) in SAID.items():
        if facts.get(key) is not None:
            out.append(Metric(name=name, value=facts[key], source=who, direction=direction))
    return out
