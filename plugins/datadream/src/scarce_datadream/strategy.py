"""Strategies `all-classes` and `per-class`: a generator adapted to a few labelled shots (DataDream, arXiv 2407.10910)."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from scarce.contract import Phase, Plan, PlanContext, StrategySpec, hookimpl
from scarce.errors import PlanError, did_you_mean
from scarce_datadream.config import Shots


class AllClasses(StrategySpec):
    """One branch trains on the shots of all classes (published as DataDream_dset)."""

    def __init__(self, options: Shots) -> None:
        self.options = options

    @hookimpl
    def strategy_amend_plan(self, ctx: PlanContext) -> Plan:
        """Every leaf on labelled rows alone, for the epochs asked; PlanError without labelled rows."""
        plan = ctx.plan
        for leaf in plan.leaves():
            found = sum(ctx.per_class.get(label, 0) for label in leaf.classes) if leaf.classes else ctx.n_labelled
            plan = plan.replace(leaf.name, **_on_shots(ctx, leaf, found, self.options))
        return plan


class PerClass(StrategySpec):
    """Every leaf becomes one branch for each class, which sees and answers that class alone (published as DataDream_cls)."""

    def __init__(self, options: Shots) -> None:
        self.options = options

    @hookimpl
    def strategy_amend_plan(self, ctx: PlanContext) -> Plan:
        """The branches in place of each leaf, with its adapters and terms; PlanError for data without classes, or a class without shots."""
        if not ctx.classes:
            what = f"{ctx.path}: the data have no classes to make branches of"
            raise PlanError(what, hint=f"--set data.target=COLUMN, or --set {ctx.path}.name=all-classes")
        leaves = {leaf.name for leaf in ctx.plan.leaves()}
        phases: list[Phase] = []
        for phase in ctx.plan.phases:
            phases += self._branches(ctx, phase) if phase.name in leaves else [phase]
        return Plan(phases=tuple(phases))

    def _branches(self, ctx: PlanContext, leaf: Phase) -> list[Phase]:
        classes = [label for label in ctx.classes if not leaf.classes or label in leaf.classes]
        names = file_names(classes)
        return [
            leaf.with_(
                name=f"{leaf.name}-{name}", classes=(label,), serves=label,
                **_on_shots(ctx, leaf, ctx.per_class.get(label, 0), self.options, f" of class '{label}'"),
            )
            for name, label in zip(names, classes, strict=True)
        ]  # fmt: skip


def _on_shots(ctx: PlanContext, leaf: Phase, shots: int, options: Shots, which: str = "") -> dict[str, Any]:
    """Fields of a leaf that trains on labelled rows: terms that give conditions, and the budget."""
    if shots == 0:
        what = f"{ctx.path}: there is no labelled training row{which}, so phase '{leaf.name}' has nothing to adapt to"
        raise PlanError(what, hint="--set 'data.labelled=4 per class', or label some records")
    terms = tuple(term if term.condition == "null" else term.with_(rows="labelled") for term in leaf.terms)
    batch = min(options.batch, shots)
    steps = options.epochs * math.ceil(shots / batch)
    budget = leaf.budget.with_(
        steps=steps, batch=batch, rate=options.rate, decay="cosine", warmup=min(options.warmup, max(1, steps // 10)),
        weight_decay=options.weight_decay,
    )  # fmt: skip
    trainable = leaf.trainable
    if options.targets is not None:
        unknown = [path for path in options.targets if path.partition(":")[0] not in ctx.targets]
        if unknown:
            what = (
                f"{ctx.path}.targets: there is no '{unknown[0]}'{did_you_mean(unknown[0], ctx.targets)}; there are {', '.join(ctx.targets)}"
            )
            raise PlanError(what, hint=f"--set '{ctx.path}.targets=[\"backbone\"]'")
        kept = (path for path in leaf.trainable if path.partition(":")[0] in options.targets)
        trainable = (*kept, *(path for path in options.targets if ":" in path and path.partition(":")[0] in leaf.trainable))
    if options.frozen:
        fresh = tuple(path for path in trainable if path.endswith(":fresh"))
        trainable = (*fresh, *_without(ctx, [path for path in trainable if path not in fresh], options.frozen))
    return {"terms": terms, "budget": budget, "trainable": trainable}


def _without(ctx: PlanContext, paths: Sequence[str], frozen: Sequence[str]) -> tuple[str, ...]:
    """ "TARGET:LAYER" of the largest layers of the paths that hold nothing of these names; PlanError for a name that is in none."""
    names = [(path.partition(":")[0], name) for path in paths for name in _weights(ctx, path)]
    if odd := [word for word in frozen if not any(word in name.split(".") for _, name in names)]:
        what = f"{ctx.path}.frozen: no weight of {', '.join(paths)} is in a layer called '{odd[0]}'"
        raise PlanError(what, hint=f"such as {', '.join(sorted({name.split('.')[0] for _, name in names}))}")
    still = [(target, f"{name}.") for target, name in names if set(frozen) & set(name.split("."))]
    out = list[str]()
    for target, name in names:
        if (target, f"{name}.") not in still:
            kept = [held for at, held in still if at == target]
            out.append(f"{target}:{next(p for p in _starts(name) if not any(held.startswith(f'{p}.') for held in kept))}")
    return tuple(dict.fromkeys(out))


def _weights(ctx: PlanContext, path: str) -> list[str]:
    """Names of the weights of a path inside its target."""
    target, _, part = path.partition(":")
    return [name for name, _ in ctx.modules[target].named_parameters() if not part or f"{name}.".startswith(f"{part}.")]


def _starts(name: str) -> list[str]:
    """Of a dotted name all beginnings, the shortest first."""
    parts = name.split(".")
    return [".".join(parts[: i + 1]) for i in range(len(parts))]


def file_names(labels: Sequence[Any]) -> list[str]:
    """Each label as a part of a file name; its place is added where two would be called the same, or one nothing."""
    plain = [re.sub(r"[^\w.+-]+", "_", str(label)).strip("_.") for label in labels]
    folded = [name.casefold() for name in plain]
    return [f"{name}_{i}".lstrip("_") if not name or folded.count(name.casefold()) > 1 else name for i, name in enumerate(plain)]
