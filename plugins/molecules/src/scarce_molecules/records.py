"""Records of points: what molecule they are, and the columns that a data set's records have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from scarce_molecules.bonds import molecule
from scarce_molecules.raw import OWN, Floats, charges_of, column, ordered, symbols_of

Row = tuple[str | None, list[str], list[int], Floats]


def as_row(symbols: Sequence[str], charges: Sequence[int], xyz: Floats) -> Row:
    """smiles, atoms, charges and centred xyz of points; no SMILES where they are no molecule, else atoms in the order of its SMILES."""
    xyz = xyz - xyz.mean(0) if len(xyz) else xyz
    mol = molecule(symbols, charges, xyz)
    if mol is None:
        return None, list(symbols), list(charges), xyz
    text, mol = ordered(mol)
    return text, symbols_of(mol), charges_of(mol), np.asarray(mol.GetConformer().GetPositions(), dtype=np.float64)


def frame_of(rows: Sequence[Row], columns: Sequence[str]) -> pd.DataFrame:
    """Records with the given columns; nothing is known of them but what they are."""
    out: dict[str, Any] = {name: column([None] * len(rows)) for name in columns}
    out |= {name: column(row[i] for row in rows) for i, name in enumerate(OWN)}
    return pd.DataFrame(out)
