"""Modality `motion`: clips of one skeleton from DeepMimic, BVH and .npz files, and DataFrames."""

from __future__ import annotations

from collections.abc import Mapping
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
from scarce_motion.baselines import motion_baselines
from scarce_motion.codec import MotionCodec, fit_codec, read_codec
from scarce_motion.config import Motion as MotionOptions
from scarce_motion.draw import draw_motion
from scarce_motion.load import load_motion
from scarce_motion.words import captions
from scarce_motion.write import write_motion


class Motion(ModalitySpec):
    """Records are rows of a DataFrame whose column `motion` holds float arrays [frames, 3 + 4 k]: root position, quaternions."""

    def __init__(self, options: MotionOptions) -> None:
        self.options = options

    @hookimpl
    def modality_load(self, ctx: LoadContext) -> Dataset:
        """Motions of a file, a folder, a built-in data set or a DataFrame."""
        return load_motion(ctx, self.options)

    @hookimpl
    def modality_codec(self, ctx: CodecContext) -> MotionCodec:
        """A codec of the training motions, or the saved one."""
        if ctx.saved is not None:
            return read_codec(ctx.saved)
        if ctx.dataset is None:
            raise RunError("a motion codec needs data or a saved codec", hint="scarce run text2data/motion --data FOLDER")
        return fit_codec(ctx.dataset)

    @hookimpl
    def modality_caption(self, ctx: CaptionContext) -> list[Caption]:
        """Motions in words."""
        return captions(ctx)

    @hookimpl
    def modality_write(self, ctx: WriteContext) -> Path:
        """A file in the format of its suffix."""
        return write_motion(ctx.records, ctx.path, ctx.schema)

    @hookimpl
    def modality_draw(self, ctx: DrawContext) -> list[Figure]:
        """Moving skeletons."""
        return draw_motion(ctx)

    @hookimpl
    def modality_baselines(self, ctx: BaselineContext) -> Mapping[str, Any]:
        """Shaken copies and a bootstrap copy."""
        return motion_baselines(ctx)
