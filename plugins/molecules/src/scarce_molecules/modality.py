"""Modality `molecules`: structures from SMILES tables, SDF and XYZ files, as heavy atoms in space."""

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
from scarce_molecules.baselines import molecule_baselines
from scarce_molecules.caption import captions
from scarce_molecules.codec import MoleculeCodec, fit_codec, read_codec
from scarce_molecules.config import Molecules as MoleculesOptions
from scarce_molecules.draw import draw_molecules
from scarce_molecules.load import load_molecules
from scarce_molecules.write import write_molecules


class Molecules(ModalitySpec):
    """Records are rows of a DataFrame: `smiles` (None: no molecule), `atoms`, `charges`, `xyz` [n, 3] Å, and what else is known."""

    def __init__(self, options: MoleculesOptions) -> None:
        self.options = options

    @hookimpl
    def modality_load(self, ctx: LoadContext) -> Dataset:
        """Molecules of a file, a built-in data set or a DataFrame."""
        return load_molecules(ctx, self.options)

    @hookimpl
    def modality_codec(self, ctx: CodecContext) -> MoleculeCodec:
        """A codec of the training molecules, or the saved one."""
        if ctx.saved is not None:
            return read_codec(ctx.saved)
        if ctx.dataset is None:
            raise RunError("a codec of molecules needs data or a saved codec", hint="scarce run text2data/molecules --data FILE")
        return fit_codec(ctx.dataset)

    @hookimpl
    def modality_caption(self, ctx: CaptionContext) -> list[Caption]:
        """Molecules in words."""
        return captions(ctx)

    @hookimpl
    def modality_write(self, ctx: WriteContext) -> Path:
        """A file in the format of its suffix."""
        return write_molecules(ctx.records, ctx.path)

    @hookimpl
    def modality_draw(self, ctx: DrawContext) -> list[Figure]:
        """Structures and sizes."""
        return draw_molecules(ctx)

    @hookimpl
    def modality_baselines(self, ctx: BaselineContext) -> Mapping[str, Any]:
        """Recombined halves, two controls and a bootstrap copy."""
        return molecule_baselines(ctx)
