"""Files and DataFrames of molecules as people have them: SMILES tables, SDF, XYZ."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rdkit import Chem

from scarce.contract import find_column, plain
from scarce.errors import DataError
from scarce_molecules.bonds import molecule, placed, quiet
from scarce_molecules.config import Molecules
from scarce_molecules.raw import OWN, Raw, RawMolecule, symbols_of

USUAL = ("smiles", "canonical_smiles", "isosmiles", "structure")
TABLES = (".csv", ".tsv", ".txt", ".parquet", ".pq")


def read_file(path: Path, options: Molecules) -> Raw:
    """Molecules of a file by its suffix: .csv, .tsv, .parquet, .smi, .sdf, .mol or .xyz; DataError for another."""
    if not path.is_file():
        what = f"{path} does not exist" if not path.exists() else f"{path} is a folder, not a file of molecules"
        raise DataError(what, hint="scarce run RECIPE --data FILE.csv, or scarce data list")
    suffix = path.suffix.lower()
    readers: dict[str, Callable[[Path], Raw]] = {".smi": read_smi, ".sdf": read_sdf, ".mol": read_sdf, ".xyz": read_xyz}
    if suffix in readers:
        try:
            return readers[suffix](path)
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{path} is not a readable {suffix[1:].upper()} file: {error}", hint=f"head {path}") from None
    if suffix not in TABLES:
        raise DataError(
            f"{path}: molecules are read from .csv, .tsv, .parquet, .smi, .sdf and .xyz files, not '{suffix}'",
            hint="scarce run RECIPE --data FILE.csv",
        )
    return read_frame(path.stem, _table(path, suffix), options, first_line=1 if suffix in (".parquet", ".pq") else 2)


def _table(path: Path, suffix: str) -> pd.DataFrame:
    try:
        if suffix in (".parquet", ".pq"):
            return pd.read_parquet(path)
        head = path.read_text(encoding="utf-8-sig").partition("\n")[0]
        separator = max((",", ";", "\t", "|"), key=head.count)
        return pd.read_csv(path, sep=separator, encoding="utf-8-sig", skipinitialspace=True)
    except (OSError, ValueError, pd.errors.ParserError) as error:  # an empty file is a ValueError too
        raise DataError(f"{path} is not a readable table: {error}", hint=f"head {path}") from None


def read_frame(name: str, frame: pd.DataFrame, options: Molecules, first_line: int = 1) -> Raw:
    """Molecules of a table with a column of SMILES, or of records with the columns `atoms`, `charges` and `xyz`."""
    column = smiles_column(name, frame, options)
    shaped = {"atoms", "xyz"} <= set(map(str, frame.columns))
    if column is None and not shaped:
        shown = ", ".join(map(str, list(frame.columns)[:20]))
        raise DataError(f"{name} has no column of SMILES; it has {shown}", hint="--set data.options.smiles=COLUMN")
    kept = [c for c in frame.columns if str(c) not in OWN and c != column]
    cells = {str(c): [plain(v) for v in frame[c]] for c in kept}
    texts: list[Any] = [None] * len(frame) if column is None else frame[column].tolist()
    out = []
    for i, text in enumerate(texts):
        mol = given(frame, i, text) if shaped else None
        found = mol if mol is not None else parsed(text)
        values = {c: v[i] for c, v in cells.items()}
        out.append(RawMolecule(place=str(i + first_line), mol=found, values=values, xyz=mol is not None))
    return Raw(name=name, molecules=out, columns=tuple(cells))


def smiles_column(name: str, frame: pd.DataFrame, options: Molecules) -> Any:
    """The column named by the options, else one with a usual name, else the first whose texts are molecules; None without one."""
    if options.smiles is not None:
        return find_column(frame.columns, options.smiles, name, "data.options.smiles")
    usual = {str(c).lower(): c for c in reversed(frame.columns)}
    for known in USUAL:
        if known in usual:
            return usual[known]
    for c in frame.columns:
        cells = [v for v in frame[c].head(50).tolist() if isinstance(v, str)]
        if len(cells) >= 0.8 * min(50, len(frame)) > 0 and sum(parsed(v) is not None for v in cells) > 0.8 * len(cells):
            return c
    return None


def parsed(text: Any) -> Chem.Mol | None:
    """The molecule of a SMILES, None where there is none."""
    if not isinstance(text, str) or not text.strip():
        return None
    with quiet():
        mol = Chem.MolFromSmiles(text.strip())
    return mol if mol is not None and mol.GetNumAtoms() else None


def given(frame: pd.DataFrame, row: int, text: Any) -> Chem.Mol | None:
    """A record's own coordinates on the atoms of its SMILES, or with bonds found from distances; None without finite coordinates."""
    try:
        xyz = np.array([np.asarray(p, dtype=np.float64) for p in frame["xyz"].iloc[row]], dtype=np.float64)
        symbols = [str(s) for s in frame["atoms"].iloc[row]]
        charges = [int(c) for c in frame["charges"].iloc[row]] if "charges" in frame.columns else [0] * len(symbols)
    except (TypeError, ValueError):
        return None
    if xyz.shape != (len(symbols), 3) or len(charges) != len(symbols) or not np.isfinite(xyz).all():
        return None
    named = parsed(text)
    if named is not None and symbols_of(named) == symbols:
        return placed(named, xyz)
    return molecule(symbols, charges, xyz)


