"""Pictures in words: a person's texts, the class, a template of columns, or what a built-in shape shows."""

from __future__ import annotations

import string
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from scarce.contract import Caption, CaptionContext
from scarce.errors import DataError, RecipeError, did_you_mean

STYLES = ("user", "class", "shapes", "shapes-some")
TEMPLATE = "template:"
CLASS = "a photo of a {label}"
NAMED = 5


def captions(ctx: CaptionContext) -> list[Caption]:
    """One caption per picture in a style; RecipeError for a style there is none of, DataError where a record lacks what it says.

    "user": the column `caption`; "class": "a photo of a {label}"; "template:TEXT": TEXT with {label} and names of columns in
    braces filled in; "shapes": what the columns shape, colour, position and size say, with their places in the lists of
    `scarce_images.shapes` as properties; "shapes-some": the same without some of them, so that a generator also learns to be
    told little. Underscores in classes are spoken as spaces.
    """
    frame: pd.DataFrame = ctx.records
    if ctx.style.startswith(TEMPLATE):
        return _filled(ctx, ctx.style.removeprefix(TEMPLATE))
    if ctx.style not in STYLES:
        what = f"generate.prompt: pictures have the caption styles {', '.join(STYLES)} and {TEMPLATE}TEXT, not '{ctx.style}'"
        raise RecipeError(what, hint="--set generate.prompt=class")
    if ctx.style == "class":
        return _filled(ctx, CLASS)
    if ctx.style.startswith("shapes"):
        return _shapes(ctx)
    return [Caption(text=str(text)) for text in _column(ctx, "caption", frame)]


def _column(ctx: CaptionContext, name: str, frame: pd.DataFrame) -> list[Any]:
    """The values of a column; DataError naming records without one."""
    if len(frame) == 0:
        return []
    if name not in frame.columns:
        what = f"generate.prompt: style '{ctx.style}' needs a column '{name}'{did_you_mean(name, map(str, frame.columns))}"
        raise DataError(f"{what}; there are {', '.join(map(str, frame.columns))}", hint="--set generate.prompt=class")
    values = frame[name].tolist()
    empty = [i for i, v in enumerate(values) if v is None or v != v]
    if empty:
        ids = list(ctx.ids) or [str(i) for i in range(len(frame))]
        shown = ", ".join(ids[i] for i in empty[:NAMED]) + (f" and {len(empty) - NAMED} more" if len(empty) > NAMED else "")
        raise DataError(f"{len(empty)} of {len(values)} pictures have no {name}: {shown}", hint=f"fill the column '{name}'")
    return values


def _filled(ctx: CaptionContext, text: str) -> list[Caption]:
    """The text with each name in braces replaced by that column's value; {label} is the class."""
    try:
        names = [name for _, name, _, _ in string.Formatter().parse(text) if name is not None]
    except ValueError as error:
        raise RecipeError(f"generate.prompt: '{text}' is no template: {error}", hint="--set 'generate.prompt=a {label}'") from None
    if not all(name.isidentifier() for name in names):
        raise RecipeError(f"generate.prompt: '{text}' needs names of columns in its braces", hint="--set 'generate.prompt=a {label}'")
    frame: pd.DataFrame = ctx.records
    target = _target(ctx) if "label" in names and "label" not in frame.columns else "label"
    columns = {name: _column(ctx, target if name == "label" else name, frame) for name in names}
    rows = ({name: _spoken(values[i]) for name, values in columns.items()} for i in range(len(frame)))
    return [Caption(text=text.format(**row)) for row in rows]


def _target(ctx: CaptionContext) -> str:
    """The column of the class: the codec's target; without a codec the first beside picture and caption."""
    known: str | None = getattr(ctx.codec, "target", None)
    found = known if known is not None else next((str(c) for c in ctx.records.columns if c not in ("image", "caption")), "")
    if not found:
        raise RecipeError("generate.prompt: pictures without a class have no label to speak of", hint="--set generate.prompt=user")
    return found


def _spoken(value: Any) -> str:
    return value.replace("_", " ") if isinstance(value, str) else str(value)


def _left_out(words: Iterable[str], seed: int, record: str) -> set[str]:
    """Each of the words' names with probability 1/2, decided by the record's id."""
    draws = np.random.default_rng([seed % 2**63, zlib.crc32(record.encode())]).random(len(list(words)))
    return {name for name, draw in zip(words, draws, strict=True) if draw < 0.5}


def _shapes(ctx: CaptionContext) -> list[Caption]:
    from scarce_images import shapes

    words: Mapping[str, tuple[str, ...]] = {
        "shape": shapes.SHAPES, "colour": shapes.COLOURS, "position": shapes.POSITIONS, "size": shapes.SIZES,
    }  # fmt: skip
    columns = {name: _column(ctx, name, ctx.records) for name in words}
    ids = list(ctx.ids) or [str(i) for i in range(len(ctx.records))]
    left_out = [_left_out(words, ctx.seed, name) if ctx.style == "shapes-some" else set() for name in ids]
    out = []
    for i in range(len(ctx.records)):
        row = {name: values[i] for name, values in columns.items()}
        unknown = next((name for name, value in row.items() if value not in words[name]), None)
        if unknown is not None:
            what = f"generate.prompt: no built-in shape has the {unknown} '{row[unknown]}'"
            raise DataError(what, hint=f"one of {', '.join(words[unknown])}; or --set generate.prompt=user")
        told = {name: value for name, value in row.items() if name == "shape" or name not in left_out[i]}
        out.append(Caption(text=shapes.caption(told), props={name: float(words[name].index(value)) for name, value in told.items()}))
    return out
