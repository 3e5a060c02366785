"""Format `generator`: a generator without what only its run needed, which `generator.from` opens and a package can bring."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from scarce.contract.contexts import Branch, ExportContext
from scarce.contract.plan import BASE, Plan
from scarce.errors import RunError
from scarce.files import file_hash, read_json, read_tensors, write_json, write_tensors
from scarce.runs.exporting import branches, plan_of
from scarce.runs.folder import read_recipe, write_recipe
from scarce.runs.generator import TrainedGenerator
from scarce.runs.model import Model
from scarce.runs.provenance import seal


def pack(ctx: ExportContext) -> Path:
    """Recipe, lock, data.json without the records' ids, and `model/`, in which every branch is one phase from base.

    The weights of a single branch are the base; those of a checkpoint stay there. Raises RunError for a generator that went on
    from one with adapters.
    """
    first, home, out = ctx.lineage[0], ctx.lineage[-1], ctx.out
    if len(ctx.lineage) > 1 and any(branch.adapters for branch in branches(ctx.lineage[:-1])):
        what = f"{home} went on from a generator with adapters, {ctx.lineage[-2]}, and can't stand alone"
        raise RunError(what, hint="scarce export RUN --to peft -o FOLDER takes the adapters of both")
    (recipe, facts), (origin, _) = read_recipe(home), read_recipe(first)
    network = {"generator": type(recipe.generator)(), **{k: getattr(origin, k) for k in ("backbone", "conditioner", "diffusion")}}
    write_recipe(out, recipe.model_copy(update=network), {k: facts[k] for k in ("name", "command", "version")})
    locks = [read_json(folder / "plugins.lock.json") for folder in dict.fromkeys((first, home))]
    parts = [part for lock in locks for part in lock["parts"]]
    write_json(out / "plugins.lock.json", {**locks[-1], "parts": [p for i, p in enumerate(parts) if p not in parts[:i]]})
    data = read_json(home / "data.json")
    write_json(out / "data.json", {key: value for key, value in data.items() if key != "splits"})
    _pack_model(ctx, cast(TrainedGenerator, ctx.generator).model, out / "model")
    seal(out)
    return out


def _pack_model(ctx: ExportContext, model: Model, to: Path) -> None:
    first, home = ctx.lineage[0] / "model", ctx.lineage[-1] / "model"
    shutil.copytree(home / "codec", to / "codec")
    shutil.copy(home / "process.safetensors", to)
    own = {name for name in read_tensors(first / "base.safetensors")[0] if not name.startswith("buffer:")}
    plan, single = plan_of(ctx.lineage[-1]), len(ctx.branches) == 1
    base = _weights(model, plan, ctx.branches[0].phase if single else BASE)
    buffers = {f"buffer:{name}": value for name, value in model.buffers.items()}
    write_tensors(to / "base.safetensors", {**_cast({n: base[n] for n in own}, ctx.half), **buffers})
    phases = []
    for branch in ctx.branches:
        adapters = {a.name: a for p in plan.lineage(branch.phase) for a in p.adapters}
        leaf = next(p for p in plan.phases if p.name == branch.phase)
        # where a strategy took start weights from matters no longer, and isn't where this will be opened
        unsourced = [a.with_(options={k: v for k, v in a.options.items() if k != "source"}) for a in adapters.values()]
        phases.append(leaf.with_(start=BASE, adapters=tuple(unsourced)))
        here = _weights(model, plan, branch.phase)
        changed = {n: here[n] for n in branch.moved if n not in own or not (single or torch.equal(here[n], base[n]))}
        _pack_branch(ctx, branch, changed, to)
    facts = {**read_json(first / "generator.json"), "classes": read_json(home / "generator.json")["classes"]}
    write_json(to / "generator.json", {**facts, "plan": Plan(phases=tuple(phases)).to_json()})
    write_json(to / "routing.json", {str(branch.serves): branch.phase for branch in ctx.branches})


def _pack_branch(ctx: ExportContext, branch: Branch, changed: Mapping[str, Tensor], to: Path) -> None:
    for adapter in branch.adapters:
        kept = to / "adapters" / branch.phase / adapter.name
        write_json(kept / "adapter_config.json", adapter.config)
        write_tensors(kept / "adapter_model.safetensors", _cast(adapter.state, ctx.half))
    file = write_tensors(to / "phases" / f"{branch.phase}.safetensors", _cast(changed, ctx.half))
    facts = read_json(ctx.lineage[-1] / "model" / "phases" / f"{branch.phase}.json")
    write_json(file.with_suffix(".json"), {**facts, "sha256": file_hash(file)})


def _weights(model: Model, plan: Plan, name: str) -> dict[str, Tensor]:
    """Base weights after a phase, by name."""
    found = dict(model.results[BASE])
    for phase in () if name == BASE else plan.lineage(name):
        found |= model.results[phase.name]
    return found


def _cast(tensors: Mapping[str, Tensor], half: bool) -> dict[str, Tensor]:
    """In 16 bits if asked, but for what has no room there."""

    def one(tensor: Tensor) -> Tensor:
        small = tensor.half() if half and tensor.is_floating_point() else tensor
        return small if small is tensor or bool(small.isfinite().all()) else tensor

    return {name: one(tensor) for name, tensor in tensors.items()}
