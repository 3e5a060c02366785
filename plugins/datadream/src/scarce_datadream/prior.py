"""Strategy `prior-preservation`: what the generator made before it was adapted is trained on along with the shots.

After DreamBooth (arXiv 2208.12242); DataDream itself trains on shots alone.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from scarce.contract import Measure, MeasureContext, Plan, PlanContext, State, StrategySpec, Term, TermContext, hookimpl
from scarce.errors import PlanError
from scarce_datadream.config import PriorPreservation as PriorOptions

PRIOR = "prior"


class PriorPreservation(StrategySpec):
    """weight * E ||target(z') - eps(z'_t, c, t)||^2 over records z' that the start weights generated for the shots' prompts c."""

    def __init__(self, options: PriorOptions) -> None:
        self.options = options

    @hookimpl
    def strategy_amend_plan(self, ctx: PlanContext) -> Plan:
        """The term and what it measures on every leaf; PlanError for spaces with categories, or without labelled rows."""
        if ctx.space is not None and ctx.space.levels:
            what = f"{ctx.path}: prior-preservation keeps generated numbers, not categories"
            raise PlanError(what, hint="--set 'strategy=[…]' without it")
        if ctx.n_labelled == 0:
            raise PlanError(f"{ctx.path}: there are no labelled training rows", hint="--set 'data.labelled=4 per class'")
        plan, owner = ctx.plan, ctx.path
        term = Term(name=PRIOR, rows="labelled", loss=f"{owner}:{PRIOR}", weight=self.options.weight)
        for leaf in plan.leaves():
            plan = plan.replace(leaf.name, terms=(*leaf.terms, term), before=(*leaf.before, Measure(name=PRIOR, owner=owner)))
        return plan

    @hookimpl
    def strategy_measure(self, ctx: MeasureContext) -> Mapping[str, Tensor]:
        """`rows` [n], and `num` [each, n, ...], what the start weights make of their prompts; kept in checkpoints."""
        rows = ctx.labelled
        made = [ctx.sample(rows, draw).to("cpu") for draw in range(self.options.each)]
        num = torch.stack([state.num for state in made])
        return {"rows": rows.clone(), "num": num}

    @hookimpl
    def strategy_term(self, ctx: TermContext) -> Tensor:
        """[b] losses of generated records under the conditions of the batch's rows, one of those kept for each row at random."""
        kept, num = ctx.measures[f"{PRIOR}.rows"].cpu(), ctx.measures[f"{PRIOR}.num"]
        order = kept.argsort()
        places = order[torch.searchsorted(kept[order], ctx.rows)]
        draws = ctx.cut(lambda n, generator: torch.randint(len(num), (n,), generator=generator))
        chosen = num[draws.to(num.device), places.to(num.device)].to(ctx.x0.num.device)
        losses: Tensor = ctx.denoise(ctx.condition, State(chosen, ctx.x0.cat, None))
        return losses
