"""Series in words: each caption with the numbers it speaks of."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from scarce.contract import Caption, CaptionContext
from scarce.errors import RecipeError
from scarce_timeseries.properties import properties, quintiles
from scarce_timeseries.signals import as_series
from scarce_timeseries.tables import OWN

BINS = ("very low", "low", "medium", "high", "very high")
STYLES = ("exact", "binned", "paraphrase", "user")
WORDS = {"frequency": "dominant frequency", "peaks": "number of peaks"}
Edges = Mapping[str, Sequence[float]]
Words = Mapping[str, str]


def captions(ctx: CaptionContext) -> list[Caption]:
    """One caption per series in a style; RecipeError for a style there is none of.

    "exact": every property to four digits; "binned": a word per property, by quintiles of the training series (the
    codec's; without one of the given series); "paraphrase": the same words in one of several sentences, chosen by seed and
    id; "user": the text a person gave, empty where there is none.
    """
    if ctx.style not in STYLES:
        what = f"generate.prompt: series have the caption styles {', '.join(STYLES)}, not '{ctx.style}'"
        raise RecipeError(what, hint="--set generate.prompt=exact")
    frame: pd.DataFrame = ctx.records
    if len(frame) == 0:
        return []
    channels = channels_of(ctx)
    props = [properties(cell, channels) for cell in frame["series"]]
    if ctx.style == "user":
        given = frame["caption"].tolist() if "caption" in frame.columns else [None] * len(frame)
        return [Caption(text=text if isinstance(text, str) else "", props=p) for text, p in zip(given, props, strict=True)]
    subjects = [subject(frame, i) for i in range(len(frame))]
    if ctx.style == "exact":
        return [Caption(text=f"{who}: {exact(p)}", props=p) for who, p in zip(subjects, props, strict=True)]
    edges: Edges = getattr(ctx.codec, "edges", None) or quintiles(props)
    words = [{name: word(value, edges[name]) for name, value in p.items() if name in edges} for p in props]
    if ctx.style == "binned":
        return [Caption(text=f"{who}: {binned(w)}", props=p) for who, w, p in zip(subjects, words, props, strict=True)]
    ids = list(ctx.ids) or [str(i) for i in range(len(frame))]
    texts = [TEMPLATES[choice(ctx.seed, key)](who, w) for key, who, w in zip(ids, subjects, words, strict=True)]
    return [Caption(text=text, props=p) for text, p in zip(texts, props, strict=True)]


def channels_of(ctx: CaptionContext) -> tuple[str, ...]:
    """Names of channels: the codec's, else of their positions."""
    given: tuple[str, ...] | None = getattr(ctx.codec, "channels", None)
    width = as_series(ctx.records["series"].iloc[0]).shape[1]
    return given if given and len(given) == width else ("value",) if width == 1 else tuple(f"dim_{i}" for i in range(width))


def subject(frame: pd.DataFrame, row: int) -> str:
    """What a series is called: "a circle gesture" for the class "circle" of a target "gesture", "a series" without one."""
    target = next((str(c) for c in frame.columns if c not in OWN), None)
    value: Any = None if target is None else frame[target].iloc[row]
    if value is None or value != value:
        return "a series"
    if not isinstance(value, str) or str(target).lower() in ("class", "target", "label", "y"):
        return f"a series of {target} {value}"
    return f"{'an' if value[:1].lower() in 'aeiou' else 'a'} {value} {target}"


def exact(props: Mapping[str, float]) -> str:
    """ "mean 0.512, variance 0.01, …": each property and its value to four digits."""
    return ", ".join(f"{spoken(name)} {value:.4g}" for name, value in props.items())


def binned(words: Words) -> str:
    """ "mean high, variance very low, …": each property and its bin."""
    return ", ".join(f"{spoken(name)} {w}" for name, w in words.items())


def spoken(name: str) -> str:
    """A property's name in words: "x frequency" is "x dominant frequency"."""
    channel, _, last = name.rpartition(" ")
    return f"{channel} {WORDS.get(last, last)}".strip()


def word(value: float, edges: Sequence[float]) -> str:
    """The fifth a value lies in; where training values are all the same, that value is "medium"."""
    if edges[0] == edges[-1]:
        return BINS[2 if value == edges[0] else 4 if value > edges[0] else 0]
    return BINS[int(np.searchsorted(edges, value, side="right"))]


def choice(seed: int, key: str) -> int:
    """Which template a record gets: a stable hash of seed and id."""
    return int.from_bytes(hashlib.blake2b(f"{seed}/{key}".encode(), digest_size=4).digest(), "big") % len(TEMPLATES)


def _clauses(words: Words, said: Callable[[str, str], str]) -> list[str]:
    return [said(spoken(name), w) for name, w in words.items()]


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


TEMPLATES: tuple[Callable[[str, Words], str], ...] = (
    lambda who, words: f"{who} with {_listed(_clauses(words, lambda n, w: f'{w} {n}'))}.",
    lambda who, words: f"{who}. {'; '.join(_clauses(words, lambda n, w: f'the {n} is {w}'))}.",
    lambda who, words: f"this is {who} whose {_listed(_clauses(words, lambda n, w: f'{n} is {w}'))}.",
    lambda who, words: f"make {who}, having {_listed(_clauses(words, lambda n, w: f'a {w} {n}'))}.",
    lambda who, words: f"{who} showing {', '.join(_clauses(words, lambda n, w: f'{n} that is {w}'))}.",
    lambda who, words: f"we see {who}; {_listed(_clauses(words, lambda n, w: f'{w} values of {n}'))}.",
)
