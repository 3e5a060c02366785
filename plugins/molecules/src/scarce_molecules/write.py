"""Molecules to files, in the format the suffix names, whole or not at all."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pyarrow import ArrowException
from rdkit import Chem

from scarce.errors import DataError
from scarce.files import write_bytes
from scarce_molecules.bonds import placed, quiet, valid
from scarce_molecules.raw import OWN


def write_molecules(frame: pd.DataFrame, path: Path) -> Path:
    """Write .sdf or .smi (valid molecules alone), .xyz (all, as points), .csv (SMILES, empty where there is none) or .parquet (all).

    DataError for another suffix. A frame without the columns of a molecule is written as the table it is.
    """
    suffix = path.suffix.lower()
    if suffix in (".parquet", ".pq"):
        return write_bytes(path, _parquet(frame, path))
    if suffix == ".csv":
        shown = frame[[c for c in frame.columns if c not in OWN[1:]]]
        return write_bytes(path, shown.to_csv(index=False).encode())
    form = {".sdf": sdf, ".smi": smi, ".xyz": xyz}.get(suffix)
    if form is None or not set(OWN) <= set(frame.columns):
        raise DataError(f"{path}: molecules are written as .sdf, .smi, .xyz, .csv or .parquet, not '{suffix}'", hint="-o molecules.sdf")
    return write_bytes(path, form(frame).encode())


def _parquet(frame: pd.DataFrame, path: Path) -> bytes:
    buffer = io.BytesIO()
    lists = {c: [np.asarray(v).tolist() if isinstance(v, np.ndarray) else v for v in frame[c]] for c in OWN[1:] if c in frame.columns}
    plain = {c: pd.Series(cells, index=frame.index, dtype=object) for c, cells in lists.items()}
    try:
        frame.assign(**plain).to_parquet(buffer)
    except (ArrowException, ValueError, TypeError) as error:
        raise DataError(f"{path} can't hold these molecules: {error}", hint="write .sdf instead") from None
    return buffer.getvalue()


def sdf(frame: pd.DataFrame) -> str:
    """Molecules with their coordinates, and what else is known of them as properties."""
    out = io.StringIO()
    writer = Chem.SDWriter(out)
    others = [str(c) for c in frame.columns if c not in OWN]
    for i, (text, places) in enumerate(zip(frame["smiles"], frame["xyz"], strict=True)):
        if not valid(text):
            continue
        mol = solid(text, places)
        mol.SetProp("smiles", text)
        for name in others:
            if present(frame[name].iloc[i]):
                mol.SetProp(name, str(frame[name].iloc[i]))
        writer.write(mol)
    writer.close()
    return out.getvalue()


def solid(text: str, places: Any) -> Chem.Mol:
    """The molecule of a record with its coordinates."""
    with quiet():
        mol = Chem.MolFromSmiles(text)
    return placed(mol, np.array(list(places), dtype=np.float64))


def present(value: Any) -> bool:
    """Whether a cell holds something."""
    return value is not None and value == value


def smi(frame: pd.DataFrame) -> str:
    """One SMILES per line."""
    return "".join(f"{text}\n" for text in frame["smiles"] if valid(text))


def xyz(frame: pd.DataFrame) -> str:
    """A frame per record, in Å."""
    parts = []
    for text, symbols, places in zip(frame["smiles"], frame["atoms"], frame["xyz"], strict=True):
        rows = [f"{s} {p[0]:.4f} {p[1]:.4f} {p[2]:.4f}" for s, p in zip(symbols, places, strict=True)]
        parts.append("\n".join([str(len(rows)), f"smiles={text}" if valid(text) else "", *rows, ""]))
    return "".join(parts)
