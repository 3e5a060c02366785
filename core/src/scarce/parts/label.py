"""Conditioner `label`: one learned token per class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from scarce.contract import ConditionerContext, ConditionerSpec, Embedded, Prompt, hookimpl
from scarce.errors import DataError
from scarce.parts.config import Configured, Label


class LabelConditioner(Configured[Label], ConditionerSpec):
    """Classes to tokens through an embedding table; a prompt without a label gives zeros."""

    @hookimpl
    def conditioner_build(self, ctx: ConditionerContext) -> nn.Module:
        """A `LabelTokens` over the classes of the data set."""
        return LabelTokens(ctx.classes, self.options.width, ctx.runtime.generator("conditioner.label"))


class LabelTokens(nn.Module):
    """Embedding of class codes: [b] int64 -> tokens [b, 1, width]; code -1 (no label) is the zero vector."""

    def __init__(self, classes: tuple[Any, ...], width: int, generator: torch.Generator) -> None:
        super().__init__()
        self.classes = classes
        self.width = width
        self.table = nn.Parameter(torch.randn(max(len(classes), 1), width, generator=generator))

    def prepare(self, prompts: Sequence[Prompt]) -> Tensor:
        """[n] int64 class codes, -1 where the prompt has no label; DataError for a label that is no class."""
        codes: dict[Any, int] = {str(label): code for code, label in enumerate(self.classes)}
        codes |= {label: code for code, label in enumerate(self.classes)} | {None: -1}
        return torch.tensor([self._code(p.label, codes) for p in prompts], dtype=torch.int64)

    def _code(self, label: Any, codes: dict[Any, int]) -> int:
        code = codes.get(label, codes.get(str(label)))
        if code is None:
            shown = ", ".join(repr(c) for c in self.classes[:20]) or "none: the data has no classes"
            raise DataError(f"label {label!r} is not a class of this data (classes: {shown})", hint="ask for one of the classes")
        return code

    def forward(self, inputs: Tensor) -> Embedded:
        """tokens [b, 1, width], mask [b, 1], pooled [b, width]."""
        given = (inputs >= 0).to(self.table.dtype).unsqueeze(1)
        pooled = self.table[inputs.clamp(min=0)] * given
        return Embedded(pooled.unsqueeze(1), torch.ones(len(inputs), 1, dtype=torch.bool, device=inputs.device), pooled)
