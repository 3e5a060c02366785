"""Texts as vectors: TF-IDF and a truncated singular value decomposition, fitted on the training texts.

Texts are never generated: an encoded text can't be decoded, and no known fields can be imposed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from torch import Tensor

from scarce.contract import Block, Dataset, Known, Space, State
from scarce.errors import DataError
from scarce.files import read_json, read_tensors, write_json, write_tensors

Floats = npt.NDArray[np.float64]
WORD = r"(?u)\w+|[^\w\s]"
WORDS, SIZE = 10_000, 64  # most words of the vocabulary, the most frequent ones; most numbers of a vector
NEVER = "texts are data to learn from, and are never generated"
HINT = "leave out [backbone] and [generate], or name a generator of another modality under [generator] from"


@dataclass(frozen=True)
class TextCodec:
    """The vocabulary, [v] inverse document frequencies, and [d, v] right singular vectors."""

    words: tuple[str, ...]
    idf: Floats
    components: Floats

    @property
    def space(self) -> Space:
        """One block of d numbers in -1 to 1."""
        return Space(layout="vector", blocks=(Block(name="text", kind="continuous", size=len(self.components), clip=1.0),))

    @cached_property
    def tfidf(self) -> TfidfVectorizer:
        """Texts to [n, v] weights of words, each row of length 1: (1 + log count) idf."""
        made = TfidfVectorizer(sublinear_tf=True, token_pattern=WORD, vocabulary=list(self.words))
        made.idf_ = self.idf
        return made

    @cached_property
    def weights(self) -> Mapping[str, float]:
        """Inverse document frequency by word."""
        return dict(zip(self.words, self.idf.tolist(), strict=True))

    def vectors(self, records: Any) -> Floats:
        """[n, d] of length 1, so distances lie in 0 to 2; 0 for a text without one known word."""
        if len(records) == 0:
            return np.zeros((0, len(self.components)))
        found = np.asarray(self.tfidf.transform(records["text"]) @ self.components.T)
        length = np.linalg.norm(found, axis=1, keepdims=True)
        return np.asarray(found / np.where(length > 1e-12, length, 1.0), dtype=np.float64)

    def encode(self, records: Any) -> State:
        """num [n, d]: the vectors; no categories."""
        num = torch.from_numpy(self.vectors(records)).float()
        return State(num, torch.zeros(len(num), 0, dtype=torch.int64))

    def soft(self, state: State) -> Tensor:
        """[n, d] as encoded."""
        return state.num

    def decode(self, state: State, labels: Sequence[Any] | None, seed: int) -> Any:
        """Always a DataError."""
        raise DataError(f"a vector can't be turned into a text: {NEVER}", hint=HINT)

    def known(self, where: Mapping[str, Any], n: int, seed: int) -> tuple[Known | None, Sequence[Any] | None]:
        """Always a DataError."""
        raise DataError(f"no field of a text can be imposed: {NEVER}", hint=HINT)

    def save(self, folder: Path) -> None:
        """Vocabulary as JSON, numbers as safetensors."""
        write_json(folder / "words.json", list(self.words))
        tensors = {"idf": torch.from_numpy(self.idf), "components": torch.from_numpy(self.components)}
        write_tensors(folder / "texts.safetensors", tensors)


def fit_codec(dataset: Dataset, seed: int) -> TextCodec:
    """Fitted on the training texts, labelled or not."""
    rows = dataset.rows("train")
    tfidf = TfidfVectorizer(sublinear_tf=True, token_pattern=WORD, max_features=WORDS)
    counts = tfidf.fit_transform(dataset.records["text"].iloc[rows])
    words = tuple(tfidf.get_feature_names_out().tolist())
    size = max(1, min(SIZE, len(words) - 1, len(rows) - 1))
    svd = TruncatedSVD(size, random_state=seed % 2**32).fit(counts)
    return TextCodec(words=words, idf=np.asarray(tfidf.idf_, dtype=np.float64), components=np.asarray(svd.components_, dtype=np.float64))


def read_codec(folder: Path) -> TextCodec:
    """What `save` wrote."""
    tensors, _ = read_tensors(folder / "texts.safetensors")
    words = tuple(read_json(folder / "words.json"))
    return TextCodec(words=words, idf=tensors["idf"].numpy(), components=tensors["components"].numpy())
