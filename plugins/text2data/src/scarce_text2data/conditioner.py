"""Conditioner `text`: texts to the token states of a frozen encoder, projected to the condition's width."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from scarce.contract import ConditionerContext, ConditionerSpec, Embedded, Prompt, Runtime, hookimpl
from scarce_text2data.config import Text as TextOptions
from scarce_text2data.encoder import load_encoder


class Text(ConditionerSpec):
    """Prompts as texts; a prompt without a text is one zero token."""

    def __init__(self, options: TextOptions) -> None:
        self.options = options

    @hookimpl
    def conditioner_build(self, ctx: ConditionerContext) -> nn.Module:
        """A `TextTokens`; the encoder is read when the first text is embedded."""
        width = None if ctx.saved is None else int(ctx.saved["states"])
        return TextTokens(self.options, load_encoder(self.options.source).width if width is None else width, ctx.runtime)


class TextTokens(nn.Module):
    """[b] places in a bank of embedded texts -> tokens [b, l, width]; place 0 is no text.

    The bank grows with every text that is asked for the first time; it is no part of the model's weights.
    """

    def __init__(self, options: TextOptions, states: int, runtime: Runtime) -> None:
        super().__init__()
        self.options, self.states, self.width, self.runtime = options, states, options.width, runtime
        self.project = nn.Linear(states, self.width)
        self.pool = nn.Linear(states, self.width)
        self.places: dict[str, int] = {"": 0}
        self.bank = torch.zeros(1, 1, states, dtype=torch.float16)
        self.lengths = torch.ones(1, dtype=torch.int64)

    def config_json(self) -> dict[str, Any]:
        """The width of the encoder's states; `ConditionerContext.saved` brings it back."""
        return {"states": self.states}

    def prepare(self, prompts: Sequence[Prompt]) -> Tensor:
        """[n] int64 places of the prompts' texts, which are embedded unless they are in the bank already."""
        texts = [(p.text or "").strip() for p in prompts]
        fresh = [text for text in dict.fromkeys(texts) if text not in self.places]
        if fresh:
            encoder = load_encoder(self.options.source)
            states = encoder.encode(fresh, self.options.max_tokens, self.runtime.say)
            self.places |= {text: len(self.places) + i for i, text in enumerate(fresh)}
            rows = [*(bank[:n] for bank, n in zip(self.bank.cpu(), self.lengths.tolist(), strict=True)), *states]
            self.bank = nn.utils.rnn.pad_sequence(rows, batch_first=True)
            self.lengths = torch.tensor([len(row) for row in rows])
        return torch.tensor([self.places[text] for text in texts], dtype=torch.int64)

    def forward(self, inputs: Tensor) -> Embedded:
        """tokens [b, l, width], zero where there is no word; mask [b, l]; pooled [b, width], of the mean state."""
        device = self.project.weight.device
        self.bank = self.bank.to(device)
        n = self.lengths.to(device)[inputs.to(device)]
        longest = int(n.max()) if len(n) else 1  # of this batch: what else is in the bank must not change a bit of it
        states = self.bank[inputs.to(device), :longest].to(self.project.weight.dtype)
        mask = torch.arange(states.shape[1], device=device) < n[:, None]
        given = (inputs.to(device) > 0)[:, None]
        tokens = self.project(states) * (mask & given).unsqueeze(2)
        return Embedded(tokens, mask, self.pool(states.sum(1) / n[:, None]) * given)
