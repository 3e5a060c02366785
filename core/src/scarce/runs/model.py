"""The trainable model of a run: backbone, conditioners and adapters, with the weights of every phase.

Base parameters keep the names they had before any adapter was attached, so a strategy may wrap modules freely.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from scarce.contract.contexts import AdaptContext
from scarce.contract.plan import BASE, Adapter, Phase, Plan
from scarce.contract.protocols import AdapterHandle, Runtime
from scarce.errors import RecipeError, RunError
from scarce.files import read_tensors, write_json, write_tensors
from scarce.host.hooks import Scope
from scarce.runs.conditioning import ConditionSet

Weights = dict[str, Tensor]


@dataclass
class Model:
    """Backbone and conditions as targets, and what each phase made of them.

    base: the base parameters by name, those of the modules unless they come from a parent's model; checkpoint: names of base
    parameters that were read from `source` (with hash `sha256`) and are not written again.
    """

    backbone: nn.Module
    conditions: ConditionSet
    plan: Plan
    scope: Scope
    runtime: Runtime
    results: dict[str, Weights] = field(default_factory=dict)
    handles: dict[tuple[str, str], AdapterHandle] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    active: str = ""
    base: dict[str, nn.Parameter] = field(default_factory=dict)
    checkpoint: frozenset[str] = frozenset()
    source: str = ""
    sha256: str = ""

    def __post_init__(self) -> None:
        self.module = nn.ModuleDict({"backbone": self.backbone, "conditions": self.conditions})
        self.module.to(self.runtime.device)
        self.module.requires_grad_(False)
        self.base = self.base or dict(self.module.named_parameters())
        self.buffers = dict(self.module.named_buffers())
        if BASE not in self.results:
            self.results[BASE] = {n: p.detach() for n, p in self.base.items()}  # of one memory until something else is put there

    @property
    def targets(self) -> tuple[str, ...]:
        """Recipe paths of what can train."""
        return ("backbone", *(f"conditioner.{i}" for i in range(len(self.conditions.parts))))

    def target(self, path: str) -> nn.Module:
        """The module at a recipe path."""
        if path == "backbone":
            return self.backbone
        part: nn.Module = self.conditions.parts[int(path.split(".")[1])]
        return part

    def of_target(self, path: str) -> Weights:
        """Base parameters of one target by full name; a conditioner's projection and type embedding go with it.

        "PATH:fresh" are those that no checkpoint brought: what the module names in `fresh`, none without. "PATH:PART" are those
        of one part of the module; RecipeError where it has no such part.
        """
        path, _, part = path.partition(":")
        start = "backbone" if path == "backbone" else f"conditions.parts.{path.split('.')[1]}"
        if part and part != "fresh":
            whole = f"{start}.{part}"
            found: Weights = {n: p for n, p in self.base.items() if n == whole or n.startswith(f"{whole}.")}
            if not found:
                parts = ", ".join(name for name, _ in self.target(path).named_children())
                raise RecipeError(f"'{path}' has no part '{part}' that trains; it has {parts}", hint=f"name {path}, or {path}:PART")
            return found
        if part == "fresh":
            names = {f"{start}.{n}" for n in getattr(self.target(path), "fresh", ())}
            return {n: p for n, p in self.base.items() if n in names}
        if path == "backbone":
            return {n: p for n, p in self.base.items() if n.startswith("backbone.")}
        index = path.split(".")[1]
        starts = (f"conditions.parts.{index}.", f"conditions.project.{index}.")
        return {n: p for n, p in self.base.items() if n.startswith(starts) or (n == "conditions.kind" and index == "0")}

    def lineage_adapters(self, name: str) -> dict[str, tuple[str, Adapter]]:
        """Adapter name -> (phase that trained it last, adapter) along the way from base to a phase."""
        return {a.name: (p.name, a) for p in self.plan.lineage(name) for a in p.adapters}

    def attach(self, phase: Phase) -> None:
        """Attach the adapters of a phase; one an ancestor has too starts from the ancestor's weights."""
        inherited = self.lineage_adapters(phase.start) if phase.start != BASE else {}
        for adapter in phase.adapters:
            ctx = AdaptContext(
                module=self.target(adapter.target), adapter=adapter, runtime=self.runtime,
                generator=self.runtime.generator(f"adapter/{phase.name}/{adapter.name}"),
            )  # fmt: skip
            handle = self.scope.strategy_adapt(adapter.owner, ctx)
            if adapter.name in inherited:
                handle.load(self.handles[inherited[adapter.name][0], adapter.name].state())
            handle.enable(False)
            self.handles[phase.name, adapter.name] = handle

    def activate(self, name: str) -> None:
        """Make the model what it is after a phase (or "base"): its weights in place, its adapters on, others off."""
        if name == self.active:
            return
        chain = [BASE, *(p.name for p in self.plan.lineage(name))]
        with torch.no_grad():
            for key, parameter in self.base.items():
                owner = next(c for c in reversed(chain) if key in self.results.get(c, {}))
                if self.owners.get(key) != owner:
                    if owner != BASE:
                        self._keep(key)
                    parameter.copy_(self.results[owner][key])
                    self.owners[key] = owner
        on = {(phase, key) for key, (phase, _) in self.lineage_adapters(name).items()} if name != BASE else set()
        for handle_key, handle in self.handles.items():
            handle.enable(handle_key in on)
        self.active = name

    def begin(self, phase: Phase) -> dict[str, nn.Parameter]:
        """Start a phase from its start weights and return what trains, by name."""
        self.activate(phase.start)
        self.attach(phase)
        for (owner, name), handle in self.handles.items():
            inherited = self.lineage_adapters(phase.start).get(name, ("", None))[0] if phase.start != BASE else ""
            retrained = any(a.name == name for a in phase.adapters)
            handle.enable(owner == phase.name or (owner == inherited and not retrained))
        self.active = f"training {phase.name}"
        names = {n for path in phase.trainable for n in self.of_target(path)}
        trains = {n: p for n, p in self.base.items() if n in names}
        for adapter in phase.adapters:
            parameters = self.handles[phase.name, adapter.name].parameters()
            trains |= {f"adapter.{adapter.name}.{i}": p for i, p in enumerate(parameters)}
        for p in trains.values():
            p.requires_grad_(True)
        for n in names:
            self._keep(n)
            self.owners.pop(n, None)
        return trains

    def _keep(self, name: str) -> None:
        """Give a base weight memory of its own, before its parameter becomes something else."""
        base = self.results[BASE].get(name)
        if base is not None and base.data_ptr() == self.base[name].data_ptr():
            self.results[BASE][name] = base.clone()

    def end(self, phase: Phase, trained: Mapping[str, nn.Parameter]) -> None:
        """Freeze what a phase trained and keep it as the phase's result."""
        for p in trained.values():
            p.requires_grad_(False)
        self.results[phase.name] = {n: p.detach().clone() for n, p in trained.items() if n in self.base}

    def leaf_of(self, label: Any) -> str:
        """The leaf that answers a label."""
        leaves = self.plan.leaves()
        found = next((p for p in leaves if str(p.serves) == str(label)), None) or next((p for p in leaves if p.serves == "*"), None)
        if found is None:
            served = ", ".join(str(p.serves) for p in leaves)
            raise RunError(
                f"no phase of this run answers the label {label!r}; served: {served}", hint="scarce sample RUN --where TARGET=LABEL"
            )
        return found.name

    def save_phase(self, folder: Path, name: str) -> None:
        """Write `phases/NAME.safetensors` and `adapters/PHASE/NAME/`, each whole or not at all."""
        for (phase, adapter), handle in self.handles.items():
            if phase == name:
                home = folder / "adapters" / phase / adapter
                write_json(home / "adapter_config.json", dict(handle.config()))
                write_tensors(home / "adapter_model.safetensors", handle.state())
        write_tensors(folder / "phases" / f"{name}.safetensors", self.results[name])

    def load_phase(self, folder: Path, phase: Phase) -> None:
        """Read back what `save_phase` wrote."""
        weights, _ = read_tensors(folder / "phases" / f"{phase.name}.safetensors")
        self.results[phase.name] = {n: w.to(self.runtime.device) for n, w in weights.items()}
        self.attach(phase)
        for adapter in phase.adapters:
            state, _ = read_tensors(folder / "adapters" / phase.name / adapter.name / "adapter_model.safetensors")
            self.handles[phase.name, adapter.name].load(state)
        self.active = ""


def parameter_count(parameters: Sequence[Tensor] | Mapping[str, Tensor]) -> int:
    """How many numbers."""
    values = parameters.values() if isinstance(parameters, Mapping) else parameters
    return sum(p.numel() for p in values)
