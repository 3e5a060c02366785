"""Molecules in words: each caption with the numbers it speaks of."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from scarce.contract import Caption, CaptionContext
from scarce.errors import RecipeError
from scarce_molecules.properties import WORDS, properties, quintiles

BINS = ("very low", "low", "medium", "high", "very high")
SIZES = ("very small", "small", "medium", "large", "very large")
STYLES = ("exact", "binned", "paraphrase", "user")
Edges = Mapping[str, Sequence[float]]
Said = Sequence[tuple[str, int]]


def captions(ctx: CaptionContext) -> list[Caption]:
    """One caption per molecule in a style; RecipeError for a style there is none of.

    "exact": every property to three digits; "binned": a word per property, by quintiles of the labelled training molecules (the
    codec's; without one of the given molecules); "paraphrase": the same in one of several sentences, in one of two sets of
    words and any order, chosen by seed and id; "user": the text a person gave, empty where there is none. What is no valid molecule has no
    properties.
    """
    if ctx.style not in STYLES:
        what = f"generate.prompt: molecules have the caption styles {', '.join(STYLES)}, not '{ctx.style}'"
        raise RecipeError(what, hint="--set generate.prompt=binned")
    frame: pd.DataFrame = ctx.records
    props = properties(frame, getattr(ctx.codec, "properties", "descriptors"))
    if ctx.style == "user":
        given = frame["caption"].tolist() if "caption" in frame.columns else [None] * len(frame)
        return [Caption(text=text if isinstance(text, str) else "", props=p) for text, p in zip(given, props, strict=True)]
    subjects = [subject(frame, i, ctx.codec) for i in range(len(frame))]
    if ctx.style == "exact":
        return [Caption(text=f"{who}: {exact(p)}", props=p) for who, p in zip(subjects, props, strict=True)]
    edges: Edges = getattr(ctx.codec, "edges", None) or quintiles(props)
    said = [[(name, fifth(value, edges[name])) for name, value in p.items() if name in edges] for p in props]
    if ctx.style == "binned":
        return [Caption(text=f"{who}: {binned(s)}", props=p) for who, s, p in zip(subjects, said, props, strict=True)]
    ids = list(ctx.ids) or [str(i) for i in range(len(frame))]
    texts = [paraphrase(who, s, ctx.seed, key) for who, s, key in zip(subjects, said, ids, strict=True)]
    return [Caption(text=text, props=p) for text, p in zip(texts, props, strict=True)]


def subject(frame: pd.DataFrame, row: int, codec: Any) -> str:
    """ "a molecule", or "a molecule of hydration low" where it has a class."""
    target = getattr(codec, "target", "") if getattr(codec, "classes", ()) else ""
    value = frame[target].iloc[row] if target in frame.columns else None
    return "a molecule" if value is None or value != value else f"a molecule of {target} {value}"


def exact(props: Mapping[str, float]) -> str:
    """ "lipophilicity 1.52, polar surface 38.3, …": each property and its value to three digits."""
    return ", ".join(f"{WORDS[name]} {value:.3g}" for name, value in props.items()) or "nothing is known"


def binned(said: Said) -> str:
    """ "lipophilicity high, polar surface very low, …": each property and its fifth."""
    return ", ".join(f"{WORDS[name]} {BINS[place]}" for name, place in said) or "nothing is known"


def fifth(value: float, edges: Sequence[float]) -> int:
    """Which fifth a value lies in, 0 to 4; where training values are all the same, that value is in the middle."""
    if edges[0] == edges[-1]:
        return 2 if value == edges[0] else 4 if value > edges[0] else 0
    return int(np.searchsorted(edges, value, side="right"))


def paraphrase(who: str, said: Said, seed: int, key: str) -> str:
    """One of several sentences, the same for the same seed and id."""
    if not said:
        return f"{who}."
    rng = np.random.default_rng(int.from_bytes(hashlib.blake2b(f"{seed}/{key}".encode(), digest_size=8).digest(), "big"))
    words = (BINS, SIZES)[int(rng.integers(2))]
    parts = [(WORDS[said[int(i)][0]], words[said[int(i)][1]]) for i in rng.permutation(len(said))]
    return TEMPLATES[int(rng.integers(len(TEMPLATES)))](who, parts)


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _each(parts: Sequence[tuple[str, str]], form: str) -> str:
    return _listed([form.format(name=name, word=word) for name, word in parts])


TEMPLATES: tuple[Callable[[str, Sequence[tuple[str, str]]], str], ...] = (
    lambda who, parts: f"{who} with a {_each(parts, '{word} {name}')}.",
    lambda who, parts: f"{who} whose {_each(parts, '{name} is {word}')}.",
    lambda who, parts: f"make {who} that has {_each(parts, 'a {word} {name}')}.",
    lambda who, parts: f"{who}. {_each(parts, 'the {name} is {word}')}.",
    lambda who, parts: f"{who} of {_each(parts, '{word} {name}')}.",
)
