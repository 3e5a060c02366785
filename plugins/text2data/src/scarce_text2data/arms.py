"""What the barrier has to beat: dropped conditions, a fixed weight, and augmented labelled rows."""

from __future__ import annotations

import torch
from torch import Tensor

from scarce.contract import Plan, PlanContext, State, StrategySpec, Term, TermContext, hookimpl
from scarce.errors import PlanError
from scarce_text2data.config import Augment as AugmentOptions
from scarce_text2data.config import ConditionDropout as ConditionDropoutOptions
from scarce_text2data.config import Joint as JointOptions


class ConditionDropout(StrategySpec):
    """Rows lose their condition with a probability, as in training for classifier-free guidance."""

    def __init__(self, options: ConditionDropoutOptions) -> None:
        self.options = options

    @hookimpl
    def strategy_amend_plan(self, ctx: PlanContext) -> Plan:
        """The probability on every term of a leaf that gives conditions."""
        plan = ctx.plan
        for leaf in plan.leaves():
            terms = tuple(t.with_(condition=self.options.share) if t.condition == "given" else t for t in leaf.terms)
            plan = plan.replace(leaf.name, terms=terms)
        return plan


class Joint(StrategySpec):
    """The unconditional loss of all rows beside the objective: the barrier with a multiplier that never moves."""

    def __init__(self, options: JointOptions) -> None:
        self.options = options

    @hookimpl
    def strategy_amend_plan(self, ctx: PlanContext) -> Plan:
        """One more term on every leaf."""
        plan, term = ctx.plan, Term(name="joint", condition="null", weight=self.options.weight)
        for leaf in plan.leaves():
            plan = plan.replace(leaf.name, terms=(*leaf.terms, term))
        return plan


class Augment(StrategySpec):
    """Labelled rows with noise and another scale each time they are seen."""

    def __init__(self, options: AugmentOptions) -> None:
        self.options = options

    @hookimpl
    def strategy_amend_plan(self, ctx: PlanContext) -> Plan:
        """Every leaf's loss of rows with their conditions, on augmented rows; PlanError where another strategy has them already."""
        plan = ctx.plan
        for leaf in plan.leaves():
            plain = {t.name for t in leaf.terms if t.loss == "denoise" and t.condition != "null"}
            if not plain:
                what = f"{ctx.path}: phase '{leaf.name}' has no plain loss of rows with their conditions that could be augmented"
                raise PlanError(what, hint="leave out the other strategy that changes what is denoised, or this one")
            plan = plan.replace(leaf.name, terms=tuple(t.with_(loss=f"{ctx.path}:augment") if t.name in plain else t for t in leaf.terms))
        return plan

    @hookimpl
    def strategy_term(self, ctx: TermContext) -> Tensor:
        """[b] losses of x_0 scaled by 1 + U(-scale, scale) per record, plus noise on every channel."""
        num = ctx.x0.num
        scale = 1 + self.options.scale * (2 * ctx.cut(torch.rand, *[1] * (num.ndim - 1)) - 1)
        noise = self.options.noise * ctx.cut(torch.randn, *num.shape[1:])
        losses: Tensor = ctx.denoise(ctx.condition, State(num * scale.to(num.device) + noise.to(num.device), ctx.x0.cat, ctx.x0.mask))
        return losses
