"""GFN2-xTB (tblite) of heavy atoms in space, hydrogens added by RDKit; measured once per geometry and kept in the cache."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib import metadata
from importlib.util import find_spec
from typing import Any

import numpy as np
import pandas as pd
from rdkit import Chem

from scarce.errors import PluginError
from scarce_molecules.bonds import placed, quiet, valid
from scarce_molecules.conformers import cache_folder, content_key

QUANTUM = ("homo", "lumo", "gap", "dipole")
"""GFN2-xTB: orbital energies and their gap in eV, dipole moment in debye."""
BOHR, HARTREE, DEBYE = 0.529177210903, 27.211386245988, 2.541746473
"""Å, eV and debye of one atomic unit."""


def quantum(records: pd.DataFrame) -> list[dict[str, float]]:
    """homo, lumo, gap (eV) and dipole (debye) of each record; nothing where there is no valid molecule or no convergence.

    PluginError without tblite.
    """
    if find_spec("tblite") is None:
        raise PluginError("quantum properties need tblite, which is not installed", hint="pip install 'scarce-molecules[quantum]'")
    rows = list(zip(records["smiles"], records["xyz"], strict=True))
    keys = [key_of(s, xyz) if valid(s) else "" for s, xyz in rows]
    with opened() as store:
        out = []
        for key, (smiles, xyz) in zip(keys, rows, strict=True):
            kept = store.execute("select homo, lumo, gap, dipole from xtb where key = ?", (key,)).fetchone() if key else (None,) * 4
            if kept is None:
                found = singlepoint(smiles, np.asarray(xyz, dtype=np.float64))
                kept = tuple(found.get(name) for name in QUANTUM)
                with store:
                    store.execute("insert or replace into xtb values (?, ?, ?, ?, ?)", (key, *kept))
            out.append({} if kept[0] is None else dict(zip(QUANTUM, map(float, kept), strict=True)))
    return out


@contextmanager
def opened() -> Iterator[sqlite3.Connection]:
    """The table of what was measured; several processes may use it at once."""
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(folder / "xtb.sqlite", timeout=60)) as store:
        store.execute("create table if not exists xtb (key text primary key, homo real, lumo real, gap real, dipole real)")
        yield store


def key_of(smiles: str, xyz: Any) -> str:
    """A hash of the structure, its places to 0.0001 Å and the engine's version."""
    places = [[round(float(v), 4) + 0.0 for v in p] for p in xyz]
    return content_key({"smiles": smiles, "xyz": places, "tblite": metadata.version("tblite")})


def singlepoint(smiles: str, xyz: Any) -> dict[str, float]:
    """The properties of one geometry, atoms in the order of the SMILES; nothing where the engine fails."""
    from tblite.interface import Calculator

    with quiet():
        mol = Chem.MolFromSmiles(smiles)
        full = Chem.AddHs(placed(mol, xyz), addCoords=True)
    numbers = np.array([a.GetAtomicNum() for a in full.GetAtoms()])
    try:
        engine = Calculator("GFN2-xTB", numbers, full.GetConformer().GetPositions() / BOHR, charge=float(Chem.GetFormalCharge(full)))
        engine.set("verbosity", 0)
        found = engine.singlepoint()
    except RuntimeError:  # self-consistency was not reached
        return {}
    energies, filled = np.asarray(found.get("orbital-energies")), np.asarray(found.get("orbital-occupations"))
    top = int(np.flatnonzero(filled > 1.0)[-1])
    if top + 1 >= len(energies):
        return {}
    homo, lumo = float(energies[top]) * HARTREE, float(energies[top + 1]) * HARTREE
    dipole = float(np.linalg.norm(np.asarray(found.get("dipole")))) * DEBYE
    return {"homo": homo, "lumo": lumo, "gap": lumo - homo, "dipole": dipole}
