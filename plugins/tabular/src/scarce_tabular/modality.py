"""Modality `tabular`: CSV, Parquet files and DataFrames."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

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
from scarce_tabular.baselines import table_baselines
from scarce_tabular.caption import captions
from scarce_tabular.codec import TableCodec, read_codec
from scarce_tabular.config import Tabular as TabularOptions
from scarce_tabular.draw import draw_columns
from scarce_tabular.fitting import fit_codec
from scarce_tabular.load import load_table
from scarce_tabular.look import look
from scarce_tabular.rest import load_held
from scarce_tabular.write import write_table


class Tabular(ModalitySpec):
    """Tables with numbers, categories, dates, identifiers and missing values."""

    def __init__(self, options: TabularOptions) -> None:
        self.options = options

    @hookimpl
    def modality_load(self, ctx: LoadContext) -> Dataset:
        """Rows of a file, a built-in table or a DataFrame."""
        load = load_table if ctx.hold is None else load_held
        return load(ctx, self.options.constraints)

    @hookimpl
    def modality_codec(self, ctx: CodecContext) -> TableCodec:
        """A codec of the training rows, or the saved one."""
        if ctx.saved is not None:
            return read_codec(ctx.saved)
        if ctx.dataset is None:
            raise RunError("a table codec needs data or a saved codec", hint="scarce run tabular/table --data FILE")
        return fit_codec(ctx.dataset, seed=ctx.seed, label_is_condition=ctx.label_is_condition, most_levels=self.options.levels)

    @hookimpl
    def modality_caption(self, ctx: CaptionContext) -> list[Caption]:
        """Rows in words."""
        return captions(ctx)

    @hookimpl
    def modality_write(self, ctx: WriteContext) -> Path:
        """A file in the format of its suffix."""
        records: pd.DataFrame | Any = ctx.records
        return write_table(records, ctx.path, ctx.schema)

    @hookimpl
    def modality_draw(self, ctx: DrawContext) -> list[Figure]:
        """Column overlays; without synthetic rows a look at the real ones."""
        return draw_columns(ctx) if len(ctx.synthetic) else look(ctx)

    @hookimpl
    def modality_baselines(self, ctx: BaselineContext) -> Mapping[str, Any]:
        """Marginals, SMOTE-like rows and a bootstrap copy."""
        return table_baselines(ctx)
