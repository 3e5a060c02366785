"""Strategy `lora`: every leaf of the plan trains low-rank adapters instead of the target's own weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scarce.contract import AdaptContext, Adapter, AdapterHandle, Plan, PlanContext, StrategySpec, hookimpl
from scarce.errors import PlanError, RecipeError, did_you_mean
from scarce_lora.adapter import attach
from scarce_lora.config import Lora as LoraOptions
from scarce_lora.layers import linear_layers
from scarce_lora.rank import rank_of_data
from scarce_lora.source import Source, read_source

NAMED = 5  # layers that a note names


def _read_of(file: Path, found: Sequence[Source]) -> str:
    """How many layers of a file stand on any of the targets, and which do not."""
    left = sorted(set.intersection(*(set(source.left) for source in found)))
    layers = len(found[0].taken) + len(found[0].left)
    said = f"{layers - len(left)} of {layers} layers of {file} are read"
    more = f" and {len(left) - NAMED} more" if len(left) > NAMED else ""
    return said + (f"; not: {', '.join(left[:NAMED])}{more}" if left else "")


class Lora(StrategySpec):
    """Low-rank adaptation (Hu et al., arXiv 2106.09685) of backbone and conditioners."""

    def __init__(self, options: LoraOptions) -> None:
        self.options = options

    @hookimpl
    def strategy_amend_plan(self, ctx: PlanContext) -> Plan:
        """Adapters on every leaf; of the targets' own weights, and of other weights of a checkpoint, only fresh ones train on.

        Says how much of a `source` stands on the targets. Raises PlanError for a target that is not there or has no such layer,
        RecipeError for a rank above a layer's size, RunError for a source that can't be read or has nothing for a target.
        """
        adapters = tuple(
            Adapter(name=f"{ctx.path}-{t}", target=t, owner=ctx.path, options=self._options(ctx, t)) for t in self.options.targets
        )
        if self.options.source is not None:
            ctx.say(_read_of(self._file(), [read_source(self._file(), linear_layers(ctx.modules[t])) for t in self.options.targets]))
        plan = ctx.plan
        for leaf in plan.leaves():
            plan = plan.replace(leaf.name, adapters=(*leaf.adapters, *adapters), trainable=self._own(ctx, leaf.trainable))
        return plan

    @hookimpl
    def strategy_adapt(self, ctx: AdaptContext) -> AdapterHandle:
        """The adapter of one target, with the weights of `source` if there is one."""
        options = ctx.adapter.options
        layers = linear_layers(ctx.module)
        source = read_source(Path(options["source"]), layers) if options.get("source") else None
        names = list(linear_layers(ctx.module, options["layers"])) if source is None else source.layers
        made = {k: options[k] for k in ("rank", "alpha", "dropout")}
        handle = attach(ctx.module, names, name=ctx.adapter.name, seed=ctx.generator.initial_seed(), **made)
        if source is not None:
            handle.load(source.weights)
        return handle

    def _own(self, ctx: PlanContext, paths: Sequence[str]) -> tuple[str, ...]:
        """Where own weights still train: not what came with a checkpoint, whether it is adapted or not.

        A module that came with one says in `fresh` what did not. Whoever names a part of it ("conditioner.0:text_encoder") wants it.
        """
        out = []
        for path in paths:
            fresh = getattr(ctx.modules.get(path), "fresh", None)
            if path in self.options.targets or fresh:
                out.append(f"{path}:fresh")
            elif fresh is None:
                out.append(path)
        return tuple(out)

    def _file(self) -> Path:
        return Path((self.options.source or "").removeprefix("path:"))

    def _options(self, ctx: PlanContext, target: str) -> Mapping[str, Any]:
        """Rank, alpha, dropout and ends of layer names of one target's adapter, checked against its layers."""
        if target not in ctx.targets:
            what = f"{ctx.path}.targets: there is no '{target}'{did_you_mean(target, ctx.targets)}; there are {', '.join(ctx.targets)}"
            raise PlanError(what, hint=f"--set '{ctx.path}.targets=[\"backbone\"]'")
        asked = self.options
        facts: dict[str, Any] = {"rank": 0, "alpha": asked.alpha, "dropout": asked.dropout, "layers": list(asked.modules)}
        if asked.source is not None:
            found = read_source(self._file(), linear_layers(ctx.modules[target]))
            return {**facts, "rank": found.rank, "alpha": found.alpha, "layers": found.layers, "source": str(self._file())}
        layers = linear_layers(ctx.modules[target], facts["layers"])
        if not layers:
            ends = ", ".join(asked.modules) or "any"
            what = f"{ctx.path}.modules: {target} has no linear layer named {ends}"
            raise PlanError(what, hint=f"--set {ctx.path}.modules=[] takes every linear layer")
        narrow = min(layers, key=lambda n: min(layers[n].in_features, layers[n].out_features))
        most = min(layers[narrow].in_features, layers[narrow].out_features)
        facts["rank"] = facts["rank"] or self._rank(ctx, most)
        if facts["rank"] > most:
            shape = f"{layers[narrow].in_features} × {layers[narrow].out_features}"
            what = f"{ctx.path}.rank: {facts['rank']} is larger than layer {narrow} of {target} ({shape})"
            raise RecipeError(what, hint=f"--set {ctx.path}.rank={min(16, most)}")
        return {**facts, "alpha": facts["alpha"] or float(facts["rank"])}

    def _rank(self, ctx: PlanContext, most: int) -> int:
        if isinstance(self.options.rank, int):
            return self.options.rank
        if ctx.data is None or ctx.space is None:
            raise PlanError(f"{ctx.path}.rank: the rule '{self.options.rank}' needs training rows", hint=f"--set {ctx.path}.rank=16")
        return rank_of_data(ctx.data, ctx.space, self.options.rank, self.options.share, min(self.options.max_rank, most))
