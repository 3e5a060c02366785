"""Conditioners of a run joined along the token axis, with one type embedding and one frozen NULL each."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from scarce.contract.condition import Condition, Prompt

Inputs = tuple[Tensor, ...]


class ConditionSet(nn.Module):
    """All conditioners of a generator as one module; without any, every condition is one constant token.

    `parts` are modules with `prepare` and `width` (see `protocols.Conditioner`); the common width is the widest,
    narrower ones are projected. NULL tokens are frozen buffers saved with the model, shared by every phase.
    """

    def __init__(self, parts: Sequence[nn.Module], *, classes: Sequence[object], generator: torch.Generator) -> None:
        super().__init__()
        self.classes = tuple(classes)
        self.parts = nn.ModuleList(parts)
        widths = [int(p.width) for p in parts]  # type: ignore[arg-type]
        self.width = max(widths, default=1)
        self.project = nn.ModuleList(nn.Identity() if w == self.width else nn.Linear(w, self.width) for w in widths)
        self.kind = nn.Parameter(torch.zeros(len(parts), self.width)) if len(parts) > 1 else None
        self.null: Tensor
        self.register_buffer("null", 0.02 * torch.randn(max(len(parts), 1), self.width, generator=generator))

    def prepare(self, prompts: Sequence[Prompt]) -> Inputs:
        """Inputs of `forward` for each prompt, on the CPU: one tensor per conditioner, then [n] class codes."""
        index = {value: code for code, value in enumerate(self.classes)}
        labels = torch.tensor([index.get(p.label, -1) for p in prompts], dtype=torch.int64)
        return (*(part.prepare(prompts) for part in self.parts), labels)  # type: ignore[operator]

    def forward(self, inputs: Inputs, null: Tensor | None = None) -> Condition:
        """The condition of a batch of inputs; rows where `null` [b] is True get NULL tokens and label -1."""
        *features, labels = inputs
        device = self.null.device
        labels = labels.to(device)
        n = len(labels)
        tokens, masks = [], []
        pooled = torch.zeros(n, self.width, device=device)
        for i, (part, project, feature) in enumerate(zip(self.parts, self.project, features, strict=True)):
            embedded = part(feature.to(device))
            token, pool = project(embedded.tokens), project(embedded.pooled)
            token = token if self.kind is None else token + self.kind[i]
            mask = embedded.mask
            if null is not None:
                token = torch.where(null.to(device)[:, None, None], self.null[i].to(token.dtype), token)
                first = torch.arange(mask.shape[1], device=device) == 0
                mask = torch.where(null.to(device)[:, None], first, mask)
                pool = torch.where(null.to(device)[:, None], torch.zeros_like(pool), pool)
            tokens.append(token)
            masks.append(mask)
            pooled = pooled + pool
        if not tokens:
            tokens.append(self.null[:1].expand(n, 1, self.width))
            masks.append(torch.ones(n, 1, dtype=torch.bool, device=device))
        if null is not None:
            labels = torch.where(null.to(device), torch.full_like(labels, -1), labels)
        return Condition(torch.cat(tokens, 1), torch.cat(masks, 1), pooled, {}, labels)

    def nothing(self, n: int) -> Condition:
        """NULL for n rows, with one token per conditioner."""
        device = self.null.device
        tokens = self.null[None].expand(n, -1, -1)
        mask = torch.ones(n, len(self.null), dtype=torch.bool, device=device)
        labels = torch.full((n,), -1, dtype=torch.int64, device=device)
        return Condition(tokens, mask, torch.zeros(n, self.width, device=device), {}, labels)


def rows_of(inputs: Inputs, rows: Tensor) -> Inputs:
    """The chosen rows of prepared inputs."""
    return tuple(x[rows] for x in inputs)