def read_smi(path: Path) -> Raw:
    """A SMILES and, after a space, a name per line."""
    out = []
    for i, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines()):
        text, _, name = line.strip().partition(" ")
        if text:
            out.append(RawMolecule(place=str(i + 1), mol=parsed(text), values={"name": name.strip() or None}))
    return Raw(name=path.stem, molecules=out, columns=("name",) if any(m.values["name"] for m in out) else ())


def read_sdf(path: Path) -> Raw:
    """Molecules with their properties; a property that some lack is missing there, which is noted."""
    with quiet():
        found = list(Chem.SDMolSupplier(str(path)))
    rows = [
        {} if m is None else {str(k): number(v) for k, v in m.GetPropsAsDict(includePrivate=False, includeComputed=False).items()}
        for m in found
    ]
    columns = tuple(dict.fromkeys(name for row in rows for name in row if name not in OWN))
    out = [
        RawMolecule(place=str(i + 1), mol=m, values={c: row.get(c) for c in columns}, xyz=m is not None and solid(m))
        for i, (m, row) in enumerate(zip(found, rows, strict=True))
    ]
    lacking = {c: sum(c not in row for row, m in zip(rows, found, strict=True) if m is not None) for c in columns}
    notes = tuple(f"property '{c}' is missing in {n} of {len(out)} molecules" for c, n in lacking.items() if n)
    return Raw(name=path.stem, molecules=out, columns=columns, notes=notes)


def solid(mol: Chem.Mol) -> bool:
    """Whether a molecule comes with coordinates in space."""
    if mol.GetNumConformers() == 0:
        return False
    xyz = mol.GetConformer().GetPositions()
    return mol.GetNumAtoms() < 2 or bool(mol.GetConformer().Is3D() and np.ptp(xyz, axis=0).max() > 0)


def number(value: Any) -> Any:
    """A number of a text that is one, else the text."""
    try:
        return plain(float(value))
    except (TypeError, ValueError):
        text = str(value).strip()
        return text or None


def read_xyz(path: Path) -> Raw:
    """Frames of atoms: a count, a comment (its `key=value` pairs are what is known), a line per atom."""
    out: list[RawMolecule] = []
    for line, comment, atoms in frames(path):
        values = {k: number(v) for k, v in re.findall(r"([A-Za-z_]\w*)=([^\s\"]+)", comment)}
        heavy = [(s, p) for s, p in atoms if s not in ("H", "D")]
        xyz = np.array([p for _, p in heavy], dtype=np.float64).reshape(-1, 3)
        mol = molecule([s for s, _ in heavy], [0] * len(heavy), xyz) if heavy else None
        out.append(RawMolecule(place=str(line), mol=mol, values=values, xyz=True))
    columns = tuple(dict.fromkeys(k for m in out for k in m.values))
    return Raw(name=path.stem, molecules=out, columns=columns)


def frames(path: Path) -> Iterator[tuple[int, str, list[tuple[str, tuple[float, float, float]]]]]:
    """Line number, comment and atoms of each frame; DataError where the file is no XYZ."""
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    at = 0
    while at < len(lines):
        if not lines[at].strip():
            at += 1
            continue
        try:
            n = int(lines[at])
            rows = [line.split() for line in lines[at + 2 : at + 2 + n]]
            atoms = [(r[0].capitalize(), (float(r[1]), float(r[2]), float(r[3]))) for r in rows]
            if len(atoms) != n or n < 1:
                raise ValueError(f"{n} atoms are announced, {len(atoms)} follow")
        except (ValueError, IndexError) as error:
            raise DataError(f"{path}, line {at + 1}: no frame of an XYZ file: {error}", hint=f"head {path}") from None
        yield at + 1, lines[at + 1], atoms
        at += n + 2
