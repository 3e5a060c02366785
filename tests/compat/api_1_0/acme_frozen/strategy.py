"""Strategy `acme-everything`: all five hooks."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from acme_frozen.config import EverythingOptions
from scarce.contract import (
    AdaptContext,
    Adapter,
    Measure,
    MeasureContext,
    Plan,
    PlanContext,
    StrategySpec,
    Term,
    TermContext,
    UpdateContext,
    UpdateResult,
    hookimpl,
)


class Nudge:
    """An adapter that adds a vector to what the network says."""

    def __init__(self, module: nn.Module, size: int, start: float, generator: torch.Generator) -> None:
        self.vector = nn.Parameter(start * torch.randn(size, generator=generator))
        self.on = False
        module.register_forward_hook(self._add)

    def _add(self, module, inputs, output):
        return output.with_(num=output.num + self.vector) if self.on else output

    def parameters(self):
        return [self.vector]

    def enable(self, on: bool) -> None:
        self.on = on

    def state(self):
        return {"vector": self.vector.detach()}

    def config(self):
        return {"kind": "nudge"}

    def load(self, state):
        with torch.no_grad():
            self.vector.copy_(state["vector"])


class Everything(StrategySpec):
    def __init__(self, options: EverythingOptions) -> None:
        self.options = options

    @hookimpl
    def strategy_amend_plan(self, ctx: PlanContext) -> Plan:
        assert ctx.data is not None
        assert len(ctx.data) == ctx.n_rows
        assert "backbone" in ctx.targets
        plan = ctx.plan
        for leaf in plan.leaves():
            pull = Term(name="pull", condition="null", loss=f"{ctx.path}:pull", weight=self.options.weight, same_draw_as=leaf.terms[0].name)
            adapter = Adapter(name="nudge", target="backbone", owner=ctx.path, options={"start": self.options.start})
            before = (*leaf.before, Measure(name="first", owner=ctx.path))
            plan = plan.replace(leaf.name, terms=(*leaf.terms, pull), adapters=(*leaf.adapters, adapter), before=before, update=ctx.path)
        return plan

    @hookimpl
    def strategy_adapt(self, ctx: AdaptContext) -> Nudge:
        return Nudge(ctx.module, 2, float(ctx.adapter.options["start"]), ctx.generator)

    @hookimpl
    def strategy_measure(self, ctx: MeasureContext) -> Mapping[str, Tensor]:
        gradients = ctx.gradients(ctx.train, "null", 0)
        size = sum(float(g.square().sum()) for g in gradients.values() if g is not None)
        return {"loss": ctx.loss(ctx.train, "null", 1).detach(), "slope": torch.tensor(size)}

    @hookimpl
    def strategy_term(self, ctx: TermContext) -> Tensor:
        assert ctx.name == "pull"
        assert any(name.endswith("slope") for name in ctx.measures)
        return ctx.denoise(ctx.null)

    @hookimpl
    def strategy_update(self, ctx: UpdateContext) -> UpdateResult:
        calls = ctx.state.get("calls", torch.zeros(())) + 1
        pairs = zip(*ctx.gradients.values(), strict=True)
        total = tuple(None if all(g is None for g in pair) else sum(g for g in pair if g is not None) for pair in pairs)
        return UpdateResult(gradients=total, state={"calls": calls}, log={"acme_calls": float(calls)})
