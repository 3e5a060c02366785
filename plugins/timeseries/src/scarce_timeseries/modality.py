"""Modality `timeseries`: series of one or many channels from files, arrays and DataFrames."""

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
from scarce_timeseries.baselines import series_baselines
from scarce_timeseries.caption import captions
from scarce_timeseries.codec import SeriesCodec, fit_codec, read_codec
from scarce_timeseries.config import Timeseries as TimeseriesOptions
from scarce_timeseries.draw import draw_series
from scarce_timeseries.load import load_series
from scarce_timeseries.write import write_series


class Timeseries(ModalitySpec):
    """Records are rows of a DataFrame whose column `series` holds float arrays [steps, channels], NaN where missing."""

    def __init__(self, options: TimeseriesOptions) -> None:
        self.options = options

    @hookimpl
    def modality_load(self, ctx: LoadContext) -> Dataset:
        """Series of a file, a built-in data set or a DataFrame."""
        return load_series(ctx, self.options)

    @hookimpl
    def modality_codec(self, ctx: CodecContext) -> SeriesCodec:
        """A codec of the training series, or the saved one."""
        if ctx.saved is not None:
            return read_codec(ctx.saved)
        if ctx.dataset is None:
            raise RunError("a series codec needs data or a saved codec", hint="scarce run timeseries/series --data FILE")
        return fit_codec(ctx.dataset)

    @hookimpl
    def modality_caption(self, ctx: CaptionContext) -> list[Caption]:
        """Series in words."""
        return captions(ctx)

    @hookimpl
    def modality_write(self, ctx: WriteContext) -> Path:
        """A file in the format of its suffix."""
        return write_series(ctx.records, ctx.path, ctx.schema)

    @hookimpl
    def modality_draw(self, ctx: DrawContext) -> list[Figure]:
        """Curves and bands of values by step."""
        return draw_series(ctx)

    @hookimpl
    def modality_baselines(self, ctx: BaselineContext) -> Mapping[str, Any]:
        """Barycentres of neighbours, distorted copies and a bootstrap copy."""
        return series_baselines(ctx)
