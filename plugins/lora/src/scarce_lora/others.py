"""What peft's options mean for the update of a layer, and which of them W + s B A can't express."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from peft import LoraConfig
from torch import Tensor

from scarce.errors import RunError

READ = frozenset(("r", "rank_pattern", "lora_alpha", "alpha_pattern", "use_rslora"))
NO_MATTER = frozenset((
    "auto_mapping", "base_model_name_or_path", "corda_config", "ensure_weight_tying", "eva_config", "exclude_modules", "fan_in_fan_out",
    "inference_mode", "layers_pattern", "layers_to_transform", "loftq_config", "lora_dropout", "lora_ga_config", "megatron_config",
    "megatron_core", "peft_type", "peft_version", "qalora_group_size", "revision", "runtime_config", "target_modules", "task_type",
))  # fmt: skip
"""Which layers, how they were trained, where the base came from: nothing that the weights do not show."""

STARTS = (True, False, "gaussian", "eva", "orthogonal", "mica")
"""Values of `init_lora_weights` that leave the base's own weights as they were."""


def check_facts(path: Path, facts: Mapping[str, Any]) -> None:
    """RunError that names the options under which the layers do something else than W + s B A, those of later versions too."""
    usual = LoraConfig().to_dict()
    odd = [key for key, value in facts.items() if key not in READ | NO_MATTER and value and value != usual.get(key)]
    if (start := facts.get("init_lora_weights", True)) in STARTS:
        odd = [key for key in odd if key != "init_lora_weights"]
    elif odd == ["init_lora_weights"]:
        what = f"{path}: init_lora_weights = {start!r} has changed the weights under the adapter as well"
        raise RunError(what, hint="in peft: save_pretrained(NEW, path_initial_model_for_weight_conversion=START) writes a plain LoRA")
    if odd:
        shown = ", ".join(f"{key} = {facts[key]!r}" for key in sorted(odd))
        what = f"{path} is more than low-rank updates of layers, so it can't be read: {shown}"
        raise RunError(what, hint="merge it into the checkpoint instead (peft: merge_and_unload): --set backbone.source=MERGED")


def scale_of(layer: str, rank: int, facts: Mapping[str, Any], alpha: Tensor | None = None) -> float:
    """The factor of B A: alpha / rank, or alpha / sqrt(rank) with `use_rslora`; alpha: where the file has one beside the layer."""
    patterns = (facts.get("alpha_pattern") or {}).items()
    said = next((value for key, value in patterns if re.match(rf"(.*\.)?({key})$", layer)), facts.get("lora_alpha", rank))
    value = float(said if alpha is None else alpha)
    return value / (math.sqrt(rank) if facts.get("use_rslora") else rank)
