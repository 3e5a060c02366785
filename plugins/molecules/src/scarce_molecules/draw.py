"""Pictures of molecules: structures of real ones beside synthetic ones, and how large they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from rdkit import Chem
from rdkit.Chem import rdDepictor
from rdkit.Chem.Draw import rdMolDraw2D

from scarce.contract import DrawContext, Figure
from scarce_molecules.bonds import quiet, valid

SHOWN = 8
COLUMNS = 4
WIDE, HIGH = 200, 150
COLOURS = {"real": "#3b6fb6", "synthetic": "#d9622b"}


def draw_molecules(ctx: DrawContext) -> list[Figure]:
    """Structures of each side and their sizes; without synthetic molecules those of the real ones alone."""
    sides: dict[str, pd.DataFrame] = {"real": ctx.real, "synthetic": ctx.synthetic}
    sides = {who: frame for who, frame in sides.items() if len(frame)}
    return [*(structures(who, frame, ctx.seed) for who, frame in sides.items()), sizes(sides)] if sides else []


def structures(who: str, frame: pd.DataFrame, seed: int) -> Figure:
    """A few valid molecules of one side."""
    texts = frame["smiles"].tolist()
    good = [i for i, text in enumerate(texts) if valid(text)]
    chosen = np.random.default_rng([seed, 8]).permutation(good)[:SHOWN].tolist()
    caption = (
        f"{len(chosen)} of the {len(good)} valid {who} molecules, drawn at random; {len(texts) - len(good)} of {len(texts)} are not valid."
    )
    return Figure(
        name=f"molecules_{who}", title=f"Molecules, {who}", caption=caption, html=grid([texts[i] for i in chosen]), section="molecules"
    )


def grid(texts: list[str], legends: list[str] | None = None) -> str:
    """Structures of SMILES in rows of four, as one SVG; a sentence where there is none."""
    if not texts:
        return "<p>There is none.</p>"
    mols = []
    with quiet():
        for text in texts:
            mol = Chem.MolFromSmiles(text)
            rdDepictor.Compute2DCoords(mol)
            mols.append(mol)
        rows = -(-len(mols) // COLUMNS)
        picture = rdMolDraw2D.MolDraw2DSVG(COLUMNS * WIDE, rows * HIGH, WIDE, HIGH)
        picture.DrawMolecules(mols, legends=legends or [""] * len(mols))
        picture.FinishDrawing()
    found = str(picture.GetDrawingText())
    return found[found.index("<svg") :]


def sizes(sides: dict[str, pd.DataFrame]) -> Figure:
    """How many heavy atoms molecules of each side have."""
    traces: list[dict[str, Any]] = []
    for who, frame in sides.items():
        values, counts = np.unique([len(symbols) for symbols in frame["atoms"]], return_counts=True)
        share = (counts / counts.sum()).tolist()
        traces.append({"type": "bar", "name": who, "x": values.tolist(), "y": share, "marker": {"color": COLOURS[who]}})
    layout = {"xaxis": {"title": {"text": "heavy atoms"}}, "yaxis": {"title": {"text": "share"}}, "barmode": "group", "height": 280}
    return Figure(
        name="molecule_sizes", title="Sizes", caption="Heavy atoms of each molecule.", traces=traces, layout=layout, section="molecules"
    )
