"""Strategies `two-stage` and `barrier`: text control with little labelled data (Text2Data, arXiv 2402.10941)."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from scarce.contract import Measure, MeasureContext, Phase, Plan, PlanContext, StrategySpec, Term, UpdateContext, UpdateResult, hookimpl
from scarce.contract.plan import BASE
from scarce.errors import PlanError
from scarce_text2data.barrier import combine
from scarce_text2data.config import Barrier as BarrierOptions
from scarce_text2data.config import TwoStage as TwoStageOptions
from scarce_text2data.shift import shift_sentence

CONSTRAINT = "constraint"


class TwoStage(StrategySpec):
    """Stage 1: every row without its condition. Stage 2: the labelled rows with theirs, from stage 1's weights."""

    def __init__(self, options: TwoStageOptions) -> None:
        self.options = options

    @hookimpl
    def strategy_amend_plan(self, ctx: PlanContext) -> Plan:
        """The one phase becomes `pretrain` and `finetune`; PlanError without labelled rows, or after a strategy that added to it."""
        if len(ctx.plan.phases) != 1 or len(ctx.plan.phases[0].terms) != 1:
            found = ", ".join(f"{p.name} ({', '.join(t.name for t in p.terms)})" for p in ctx.plan.phases)
            what = f"{ctx.path}: two-stage begins from one phase with one term, not {found}"
            raise PlanError(what, hint="name two-stage before other strategies")
        if ctx.n_labelled == 0:
            what = f"{ctx.path}: there are no labelled training rows, so nothing can be controlled"
            raise PlanError(what, hint="--set data.labelled=0.1, or label some records")
        if said := shift_sentence(ctx):
            ctx.say(said)
        only = ctx.plan.phases[0]
        backbone = tuple(path for path in only.trainable if path == "backbone")
        first = Phase(name="pretrain", trainable=backbone, terms=(Term(name="denoise", condition="null"),), budget=only.budget)
        asked = {k: v for k, v in self.options.model_dump().items() if v is not None}
        terms = tuple(term.with_(rows="labelled") for term in only.terms)
        second = only.with_(name="finetune", start=first.name, terms=terms, budget=only.budget.with_(**asked))
        return Plan(phases=(first, second))


class Barrier(StrategySpec):
    """min L2 (labelled rows, their conditions) subject to L1 (no condition) <= rho times the start's held-out L1."""

    def __init__(self, options: BarrierOptions) -> None:
        self.options = options

    @hookimpl
    def strategy_amend_plan(self, ctx: PlanContext) -> Plan:
        """A constraint term, its measure xi and the update rule on every leaf."""
        plan = ctx.plan
        for leaf in plan.leaves():
            if leaf.start == BASE and not leaf.adapters:
                ctx.say(f"note: {ctx.path} bounds the loss of phase '{leaf.name}' by that of its base, which no phase has trained")
            labelled = self.options.constraint_rows == "labelled"
            shared = next((t.name for t in leaf.terms if t.rows == "labelled"), None) if labelled else None
            term = Term(name=CONSTRAINT, rows=self.options.constraint_rows, condition="null", same_draw_as=shared)
            before = (*leaf.before, Measure(name="xi", owner=ctx.path))
            plan = plan.replace(leaf.name, terms=(*leaf.terms, term), before=before, update=ctx.path)
        return plan

    @hookimpl
    def strategy_measure(self, ctx: MeasureContext) -> Mapping[str, Tensor]:
        """xi: mean unconditional loss of held-out rows under fixed draws. The minimum over steps would be biased low."""
        rows = ctx.validation if len(ctx.validation) else ctx.train
        chosen = rows[torch.randperm(len(rows), generator=ctx.runtime.generator("barrier/xi"))[: self.options.rows]]
        return {"": ctx.loss(chosen, "null", self.options.draws)}

    @hookimpl
    def strategy_update(self, ctx: UpdateContext) -> UpdateResult:
        """One barrier step on a smoothed gap; the share of steps with a positive multiplier is logged."""
        asked = self.options
        objective: list[Tensor | None] = [None] * len(ctx.names)
        for name, gradients in ctx.gradients.items():
            if name != CONSTRAINT:
                parts = [None if g is None else g if ctx.weights[name] == 1 else ctx.weights[name] * g for g in gradients]
                objective = [b if a is None else a if b is None else a + b for a, b in zip(objective, parts, strict=True)]
        loss = ctx.losses[CONSTRAINT]
        smooth = asked.smoothing * float(ctx.state["smooth"]) + (1 - asked.smoothing) * loss if "smooth" in ctx.state else loss
        gap = -math.inf if asked.rho == math.inf else smooth - asked.rho * float(ctx.measures["xi"])
        found, factors = combine(
            objective, ctx.gradients[CONSTRAINT], gap, alpha=asked.alpha, beta=asked.beta, per_tensor=asked.scope == "tensor"
        )
        mean = sum(factors) / max(len(factors), 1)
        active = (float(ctx.state["active"]) if "active" in ctx.state else 0.0) + float(mean > 0)
        state = {"smooth": torch.tensor(smooth), "active": torch.tensor(active)}
        log = {"lambda": mean, "gap": smooth - asked.rho * float(ctx.measures["xi"]) if math.isfinite(gap) else 0.0}
        return UpdateResult(gradients=tuple(found), state=state, log={**log, "active": active / (ctx.step + 1)})
