"""Adapters that others wrote: a peft folder, or the file in which diffusers keeps the LoRA of a whole pipeline."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from scarce.errors import RunError
from scarce.files import read_json, read_safetensors
from scarce_lora.adapter import PREFIX
from scarce_lora.others import check_facts, scale_of

CONFIG, WEIGHTS, FILE = "adapter_config.json", "adapter_model.safetensors", "pytorch_lora_weights.safetensors"
KEY = re.compile(r"(.+?)\.(lora[_.].+|alpha)")
ENDS = {"lora_A.weight": "A", "lora.down.weight": "A", "lora_B.weight": "B", "lora.up.weight": "B", "alpha": "alpha"}
PICKLES = (".bin", ".ckpt", ".pt", ".pth")
HINT = "--set strategy.0.source=path:FOLDER of a peft adapter, or of diffusers' save_lora_weights"


@dataclass(frozen=True)
class Source:
    """rank, alpha, and A [r, in] and B [out, r] of each layer, named as `LoraAdapter.state` names them.

    taken, left: the layers of the file, as it calls them, that stand on the target and that do not.
    """

    rank: int
    alpha: float
    weights: Mapping[str, Tensor]
    taken: tuple[str, ...] = ()
    left: tuple[str, ...] = ()

    @property
    def layers(self) -> list[str]:
        """Names of the layers."""
        return sorted({name.removeprefix(PREFIX).rsplit(".lora_", 1)[0] for name in self.weights})


def read_source(path: Path, layers: Collection[str]) -> Source:
    """The part of the adapter at a path that stands on these layers, with the outputs that it has in peft or diffusers.

    Raises RunError when there is none, when it is no LoRA or does what none of ours can, when it is a pickle, or when nothing in it
    is for these layers.
    """
    if (path / CONFIG).is_file():
        facts = read_json(path / CONFIG)
        if not isinstance(facts, dict) or facts.get("peft_type") != "LORA":
            kind = facts.get("peft_type") if isinstance(facts, dict) else "no adapter"
            raise RunError(f"{path} holds {kind}, not LoRA", hint=HINT)
        _refuse_pickle(path / WEIGHTS, "PeftModel.from_pretrained(MODEL, OLD).save_pretrained(NEW)")
        check_facts(path, facts)
        default = {"lora_alpha": 8}  # peft's own
        return _standing(path, read_safetensors(path / WEIGHTS), {"": default | facts}, layers)
    file = path if path.is_file() else path / FILE
    _refuse_pickle(file, "pipe.load_lora_weights(OLD), then pipe.save_lora_weights(NEW)")
    if not file.is_file():
        raise RunError(f"{path} has neither {CONFIG} nor {FILE}", hint=HINT)
    return _standing(file, read_safetensors(file), _facts(file), layers)


def _refuse_pickle(file: Path, how: str) -> None:
    """RunError where weights are a pickle, or where only a pickle of that name is there."""
    beside = [] if file.is_file() else [file.with_suffix(end) for end in PICKLES]
    found = file if file.suffix in PICKLES and file.is_file() else next((other for other in beside if other.is_file()), None)
    if found is not None:
        what = f"strategy.source: {found} is a pickle, which can run anything when it is read"
        raise RunError(what, hint=f"where you trust it, write it as safetensors once: {how}")


def _standing(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Mapping[str, Any]], layers: Collection[str]) -> Source:
    """What stands on these layers; facts: options of each part of a pipeline by its name, or of all under ""."""
    parts: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        found = KEY.fullmatch(key.removeprefix(PREFIX))
        layer, end = (found[1], found[2]) if found else (key.removeprefix(PREFIX).removesuffix(".weight"), key)
        parts.setdefault(layer, {})[ENDS.get(end, end)] = tensor
    places = {layer: name for layer in parts if (name := _place(layer, layers)) is not None}
    if not places:
        raise RunError(f"{path} has nothing for these layers; it holds {', '.join(sorted(tensors)[:2])} …", hint=HINT)
    updates: dict[str, tuple[Tensor, Tensor, float]] = {}
    for layer, name in places.items():
        said, rest = facts.get("", {}), layer
        if layer.split(".", 1)[0] in facts:
            part, rest = layer.split(".", 1)
            said = facts[part]
            check_facts(path, said)
        updates[name] = _update(path, rest, said, parts[layer])
    return Source(*_evened(updates), tuple(sorted(places)), tuple(sorted(parts.keys() - places.keys())))


def _update(path: Path, layer: str, facts: Mapping[str, Any], part: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, float]:
    """A, B and scale of one layer."""
    odd = sorted(part.keys() - {"A", "B", "alpha"})
    if odd or not {"A", "B"} <= part.keys():
        what = f"layer {layer} has {odd[0]}, which is no part of W + s B A" if odd else f"layer {layer} lacks one of A and B"
        raise RunError(f"{path}: {what}", hint="merge it into the checkpoint instead: --set backbone.source=MERGED")
    return part["A"], part["B"], scale_of(layer, part["A"].shape[0], facts, part.get("alpha"))


def _evened(updates: Mapping[str, tuple[Tensor, Tensor, float]]) -> tuple[int, float, dict[str, Tensor]]:
    """One rank and one alpha for all: zeros fill up smaller ranks, and where scales differ they go into B."""
    rank = max(a.shape[0] for a, _, _ in updates.values())
    scales = {scale for _, _, scale in updates.values()}
    common = scales.pop() if len(scales) == 1 else 1.0
    weights: dict[str, Tensor] = {}
    for name, (a, b, scale) in updates.items():
        more = rank - a.shape[0]
        weights[f"{PREFIX}{name}.lora_A.weight"] = torch.cat([a, a.new_zeros(more, *a.shape[1:])])
        filled = F.pad(b, (0, more)) if b.ndim == 2 else b
        weights[f"{PREFIX}{name}.lora_B.weight"] = filled if scale == common else filled * (scale / common)
    return rank, common * rank, weights


def _place(layer: str, layers: Collection[str]) -> str | None:
    """The layer as the target calls it: as the file does, or under the one layer above it that the file leaves out.

    transformers 5 has left a level of CLIP's text tower out.
    """
    for name in (layer, layer.replace(".text_model.", ".", 1), layer.removeprefix("text_model.")):
        if name in layers:
            return name
        under = [other for other in layers if other.endswith(f".{name}")]
        if len(under) == 1:
            return under[0]
    return None


def _facts(file: Path) -> dict[str, dict[str, Any]]:
    """Options of each part of a pipeline, as diffusers writes them into the file's header."""
    with file.open("rb") as data:
        header = json.loads(data.read(int.from_bytes(data.read(8), "little")))
    said = header.get("__metadata__", {}).get("lora_adapter_metadata")
    out: dict[str, dict[str, Any]] = {}
    for key, value in (json.loads(said) if said else {}).items():
        part, _, option = key.partition(".")
        out.setdefault(part, {})[option] = value
    return out
