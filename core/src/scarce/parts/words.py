"""Conditioner `words`: texts over a vocabulary learned from the training prompts; nothing is downloaded."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from scarce.contract import ConditionerContext, ConditionerSpec, Embedded, Prompt, hookimpl
from scarce.parts.config import Configured, Words

PAD, UNKNOWN = 0, 1
# Digits are words of their own, so a number never seen in training is still spelled out.
_WORD = re.compile(r"[^\W\d_]+|\d|[^\w\s]|_")


def split_words(text: str) -> list[str]:
    """Lower-cased words, single digits and single punctuation marks, in order."""
    return _WORD.findall(text.lower())


def learn_vocabulary(texts: Sequence[str], max_words: int) -> list[str]:
    """The most frequent words, ties by alphabet; their codes start at 2, after padding and unknown."""
    counts = Counter(word for text in texts for word in split_words(text))
    return [word for word, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:max_words]]


class WordsConditioner(Configured[Words], ConditionerSpec):
    """Texts to one token per word."""

    @hookimpl
    def conditioner_build(self, ctx: ConditionerContext) -> nn.Module:
        """A `WordTokens` over the saved vocabulary, or one learned from the prompts' texts."""
        if ctx.saved:
            vocabulary, length = list(ctx.saved["vocabulary"]), int(ctx.saved["length"])
        else:
            texts = [p.text for p in ctx.prompts if p.text]
            vocabulary = learn_vocabulary(texts, self.options.max_words)
            length = min(self.options.max_length, max((len(split_words(t)) for t in texts), default=1) or 1)
        return WordTokens(vocabulary, length, self.options.width, ctx.runtime.generator("conditioner.words"))


class WordTokens(nn.Module):
    """Learned word and position embeddings: [b, length] int64 -> tokens [b, length, width]."""

    def __init__(self, vocabulary: list[str], length: int, width: int, generator: torch.Generator) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self.length = length
        self.width = width
        self.codes = {word: code for code, word in enumerate(vocabulary, start=2)}
        self.words = nn.Parameter(torch.randn(len(vocabulary) + 2, width, generator=generator))
        self.positions = nn.Parameter(0.1 * torch.randn(length, width, generator=generator))

    def config_json(self) -> dict[str, Any]:
        """The vocabulary and text length; `ConditionerContext.saved` brings them back."""
        return {"vocabulary": self.vocabulary, "length": self.length}

    def prepare(self, prompts: Sequence[Prompt]) -> Tensor:
        """[n, length] int64 word codes, cut or padded; unknown words are code 1, no text is all padding."""
        out = torch.full((len(prompts), self.length), PAD, dtype=torch.int64)
        for row, prompt in zip(out, prompts, strict=True):
            codes = [self.codes.get(word, UNKNOWN) for word in split_words(prompt.text or "")][: self.length]
            row[: len(codes)] = torch.tensor(codes, dtype=torch.int64)
        return out

    def forward(self, inputs: Tensor) -> Embedded:
        """Tokens are zero at padding; pooled [b, width] is the mean over words; the first position is never masked."""
        present = (inputs != PAD).unsqueeze(2).to(self.words.dtype)
        tokens = (self.words[inputs] + self.positions) * present
        pooled = tokens.sum(1) / present.sum(1).clamp(min=1)
        mask = inputs != PAD
        # Attention over no position at all is NaN in most networks; an empty text keeps one zero token instead.
        mask[:, 0] = True
        return Embedded(tokens, mask, pooled)
