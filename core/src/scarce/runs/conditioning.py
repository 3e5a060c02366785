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
        tokens, masks, pools = [], [], []
        for i, (part, feature) in enumerate(zip(self.parts, features, strict=True)):
            token, mask, pool = self._embedded(i, feature.to(device), null)
            if null is not None and not hasattr(part, "nothing"):
                token = torch.where(null.to(device)[:, None, None], self.null[i].to(token.dtype), token)
                first = torch.arange(mask.shape[1], device=device) == 0
                mask = torch.where(null.to(device)[:, None], first, mask)
                pool = torch.where(null.to(device)[:, None], torch.zeros_like(pool), pool)
            tokens.append(token)
            masks.append(mask)
            pools.append(pool)
        if not tokens:
            tokens.append(self.null[:1].expand(n, 1, self.width))
            masks.append(torch.ones(n, 1, dtype=torch.bool, device=device))
            pools.append(torch.zeros(n, self.width, device=device))
        if null is not None:
            labels = torch.where(null.to(device), torch.full_like(labels, -1), labels)
        return Condition(torch.cat(tokens, 1), torch.cat(masks, 1), sum(pools[1:], pools[0]), {}, labels)

    def nothing(self, n: int) -> Condition:
        """NULL for n rows: one token per conditioner, or what a conditioner says of its own `nothing`."""
        device = self.null.device
        tokens, masks, pools = [], [], []
        for i in range(len(self.null)):
            own = getattr(self.parts[i], "nothing", None) if len(self.parts) else None
            token, mask, pool = (
                self.null[i][None, None],
                torch.ones(1, 1, dtype=torch.bool, device=device),
                self.null.new_zeros(1, self.width),
            )
            if own is not None:
                token, mask, pool = self._embedded(i, own.to(device))
            tokens.append(token.expand(n, -1, -1))
            masks.append(mask.expand(n, -1))
            pools.append(pool.expand(n, -1))
        labels = torch.full((n,), -1, dtype=torch.int64, device=device)
        return Condition(torch.cat(tokens, 1), torch.cat(masks, 1), sum(pools[1:], pools[0]), {}, labels)

    def _embedded(self, i: int, feature: Tensor, null: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens, mask and pooled vector of one part; of its own `nothing`, if it has that, where `null` is True."""
        part, project = self.parts[i], self.project[i]
        own: Tensor | None = getattr(part, "nothing", None)
        if null is not None and own is not None:
            drop = null.to(feature.device).view(-1, *[1] * (feature.ndim - 1))
            feature = torch.where(drop, own.to(feature.device, feature.dtype), feature)
        embedded = part(feature)
        token = project(embedded.tokens)
        return token if self.kind is None else token + self.kind[i], embedded.mask, project(embedded.pooled)


def rows_of(inputs: Inputs, rows: Tensor) -> Inputs:
    """The chosen rows of prepared inputs."""
    return tuple(x[rows] for x in inputs)
