"""Export format `diffusers`: what `load_lora_weights` and `from_pretrained` of a pipeline open."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import DiffusionPipeline, StableDiffusionPipeline, StableDiffusionXLPipeline
from torch import Tensor

from scarce.contract import Branch, BranchAdapter, ExportContext, Prompt
from scarce.errors import RunError
from scarce.files import file_hash, read_json, write_json
from scarce_images.checkpoint import find_checkpoint
from scarce_images.pipeline import INDEX
from scarce_images.stable import StableNetwork, quiet
from scarce_images.stable_text import StableText

PIPELINES = {"StableDiffusionPipeline": StableDiffusionPipeline, "StableDiffusionXLPipeline": StableDiffusionXLPipeline}
TARGETS = {"backbone": "backbone.", "conditioner.0": "conditions.parts.0."}
"""Recipe path -> how names of its weights begin in the generator; what follows are a pipeline's own names."""
PREFIX = "base_model.model."


def diffusers(ctx: ExportContext) -> Path:
    """A LoRA file where only adapters were trained, else a whole pipeline into which adapters are merged; a folder per branch.

    One branch alone lies in the folder itself. A generator that is no Stable Diffusion becomes the format `generator` with an
    index that `ScarcePipeline.from_pretrained` opens, a folder per branch too. Raises RunError for one that hears no text.
    """
    if not isinstance(ctx.modules["backbone"], StableNetwork):
        return _write_own(ctx)
    if not all(isinstance(module, StableText) for path, module in ctx.modules.items() if path != "backbone"):
        raise RunError(f"{ctx.lineage[-1]} hears a conditioner that no pipeline has", hint="scarce export RUN --to generator -o FOLDER")
    for branch in ctx.branches:
        out = ctx.out if len(ctx.branches) == 1 else ctx.out / branch.phase
        if branch.adapters and not branch.moved:
            _write_lora(ctx, branch, out)
        else:
            _write_pipeline(ctx, branch, out)
    return ctx.out


def _write_own(ctx: ExportContext) -> Path:
    """The generator as it is under the index of a pipeline, or each of its branches so."""
    if ctx.generator.space.layout != "image":
        what = f"{ctx.lineage[-1]} makes no pictures, and pipelines of diffusers are for pictures"
        raise RunError(what, hint="scarce export RUN --to generator -o FOLDER")
    asked = None if ctx.branches[0].serves == "*" else ctx.branches[0].serves
    heard = ctx.generator.encode_condition([Prompt(label=asked, text=text) for text in ("one", "another thing")])
    if torch.equal(heard.tokens[0], heard.tokens[1]) and torch.equal(heard.mask[0], heard.mask[1]):
        raise RunError(f"{ctx.lineage[-1]} hears no text, which a pipeline is asked by", hint="scarce export RUN --to generator -o FOLDER")
    assert ctx.pack is not None
    ctx.pack()
    if len(ctx.branches) == 1:
        write_json(ctx.out / "model_index.json", INDEX)
        return ctx.out
    whole = list(ctx.out.iterdir())
    for branch in ctx.branches:
        _copy_branch(ctx, branch, whole)
        _settle(branch, ctx.out / branch.phase)
        write_json(ctx.out / branch.phase / "model_index.json", INDEX)
    for path in whole:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return ctx.out


def _copy_branch(ctx: ExportContext, branch: Branch, whole: list[Path]) -> None:
    """A folder of the branch's name with everything of the whole generator but what other branches alone need."""
    others = {f"{other.phase}{end}" for other in ctx.branches if other.phase != branch.phase for end in ("", ".json", ".safetensors")}

    def left_out(folder: str, names: list[str]) -> set[str]:
        return others & set(names) if Path(folder).name in ("phases", "adapters") else set()

    out = ctx.out / branch.phase
    out.mkdir()
    for path in whole:
        if path.is_dir():
            shutil.copytree(path, out / path.name, ignore=left_out)
        else:
            shutil.copy(path, out)


