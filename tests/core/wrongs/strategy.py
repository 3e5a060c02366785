"""A strategy with a term, a measure and an adapter, and one that is wrong for every check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from scarce.contract import AdaptContext, Adapter, Measure, MeasureContext, Plan, PlanContext, State, Term, TermContext, hookimpl

KEPT: list[object] = []


class Shift:
    """An adapter that adds a vector to the numbers that a network predicts."""

    def __init__(self, ctx: AdaptContext) -> None:
        self.shift, self.on = nn.Parameter(0.1 * torch.randn(2, generator=ctx.generator)), False
        ctx.module.register_forward_hook(self.hook)

    def hook(self, module: nn.Module, inputs: Any, output: State) -> State:
        return output.with_(num=output.num + self.shift) if self.on else output

    def parameters(self) -> Sequence[nn.Parameter]:
        return [self.shift]

    def enable(self, on: bool) -> None:
        self.on = on

    def state(self) -> Mapping[str, Tensor]:
        return {"shift": self.shift.detach()}

    def config(self) -> Mapping[str, Any]:
        return {"kind": "shift"}

    def load(self, state: Mapping[str, Tensor]) -> None:
        with torch.no_grad():
            self.shift.copy_(state["shift"])


class _Stuck(Shift):
    def enable(self, on: bool) -> None:
        self.on = True


class _Empty(Shift):
    def load(self, state: Mapping[str, Tensor]) -> None:
        pass


class Good:
    """Twice the batch's own loss as one more term, and an adapter beside the trained weights."""

    adapter: type = Shift

    @hookimpl
    def strategy_amend_plan(self, ctx: PlanContext) -> Plan:
        plan = ctx.plan
        for leaf in plan.leaves():
            term = Term(name="more", loss=f"{ctx.path}:more", weight=0.5)
            adapter = Adapter(name=f"{ctx.path}-shift", target="backbone", owner=ctx.path)
            before = Measure(name="size", owner=ctx.path)
            plan = plan.replace(leaf.name, terms=(*leaf.terms, term), adapters=(*leaf.adapters, adapter), before=(*leaf.before, before))
        return self.amend(plan, ctx)

    def amend(self, plan: Plan, ctx: PlanContext) -> Plan:
        return plan

    @hookimpl
    def strategy_adapt(self, ctx: AdaptContext) -> Shift:
        return self.adapter(ctx)

    @hookimpl
    def strategy_term(self, ctx: TermContext) -> Tensor:
        return ctx.denoise(ctx.condition)

    @hookimpl
    def strategy_measure(self, ctx: MeasureContext) -> Mapping[str, Tensor]:
        return {"": ctx.loss(ctx.train, "given", 1)}


def leaves(plan: Plan, **changes: Any) -> Plan:
    """The plan with the same changes to every leaf."""
    for leaf in plan.leaves():
        plan = plan.replace(leaf.name, **changes)
    return plan


class Nothing:
    @hookimpl
    def strategy_amend_plan(self, ctx: PlanContext) -> Plan:
        return ctx.plan


class NoData(Good):
    def amend(self, plan: Plan, ctx: PlanContext) -> Plan:
        return leaves(plan, budget=plan.leaves()[0].budget.with_(weight_decay=np.float32(0.01)))


class Forgets(Good):
    def amend(self, plan: Plan, ctx: PlanContext) -> Plan:
        return leaves(plan, terms=(Term(name="denoise"),))


class Meddles(Good):
    """Changes a word's embedding that no prompt of the labels needs."""

    def amend(self, plan: Plan, ctx: PlanContext) -> Plan:
        return leaves(plan, trainable=("backbone",))

    @hookimpl
    def strategy_measure(self, ctx: MeasureContext) -> Mapping[str, Tensor]:
        with torch.no_grad():
            next(p for n, p in ctx.model.named_parameters() if "parts.1" in n and p.ndim == 2)[-1].add_(0.1)
        return super().strategy_measure(ctx)


class Stuck(Good):
    adapter = _Stuck


class Empty(Good):
    adapter = _Empty


class Uphill(Good):
    def amend(self, plan: Plan, ctx: PlanContext) -> Plan:
        leaf = plan.leaves()[0]
        return leaves(
            plan, terms=tuple(replace(term, weight=-1.0) if term.name == "more" else replace(term, weight=0.1) for term in leaf.terms)
        )


class Unseeded(Good):
    @hookimpl
    def strategy_term(self, ctx: TermContext) -> Tensor:
        return ctx.denoise(ctx.condition) * (1 + 0.1 * float(np.random.default_rng().random()))


class Global(Good):
    def amend(self, plan: Plan, ctx: PlanContext) -> Plan:
        torch.manual_seed(0)
        return plan


class Remembered(Good):
    def amend(self, plan: Plan, ctx: PlanContext) -> Plan:
        KEPT.append(self)
        return plan


WRONG = {
    "Good": "", "Nothing": "answers", "NoData": "plain-plan", "Forgets": "predecessor", "Meddles": "only-declared", "Stuck": "detach",
    "Empty": "reload", "Uphill": "learns", "Unseeded": "same-seed", "Global": "global-random", "Remembered": "memory",
}  # fmt: skip
RECIPE = {"Meddles": {"conditioner": [{"name": "label", "width": 8}, {"name": "words", "width": 8}]}}
