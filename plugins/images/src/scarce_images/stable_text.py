"""Texts as Stable Diffusion hears them: CLIP's text tower, or both towers of SDXL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from scarce.contract import Embedded, Prompt


class StableText(nn.Module):
    """See `contract.Conditioner`. One tower's last states, or the penultimate ones of two side by side and the second's projection.

    The towers are called as diffusers calls them, so that adapters of one library fit the other. nothing: the empty text; -1
    everywhere where the checkpoint was trained with zeros instead of it. fresh: see `contract.Backbone`.
    """

    nothing: Tensor
    fresh: tuple[str, ...] = ()

    def __init__(self, tokenizers: Sequence[Any], towers: Sequence[nn.Module], *, zeros: bool = False) -> None:
        super().__init__()
        self.tokenizers = tuple(tokenizers)
        self.text_encoder = towers[0]
        self.text_encoder_2 = towers[1] if len(towers) > 1 else None
        configs: list[Any] = [tower.config for tower in towers]
        self.lengths = [min(t.model_max_length, c.max_position_embeddings) for t, c in zip(tokenizers, configs, strict=True)]
        self.width = sum(int(c.hidden_size) for c in configs)
        empty = self._ids([""])
        self.register_buffer("nothing", torch.full_like(empty, -1) if zeros else empty)

    def prepare(self, prompts: Sequence[Prompt]) -> Tensor:
        """[n, l] int64 words of each prompt's text, [n, 2, l] for two towers; longer texts are cut."""
        return self._ids([p.text or "" for p in prompts])

    def forward(self, inputs: Tensor) -> Embedded:
        """tokens [b, l, width], none of them hidden; pooled [b, d], which only SDXL looks at."""
        if self.text_encoder_2 is None:
            out = self.text_encoder(inputs)
            tokens, pooled = out.last_hidden_state, out.pooler_output
        else:
            absent, ids = inputs[:, 0, 0] < 0, inputs.clamp(min=0)
            first = self.text_encoder(ids[:, 0], output_hidden_states=True)
            second = self.text_encoder_2(ids[:, 1], output_hidden_states=True)
            tokens = torch.cat([first.hidden_states[-2], second.hidden_states[-2]], -1)
            tokens = tokens.masked_fill(absent[:, None, None], 0)
            pooled = second.text_embeds.masked_fill(absent[:, None], 0)
        return Embedded(tokens, torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device), pooled)

    def _ids(self, texts: list[str]) -> Tensor:
        rows = [
            tokenizer(texts, padding="max_length", max_length=length, truncation=True, return_tensors="pt").input_ids.long()
            for tokenizer, length in zip(self.tokenizers, self.lengths, strict=True)
        ]
        return rows[0] if len(rows) == 1 else torch.stack(rows, 1)
