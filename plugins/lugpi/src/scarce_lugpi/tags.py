"""Part-of-speech tags of texts as tokens: the view of the earlier learning with privileged information."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from scarce.errors import DataError, PluginError
from scarce_lugpi.sides import Side, averaged

# Penn Treebank tags as the tagger gives them; whatever else it says is the last one.
TAGS = (
    "CC", "CD", "DT", "EX", "FW", "IN", "JJ", "JJR", "JJS", "LS", "MD", "NN", "NNS", "NNP", "NNPS", "PDT", "POS", "PRP", "PRP$", "RB",
    "RBR", "RBS", "RP", "SYM", "TO", "UH", "VB", "VBD", "VBG", "VBN", "VBP", "VBZ", "WDT", "WP", "WP$", "WRB", ".", ",", ":", "(", ")",
    "other",
)  # fmt: skip
PLACE = {tag: i for i, tag in enumerate(TAGS)}
MOST = 512  # words of a text that are tagged


def tags_of(text: str) -> list[int]:
    """[l] tags of the first words of a text, by the lexicon and rules of TextBlob's pattern tagger; PluginError without it."""
    try:
        from textblob.en import tag
    except ImportError:
        raise PluginError("tags as views need textblob, which is not installed", hint="pip install 'scarce-lugpi[tags]'") from None
    words = text.split()
    return [PLACE.get(name, len(TAGS) - 1) for _, name in tag(" ".join(words[:MOST]), tokenize=True)]


def tagged(records: Any, column: str, most: int) -> Side:
    """One token per stretch of words: the share of each tag in it. DataError where the records have no such texts."""
    if column not in getattr(records, "columns", ()):
        raise DataError(
            f"learner.source: tags are of a text, and these records have no column '{column}'", hint="--set learner.text=COLUMN"
        )
    texts: Sequence[list[int]] = [tags_of(str(text)) for text in records[column]]
    longest = max([1, *map(len, texts)])
    tokens, mask = torch.zeros(len(texts), longest, len(TAGS)), torch.zeros(len(texts), longest, dtype=torch.bool)
    for row, found in enumerate(texts):
        tokens[row, range(len(found)), found] = 1.0
        mask[row, : len(found)] = True
    return averaged(Side(tokens, mask), most)
