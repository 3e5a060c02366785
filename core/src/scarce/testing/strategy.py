"""Checks of strategies: the plan they make, and what training under it does to the weights."""

from __future__ import annotations

import json

import torch
from torch import Tensor

from scarce.contract import Condition, Plan, PlanContext, Prompt, State, Term, hookimpl
from scarce.contract.plan import BASE
from scarce.errors import PlanError
from scarce.files import read_tensors
from scarce.runs.generator import TrainedGenerator
from scarce.runs.opening import read_plan
from scarce.runs.planning import default_plan, fold
from scarce.testing.bench import Bench, Ready
from scarce.testing.general import Check, Worked, of_work
from scarce.testing.network import answer, condition_of, noisy, values
from scarce.testing.prints import fingerprint
from scarce.testing.report import Fatal, Flaw, Skip

MARK = "kit"
DRAWS = 20


class Marker:
    """A strategy before the one that is checked: it adds a term to every leaf and sets the clipping."""

    @hookimpl
    def strategy_amend_plan(self, ctx: PlanContext) -> Plan:
        """The plan with both."""
        plan = ctx.plan
        for leaf in plan.leaves():
            plan = plan.replace(leaf.name, terms=(*leaf.terms, Term(name=MARK)), budget=leaf.budget.with_(clip=0.123))
        return plan


def answers(bench: Bench) -> None:
    """It amends the default plan to one that can be carried out."""
    made = bench.ready()
    plain = default_plan(made.job.recipe.train, made.made.model.targets, len(bench.dataset.rows("train")))
    if made.made.model.plan == plain:
        raise Fatal("the plan is as it was: it amends nothing")


def plain_plan(bench: Bench) -> None:
    """The plan is plain data, and is read back as it was."""
    plan = bench.ready().made.model.plan
    try:
        data = json.loads(json.dumps(plan.to_json(), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise Flaw(f"the plan is no plain data: {error}") from error
    if json.dumps(read_plan(data).to_json()) != json.dumps(data):
        raise Flaw("the plan is read back as another")


def predecessor(bench: Bench) -> None:
    """It builds on the plan of the strategy before it: nothing of that is lost without a PlanError that names it."""
    made = bench.ready()
    model, recipe = made.made.model, made.job.recipe
    rows, row = torch.from_numpy(bench.dataset.rows("train")), bench.row
    scope = type(made.assembly.scope)("kit")
    scope.register("strategy.0", Marker(), "strategy", row)
    scope.register("strategy.1", made.assembly.loaded[bench.path].instance, "strategy", row)
    scope.freeze()
    plan = default_plan(recipe.train, model.targets, len(rows))
    modules = {path: model.target(path) for path in model.targets}
    try:
        out = fold(plan, scope, bench.dataset, model.targets, data=bench.x0[rows], space=bench.codec.space, modules=modules)
    except PlanError as error:
        if "strategy.1" in error.message:
            return
        raise
    for leaf in out.leaves():
        if MARK not in [term.name for term in leaf.terms]:
            raise Flaw(f"phase '{leaf.name}' has lost a term of the strategy before it")
        if leaf.budget.clip != 0.123:
            raise Flaw(f"phase '{leaf.name}' has lost the clipping that the strategy before it set")


def only_declared(bench: Bench) -> None:
    """Training changes what the plan says it trains, and no other weight."""
    made = bench.ready()
    model = made.made.model
    declared = {n for phase in model.plan.phases for path in phase.trainable for n in model.of_target(path)}
    before = {n: fingerprint(p) for n, p in model.base.items()}
    made.train()
    changed = [n for n, p in model.base.items() if n not in declared and fingerprint(p) != before[n]]
    if changed:
        raise Flaw(f"{', '.join(changed[:5])} changed, and no phase declares to train it")


def detach(bench: Bench) -> None:
    """With its adapters switched off the network is what it was, bit for bit."""
    made = bench.ready()
    model = made.made.model
    phases = [phase for phase in model.plan.phases if phase.adapters]
    if not phases:
        raise Skip("its plan has no adapters")
    before = _predicted(made)
    for phase in phases:
        model.attach(phase)
        for handle in model.handles.values():
            with torch.no_grad():
                for parameter in handle.parameters():
                    parameter.add_(0.1)
            handle.enable(True)
        if fingerprint(_predicted(made)) == fingerprint(before):
            raise Flaw(f"the adapters of phase '{phase.name}' change nothing when they are switched on")
        for handle in model.handles.values():
            handle.enable(False)
        if fingerprint(_predicted(made)) != fingerprint(before):
            raise Flaw(f"the adapters of phase '{phase.name}' change the network when they are switched off")


def _predicted(made: Ready) -> Tensor:
    model, (x, t) = made.made.model, noisy(made)
    model.module.eval()
    classes = model.conditions.classes
    heard = condition_of(model, [Prompt(label=classes[i % len(classes)] if classes else None) for i in range(len(x))])
    with torch.no_grad():
        return torch.cat([values(answer(model, x, t, heard)), heard.tokens.flatten(1)], 1)


def reload(bench: Bench) -> None:
    """What training left is put onto a fresh base from its files, and predicts the same."""
    made = bench.ready()
    made.train()
    opened = bench.again(made)
    for leaf in made.made.model.plan.leaves():
        made.made.model.activate(leaf.name)
        opened.made.model.activate(leaf.name)
        if fingerprint(_predicted(made)) != fingerprint(_predicted(opened)):
            raise Flaw(f"phase '{leaf.name}' predicts something else after it was saved and opened again")


def learns(bench: Bench) -> None:
    """The loss of the labelled training records falls from start to end."""
    made = bench.ready()
    made.train()
    generator, plan = made.generator(), made.made.model.plan
    rows = [r for r in bench.dataset.rows("train") if bench.dataset.labelled[r]]
    for leaf in plan.leaves():
        mine = [r for r in rows if leaf.serves == "*" or bench.dataset.target is None or bench.dataset.target[r] == leaf.serves]
        state = bench.x0[torch.tensor(mine)] if made.made.codec is bench.codec else made.made.codec.encode(bench.dataset.part(mine).records)
        generator.only = leaf.name
        labels = [None] * len(mine) if bench.dataset.target is None else bench.dataset.target[mine].tolist()
        heard = generator.encode_condition([Prompt(label=v, text=str(v)) for v in labels])
        first, last = (_loss(generator, state, heard, name) for name in (BASE, leaf.name))
        if not last < first:
            raise Flaw(f"the loss of phase '{leaf.name}' is {last:.4g} after training and {first:.4g} before")


def _loss(generator: TrainedGenerator, state: State, heard: Condition, phase: str) -> float:
    losses = [generator.losses(state, heard, phase=phase, seed=seed) for seed in range(DRAWS)]
    return float(torch.stack(losses).mean())


def work(bench: Bench) -> Worked:
    """The weights that training leaves, and the plan."""
    made = bench.ready()
    made.train()
    files = sorted((made.job.folder / "model").rglob("*.safetensors"))
    weights = [read_tensors(file)[0] for file in files]
    held = [made.assembly.loaded[bench.path].instance, *made.made.model.handles.values()]
    return Worked(held=held, result=[made.made.model.plan.to_json(), weights])


CHECKS: dict[str, Check] = {
    "answers": answers,
    "plain-plan": plain_plan,
    "predecessor": predecessor,
    "only-declared": only_declared,
    "detach": detach,
    "reload": reload,
    "learns": learns,
    **of_work(work),
}
