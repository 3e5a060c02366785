"""What can be measured on any molecule: RDKit's descriptors of its graph, and GFN2-xTB on its points."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from rdkit import Chem
from rdkit.Chem import QED, rdMolDescriptors

from scarce_molecules.bonds import quiet, valid
from scarce_molecules.xtb import QUANTUM, quantum

DESCRIPTORS: Mapping[str, Callable[[Chem.Mol], float]] = {
    "logp": lambda mol: float(rdMolDescriptors.CalcCrippenDescriptors(mol)[0]),
    "tpsa": rdMolDescriptors.CalcTPSA,
    "qed": QED.qed,
    "rings": rdMolDescriptors.CalcNumRings,
}
"""Name -> oracle: Crippen's logP, topological polar surface (Å²), drug-likeness (QED) and number of rings."""
WORDS = {
    "logp": "lipophilicity", "tpsa": "polar surface", "qed": "drug-likeness", "rings": "number of rings",
    "homo": "HOMO energy", "lumo": "LUMO energy", "gap": "HOMO-LUMO gap", "dipole": "dipole moment",
}  # fmt: skip
"""Name -> how captions call it."""


MEASURED = (*DESCRIPTORS, *QUANTUM)


def names_of(kind: str) -> tuple[str, ...]:
    """Properties of "descriptors" or "quantum"."""
    return QUANTUM if kind == "quantum" else tuple(DESCRIPTORS)


def known_property(smiles: Any, name: str) -> float:
    """A descriptor of a molecule; NaN of one that is not valid."""
    if not valid(smiles):
        return float("nan")
    with quiet():
        mol = Chem.MolFromSmiles(smiles)
        return float("nan") if mol is None else float(DESCRIPTORS[name](mol))


def properties(records: pd.DataFrame, kind: str) -> list[dict[str, float]]:
    """Name -> value of each record; nothing of one that is no valid molecule, or whose electrons do not converge."""
    if kind == "quantum":
        return quantum(records)
    return [{name: known_property(s, name) for name in DESCRIPTORS} if valid(s) else {} for s in records["smiles"]]


def quintiles(rows: Sequence[Mapping[str, float]]) -> dict[str, tuple[float, ...]]:
    """Property -> its four quintile edges over all rows that have it."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {n: tuple(float(q) for q in np.quantile([r[n] for r in rows if n in r], (0.2, 0.4, 0.6, 0.8))) for n in names}


def measured(records: pd.DataFrame, name: str) -> npt.NDArray[np.float64]:
    """[n] one property of each record; NaN where it has none."""
    if name in QUANTUM:
        return np.array([found.get(name, np.nan) for found in properties(records, "quantum")])
    return np.array([known_property(text, name) for text in records["smiles"]])
