"""What gives a class away: texts that hold the name of their own class, and target words that are not where they should be."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

from scarce.contract import Dataset

FEWEST, AROUND = 3, 30  # letters of a name that is looked for; characters of a quotation on either side
BETWEEN = re.compile(r"[\W_]+")


def spoken(text: Any) -> str:
    """Words in lower case with one space before, between and after them, whatever stood there."""
    return f" {BETWEEN.sub(' ', str(text).lower()).strip()} "


def label_note(data: Dataset) -> list[str]:
    """A note with a count, how often texts hold the name of another class, and a quotation; none where no text holds its own.

    Numbers and names of fewer than three letters are not looked for.
    """
    values = [] if data.target is None else data.target.tolist()
    names = {v: spoken(v) for v in dict.fromkeys(values) if isinstance(v, str) and sum(map(str.isalpha, v)) >= FEWEST}
    if not names:
        return []
    named, own, other, quoted = 0, 0, 0, ""
    for text, value in zip(data.records["text"], values, strict=True):
        said = spoken(text)
        found = {v for v, name in names.items() if name in said}
        named, own, other = named + (value in names), own + (value in found), other + bool(found - {value})
        if value in found and not quoted:
            quoted = _quotation(text, names[value])
    if not own:
        return []
    return [f"{own} of {named} texts hold the name of their own class, {other} that of another, such as {quoted}: it may be read off"]


def _quotation(text: str, name: str) -> str:
    words = r"[\W_]+".join(map(re.escape, name.split()))
    match = re.search(rf"(?<![^\W_]){words}(?![^\W_])", text, re.IGNORECASE)
    if match is None:  # lower case that is longer than the letter it is of
        return f"'{name.strip()}'"
    start, end = max(0, match.start() - AROUND), match.end() + AROUND
    return f"'{'…' * (start > 0)}{' '.join(text[start:end].split())}{'…' * (end < len(text))}'"


def word_note(frame: pd.DataFrame) -> list[str]:
    """A note on target words that their sentence does not hold; none without target words."""
    if "word" not in frame.columns:
        return []
    gone = [w for w, t in zip(frame["word"], frame["text"], strict=True) if w.casefold() not in t.casefold()]
    return [f"{len(gone)} target words are not in their sentence, such as '{gone[0]}'"] if gone else []
