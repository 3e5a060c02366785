"""Export format `peft`: every adapter of a run's answers as a folder that peft opens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scarce.contract import Branch, ExportContext
from scarce.errors import RunError
from scarce.files import read_json, read_tensors, write_json, write_tensors


def peft(ctx: ExportContext) -> Path:
    """PHASE/NAME/ for each adapter, whose layers are named as in the network of its target.

    RunError where there is none, and where other weights were trained beside them, which these folders would not hold.
    """
    found = [(branch.phase, adapter) for branch in ctx.branches for adapter in branch.adapters]
    other = [adapter.name for _, adapter in found if adapter.config.get("peft_type") != "LORA"]
    if not found or other:
        what = f"{ctx.lineage[-1]} has adapters that are no LoRA: {', '.join(other)}" if other else f"{ctx.lineage[-1]} has no adapters"
        raise RunError(what, hint="scarce export RUN --to generator -o FOLDER")
    if beside := sorted({name for branch in ctx.branches for name in _beside(ctx, branch)}):
        what = f"{ctx.lineage[-1]} trained {len(beside)} weights beside its adapters, {beside[0]} among them, which no adapter holds"
        raise RunError(what, hint="scarce export RUN --to generator -o FOLDER, or --to diffusers for a Stable Diffusion")
    for phase, adapter in found:
        home = ctx.out / phase / adapter.name
        write_json(home / "adapter_config.json", adapter.config)
        write_tensors(home / "adapter_model.safetensors", {n: w.half() if ctx.half else w for n, w in adapter.state.items()})
    return ctx.out


def _beside(ctx: ExportContext, branch: Branch) -> set[str]:
    """Own weights that are not what the adapters are put onto: the checkpoint's, or else those from before the first adapter."""
    begun, out = bool(ctx.source), set[str]()
    for home in ctx.lineage:
        for phase in _way(home, branch.phase if home == ctx.lineage[-1] else ""):
            begun = begun or bool(phase["adapters"])
            if begun:
                out |= set(read_tensors(home / "model" / "phases" / f"{phase['name']}.safetensors")[0])
    return out


def _way(home: Path, name: str) -> list[dict[str, Any]]:
    """The phases of a run that lead to one of them, or to the one leaf of a run that another went on from, in training order."""
    plan: dict[str, dict[str, Any]] = {phase["name"]: phase for phase in read_json(home / "model" / "generator.json")["plan"]}
    starts = {phase["start"] for phase in plan.values()}
    at = name or next((leaf for leaf in plan if leaf not in starts), "")
    out: list[dict[str, Any]] = []
    while at in plan:
        out.insert(0, plan[at])
        at = plan[at]["start"]
    return out
