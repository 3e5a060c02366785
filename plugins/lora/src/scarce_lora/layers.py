"""Which linear layers of a module an adapter can stand on."""

from __future__ import annotations

from collections.abc import Sequence

from peft.tuners.lora.layer import LoraLayer
from torch import nn


def linear_layers(module: nn.Module, ends: Sequence[str] = ()) -> dict[str, nn.Linear]:
    """Linear layers by name, those under adapters too; layers that the module calls fresh train by themselves.

    ends: only names that are or end in one of these ("query" fits "encoder.0.query").
    """
    fresh = set(getattr(module, "fresh", ()))
    inside: list[str] = []
    found: dict[str, nn.Linear] = {}
    for name, part in module.named_modules():
        if name.startswith(tuple(inside)) or f"{name}.weight" in fresh:
            continue
        if isinstance(part, LoraLayer | nn.MultiheadAttention):  # attention of torch itself never calls its linear layers
            inside.append(f"{name}.")
        base = part.get_base_layer() if isinstance(part, LoraLayer) else part
        if isinstance(base, nn.Linear) and name:
            found[name] = base
    return {n: layer for n, layer in found.items() if not ends or any(n == e or n.endswith(f".{e}") for e in ends)}
