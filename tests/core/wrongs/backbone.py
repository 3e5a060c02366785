"""The kit's own network, and one that is wrong for every check."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scarce.contract import BackboneContext, BackboneSpec, Condition, State, hookimpl
from scarce.testing.toys import ToyNet

KEPT: list[object] = []


class Good(BackboneSpec):
    kind: Any = ToyNet

    @hookimpl
    def backbone_build(self, ctx: BackboneContext) -> nn.Module:
        made = self.kind(space=ctx.space, condition_width=ctx.condition_width)
        made.begin(ctx) if hasattr(made, "begin") else None
        return made


def spec(kind: type) -> type:
    """A plugin class around a network."""
    return type(kind.__name__.removeprefix("_"), (Good,), {"kind": kind, "__module__": __name__})


class _Codes(ToyNet):
    def forward(self, x_t: State, t: Tensor, condition: Condition, mask: Tensor | None = None) -> State:
        out = super().forward(x_t, t, condition, mask)
        return out.with_(cat=x_t.cat.float())


class _Mixed(ToyNet):
    def forward(self, x_t: State, t: Tensor, condition: Condition, mask: Tensor | None = None) -> State:
        out = super().forward(x_t, t, condition, mask)
        return out.with_(num=out.num - out.num.mean(0))


class _Timeless(ToyNet):
    def forward(self, x_t: State, t: Tensor, condition: Condition, mask: Tensor | None = None) -> State:
        return super().forward(x_t, 0 * t, condition, mask)


class _Deaf(ToyNet):
    def forward(self, x_t: State, t: Tensor, condition: Condition, mask: Tensor | None = None) -> State:
        silent = condition.with_(tokens=0 * condition.tokens, pooled=0 * condition.pooled, mask=torch.ones_like(condition.mask))
        return super().forward(x_t, t, silent, mask)


class _Unused(ToyNet):
    def begin(self, ctx: BackboneContext) -> None:
        self.spare = nn.Linear(2, 2)


class _Overflows(ToyNet):
    def forward(self, x_t: State, t: Tensor, condition: Condition, mask: Tensor | None = None) -> State:
        out = super().forward(x_t, t, condition, mask)
        return out.with_(num=out.num / 0) if out.num.dtype == torch.bfloat16 else out


class _Unmasked(ToyNet):
    def forward(self, x_t: State, t: Tensor, condition: Condition, mask: Tensor | None = None) -> State:
        return super().forward(x_t, t, condition, None).with_(mask=mask)


class _Forgets(ToyNet):
    def begin(self, ctx: BackboneContext) -> None:
        self.shift = torch.randn(2, generator=ctx.runtime.generator("shift"))

    def forward(self, x_t: State, t: Tensor, condition: Condition, mask: Tensor | None = None) -> State:
        out = super().forward(x_t, t, condition, mask)
        return out.with_(num=out.num + self.shift)


class Matrix(nn.Module):
    """A linear map that no adapter knows."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = layer.weight, layer.bias

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)


class _NoLinear(ToyNet):
    def begin(self, ctx: BackboneContext) -> None:
        for name in ("inward", "time", "pooled", "tokens", "body", "outward"):
            setattr(self, name, Matrix(getattr(self, name)))


class _NoAttention(ToyNet):
    pass


class _Stopped(ToyNet):
    def forward(self, x_t: State, t: Tensor, condition: Condition, mask: Tensor | None = None) -> State:
        return super().forward(x_t.with_(num=x_t.num.detach()), t, condition, mask)


class _Unseeded(ToyNet):
    def begin(self, ctx: BackboneContext) -> None:
        nn.init.constant_(self.outward.bias, float(np.random.default_rng().random()))


class _Global(ToyNet):
    def forward(self, x_t: State, t: Tensor, condition: Condition, mask: Tensor | None = None) -> State:
        torch.rand(1)
        return super().forward(x_t, t, condition, mask)


class _Remembered(ToyNet):
    def begin(self, ctx: BackboneContext) -> None:
        KEPT.append(self)


Codes, Mixed, Timeless, Deaf, Unused, Overflows = map(spec, (_Codes, _Mixed, _Timeless, _Deaf, _Unused, _Overflows))
Unmasked, Forgets, NoLinear, NoAttention, Stopped = map(spec, (_Unmasked, _Forgets, _NoLinear, _NoAttention, _Stopped))
Unseeded, Global, Remembered = map(spec, (_Unseeded, _Global, _Remembered))
WRONG = {
    "Good": "", "Codes": "answers", "Mixed": "batch-of-one", "Timeless": "time", "Deaf": "condition", "Unused": "gradients",
    "Overflows": "bf16", "Unmasked": "mask", "Forgets": "save-load", "NoLinear": "layers:linear", "NoAttention": "layers:attention",
    "Stopped": "grad:input", "Unseeded": "same-seed", "Global": "global-random", "Remembered": "memory",
}  # fmt: skip
PROVIDES = {name: [check] for name, check in WRONG.items() if ":" in check} | {"Good": ["layers:linear", "grad:input"]}
REQUIRES = {"Deaf": ["cond:pooled"], "Unmasked": ["space:sequence"]}
