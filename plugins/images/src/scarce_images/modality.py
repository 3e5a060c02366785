"""Modality `images`: pictures of one size from folders, archives, tables, arrays and DataFrames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

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
)
from scarce.errors import RunError
from scarce_images.baselines import image_baselines
from scarce_images.caption import captions
from scarce_images.codec import ImageCodec, make_codec, read_codec
from scarce_images.config import Images as ImagesOptions
from scarce_images.draw import draw_images
from scarce_images.load import load_images
from scarce_images.write import write_images


class Images(ModalitySpec):
    """Records are rows of a DataFrame whose column `image` holds uint8 arrays [size, size, 3]."""

    def __init__(self, options: ImagesOptions) -> None:
        self.options = options

    @hookimpl
    def modality_load(self, ctx: LoadContext) -> Dataset:
        """Pictures of a folder, a file, a built-in data set or a DataFrame."""
        return load_images(ctx, self.options)

    @hookimpl
    def modality_codec(self, ctx: CodecContext) -> ImageCodec:
        """A codec of the data's size and classes; the saved one, with the classes of the data where both are given."""
        if ctx.saved is not None:
            saved = read_codec(ctx.saved)
            return saved if ctx.dataset is None else replace(saved, target=ctx.dataset.target_name, classes=ctx.dataset.classes)
        if ctx.dataset is None:
            raise RunError("a codec of pictures needs data or a saved codec", hint="scarce run images/shapes --data FOLDER")
        return make_codec(ctx.dataset)

    @hookimpl
    def modality_caption(self, ctx: CaptionContext) -> list[Caption]:
        """Pictures in words."""
        return captions(ctx)

    @hookimpl
    def modality_write(self, ctx: WriteContext) -> Path:
        """A folder, an archive or a file, as the suffix says."""
        return write_images(ctx.records, ctx.path, ctx.schema)

    @hookimpl
    def modality_draw(self, ctx: DrawContext) -> list[Figure]:
        """A gallery of real beside synthetic pictures."""
        return draw_images(ctx)

    @hookimpl
    def modality_baselines(self, ctx: BaselineContext) -> Mapping[str, Any]:
        """Distorted copies and a bootstrap copy."""
        return image_baselines(ctx)
