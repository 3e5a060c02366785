"""What generated molecules must beat: copies, and halves of molecules put together anew; and two controls that look alike and are wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from rdkit import Chem

from scarce.contract import BaselineContext, take
from scarce_molecules.bonds import brics_bonds, placed, quiet, sanitised
from scarce_molecules.codec import MoleculeCodec
from scarce_molecules.conformers import conformers
from scarce_molecules.raw import charges_of, ordered, symbols_of
from scarce_molecules.records import Row, as_row

NOISE = 0.1  # Å
TRIES = 20  # pairs of halves for each molecule that is wanted
Halves = dict[tuple[str, str], tuple[list[Any], list[Any]]]


def molecule_baselines(ctx: BaselineContext) -> Mapping[str, Any]:
    """ "brics", "jitter", "shuffled-types" and "bootstrap": n molecules each, with the training molecules' share of classes.

    "jitter" moves every coordinate of a training molecule by 0.1 Å of noise, "shuffled-types" deals its elements and charges
    out anew among its places; their bonds are then found as those of samples are. "brics" joins halves of two training molecules
    cut at bonds of one kind; it is left out where none fit.
    """
    assert isinstance(ctx.codec, MoleculeCodec)
    rows = ctx.dataset.rows("train")
    rows = rows[ctx.dataset.labelled[rows]] if ctx.dataset.labelled[rows].any() else rows
    frame = take(ctx.dataset.records, rows)
    rng = np.random.default_rng(ctx.seed)
    chosen = rng.integers(len(frame), size=ctx.n)
    source = take(frame, chosen)
    labels = source[ctx.codec.target].tolist() if ctx.codec.classes else None
    out = {
        "jitter": ctx.codec.answered([_moved(source, i, rng) for i in range(ctx.n)], labels, ctx.seed),
        "shuffled-types": ctx.codec.answered([_dealt(source, i, rng) for i in range(ctx.n)], labels, ctx.seed),
        "bootstrap": source,
    }
    made, parents = joined(frame, ctx.n, ctx.codec, rng)
    if made:
        asked = [frame[ctx.codec.target].iloc[i] for i in parents] if ctx.codec.classes else None
        out = {"brics": ctx.codec.answered(made, asked, ctx.seed), **out}
    return out


def _moved(source: pd.DataFrame, i: int, rng: np.random.Generator) -> Row:
    xyz = np.array(list(source["xyz"].iloc[i]), dtype=np.float64)
    return as_row(source["atoms"].iloc[i], source["charges"].iloc[i], xyz + NOISE * rng.normal(size=xyz.shape))


def _dealt(source: pd.DataFrame, i: int, rng: np.random.Generator) -> Row:
    symbols, charges = list(source["atoms"].iloc[i]), list(source["charges"].iloc[i])
    order = rng.permutation(len(symbols))
    return as_row([symbols[k] for k in order], [charges[k] for k in order], np.array(list(source["xyz"].iloc[i]), dtype=np.float64))


def joined(frame: pd.DataFrame, n: int, codec: MoleculeCodec, rng: np.random.Generator) -> tuple[list[Row], list[int]]:
    """n molecules made of two halves each with conformers of their own, and the row that each first half is of; none where none fit."""
    halves = cut(frame["smiles"].tolist())
    kinds = sorted(halves)
    texts, parents = list[str](), list[int]()
    if not kinds:
        return [], []
    weights = np.array([len(halves[k][0]) for k in kinds], dtype=float)
    for _ in range(TRIES * n):
        if len(texts) == n:
            break
        first, second = halves[kinds[int(rng.choice(len(kinds), p=weights / weights.sum()))]]
        (left, row), (right, _) = first[int(rng.integers(len(first)))], second[int(rng.integers(len(second)))]
        mol = join(left, right)
        if mol is not None and mol.GetNumAtoms() <= codec.size:
            texts.append(ordered(mol)[0])
            parents.append(row)
    if not texts:
        return [], []
    different = list(dict.fromkeys(texts))
    places = {text: xyz for text, xyz in zip(different, conformers(different, "mmff", 0), strict=True) if xyz is not None}
    good = [i for i, text in enumerate(texts) if text in places]
    if not good:
        return [], []
    turns = [good[i] for i in np.resize(np.arange(len(good)), n)]
    rows = list[Row]()
    for i in turns:
        with quiet():
            mol = placed(Chem.MolFromSmiles(texts[i]), places[texts[i]])
        xyz = np.asarray(mol.GetConformer().GetPositions(), dtype=np.float64)
        rows.append((texts[i], symbols_of(mol), charges_of(mol), xyz))
    return rows, [parents[i] for i in turns]


def cut(texts: list[str]) -> Halves:
    """(kind of end, kind of other end) of a BRICS bond -> halves with one end and halves with the other, each with its molecule's row."""
    out: Halves = {}
    for row, text in enumerate(texts):
        with quiet():
            mol = Chem.MolFromSmiles(text)
        for ends, kinds in brics_bonds(mol):
            bond = mol.GetBondBetweenAtoms(*ends)
            parts = Chem.FragmentOnBonds(mol, [bond.GetIdx()], dummyLabels=[(0, 0)])
            pieces: list[list[int]] = []
            fragments = Chem.GetMolFrags(parts, asMols=True, sanitizeFrags=False, fragsMolAtomMapping=pieces)
            if len(fragments) != 2:
                continue
            mine = 0 if ends[0] in pieces[0] else 1
            key = (str(kinds[0]), str(kinds[1]))
            left, right = fragments[mine], fragments[1 - mine]
            if key[0] > key[1]:
                key, left, right = (key[1], key[0]), right, left
            first, second = out.setdefault(key, ([], []))
            first.append((left, row))
            second.append((right, row))
    return out


def join(left: Chem.Mol, right: Chem.Mol) -> Chem.Mol | None:
    """Two halves bonded where each was cut; None where RDKit can't sanitise it."""
    both = Chem.RWMol(Chem.CombineMols(left, right))
    ends = [a for a in both.GetAtoms() if a.GetAtomicNum() == 0]
    near = [a.GetNeighbors()[0].GetIdx() for a in ends]
    both.AddBond(near[0], near[1], Chem.BondType.SINGLE)
    for i in sorted((a.GetIdx() for a in ends), reverse=True):
        both.RemoveAtom(i)
    return sanitised(both)
