"""Molecules as they are read, before anything is left out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from rdkit import Chem

Floats = npt.NDArray[np.float64]
OWN = ("smiles", "atoms", "charges", "xyz")
"""Columns of a record that say what the molecule is."""


@dataclass(frozen=True, kw_only=True)
class RawMolecule:
    """One molecule of a source: where it stands there, what it is (None: it can't be read), and what is known of it.

    xyz: whether the conformer that `mol` carries is the source's own.
    """

    place: str
    mol: Chem.Mol | None
    values: dict[str, Any] = field(default_factory=dict)
    xyz: bool = False


@dataclass(frozen=True, kw_only=True)
class Raw:
    """All molecules of one source, the names of what is known of them, and notes for a person."""

    name: str
    molecules: list[RawMolecule]
    columns: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def symbols_of(mol: Chem.Mol) -> list[str]:
    """[n] elements."""
    return [atom.GetSymbol() for atom in mol.GetAtoms()]


def charges_of(mol: Chem.Mol) -> list[int]:
    """[n] formal charges."""
    return [atom.GetFormalCharge() for atom in mol.GetAtoms()]


def plain_smiles(mol: Chem.Mol) -> str:
    """Canonical SMILES without stereochemistry: distances are the same in a mirror."""
    bare = Chem.Mol(mol)
    Chem.RemoveStereochemistry(bare)
    return str(Chem.MolToSmiles(bare))


def ordered(mol: Chem.Mol) -> tuple[str, Chem.Mol]:
    """Plain SMILES, and the molecule without stereochemistry whose atoms stand in the order of that text."""
    bare = Chem.Mol(mol)
    Chem.RemoveStereochemistry(bare)
    text = str(Chem.MolToSmiles(bare))
    order = [int(i) for i in bare.GetProp("_smilesAtomOutputOrder").strip("[],").split(",")]
    return text, Chem.RenumberAtoms(bare, order)


def column(cells: Iterable[Any]) -> pd.Series[Any]:
    """Cells of any type as one column."""
    return pd.Series(list(cells), dtype=object)
