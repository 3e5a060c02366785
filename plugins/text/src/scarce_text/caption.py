"""What a text asks a generator of another modality for: short enough for its text encoder, and blind to the label.

Text encoders of the CLIP family read 75 tokens. Words are charged so that a caption has no more: a common English word of at most
four letters is one token; another word of n Latin letters n // 2 + 1, or n where it has no vowel, four consonants in a row
or more than 20 letters; any other character one for each of its UTF-8 bytes. CLIP's tokenizer finds at most 53 in captions of the
built-in texts; only salads of rare letters reach up to 80, whose end the encoder then cuts.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from scarce.contract import Caption, CaptionContext
from scarce.errors import DataError, did_you_mean
from scarce_text.codec import TextCodec

MOST, KEYWORDS = 75, 12  # tokens of a caption; words of the style `keywords`
PIECE = re.compile(r"[^\W\d_]+|\S")  # a word of letters, or one other character
TERM = re.compile(r"\w+")
SENTENCE = re.compile(r"(?<=[.!?…。！？])[\"'”’)\]]*\s+|\n+")
HARD = re.compile(r"[^aeiouy]{4}")
VOWEL = re.compile(r"[aeiouy]")
USER = ("caption", "prompt")

Weights = Mapping[str, float] | None


def captions(ctx: CaptionContext) -> list[Caption]:
    """One caption per record, of its text and target word alone; raises DataError for a style that is unknown or lacks its column."""
    if ctx.style not in STYLES:
        what = f"caption style '{ctx.style}' is not one of {', '.join(STYLES)}{did_you_mean(ctx.style, STYLES)}"
        raise DataError(what, hint="--set generate.prompt=summarise")
    weights = ctx.codec.weights if isinstance(ctx.codec, TextCodec) else None
    frame: pd.DataFrame = ctx.records
    return [Caption(text=text) for text in STYLES[ctx.style](frame, weights)]


def cost(piece: str) -> int:
    """The most tokens that a word or character takes in the encoder's vocabulary of byte pairs; see the top of the file."""
    n, lower = len(piece), piece.lower()
    if not (piece.isascii() and piece.isalpha()):
        return len(piece.encode("utf-8", "surrogatepass"))
    if n == 1 or (n < 5 and lower in ENGLISH_STOP_WORDS):
        return 1
    return n if n > 20 or HARD.search(lower) or not VOWEL.search(lower) else n // 2 + 1


def costs(text: str) -> int:
    """The most tokens of a text."""
    return sum(map(cost, PIECE.findall(text)))


def cut(text: str, most: int = MOST) -> str:
    """The beginning of a text, whole words of at most `most` tokens; of a single longer one as many characters as fit."""
    text, spent, end = " ".join(text.split()), 0, 0
    for found in PIECE.finditer(text):
        spent += cost(found[0])
        if spent > most:
            break
        end = found.end()
    else:
        return text
    whole = text[:end].rstrip() if text[end : end + 1].isspace() else text[:end].rpartition(" ")[0]
    if whole:
        return whole
    kept = 0
    while kept < len(text) and len(text[: kept + 1].encode("utf-8", "surrogatepass")) <= most:
        kept += 1
    return text[:kept]


def sentences(text: str) -> list[str]:
    """Sentences in order, by their full stops and line ends."""
    return [s for part in SENTENCE.split(text) if (s := " ".join((part or "").split()))]


def terms(text: str, weights: Weights) -> dict[str, float]:
    """Weight of each word that says something, in order of appearance: (1 + log count) idf; without a codec all idf are 1."""
    counts = Counter(w for w in map(str.lower, TERM.findall(text)) if w not in ENGLISH_STOP_WORDS and len(w) > 1 and not w.isdigit())
    return {w: (1 + float(np.log(n))) * (1.0 if weights is None else weights.get(w, 0.0)) for w, n in counts.items()}


