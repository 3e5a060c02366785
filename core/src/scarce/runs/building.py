"""The model of a run: built fresh under named seeds, or put back from a run folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from scarce.contract.contexts import BackboneContext, ConditionerContext
from scarce.contract.dataset import Dataset
from scarce.contract.plan import Plan
from scarce.contract.protocols import Codec
from scarce.diffusion.process import Process
from scarce.errors import RunError
from scarce.files import read_tensors, write_json, write_tensors
from scarce.runs.assembly import Assembly
from scarce.runs.conditioning import ConditionSet
from scarce.runs.loading import labelled_rows, record_prompts
from scarce.runs.model import Model
from scarce.runs.sections import Recipe
from scarce.runtime.runtime import SharedRuntime


def build_model(
    recipe: Recipe, assembly: Assembly, codec: Codec, dataset: Dataset | None, runtime: SharedRuntime, facts: Mapping[str, Any]
) -> Model:
    """Backbone and conditioners built under named seeds; `facts` are what `generator.json` keeps (empty: fresh)."""
    scope = assembly.scope
    classes = dataset.classes if dataset is not None else tuple(facts["classes"])
    prompts = record_prompts(dataset, recipe, assembly, codec, labelled_rows(dataset)) if dataset is not None else []
    saved = facts.get("conditioners", {})
    parts = []
    for path in scope.paths("conditioner"):
        if path.count(".") > 1:
            continue
        with runtime.seeded(f"build/{path}"):
            ctx = ConditionerContext(
                classes=classes, prompts=prompts, runtime=runtime, saved=saved.get(path), parts=assembly.parts_of(path)
            )
            parts.append(scope.conditioner_build(path, ctx))
    conditions = ConditionSet(parts, classes=classes, generator=runtime.generator("null"))
    with runtime.seeded("build/backbone"):
        backbone = scope.backbone_build(
            "backbone",
            BackboneContext(
                space=codec.space, condition_width=conditions.width, steps=recipe.diffusion.steps, classes=classes, runtime=runtime,
                saved=facts.get("backbone"), parts=assembly.parts_of("backbone"),
            ),
        )  # fmt: skip
    return Model(backbone=backbone, conditions=conditions, plan=Plan(phases=()), scope=scope, runtime=runtime)


def keep_base(folder: Path, model: Model, process: Process) -> None:
    """Write base weights, process and routing once, before the first phase."""
    home = folder / "model"
    if (home / "generator.json").is_file():
        return
    write_tensors(home / "base.safetensors", {**model.results["base"], **{f"buffer:{k}": v for k, v in model.buffers.items()}})
    write_tensors(home / "process.safetensors", process.state_dict(), process.to_json())
    write_json(home / "routing.json", {str(p.serves): p.name for p in model.plan.leaves()})
    configs = {f"conditioner.{i}": _config(part) for i, part in enumerate(model.conditions.parts)}
    facts = {"classes": list(model.conditions.classes), "backbone": _config(model.backbone), "conditioners": configs}
    write_json(home / "generator.json", {**facts, "plan": model.plan.to_json()})


def _config(module: torch.nn.Module) -> Any:
    describe = getattr(module, "config_json", None)
    return describe() if callable(describe) else None


def restore_base(folder: Path, model: Model) -> Process:
    """Put base weights of a run folder into a freshly built model and read its process."""
    tensors, _ = read_tensors(folder / "model" / "base.safetensors")
    for name, tensor in tensors.items():
        if name.startswith("buffer:"):
            model.buffers[name[7:]].copy_(tensor)
    expected = set(model.results["base"])
    found = {n for n in tensors if not n.startswith("buffer:")}
    if found != expected:
        odd = sorted(found ^ expected)[:3]
        raise RunError(
            f"{folder}/model/base.safetensors does not fit the network ({', '.join(odd)} …)", hint=f"scarce plan {folder}/recipe.toml"
        )
    model.results["base"] = {n: tensors[n].to(model.runtime.device) for n in expected}
    model.active, model.owners = "", {}
    state, facts = read_tensors(folder / "model" / "process.safetensors")
    process = Process.from_json(facts)
    process.load_state_dict(state)
    return process.to(model.runtime.device)
