"""The plan: one default phase, folded through the strategies in recipe order."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import torch
from torch import nn

from scarce.contract.contexts import PlanContext
from scarce.contract.dataset import Dataset
from scarce.contract.plan import BASE, Adapter, Budget, Phase, Plan, Term
from scarce.contract.protocols import Codec
from scarce.contract.space import Space, State
from scarce.errors import PlanError
from scarce.host.hooks import Scope
from scarce.runs.model import Model
from scarce.runs.sections import Recipe, Train

APPEND_ONLY = ("name", "terms", "adapters", "before")


def default_plan(train: Train, targets: Sequence[str], n_rows: int) -> Plan:
    """One phase `train` from base: every target trains on all rows, with the rows' own conditions."""
    most = train.steps if train.epochs is None else math.ceil(train.epochs * n_rows / train.batch)
    budget = Budget(**{**train.model_dump(exclude={"null", "epochs", "prompt"}), "steps": min(train.steps, most)})
    term = Term(name="denoise", condition=train.null or "given")
    return Plan(phases=(Phase(name="train", trainable=tuple(targets), terms=(term,), budget=budget),))


def fold(
    plan: Plan, scope: Scope, dataset: Dataset, targets: Sequence[str], *, data: State | None = None, space: Space | None = None,
    modules: Mapping[str, nn.Module] | None = None, say: Callable[[str], None] = lambda _: None,
) -> Plan:  # fmt: skip
    """The plan after every strategy; two strategies that set one field of one phase are a PlanError naming both.

    data, space, modules, say: facts for strategies, see `PlanContext`.
    """
    train = dataset.part(dataset.rows("train"))
    codes = Counter(train.codes().tolist())
    setters: dict[tuple[str, str], str] = {}
    for path in scope.paths("strategy"):
        ctx = PlanContext(
            plan=plan, path=path, n_rows=len(train), n_labelled=int(np.sum(train.labelled)), classes=dataset.classes,
            targets=tuple(targets), per_class={value: codes.get(i, 0) for i, value in enumerate(dataset.classes)},
            data=data, labelled=torch.from_numpy(train.labelled.copy()), space=space, modules=modules or {}, say=say,
        )  # fmt: skip
        amended = scope.strategy_amend_plan(path, ctx)
        for key in _changes(plan, amended):
            if key in setters:
                phase, field = key
                what = f"phase '{phase}': {setters[key]} and {path} both set '{field}'"
                raise PlanError(what, hint=f"drop one of them, or order them so that one builds on the other: --set {path}…")
            setters[key] = path
        plan = amended
    check(plan, targets, len(dataset.classes) > 0)
    return plan


def _changes(old: Plan, new: Plan) -> set[tuple[str, str]]:
    """(phase, field) pairs that differ in phases both plans have; freezing a base under an own adapter is none."""
    before = {p.name: p for p in old.phases}
    out: set[tuple[str, str]] = set()
    for phase in new.phases:
        was = before.get(phase.name)
        if was is None:
            continue
        adapted = {a.target for a in phase.adapters} - {a.target for a in was.adapters}
        for field in fields(Phase):
            a, b = getattr(was, field.name), getattr(phase, field.name)
            if a == b or field.name in APPEND_ONLY:
                continue
            if field.name == "trainable" and {t.partition(":")[0] for t in b} <= set(a) and set(a) - set(b) <= adapted:
                continue
            if field.name == "budget":
                out |= {(phase.name, f"budget.{f.name}") for f in fields(Budget) if getattr(a, f.name) != getattr(b, f.name)}
            else:
                out.add((phase.name, field.name))
    return out


def check(plan: Plan, targets: Sequence[str], has_classes: bool) -> None:
    """Raise PlanError unless names are unique, starts come first, targets exist and conditions are answered once."""
    seen = {BASE}
    for phase in plan.phases:
        if phase.name in seen:
            raise PlanError(f"two phases are called '{phase.name}'", hint="scarce plan RECIPE")
        if phase.start not in seen:
            raise PlanError(
                f"phase '{phase.name}' starts from '{phase.start}', which no earlier phase is called", hint="scarce plan RECIPE"
            )
        wrong = {*(t.partition(":")[0] for t in phase.trainable), *(a.target for a in phase.adapters)} - set(targets)
        if wrong:
            raise PlanError(f"phase '{phase.name}' names targets that do not exist: {sorted(wrong)}; there are {list(targets)}")
        if not phase.trainable and not phase.adapters:
            raise PlanError(f"phase '{phase.name}' trains nothing", hint="scarce plan RECIPE")
        seen.add(phase.name)
    serves = Counter(str(p.serves) for p in plan.leaves())
    twice = [label for label, n in serves.items() if n > 1]
    if twice:
        raise PlanError(f"label '{twice[0]}' is served by {serves[twice[0]]} leaves of the plan", hint="scarce plan RECIPE")
    if not has_classes and any(p.serves != "*" for p in plan.leaves()):
        raise PlanError("the plan serves labels, but the data have no classes", hint="--set data.target=COLUMN")


def make_plan(recipe: Recipe, model: Model, dataset: Dataset, codec: Codec, x0: State) -> Plan:
    """The recipe's plan for this data and this model; x0: all records encoded."""
    rows = dataset.rows("train")
    data = x0[torch.from_numpy(rows)] if recipe.strategy else None
    modules = {path: model.target(path) for path in model.targets}
    further = 0 if dataset.rest is None else dataset.rest.rows
    plan = default_plan(recipe.train, model.targets, len(rows) + further)
    return fold(plan, model.scope, dataset, model.targets, data=data, space=codec.space, modules=modules, say=model.runtime.say)


def _shown(adapter: Adapter) -> str:
    facts = ", ".join(f"{k} {v:g}" for k, v in adapter.options.items() if isinstance(v, int | float) and v)
    return f"{adapter.name}@{adapter.target}" + (f" ({facts})" if facts else "")


def rows(plan: Plan) -> list[dict[str, Any]]:
    """The plan as printable rows, one per phase."""
    leaves = {p.name for p in plan.leaves()}
    return [
        {
            "phase": p.name, "start": p.start, "rows": ", ".join(f"{t.name}: {t.rows}/{t.condition}" for t in p.terms),
            "trainable": ", ".join(p.trainable), "adapters": ", ".join(map(_shown, p.adapters)),
            "update": p.update, "before": ", ".join(m.name for m in p.before),
            "budget": f"{p.budget.steps} x {p.budget.batch} at {p.budget.rate:g}",
            "serves": str(p.serves) if p.name in leaves else "-",
        }
        for p in plan.phases
    ]  # fmt: skip
