"""Modality `text`: texts with classes, from folders, tables and DataFrames; data to learn from, never to generate."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from scarce.contract import (
    BaselineContext,
    Caption,
    CaptionContext,
    CodecContext,
    Dataset,
    DrawContext,
    Figure,
    LoadContext,
    ModalitySpec,
    WriteContext,
    hookimpl,
    take,
)
from scarce.errors import RunError
from scarce_text.caption import captions
from scarce_text.codec import TextCodec, fit_codec, read_codec
from scarce_text.config import Text as TextOptions
from scarce_text.draw import draw_texts
from scarce_text.load import load_texts
from scarce_text.write import write_texts


class Text(ModalitySpec):
    """Records are rows of a DataFrame with a column `text`, and `word` where a word in it is what is judged."""

    def __init__(self, options: TextOptions) -> None:
        self.options = options

    @hookimpl
    def modality_load(self, ctx: LoadContext) -> Dataset:
        """Texts of a folder, a file, a built-in data set or a DataFrame."""
        return load_texts(ctx, self.options)

    @hookimpl
    def modality_codec(self, ctx: CodecContext) -> TextCodec:
        """TF-IDF vectors fitted on the training texts, or the saved ones."""
        if ctx.saved is not None:
            return read_codec(ctx.saved)
        if ctx.dataset is None:
            raise RunError("a codec of texts needs data or a saved codec", hint="scarce run text/reviews --data FILE")
        return fit_codec(ctx.dataset, ctx.seed)

    @hookimpl
    def modality_caption(self, ctx: CaptionContext) -> list[Caption]:
        """Short prompts for a generator of another modality; see `caption`."""
        return captions(ctx)

    @hookimpl
    def modality_write(self, ctx: WriteContext) -> Path:
        """A Parquet or JSONL file."""
        return write_texts(ctx.records, ctx.path)

    @hookimpl
    def modality_draw(self, ctx: DrawContext) -> list[Figure]:
        """A few texts of each class and their lengths."""
        return draw_texts(ctx)

    @hookimpl
    def modality_baselines(self, ctx: BaselineContext) -> Mapping[str, Any]:
        """ "bootstrap": n copies drawn from the labelled training texts."""
        rows = ctx.dataset.rows("train")
        rows = rows[ctx.dataset.labelled[rows]] if ctx.dataset.labelled[rows].any() else rows
        return {"bootstrap": take(ctx.dataset.records, rows[np.random.default_rng(ctx.seed).integers(len(rows), size=ctx.n)])}
