"""Export format `peft`: every adapter of a run's answers as a folder that peft opens."""

from __future__ import annotations

from pathlib import Path

from scarce.contract import ExportContext
from scarce.errors import RunError
from scarce.files import write_json, write_tensors


def peft(ctx: ExportContext) -> Path:
    """PHASE/NAME/ for each adapter, whose layers are named as in the network of its target; RunError where there is none."""
    found = [(branch.phase, adapter) for branch in ctx.branches for adapter in branch.adapters]
    other = [adapter.name for _, adapter in found if adapter.config.get("peft_type") != "LORA"]
    if not found or other:
        what = f"{ctx.lineage[-1]} has adapters that are no LoRA: {', '.join(other)}" if other else f"{ctx.lineage[-1]} has no adapters"
        raise RunError(what, hint="scarce export RUN --to generator -o FOLDER")
    for phase, adapter in found:
        home = ctx.out / phase / adapter.name
        write_json(home / "adapter_config.json", adapter.config)
        write_tensors(home / "adapter_model.safetensors", {n: w.half() if ctx.half else w for n, w in adapter.state.items()})
    return ctx.out
