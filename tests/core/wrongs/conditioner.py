"""Labels and texts through tables, and one that is wrong for every check."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from scarce.contract import ConditionerContext, ConditionerSpec, Embedded, Prompt, hookimpl

KEPT: list[object] = []
WIDTH, WORDS = 8, 16


class Tables(nn.Module):
    """One token for the label, one for a hash of the text."""

    width = WIDTH

    def __init__(self, ctx: ConditionerContext) -> None:
        super().__init__()
        self.classes = ctx.classes
        self.label, self.text = nn.Embedding(len(ctx.classes) + 1, WIDTH), nn.Embedding(WORDS, WIDTH)
        self.last = nn.Linear(WIDTH, WIDTH)

    def prepare(self, prompts: Sequence[Prompt]) -> Tensor:
        labels = [self.code(p.label) for p in prompts]
        texts = [hashlib.sha256((p.text or "").encode()).digest()[0] % WORDS for p in prompts]
        return torch.tensor([labels, texts], dtype=torch.int64).T

    def code(self, label: Any) -> int:
        return self.classes.index(label) + 1 if label in self.classes else 0

    def forward(self, inputs: Tensor) -> Embedded:
        tokens = self.last(torch.stack([self.label(inputs[:, 0]), self.text(inputs[:, 1])], 1))
        return Embedded(tokens, torch.ones(tokens.shape[:2], dtype=torch.bool), tokens.mean(1))


class Good(ConditionerSpec):
    kind: Any = Tables

    @hookimpl
    def conditioner_build(self, ctx: ConditionerContext) -> nn.Module:
        return self.kind(ctx)


def spec(kind: type) -> type:
    """A plugin class around a module."""
    return type(kind.__name__.removeprefix("_"), (Good,), {"kind": kind, "__module__": __name__})


class _Masked(Tables):
    def forward(self, inputs: Tensor) -> Embedded:
        said = super().forward(inputs)
        return replace(said, mask=said.mask.float())


class _Mixed(Tables):
    def forward(self, inputs: Tensor) -> Embedded:
        said = super().forward(inputs)
        return replace(said, pooled=said.pooled + said.pooled[:1])


class _Asking(Tables):
    def code(self, label: Any) -> int:
        return self.classes.index(label) + 1


class _Unused(Tables):
    def __init__(self, ctx: ConditionerContext) -> None:
        super().__init__(ctx)
        self.spare = nn.Linear(2, 2)


class _Forgets(Tables):
    def __init__(self, ctx: ConditionerContext) -> None:
        super().__init__(ctx)
        self.shift = torch.randn(WIDTH, generator=ctx.runtime.generator("shift"))

    def forward(self, inputs: Tensor) -> Embedded:
        said = super().forward(inputs)
        return replace(said, tokens=said.tokens + self.shift)


class _NoLabel(Tables):
    def code(self, label: Any) -> int:
        return 0


class _NoText(Tables):
    def prepare(self, prompts: Sequence[Prompt]) -> Tensor:
        return super().prepare([replace(p, text="") for p in prompts])


class _NoTokens(Tables):
    def forward(self, inputs: Tensor) -> Embedded:
        said = super().forward(inputs)
        return replace(said, tokens=torch.zeros_like(said.tokens))


class _NoPooled(Tables):
    def forward(self, inputs: Tensor) -> Embedded:
        said = super().forward(inputs)
        return replace(said, pooled=torch.zeros_like(said.pooled))


class _TwoNulls(Tables):
    def __init__(self, ctx: ConditionerContext) -> None:
        super().__init__(ctx)
        self.register_buffer("nothing", torch.zeros(2, 2, dtype=torch.int64))


class _Whole(Tables):
    def forward(self, inputs: Tensor) -> Embedded:
        said = super().forward(inputs)
        return said if torch.is_grad_enabled() else replace(said, tokens=(8 * said.tokens).long())


class _NoLinear(Tables):
    def __init__(self, ctx: ConditionerContext) -> None:
        super().__init__(ctx)
        self.last = nn.LayerNorm(WIDTH)


class _Unseeded(Tables):
    def __init__(self, ctx: ConditionerContext) -> None:
        super().__init__(ctx)
        nn.init.constant_(self.last.bias, float(np.random.default_rng().random()))


class _Global(Tables):
    def prepare(self, prompts: Sequence[Prompt]) -> Tensor:
        torch.rand(1)
        return super().prepare(prompts)


class _Remembered(Tables):
    def __init__(self, ctx: ConditionerContext) -> None:
        super().__init__(ctx)
        KEPT.append(self)


Masked, Mixed, Asking, Unused, Forgets, NoLabel = map(spec, (_Masked, _Mixed, _Asking, _Unused, _Forgets, _NoLabel))
NoText, NoTokens, NoPooled, TwoNulls, Whole, NoLinear = map(spec, (_NoText, _NoTokens, _NoPooled, _TwoNulls, _Whole, _NoLinear))
Unseeded, Global, Remembered = map(spec, (_Unseeded, _Global, _Remembered))
WRONG = {
    "Good": "", "Masked": "answers", "Mixed": "rows-apart", "Asking": "empty-prompt", "Unused": "gradients", "Forgets": "save-load",
    "NoLabel": "cond:label", "NoText": "cond:text", "NoTokens": "cond:tokens", "NoPooled": "cond:pooled", "TwoNulls": "cond:dropout",
    "Whole": "cond:differentiable", "NoLinear": "layers:linear", "Unseeded": "same-seed", "Global": "global-random",
    "Remembered": "memory",
}  # fmt: skip
PROVIDES = {name: [check] for name, check in WRONG.items() if ":" in check}
PROVIDES["Good"] = sorted({name for names in PROVIDES.values() for name in names})
