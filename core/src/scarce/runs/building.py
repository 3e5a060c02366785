"""The model of a run: built fresh under named seeds, or put back from a run folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from scarce.contract.contexts import BackboneContext, ConditionerContext
from scarce.contract.dataset import Dataset
from scarce.contract.plan import BASE, Plan
from scarce.contract.protocols import Bundle, Codec
from scarce.diffusion.options import DiffusionOptions
from scarce.diffusion.process import Process
from scarce.errors import RunError
from scarce.files import read_tensors, write_json, write_tensors
from scarce.host.hooks import Scope
from scarce.runs.assembly import Assembly
from scarce.runs.conditioning import ConditionSet
from scarce.runs.loading import labelled_rows, record_prompts
from scarce.runs.model import Model
from scarce.runs.sections import Recipe
from scarce.runtime.runtime import SharedRuntime


@dataclass(frozen=True)
class Built:
    """A model, the codec of what its network denoises, and the diffusion it is trained under."""

    model: Model
    codec: Codec
    diffusion: DiffusionOptions


def build_model(
    recipe: Recipe, assembly: Assembly, codec: Codec, dataset: Dataset | None, runtime: SharedRuntime, facts: Mapping[str, Any]
) -> Built:
    """Backbone and conditioners built under named seeds; `facts` are what `generator.json` keeps (empty: fresh).

    codec: the modality's own. What a checkpoint brings stands in for roles that the recipe leaves out.
    """
    scope = assembly.scope
    classes = dataset.classes if dataset is not None else tuple(facts["classes"])
    parts = _conditioners(recipe, assembly, codec, dataset, runtime, facts, classes)
    width = max((int(p.width) for p in parts), default=1)  # type: ignore[arg-type]
    with runtime.seeded("build/backbone"):
        made = scope.backbone_build(
            "backbone",
            BackboneContext(
                space=codec.space, condition_width=width, steps=recipe.diffusion.steps, classes=classes, runtime=runtime,
                saved=facts.get("backbone"), parts=assembly.parts_of("backbone"), codec=codec,
            ),
        )  # fmt: skip
    bundle = made if isinstance(made, Bundle) else Bundle(network=made)
    parts = parts or ([] if bundle.conditioner is None else [bundle.conditioner])
    conditions = ConditionSet(parts, classes=classes, generator=runtime.generator("null"))
    model = Model(backbone=bundle.network, conditions=conditions, plan=Plan(phases=()), scope=scope, runtime=runtime)
    if bundle.source:
        fresh = {n for path in model.targets for n in model.of_target(f"{path}:fresh")}
        read = [bundle.network, *([bundle.conditioner] if bundle.conditioner in parts else [])]
        brought = {id(p) for module in read for p in module.parameters()}
        model.checkpoint = frozenset(n for n, p in model.base.items() if id(p) in brought and n not in fresh)
        model.source, model.sha256 = bundle.source, bundle.sha256
        if facts.get("sha256", model.sha256) != model.sha256:
            what = f"the weights at {model.source} are not those the run was trained on"
            raise RunError(what, hint="bring the old ones back, or start a new run: scarce run RECIPE")
    diffusion = DiffusionOptions(**{**recipe.diffusion.model_dump(), **bundle.diffusion})
    return Built(model, bundle.codec or codec, diffusion)


def _conditioners(
    recipe: Recipe, assembly: Assembly, codec: Codec, dataset: Dataset | None, runtime: SharedRuntime, facts: Mapping[str, Any],
    classes: tuple[Any, ...],
) -> list[torch.nn.Module]:  # fmt: skip
    paths = [path for path in assembly.scope.paths("conditioner") if path.count(".") == 1]
    prompts = record_prompts(dataset, recipe, assembly, codec, labelled_rows(dataset)) if dataset is not None and paths else []
    saved = facts.get("conditioners", {})
    parts = []
    for path in paths:
        with runtime.seeded(f"build/{path}"):
            ctx = ConditionerContext(
                classes=classes, prompts=prompts, runtime=runtime, saved=saved.get(path), parts=assembly.parts_of(path)
            )
            parts.append(assembly.scope.conditioner_build(path, ctx))
    return parts


def continued(parent: Model, classes: tuple[Any, ...], scope: Scope, runtime: SharedRuntime) -> Model:
    """A model that goes on from what a parent's one leaf is: its weights are the new base, its adapters stay on.

    Raises RunError for a parent of several leaves, and for one whose conditioner knows other classes.
    """
    leaves = parent.plan.leaves()
    if len(leaves) > 1:
        what = f"a generator with {len(leaves)} branches ({', '.join(str(p.serves) for p in leaves[:5])}) can't be adapted further"
        raise RunError(what, hint="adapt a generator with one branch for all, or leave the strategies out: --set strategy=[]")
    for part in parent.conditions.parts:
        known = getattr(part, "classes", None)
        if known is not None and tuple(map(str, known)) != tuple(map(str, classes)):
            what = f"the generator was trained on the classes {', '.join(map(str, known))}; these data have {', '.join(map(str, classes))}"
            raise RunError(what, hint="a generator that follows texts (conditioner 'words' or 'text') takes any classes")
    parent.activate(leaves[0].name if leaves else BASE)
    parent.conditions.classes = classes
    plan, base = Plan(phases=()), dict(parent.base)
    return Model(backbone=parent.backbone, conditions=parent.conditions, plan=plan, scope=scope, runtime=runtime, base=base)


def keep_base(folder: Path, model: Model, process: Process, *, parent: bool = False) -> None:
    """Write base weights, process and routing once, before the first phase; a parent's weights stay with the parent."""
    home = folder / "model"
    if (home / "generator.json").is_file():
        return
    if not parent:
        own = {n: w for n, w in model.results[BASE].items() if n not in model.checkpoint}
        write_tensors(home / "base.safetensors", {**own, **{f"buffer:{k}": v for k, v in model.buffers.items()}})
    write_tensors(home / "process.safetensors", process.state_dict(), process.to_json())
    write_json(home / "routing.json", {str(p.serves): p.name for p in model.plan.leaves()})
    configs = {f"conditioner.{i}": _config(part) for i, part in enumerate(model.conditions.parts)}
    facts = {"classes": list(model.conditions.classes), "backbone": _config(model.backbone), "conditioners": configs}
    facts |= {"source": model.source, "sha256": model.sha256} if model.source else {}
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
    expected = set(model.results[BASE]) - model.checkpoint
    found = {n for n in tensors if not n.startswith("buffer:")}
    if found != expected:
        odd = sorted(found ^ expected)[:3]
        raise RunError(
            f"{folder}/model/base.safetensors does not fit the network ({', '.join(odd)} …)", hint=f"scarce plan {folder}/recipe.toml"
        )
    for name in expected:
        model.results[BASE][name].copy_(tensors[name])
    model.active, model.owners = "", {}
    return restore_process(folder, model)


def restore_process(folder: Path, model: Model) -> Process:
    """The process of a run folder, on the model's device."""
    state, facts = read_tensors(folder / "model" / "process.safetensors")
    process = Process.from_json(facts)
    process.load_state_dict(state)
    return process.to(model.runtime.device)