def summary(text: str, weights: Weights) -> str:
    """The most central sentences that fit, in their order.

    Central: the mean cosine of a sentence's TF-IDF vector to those of all others (LexRank's degree, arXiv 1109.2128).
    """
    found = sentences(text)
    if len(found) < 2 or costs(text) <= MOST:
        return cut(text)
    vectors = [terms(s, weights) for s in found]
    index = {w: i for i, w in enumerate(dict.fromkeys(w for v in vectors for w in v))}
    x = np.zeros((len(found), len(index) + 1))
    for row, vector in enumerate(vectors):
        for word, weight in vector.items():
            x[row, index[word]] = weight
    x /= np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    central = (x @ x.T).sum(1)
    spent, chosen = 0, list[int]()
    for i in np.argsort(-central.round(9), kind="stable").tolist():
        if spent + (price := costs(found[i])) <= MOST:
            chosen.append(i)
            spent += price
    return " ".join(found[i] for i in sorted(chosen)) if chosen else cut(found[int(np.argmax(central.round(9)))])


def keywords(text: str, weights: Weights) -> str:
    """At most KEYWORDS words of the greatest TF-IDF weight, the greatest first; the text's beginning where no word says anything."""
    found = {w: v for w, v in terms(text, weights).items() if v > 0} or terms(text, None)
    order = sorted(found, key=lambda w: -round(found[w], 9))  # equal ones in order of appearance
    spent, chosen = 0, list[str]()
    for word in order:
        price = costs(word) + (1 if chosen else 0)  # the comma
        if spent + price <= MOST and len(chosen) < KEYWORDS:
            chosen.append(word)
            spent += price
    return ", ".join(chosen) or cut(text)


def context(word: str, text: str) -> str:
    """The target word, then its sentence, of a long one the part around the word."""
    word = cut(word, MOST // 3)
    pattern = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)", re.IGNORECASE)
    found = sentences(text)
    here = next((s for s in found if pattern.search(s)), next((s for s in found if word.casefold() in s.casefold()), text))
    room = MOST - costs(word) - 1
    if costs(here) > room and (place := here.casefold().find(word.casefold())) > 0:
        tokens = [(m.start(), cost(m[0])) for m in PIECE.finditer(here[:place])]
        before, start = 0, place
        for at, price in reversed(tokens):
            if (before := before + price) > (room - costs(word)) // 2:
                break
            start = at
        start = start if start == 0 or here[start - 1 : start].isspace() else here.find(" ", start, place) + 1 or place
        here = here[start:]
    return f"{word}: {cut(here, room)}"


def _texts(make: Callable[[str, Weights], str]) -> Callable[[pd.DataFrame, Weights], list[str]]:
    return lambda frame, weights: [make(text, weights) for text in frame["text"]]


def _contexts(frame: pd.DataFrame, weights: Weights) -> list[str]:
    if "word" not in frame.columns:
        raise DataError("caption style 'context' speaks of a target word, and these texts have none", hint="--set data.options.word=COLUMN")
    return [context(word, text) for word, text in zip(frame["word"], frame["text"], strict=True)]


def _own(frame: pd.DataFrame, weights: Weights) -> list[str]:
    name = next((c for c in USER if c in frame.columns), None)
    missing = [] if name is None else [i for i, v in enumerate(frame[name]) if not isinstance(v, str) or not v.strip()]
    if name is None or missing:
        what = "these texts have no column `caption` or `prompt`" if name is None else f"{len(missing)} texts have no {name}"
        raise DataError(f"caption style 'user': {what}", hint="--set generate.prompt=summarise")
    return [cut(v) for v in frame[name]]


STYLES: Mapping[str, Callable[[pd.DataFrame, Weights], list[str]]] = {
    "truncate": _texts(lambda text, _: cut(text)), "summarise": _texts(summary), "keywords": _texts(keywords), "context": _contexts,
    "user": _own,
}  # fmt: skip
