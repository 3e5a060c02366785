"""One low-rank adapter on a module, made by peft: on and off, merged and apart, as a peft folder."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora.layer import LoraLayer
from torch import Tensor, nn

from scarce.errors import PluginError, RunError
from scarce.files import write_json, write_tensors

PREFIX = "base_model.model."


class LoraAdapter:
    """See `contract.AdapterHandle`. layers: the adapted layers by name; key: this adapter's name inside peft."""

    def __init__(self, layers: Mapping[str, LoraLayer], key: str, config: LoraConfig) -> None:
        self.layers, self.key, self._config = dict(layers), key, config

    def _weights(self) -> dict[str, nn.Parameter]:
        out = {}
        for name, layer in self.layers.items():
            out[f"{PREFIX}{name}.lora_A.weight"] = layer.lora_A[self.key].weight
            out[f"{PREFIX}{name}.lora_B.weight"] = layer.lora_B[self.key].weight
        return out

    def parameters(self) -> Sequence[nn.Parameter]:
        """A [r, in] and B [out, r] of every layer."""
        return list(self._weights().values())

    def enable(self, on: bool) -> None:
        """Add the update to the layers' outputs, or leave them bit-identical to the base."""
        for layer in self.layers.values():
            others = [key for key in layer.active_adapters if key != self.key]
            layer.set_adapter([*others, self.key] if on else others, inference_mode=True)

    def merge(self) -> None:
        """Add the update into the base weights; PluginError for a quantised base, whose codes can't hold it."""
        for name, layer in self.layers.items():
            if not isinstance(getattr(layer.get_base_layer(), "weight", None), nn.Parameter):
                raise PluginError(f"layer {name} is quantised, so an update can't be merged into it", hint="--set backbone.quantise=none")
        for layer in self.layers.values():
            layer.merge(adapter_names=[self.key])

    def unmerge(self) -> None:
        """Take merged updates out of the base weights again (equal up to rounding)."""
        for layer in self.layers.values():
            layer.unmerge()

    def state(self) -> Mapping[str, Tensor]:
        """The update alone, named as peft names it."""
        return {name: weight.detach() for name, weight in self._weights().items()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Put weights of `state` back; RunError when they are of other layers or another rank."""
        mine, given = self._weights(), {PREFIX + name.removeprefix(PREFIX): tensor for name, tensor in state.items()}
        odd = sorted(set(mine) ^ set(given)) + sorted(n for n in set(mine) & set(given) if mine[n].shape != given[n].shape)
        if odd:
            raise RunError(f"the adapter's weights don't fit: {odd[0]} (and {len(odd) - 1} more)", hint="scarce plan RECIPE")
        with torch.no_grad():
            for name, weight in mine.items():
                weight.copy_(given[name])

    def config(self) -> Mapping[str, Any]:
        """peft's adapter_config.json."""
        facts = {k: v for k, v in self._config.to_dict().items() if v not in (None, {}, [])}
        return {**facts, "target_modules": sorted(self.layers)}

    def write(self, folder: Path) -> Path:
        """A folder that `peft.PeftModel.from_pretrained` reads."""
        write_json(folder / "adapter_config.json", dict(self.config()))
        return write_tensors(folder / "adapter_model.safetensors", self.state()).parent


def attach(module: nn.Module, names: Sequence[str], *, name: str, rank: int, alpha: float, dropout: float, seed: int) -> LoraAdapter:
    """A fresh adapter on the named layers: A random under the seed, B zero, so that the module's output is unchanged."""
    taken = {key for part in module.modules() if isinstance(part, LoraLayer) for key in part.lora_A}
    stem = name.replace(".", "-")
    key = next(k for i in range(len(taken) + 1) if (k := f"{stem}-{i}") not in taken)
    config = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=list(names))
    trained = {p: p.requires_grad for p in module.parameters()}
    on = {part: part.active_adapters for part in module.modules() if isinstance(part, LoraLayer)}
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Already found a `peft_config`")  # several adapters on one module are meant
        torch.manual_seed(seed)
        inject_adapter_in_model(config, module, key)
    for layer, active in on.items():  # peft switches all others off
        layer.set_adapter(active, inference_mode=True)
    for parameter, wanted in trained.items():  # peft freezes what it does not own; what trains is the plan's to say
        parameter.requires_grad_(wanted)
    found = {n: part for n, part in module.named_modules() if isinstance(part, LoraLayer) and key in part.lora_A}
    adapter = LoraAdapter(found, key, config)
    adapter.enable(False)
    return adapter
