"""Free text: what many rows say is generated as a level, everything else is made up of words that many rows use."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from scarce_tabular.fields import FEWEST, LEVELS, Codes, Levels, Objects, factorize, hashed, lookup, objects
from scarce_tabular.schema import Column

WORDS = 2000  # most words of a vocabulary
QUANTILES = 101  # of words in a text
LETTERS = "abcdefghijklmnopqrstuvwxyz"
TRIES = 5


@dataclass(frozen=True, kw_only=True)
class Text(Levels):
    """A column of sentences: texts that many training rows share as levels, and one more level for all others.

    Those others come back as words drawn one by one, as many as real texts have: right in type and size, without
    grammar or meaning. words, weights: words of at least FEWEST training rows and how often each is said; sizes:
    quantiles of words in a text; taken: hashes of every real text, so that none is made up by chance.
    """

    words: tuple[str, ...]
    sizes: tuple[float, ...]
    taken: frozenset[str]

    @classmethod
    def learn(cls, column: Column, series: pd.Series, every: pd.Series, missing_is_level: bool) -> Text:
        """Fitted on training rows; `every` holds the texts of the whole file, which are only hashed."""
        codes, found = factorize(series)
        counts: dict[Any, int] = dict(zip(found, np.bincount(codes[codes >= 0], minlength=len(found)).tolist(), strict=True))
        gone = int((codes < 0).sum()) if missing_is_level else 0
        often = sorted((v for v in counts if counts[v] >= FEWEST), key=lambda v: (-counts[v], str(v)))[:LEVELS]
        kept: list[Any] = [*often, *([None] if gone else [])]
        total = max(sum(counts.values()) + gone, 1)
        shares = [(gone if v is None else counts[v]) / total for v in kept]
        shared = set(often)
        others = [str(v).split() for v in counts if v not in shared]
        used = Counter(word for words in others for word in set(words))  # in how many texts
        said = Counter(word for words in others for word in words if used[word] >= FEWEST)
        common = sorted(said, key=lambda w: (-said[w], w))[:WORDS]
        sizes = np.quantile([len(words) for words in others] or [0], np.linspace(0, 1, QUANTILES))
        return cls(
            column=column, levels=tuple(kept), rare=(), weights=tuple(float(said[w]) for w in common),
            shares=(*shares, 1.0 - sum(shares)), words=tuple(common), sizes=tuple(sizes.tolist()),
            taken=frozenset(hashed(str(v)) for v in every.dropna().unique()),
        )  # fmt: skip

    @property
    def size(self) -> int:
        """Number of codes; the last stands for every text that few rows have."""
        return len(self.levels) + 1

    def encode(self, series: pd.Series) -> Codes:
        """[n] codes; any text that is no level has the last."""
        return lookup(series, {v: i for i, v in enumerate(self.levels)}, len(self.levels))

    def decode(self, codes: Codes, rng: np.random.Generator) -> Objects:
        """[n] values: levels as they are, other texts made up."""
        out = objects((*self.levels, None))[codes]
        other = np.flatnonzero(codes == len(self.levels))
        out[other] = self._made(len(other), rng)
        return out

    def _made(self, n: int, rng: np.random.Generator) -> Objects:
        """n texts that no row of the file has."""
        sizes = np.rint(np.interp(rng.uniform(size=n), np.linspace(0, 1, len(self.sizes)), self.sizes)).astype(np.int64)
        sizes = np.maximum(sizes, 1)
        texts = [" ".join(words) for words in np.split(self._words(int(sizes.sum()), rng), np.cumsum(sizes)[:-1])] if n else []
        for i, text in enumerate(texts):
            for attempt in range(10 * TRIES):
                if hashed(texts[i]) not in self.taken:
                    break
                more = self._words(1, rng)[0] if attempt < TRIES else _letters(1, rng)[0]
                texts[i] = f"{text} {more}"
        return objects(texts)

    def _words(self, n: int, rng: np.random.Generator) -> Objects:
        if not self.words:
            return _letters(n, rng)
        share = np.array(self.weights) / sum(self.weights)
        return objects(self.words)[rng.choice(len(share), size=n, p=share)]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        more = {"words": list(self.words), "sizes": list(self.sizes), "taken": sorted(self.taken)}
        return {**super().to_json(), **more, "type": "text"}


def _letters(n: int, rng: np.random.Generator) -> Objects:
    """n words of three to nine random letters."""
    sizes = rng.integers(3, 10, size=n)
    letters = rng.choice(list(LETTERS), size=int(sizes.sum()))
    return objects("".join(part) for part in np.split(letters, np.cumsum(sizes)[:-1])) if n else objects([])
