"""Evaluators `branches` and `out-of-distribution`: what the shots are to the generator before it is adapted."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from scarce.contract import EvaluatorContext, EvaluatorSpec, Figure, Metric, hookimpl, take
from scarce.contract.frozen import Frozen
from scarce_datadream import config
from scarce_datadream.shift import Vectors, domain_shift, separation, shared_shift, shift_of_chance

NAN = math.nan
CHANCE, ALPHA = 200, 0.01
UNTRAINED = "the generator was trained from scratch: before its strategies there is nothing to compare the shots with"


class Sides(Frozen):
    """Vectors of the shots and of records generated for their prompts before adaptation, by class; error: why there are none."""

    classes: tuple[Any, ...] = ()
    real: tuple[Vectors, ...] = ()
    made: tuple[Vectors, ...] = ()
    error: str = ""


class Branches(EvaluatorSpec):
    """One branch for all classes, or one for each? By what the classes' shifts have in common and how many shots there are."""

    def __init__(self, options: config.Branches) -> None:
        self.options = options

    @hookimpl
    def evaluator_measure(self, ctx: EvaluatorContext) -> list[Metric]:
        """`branch_shared`, `branch_sep`, and `branch_advice` (0: all-classes, 1: per-class), whose note names evidence and thresholds."""
        found = before(ctx, self.options.each)
        if found.error:
            return [Metric(name=name, value=NAN, error=found.error) for name in ("branch_shared", "branch_sep", "branch_advice")]
        share, size = shared_shift(found.real, found.made)
        sep, shots = separation(found.real), float(np.median([len(g) for g in found.real]))
        per_class, why = advice(share, sep, shots, self.options)
        n = sum(map(len, found.real))
        said = f"{'per-class' if per_class else 'all-classes'}: {why}"
        ctx.runtime.say(f"branches: {said}")
        spread = "no shift stands out of the noise of so few shots" if math.isnan(share) else f"shifts are {size:.3g} times their noise"
        return [
            Metric(name="branch_shared", value=0.0 if math.isnan(share) else share, floor=1 / max(1, len(found.classes)), n=n, note=spread),
            Metric(name="branch_sep", value=sep, n=n, error="every class has one shot" if math.isnan(sep) else ""),
            Metric(name="branch_advice", value=float(per_class), n=n, note=said),
        ]

    @hookimpl
    def evaluator_draw(self, ctx: EvaluatorContext) -> list[Figure]:
        """No figures."""
        return []


def advice(share: float, sep: float, shots: float, options: config.Branches) -> tuple[bool, str]:
    """Whether branches per class are advised, and why, with the thresholds that decide.

    share: of the shifts that classes have in common, NaN for no shift; sep: between over within class scatter, NaN if unknown;
    shots: per class.
    """
    o = options
    have = f"{shots:g} shots per class"
    if math.isnan(share):
        return False, f"{have} show no shift that could be one class's own"
    if share >= o.shared:
        return False, f"classes share {share:.2f} of their shift (threshold {o.shared:g})"
    if shots <= o.few:
        return False, f"{have} are too few for branches (threshold {o.few}), though classes share only {share:.2f} of their shift"
    if shots >= o.many:
        return True, f"classes share only {share:.2f} of their shift (threshold {o.shared:g}) and have {have} (threshold {o.many})"
    apart = not math.isnan(sep) and sep >= o.sep
    return apart, f"{have} lie between {o.few} and {o.many}, and classes lie {sep:.2f} times their spread apart (threshold {o.sep:g})"


class OutOfDistribution(EvaluatorSpec):
    """How far the shots lie from what the generator makes for their prompts before it is adapted."""

    def __init__(self, options: config.OutOfDistribution) -> None:
        self.options = options

    @hookimpl
    def evaluator_measure(self, ctx: EvaluatorContext) -> list[Metric]:
        """`domain_shift` from 0 (one law) to 1; its note warns above the option `warn`, where chance does not explain it."""
        found = before(ctx, self.options.each)
        if found.error:
            return [Metric(name="domain_shift", value=NAN, error=found.error)]
        value = domain_shift(found.real, found.made)
        if math.isnan(value):
            return [Metric(name="domain_shift", value=NAN, error="needs a class with 2 shots")]
        chance = shift_of_chance(found.real, found.made, CHANCE, ctx.seed)
        p = (1 + int((chance >= value).sum())) / (1 + CHANCE)
        note = f"by chance alone at most {np.quantile(chance, 1 - ALPHA):.3f} (p = {p:.3f})"
        if value > self.options.warn and p <= ALPHA:
            note = f"warning: the shots are far from what the generator makes for their prompts (threshold {self.options.warn:g}); {note}"
            ctx.runtime.say(f"out-of-distribution: {note}")
        return [Metric(name="domain_shift", value=value, direction="lower", floor=0.0, ceiling=1.0, n=sum(map(len, found.real)), note=note)]

    @hookimpl
    def evaluator_draw(self, ctx: EvaluatorContext) -> list[Figure]:
        """No figures."""
        return []


def before(ctx: EvaluatorContext, each: int) -> Sides:
    """Shots and what the generator makes for their prompts before adaptation, as vectors of the codec, for classes with shots."""
    data = ctx.dataset
    if data.task != "classification":
        return Sides(error="the data set has no classes")
    if ctx.parent is None or ctx.prompts is None:
        return Sides(error=UNTRAINED)
    codes, rows = data.codes(), data.rows("train")
    shots = {code: mine for code in range(len(data.classes)) if len(mine := rows[codes[rows] == code])}
    if not shots:
        return Sides(error="there is no labelled training record")
    asked = np.concatenate([np.resize(mine, each) for mine in shots.values()])
    made = ctx.codec.vectors(ctx.parent.sample(ctx.prompts(asked), seed=ctx.runtime.derive("before")))
    return Sides(
        classes=tuple(data.classes[code] for code in shots), made=tuple(np.split(made, len(shots))),
        real=tuple(ctx.codec.vectors(take(data.records, mine)) for mine in shots.values()),
    )  # fmt: skip
