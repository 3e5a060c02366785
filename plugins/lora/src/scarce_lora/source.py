"""Adapters that others wrote: a peft folder, or the file in which diffusers keeps the LoRA of a whole pipeline."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from scarce.errors import RunError
from scarce.files import read_json, read_safetensors
from scarce_lora.adapter import PREFIX

FILE = "pytorch_lora_weights.safetensors"
LAYER = re.compile(r"(.+)\.lora(?:_A|_B|\.down|\.up)\.weight")
HINT = "--set strategy.0.source=path:FOLDER of a peft adapter, or of diffusers' save_lora_weights"


@dataclass(frozen=True)
class Source:
    """rank, alpha, and A [r, in] and B [out, r] of each layer, named as `LoraAdapter.state` names them."""

    rank: int
    alpha: float
    weights: Mapping[str, Tensor]

    @property
    def layers(self) -> list[str]:
        """Names of the layers."""
        return sorted({name.removeprefix(PREFIX).rsplit(".lora_", 1)[0] for name in self.weights})


def read_source(path: Path, layers: Collection[str]) -> Source:
    """The adapter at a path, of diffusers' file only what stands on one of these layers.

    Raises RunError when there is none, when it is no LoRA, or when nothing in it is for these layers.
    """
    if (path / "adapter_config.json").is_file():
        facts = read_json(path / "adapter_config.json")
        if not isinstance(facts, dict) or facts.get("peft_type") != "LORA":
            kind = facts.get("peft_type") if isinstance(facts, dict) else "no adapter"
            raise RunError(f"{path} holds {kind}, not LoRA", hint=HINT)
        weights = read_safetensors(path / "adapter_model.safetensors")
        return Source(facts.get("r", 8), facts.get("lora_alpha", 8), weights)  # peft's own defaults
    file = path if path.is_file() else path / FILE
    if not file.is_file():
        raise RunError(f"{path} has neither adapter_config.json nor {FILE}", hint=HINT)
    return _of_pipeline(file, layers)


def _of_pipeline(file: Path, layers: Collection[str]) -> Source:
    """Keys are PART.LAYER.lora_A.weight (older: .lora.down.); the scale alpha / rank goes into B, so that alpha is the rank."""
    tensors, facts = read_safetensors(file), _facts(file)
    weights: dict[str, Tensor] = {}
    for key, tensor in tensors.items():
        found = LAYER.fullmatch(key)
        name = _place(found[1], layers) if found else None
        if found is None or name is None:
            continue
        first = key.endswith((".lora_A.weight", ".lora.down.weight"))
        rank = tensor.shape[0 if first else 1]
        alpha = tensors.get(f"{found[1]}.alpha", facts.get(f"{key.split('.', 1)[0]}.lora_alpha", rank))
        weights[f"{PREFIX}{name}.lora_{'A' if first else 'B'}.weight"] = tensor if first else tensor * (float(alpha) / rank)
    ranks = {w.shape[0] for n, w in weights.items() if ".lora_A." in n}
    if len(ranks) != 1:
        shown = ", ".join(sorted(tensors)[:2])
        what = f"{file} has layers of ranks {sorted(ranks)}" if ranks else f"{file} has nothing for these layers; it holds {shown} …"
        raise RunError(what, hint="in diffusers: pipe.load_lora_weights(FILE), then save_lora_weights with one rank" if ranks else HINT)
    rank = ranks.pop()
    return Source(rank, float(rank), weights)


def _place(layer: str, layers: Collection[str]) -> str | None:
    """The layer as the network calls it: transformers 5 has left a level of CLIP's text tower out."""
    return next((name for name in (layer, layer.replace(".text_model.", ".", 1)) if name in layers), None)


def _facts(file: Path) -> dict[str, Any]:
    """What diffusers says of ranks and scales in the file's header."""
    with file.open("rb") as data:
        header = json.loads(data.read(int.from_bytes(data.read(8), "little")))
    said = header.get("__metadata__", {}).get("lora_adapter_metadata")
    return dict(json.loads(said)) if said else {}
