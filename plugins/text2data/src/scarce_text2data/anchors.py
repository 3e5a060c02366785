"""Penalties that hold fine-tuning near its start: plainly, or where the start's loss is curved."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from scarce.contract import Measure, MeasureContext, Plan, PlanContext, StrategySpec, Term, TermContext, hookimpl
from scarce_text2data.config import Ewc as EwcOptions
from scarce_text2data.config import L2Init as L2InitOptions


def _penalise(ctx: PlanContext, name: str, weight: float) -> Plan:
    """A penalty term, and what it measures on the start weights, on every leaf; it draws the rows that the first term draws."""
    plan = ctx.plan
    for leaf in plan.leaves():
        first = leaf.terms[0]
        term = Term(name=name, rows=first.rows, loss=f"{ctx.path}:{name}", weight=weight, same_draw_as=first.name)
        plan = plan.replace(leaf.name, terms=(*leaf.terms, term), before=(*leaf.before, Measure(name=name, owner=ctx.path)))
    return plan


def _start(ctx: MeasureContext) -> dict[str, Tensor]:
    return {f"start/{name}": p.detach().clone() for name, p in ctx.parameters.items()}


class L2Init(StrategySpec):
    """weight * sum (theta - theta_start)^2."""

    def __init__(self, options: L2InitOptions) -> None:
        self.options = options

    @hookimpl
    def strategy_amend_plan(self, ctx: PlanContext) -> Plan:
        """The penalty on every leaf."""
        return _penalise(ctx, "l2-init", self.options.weight)

    @hookimpl
    def strategy_measure(self, ctx: MeasureContext) -> Mapping[str, Tensor]:
        """The start weights."""
        return _start(ctx)

    @hookimpl
    def strategy_term(self, ctx: TermContext) -> Tensor:
        """A scalar."""
        parts = [((p - ctx.measures[f"l2-init.start/{name}"]) ** 2).sum() for name, p in ctx.parameters.items()]
        return torch.stack(parts).sum()


class Ewc(StrategySpec):
    """weight / 2 * sum F (theta - theta_start)^2 with F the diagonal Fisher information of the unconditional loss."""

    def __init__(self, options: EwcOptions) -> None:
        self.options = options

    @hookimpl
    def strategy_amend_plan(self, ctx: PlanContext) -> Plan:
        """The penalty on every leaf."""
        return _penalise(ctx, "ewc", self.options.weight)

    @hookimpl
    def strategy_measure(self, ctx: MeasureContext) -> Mapping[str, Tensor]:
        """The start weights, and the mean square of one row's gradient for each of them."""
        order = torch.randperm(len(ctx.train), generator=ctx.runtime.generator("ewc"))[: self.options.rows]
        fisher = {name: torch.zeros_like(p) for name, p in ctx.parameters.items()}
        for draw, row in enumerate(ctx.train[order]):
            for name, g in ctx.gradients(row[None], "null", draw).items():
                if g is not None:
                    fisher[name] += g.detach() ** 2 / len(order)
        return {**_start(ctx), **{f"fisher/{name}": value for name, value in fisher.items()}}

    @hookimpl
    def strategy_term(self, ctx: TermContext) -> Tensor:
        """A scalar."""
        kept = ctx.measures
        parts = [(kept[f"ewc.fisher/{name}"] * (p - kept[f"ewc.start/{name}"]) ** 2).sum() for name, p in ctx.parameters.items()]
        return 0.5 * torch.stack(parts).sum()
