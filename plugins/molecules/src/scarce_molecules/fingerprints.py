"""Morgan fingerprints of molecules, and how alike two sets of them are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from rdkit import Chem
from rdkit.Chem import rdFingerprintGenerator
from rdkit.DataStructs import BulkTanimotoSimilarity

from scarce_molecules.bonds import quiet

Floats = npt.NDArray[np.float64]
TIE = 1e-9


def counts(texts: Sequence[Any], radius: int, bits: int) -> npt.NDArray[np.float32]:
    """[n, bits] Morgan counts; zeros for what is no molecule."""
    make = rdFingerprintGenerator.GetMorganGenerator(radius=radius, fpSize=bits)
    out = np.zeros((len(texts), bits), dtype=np.float32)
    for i, mol in enumerate(map(molecule_of, texts)):
        if mol is not None:
            out[i] = make.GetCountFingerprintAsNumPy(mol)
    return out


def prints(texts: Sequence[str], radius: int, bits: int) -> list[Any]:
    """Bit vectors of valid SMILES."""
    make = rdFingerprintGenerator.GetMorganGenerator(radius=radius, fpSize=bits)
    return [make.GetFingerprint(mol) for mol in map(molecule_of, texts) if mol is not None]


def molecule_of(text: Any) -> Chem.Mol | None:
    """The molecule of a SMILES, None without one."""
    if not isinstance(text, str) or not text:
        return None
    with quiet():
        return Chem.MolFromSmiles(text)


def nearest(rows: Sequence[Any], to: Sequence[Any]) -> Floats:
    """[n] Tanimoto distance (1 - similarity) of each print to the nearest of `to`."""
    return np.array([1.0 - max(BulkTanimotoSimilarity(row, list(to))) for row in rows])


def holdout_share(to_train: Floats, to_holdout: Floats) -> float:
    """Share of molecules nearer to training than to as many hold-out molecules; a tie counts half."""
    tied = np.abs(to_train - to_holdout) <= TIE
    return float(np.mean(np.where(tied, 0.5, to_train < to_holdout)))
