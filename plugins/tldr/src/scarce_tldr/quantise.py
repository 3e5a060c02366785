"""Frozen linear layers in 8 or 4 bits: codes and scales are kept, weights exist only while they are used."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scarce.errors import PluginError

BLOCK = 64  # weights that share a scale in 4 bits
KINDS = ("int8", "4bit")


def _library() -> Any:
    try:
        import bitsandbytes.functional as library
    except ImportError as error:
        what = f"backbone.quantise needs bitsandbytes, which can't be imported ({error})"
        raise PluginError(what, hint="pip install 'scarce-tldr[quantise]'") from None
    return library


class QuantisedLinear(nn.Linear):
    """A linear layer whose weight [out, in] is frozen: int8 with a scale per row, or 4-bit NF4 with one per 64 weights.

    codes, scales: what bitsandbytes keeps; gradients pass to the input, not to the weight (Dettmers et al., QLoRA,
    arXiv 2305.14314).
    """

    codes: Tensor
    scales: Tensor

    def __init__(self, in_features: int, out_features: int, *, bias: bool, kind: str) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features, self.kind = in_features, out_features, kind
        self.bias = nn.Parameter(torch.zeros(out_features)) if bias else None  # type: ignore[assignment]
        count = in_features * out_features
        if kind == "int8":
            self.register_buffer("codes", torch.zeros(out_features, in_features, dtype=torch.int8))
            self.register_buffer("scales", torch.zeros(out_features))
        else:
            self.register_buffer("codes", torch.zeros((count + 1) // 2, 1, dtype=torch.uint8))
            self.register_buffer("scales", torch.zeros(-(-count // BLOCK)))

    @classmethod
    def of(cls, layer: nn.Linear, kind: str) -> QuantisedLinear:
        """The quantised form of a layer."""
        made = cls(layer.in_features, layer.out_features, bias=layer.bias is not None, kind=kind)
        with torch.no_grad():
            weight = layer.weight.detach().contiguous()
            if kind == "int8":
                codes, scales, _ = _library().int8_vectorwise_quant(weight)
            else:
                codes, state = _library().quantize_4bit(weight, blocksize=BLOCK, quant_type="nf4")
                scales = state.absmax
            made.codes.copy_(codes)
            made.scales.copy_(scales)
            if layer.bias is not None:
                made.bias.copy_(layer.bias)
        return made

    @property
    def weight(self) -> Tensor:  # type: ignore[override]
        """[out, in] the weight in float32, made afresh at each call."""
        library = _library()
        if self.kind == "int8":
            return library.int8_vectorwise_dequant(self.codes, self.scales)  # type: ignore[no-any-return]
        shape = torch.Size((self.out_features, self.in_features))
        state = library.QuantState(self.scales, shape=shape, dtype=torch.float32, blocksize=BLOCK, quant_type="nf4")
        return library.dequantize_4bit(self.codes, state)  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        """x W^T + b."""
        return _Product.apply(x, self) if self.bias is None else _Product.apply(x, self) + self.bias  # type: ignore[no-any-return, no-untyped-call]


class _Product(torch.autograd.Function):
    """x W^T that keeps no weight for the backward pass, but makes it a second time."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: QuantisedLinear) -> Tensor:
        ctx.layer = layer
        return F.linear(x, layer.weight.to(x.dtype))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0] @ ctx.layer.weight.to(gradients[0].dtype), None


def quantise(module: nn.Module, kind: str, *, empty: bool = False) -> None:
    """Replace every linear layer inside a module in place; empty: only their shape, for weights that follow."""
    for name, child in list(module.named_children()):
        if isinstance(child, nn.Linear):
            blank = QuantisedLinear(child.in_features, child.out_features, bias=child.bias is not None, kind=kind)
            setattr(module, name, blank if empty else QuantisedLinear.of(child, kind))
        else:
            quantise(child, kind, empty=empty)


def weight_bytes(module: nn.Module) -> int:
    """Bytes that the weights of the linear layers inside a module take."""
    total = 0
    for layer in module.modules():
        if isinstance(layer, QuantisedLinear):
            total += sum(t.numel() * t.element_size() for t in (layer.codes, layer.scales))
        elif isinstance(layer, nn.Linear):
            total += layer.weight.numel() * layer.weight.element_size()
    return total
