"""Molecules checked, brought to one form, placed in space and labelled before anything is fitted."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from rdkit import Chem

from scarce.contract import Dataset, LoadContext, find_column
from scarce.errors import DataError
from scarce_molecules.bonds import quiet
from scarce_molecules.config import Molecules
from scarce_molecules.conformers import conformers
from scarce_molecules.datasets import BuiltinMolecules
from scarce_molecules.properties import MEASURED, measured
from scarce_molecules.raw import OWN, Floats, Raw, RawMolecule, charges_of, column, ordered, symbols_of
from scarce_molecules.read import read_file, read_frame

FEW = 20  # whole numbers of so many values are classes
SHOWN = 10
WORDS = {2: ("low", "high"), 3: ("low", "medium", "high"), 4: ("very low", "low", "high", "very high"),
         5: ("very low", "low", "medium", "high", "very high")}  # fmt: skip


def load_molecules(ctx: LoadContext, options: Molecules) -> Dataset:
    """A data set of molecules with stable ids; raises DataError saying what is wrong, where, and what to do."""
    if ctx.schema is not None:
        raise DataError("molecules take no schema file", hint="--set data.options.smiles=COLUMN says where SMILES are")
    raw, options, target = _read(ctx, options)
    raw, notes = clean(raw, options)
    records, more = shaped(raw, options)
    if target in MEASURED:
        records[target] = measured(records, target)
    values, classes, task, said = labels(raw.name, records, target, options)
    if task == "classification" and target:
        records = records.assign(**{target: pd.Series(list(values), dtype=object)})
    keys = [_hash(text) for text in records["smiles"]]
    groups = keys if ctx.group is None else [str(v) for v in records[find_column(records.columns, ctx.group, raw.name, "data.group")]]
    known = np.array([v is not None and v == v for v in values]) if target else np.ones(len(records), dtype=bool)
    return Dataset(
        name=raw.name, ids=_ids(keys), records=records, task=task, target_name=target, target=values if target else None, classes=classes,
        labelled=known, split=np.full(len(records), "", "<U10"), groups=np.array(groups), notes=(*raw.notes, *notes, *more, *said),
        schema={"target": target, "properties": options.properties, "divisor": options.divisor, **facts(records, options)},
    )  # fmt: skip


def facts(records: pd.DataFrame, options: Molecules) -> dict[str, Any]:
    """What all records need room for: elements in the order of the options, (element, charge) that occur, and the most atoms."""
    found = sorted(
        {
            (s, int(c))
            for symbols, charges in zip(records["atoms"], records["charges"], strict=True)
            for s, c in zip(symbols, charges, strict=True)
        }
    )
    present = {s for s, _ in found}
    return {"elements": [e for e in options.elements if e in present], "states": [list(pair) for pair in found],
            "size": max(map(len, records["atoms"]))}  # fmt: skip


def _read(ctx: LoadContext, options: Molecules) -> tuple[Raw, Molecules, str]:
    if isinstance(ctx.source, pd.DataFrame):
        raw, target = read_frame("DataFrame", ctx.source, options), ctx.target or ""
    elif ctx.builtin is not None:
        table: BuiltinMolecules = ctx.builtin()
        options = Molecules(**{**table.options, **options.model_dump(include=options.model_fields_set)})
        raw = replace(read_frame(table.name, pd.read_parquet(table.path), options), notes=(table.note,))
        target = table.target if ctx.target is None else ctx.target
    else:
        raw, target = read_file(Path(str(ctx.source)), options), ctx.target or ""
    if target in OWN:
        raise DataError(f"{raw.name}: a target can't be called '{target}'", hint="give the column another name")
    if target and target not in MEASURED:
        target = str(find_column(raw.columns, target, raw.name, "data.target"))
    return sampled(raw, options), options, target


def sampled(raw: Raw, options: Molecules) -> Raw:
    """At most `most` molecules, always the same ones, in the order of the source."""
    if options.most is None or len(raw.molecules) <= options.most:
        return raw
    rows = np.sort(np.random.default_rng(0).choice(len(raw.molecules), options.most, replace=False))
    note = f"{options.most} of {len(raw.molecules)} molecules, always the same ones"
    return replace(raw, molecules=[raw.molecules[i] for i in rows], notes=(*raw.notes, note))


def clean(raw: Raw, options: Molecules) -> tuple[Raw, list[str]]:
    """Readable molecules of known elements and size, of several fragments the largest; DataError with too many unreadable ones."""
    kept, left, notes = list[RawMolecule](), Counter[str](), list[str]()
    unread = [m.place for m in raw.molecules if m.mol is None]
    if unread:
        lines = ", ".join(unread[:SHOWN]) + (" …" if len(unread) > SHOWN else "")
        said = f"{len(unread)} of {len(raw.molecules)} molecules can't be read: line {lines}"
        if len(unread) > options.max_unreadable * len(raw.molecules):
            raise DataError(f"{raw.name}: {said}", hint="mend them, or --set data.options.max_unreadable=1 leaves them out")
        notes.append(f"{said}; they are left out")
    strange = Counter[str]()
    for m in raw.molecules:
        if m.mol is None:
            continue
        mol, cut = largest(m.mol)
        odd = sorted(set(symbols_of(mol)) - set(options.elements))
        if odd:
            strange.update(odd)
            left["strange"] += 1
        elif mol.GetNumAtoms() > options.largest:
            left["large"] += 1
        else:
            left["cut"] += cut
            kept.append(replace(m, mol=mol))
    if left["cut"]:
        notes.append(f"of {left['cut']} molecules of several fragments only the largest is kept")
    if left["strange"]:
        notes.append(f"{left['strange']} molecules with {', '.join(sorted(strange))} are left out (data.options.elements)")
    if left["large"]:
        notes.append(f"{left['large']} molecules of more than {options.largest} heavy atoms are left out (data.options.largest)")
    if not kept:
        why = "; ".join(notes) or "it is empty"
        raise DataError(f"{raw.name} has no molecule that can be used: {why}", hint="scarce data inspect FILE --modality molecules")
    return replace(raw, molecules=kept), notes


def largest(mol: Chem.Mol) -> tuple[Chem.Mol, bool]:
    """The largest fragment, and whether there were others."""
    parts = Chem.GetMolFrags(mol, asMols=True, sanitizeFrags=False)
    return (mol, False) if len(parts) == 1 else (max(parts, key=lambda p: (p.GetNumAtoms(), Chem.MolToSmiles(p))), True)


def shaped(raw: Raw, options: Molecules) -> tuple[pd.DataFrame, list[str]]:
    """Records: smiles, atoms, charges, xyz [n, 3] and what else is known; conformers where the source has no coordinates."""
    forms = [ordered(_uncharted(m.mol)) for m in raw.molecules]
    missing = [i for i, m in enumerate(raw.molecules) if not m.xyz]
    made = dict(zip(missing, conformers([forms[i][0] for i in missing], options.conformer, options.seed), strict=True))
    xyz = [made[i] if i in made else centred(mol) for i, (_, mol) in enumerate(forms)]
    good = [i for i, places in enumerate(xyz) if places is not None]
    notes = [f"{len(xyz) - len(good)} molecules have no conformer and are left out"] if len(good) < len(xyz) else []
    if missing:
        notes.append(
            f"{len(missing)} conformers are RDKit's ({'ETKDGv3, relaxed by MMFF94' if options.conformer == 'mmff' else 'ETKDGv3'})"
        )
    if not good:
        raise DataError(f"{raw.name}: no molecule has a conformer", hint="give an SDF file with coordinates")
    records = pd.DataFrame({
        "smiles": column(forms[i][0] for i in good),
        "atoms": column(symbols_of(forms[i][1]) for i in good),
        "charges": column(charges_of(forms[i][1]) for i in good),
        "xyz": column(xyz[i] for i in good),
        **{name: known(raw, name, good) for name in raw.columns},
    })  # fmt: skip
    return records, notes


def _uncharted(mol: Chem.Mol | None) -> Chem.Mol:
    assert mol is not None
    with quiet():
        return Chem.RemoveHs(mol)


def centred(mol: Chem.Mol) -> Floats:
    """[n, 3] Å of the molecule's conformer about its centre."""
    xyz = np.asarray(mol.GetConformer().GetPositions(), dtype=np.float64)
    return np.asarray(xyz - xyz.mean(0))