def _settle(branch: Branch, out: Path) -> None:
    """Its branch alone makes a packed generator, which answers every text, since pipelines are asked by texts and no class."""
    facts, data = read_json(out / "model" / "generator.json"), read_json(out / "data.json")
    plan = [{**phase, "serves": "*"} for phase in facts["plan"] if phase["name"] == branch.phase]
    write_json(out / "model" / "generator.json", {**facts, "plan": plan})
    write_json(out / "model" / "routing.json", {"*": branch.phase})
    if branch.serves != "*":  # what hears the class beside the text is asked for those that are counted
        counts = zip(facts["classes"], data["class_counts"], strict=True)
        own = [count if str(label) == str(branch.serves) else 0 for label, count in counts]
        write_json(out / "data.json", {**data, "class_counts": own})
    names = read_json(out / "hashes.json")
    write_json(out / "hashes.json", {name: file_hash(out / name) for name in names if (out / name).is_file()})


def _write_lora(ctx: ExportContext, branch: Branch, out: Path) -> None:
    parts: dict[str, dict[str, Tensor]] = {}
    for layer, (a, b) in low_rank(branch.adapters).items():
        part, _, name = layer.partition(".")
        if part == "text_encoder" and not name.startswith("text_model."):  # as every version but transformers 5 calls it
            name = f"text_model.{name}"
        for end, value in (("lora_A", a), ("lora_B", b)):
            parts.setdefault(part, {})[f"{name}.{end}.weight"] = (value.half() if ctx.half else value).contiguous()
    pipeline = PIPELINES[find_checkpoint(ctx.source).family]
    pipeline.save_lora_weights(out, **{f"{part}_lora_layers": layers for part, layers in parts.items()}, safe_serialization=True)


def _write_pipeline(ctx: ExportContext, branch: Branch, out: Path) -> None:
    """The checkpoint's pipeline with the branch's weights in place of its own."""
    pipe = open_pipeline(ctx.source)
    weights, updates = ctx.generator.weights(branch.phase), low_rank(branch.adapters)
    for start in TARGETS.values():
        mine = {name.removeprefix(start): w for name, w in weights.items() if name.startswith(start)}
        for layer, (a, b) in updates.items():
            if f"{layer}.weight" in mine:
                mine[f"{layer}.weight"] = mine[f"{layer}.weight"] + b.to(a.dtype) @ a
        for part in {name.partition(".")[0] for name in mine}:
            own = {name.partition(".")[2]: w.cpu() for name, w in mine.items() if name.startswith(f"{part}.")}
            network = getattr(pipe, part)
            network.load_state_dict({**network.state_dict(), **own})
    if ctx.half:
        pipe.to(torch.float16)
    pipe.save_pretrained(out, safe_serialization=True)


def open_pipeline(source: str) -> Any:
    """diffusers' pipeline of a checkpoint in float32, without a safety checker."""
    checkpoint = find_checkpoint(source)
    facts: Mapping[str, Any] = {"use_safetensors": True, "local_files_only": True}
    kept: Mapping[str, Any] = {} if checkpoint.is_large else {"safety_checker": None, "requires_safety_checker": False}
    variant = "fp16" if "fp16" in checkpoint.variants.values() else None
    with quiet():
        pipe: DiffusionPipeline = PIPELINES[checkpoint.family].from_pretrained(checkpoint.folder, variant=variant, **facts, **kept)
    return pipe.to(torch.float32)


def low_rank(adapters: tuple[BranchAdapter, ...]) -> dict[str, tuple[Tensor, Tensor]]:
    """Layer -> A [r, in] and B [out, r] whose product is the update; several adapters of a layer stand side by side in r.

    The scale alpha / rank goes into B, so that readers that know no alpha are right too. Raises RunError for what is no LoRA.
    """
    found: dict[str, tuple[Tensor, Tensor]] = {}
    for adapter in adapters:
        if adapter.config.get("peft_type") != "LORA":
            raise RunError(f"adapter {adapter.name} is no LoRA, which is all that diffusers' file holds", hint="--to generator")
        scale = float(adapter.config["lora_alpha"]) / float(adapter.config["r"])
        for key in (k for k in adapter.state if k.endswith(".lora_A.weight")):
            layer = key.removeprefix(PREFIX).removesuffix(".lora_A.weight")
            a, b = adapter.state[key], adapter.state[key.replace(".lora_A.", ".lora_B.")] * scale
            before = found.get(layer)
            found[layer] = (a, b) if before is None else (torch.cat([before[0], a]), torch.cat([before[1], b], 1))
    return found
