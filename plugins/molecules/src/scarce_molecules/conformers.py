"""Places of atoms where a source has none: one seeded ETKDG conformer of each molecule, kept in the cache."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rdkit import Chem, rdBase
from rdkit.Chem import rdDistGeom, rdForceFieldHelpers

from scarce.files import write_bytes
from scarce_molecules.bonds import quiet
from scarce_molecules.raw import Floats

VERSION = "v1"
ATTEMPTS = 20


def cache_folder() -> Path:
    """Where conformers and measured properties lie: SCARCE_CACHE, or ~/.cache/scarce."""
    return Path(os.environ.get("SCARCE_CACHE", Path.home() / ".cache" / "scarce")) / "molecules" / VERSION


def conformers(smiles: Sequence[str], kind: str, seed: int) -> list[Floats | None]:
    """[n, 3] Å of each molecule's heavy atoms in the order of its SMILES, centred; None where RDKit finds no conformer.

    kind: "etkdg" (ETKDGv3), or "mmff", relaxed after it. The same list is read back from the cache, under a hash of it, the kind,
    the seed and RDKit's version.
    """
    key = content_key({"smiles": list(smiles), "kind": kind, "seed": seed, "rdkit": rdBase.rdkitVersion})
    path = cache_folder() / f"conformers-{key}.parquet"
    if len(smiles) and path.is_file():
        cells = pd.read_parquet(path)["xyz"]
        return [np.array(c, dtype=np.float64).reshape(-1, 3) if len(c) else None for c in cells]
    made = [conformer(text, kind, seed) for text in smiles]
    if len(smiles):
        flat = pd.Series([[] if xyz is None else xyz.ravel().tolist() for xyz in made], dtype=object)
        buffer = io.BytesIO()
        pd.DataFrame({"smiles": list(smiles), "xyz": flat}).to_parquet(buffer, index=False)
        write_bytes(path, buffer.getvalue())
    return made


def conformer(text: str, kind: str, seed: int) -> Floats | None:
    """The heavy atoms of one conformer, [n, 3] Å, centred; None where none is found."""
    with quiet():
        full = Chem.AddHs(Chem.MolFromSmiles(text))
        settings: Any = rdDistGeom.ETKDGv3()
        settings.randomSeed, settings.maxIterations = 1 + seed, ATTEMPTS
        if rdDistGeom.EmbedMolecule(full, settings) < 0:
            return None
        if kind == "mmff" and rdForceFieldHelpers.MMFFHasAllMoleculeParams(full):
            rdForceFieldHelpers.MMFFOptimizeMolecule(full)
    heavy = [a.GetIdx() for a in full.GetAtoms() if a.GetAtomicNum() > 1]
    xyz = np.asarray(full.GetConformer().GetPositions(), dtype=np.float64)[heavy]
    return np.asarray(xyz - xyz.mean(0)) if np.isfinite(xyz).all() else None


def content_key(facts: Mapping[str, object]) -> str:
    """A short hash of plain data."""
    return hashlib.blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=12).hexdigest()