def known(raw: Raw, name: str, rows: list[int]) -> pd.Series[Any]:
    """What is known of molecules: numbers with NaN where missing, else objects with None."""
    cells = [raw.molecules[i].values.get(name) for i in rows]
    numeric = all(v is None or (isinstance(v, int | float) and not isinstance(v, bool)) for v in cells) and any(
        v is not None for v in cells
    )
    return pd.Series([np.nan if v is None else float(v) for v in cells]) if numeric else column(cells)


def labels(name: str, records: pd.DataFrame, target: str, options: Molecules) -> tuple[npt.NDArray[Any], tuple[Any, ...], Any, list[str]]:
    """[n] target values, classes, task and notes.

    Texts and few whole numbers are classes. A measured property is a regression; other numbers are cut into `bins` classes at
    their quantiles, since a sample can't tell its own.
    """
    if not target:
        return np.full(len(records), None, dtype=object), (), "none", []
    if target in MEASURED:
        return records[target].to_numpy(dtype=np.float64), (), "regression", []
    cells = records[target].tolist()
    present = [v for v in cells if v is not None and v == v]
    found = sorted(set(present), key=lambda v: (str(type(v)), v))
    if len(found) < 2:
        raise DataError(f"{name}: target '{target}' has {len(found)} values", hint="choose a target with at least two values")
    numeric = records[target].dtype.kind == "f"
    if numeric and (len(found) > FEW or any(not float(v).is_integer() for v in found)):
        edges = np.quantile(present, np.arange(1, options.bins) / options.bins)
        words = WORDS[options.bins]
        out = [words[int(np.searchsorted(edges, v, side="right"))] if v == v else None for v in cells]
        said = f"'{target}' is cut into {', '.join(words)} at {', '.join(f'{e:.4g}' for e in edges)}"
        return _objects(out), words, "classification", [said]
    kinds = [None if v is None or v != v else int(v) if numeric else v for v in cells]
    classes = tuple(sorted({v for v in kinds if v is not None}, key=lambda v: (str(type(v)), v)))
    if len(classes) > 100 or (len(classes) > len(present) / 2 and len(present) > FEW):
        what = f"{name}: target '{target}' has {len(classes)} different values in {len(present)} molecules"
        raise DataError(what, hint="--set data.target='' for none")
    return _objects(kinds), classes, "classification", []


def _objects(values: list[Any]) -> npt.NDArray[Any]:
    out = np.empty(len(values), dtype=object)
    out[:] = values
    return out


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _ids(keys: list[str]) -> npt.NDArray[np.str_]:
    """A hash of the structure; the copies of one are numbered."""
    seen, out = Counter[str](), []
    for key in keys:
        out.append(f"{key}-{seen[key]}" if seen[key] else key)
        seen[key] += 1
    return np.array(out)
