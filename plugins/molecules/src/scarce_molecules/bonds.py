"""A molecule from points: which heavy atoms are bonded, by what order, from distances alone; hydrogens are implicit.

Lengths are those of force-field geometries (MMFF94) of drug-like molecules. Two atoms are bonded when they are no further apart than their
single bond and a tolerance. Triple bonds are short enough to be told by length; double bonds are a matching of largest weight (each
atom has at most one), since in a ring of one length every second bond is double; what is short and still has room, as in a
sulfone, is double too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import networkx as nx
import numpy as np
import numpy.typing as npt
from rdkit import Chem
from rdkit.Chem import BRICS
from rdkit.Geometry import Point3D
from rdkit.rdBase import BlockLogs

Floats = npt.NDArray[np.float64]
Edge = tuple[int, int]

TOLERANCE = 0.3  # Å beyond a single bond
CLASH = 0.75  # of a single bond, less 0.05 Å: nearer atoms lie in each other
RADII = {"C": 0.76, "N": 0.70, "O": 0.66, "F": 0.60, "S": 1.04, "Cl": 1.00, "Br": 1.15, "P": 1.07, "I": 1.34, "B": 0.84, "Si": 1.13}
"""Å; element -> half of its usual single bond with its like. The elements that bonds are known for."""
VALENCES = {"C": 4, "N": 3, "O": 2, "F": 1, "S": 6, "Cl": 1, "Br": 1, "P": 5, "I": 1, "B": 3, "Si": 4}
"""Element -> most bonds of the neutral atom; a charge moves that of N, O, S and P up and that of C and B down."""
DOUBLE = {
    "C-C": 1.445, "C-N": 1.37, "C-O": 1.285, "N-N": 1.365, "N-O": 1.30, "C-S": 1.69, "O-S": 1.53, "N-S": 1.60, "O-P": 1.54, "P-S": 2.0,
}  # fmt: skip
"""Å; pair -> shorter bonds may be double (or of an aromatic ring), longer ones are single."""
TRIPLE = {"C-C": 1.27, "C-N": 1.22, "N-N": 1.15}
SOFT = 0.03  # Å: how far from the border a length must be to count for one
PLANAR = 0.25  # Å: a carbon with three neighbours that lies nearer to their plane is flat


def pair(a: str, b: str) -> str:
    """ "C-O" of two elements in either order."""
    return "-".join(sorted((a, b)))


def molecule(symbols: Sequence[str], charges: Sequence[int], xyz: Floats) -> Chem.Mol | None:
    """The sanitised molecule of heavy atoms at xyz [n, 3] Å, with them as its conformer; None where there is none.

    None: two atoms lie in each other, an atom has more bonds than its element allows, or RDKit can't sanitise it. It may be
    of several fragments.
    """
    edges = bonded(symbols, xyz)
    if edges is None or len(symbols) == 0 or any(s not in RADII for s in symbols):
        return None
    orders = bond_orders(symbols, charges, xyz, edges)
    made = Chem.RWMol()
    for symbol, charge in zip(symbols, charges, strict=True):
        atom = Chem.Atom(symbol)
        atom.SetFormalCharge(int(charge))
        made.AddAtom(atom)
    for (i, j), order in zip(edges, orders, strict=True):
        made.AddBond(i, j, (Chem.BondType.SINGLE, Chem.BondType.DOUBLE, Chem.BondType.TRIPLE)[order - 1])
    return sanitised(placed(made, xyz))


def placed(mol: Chem.Mol, xyz: Floats) -> Chem.Mol:
    """The molecule with its atoms at xyz [n, 3] as its only conformer; it is changed in place."""
    conformer = Chem.Conformer(mol.GetNumAtoms())
    for i, place in enumerate(np.asarray(xyz, dtype=np.float64)):
        conformer.SetAtomPosition(i, Point3D(*place.tolist()))
    mol.RemoveAllConformers()
    mol.AddConformer(conformer)
    return mol


def sanitised(made: Chem.Mol) -> Chem.Mol | None:
    """The molecule after RDKit's sanitisation, None where it refuses; RDKit's own messages are not printed."""
    with quiet():
        out = Chem.Mol(made)
        return out if Chem.SanitizeMol(out, catchErrors=True) == Chem.SanitizeFlags.SANITIZE_NONE else None


def bonded(symbols: Sequence[str], xyz: Floats) -> list[Edge] | None:
    """Pairs of atoms that are bonded; None where two lie in each other or a place is no number."""
    if not np.isfinite(xyz).all():
        return None
    radii = np.array([RADII.get(s, 0.0) for s in symbols])
    apart = np.linalg.norm(xyz[:, None] - xyz[None], axis=-1)
    single = radii[:, None] + radii[None]
    above = np.triu(np.ones_like(apart, dtype=bool), 1)
    if (above & (apart < nearest(single))).any():
        return None
    return [(int(i), int(j)) for i, j in np.argwhere(above & (apart <= single + TOLERANCE))]


def stable(symbols: Sequence[str], charges: Sequence[int], xyz: Floats) -> npt.NDArray[np.bool_]:
    """[n] whether each atom has a bond (or is alone), no more than its element allows, and no other atom inside it."""
    radii = np.array([RADII.get(s, 0.0) for s in symbols])
    apart = np.linalg.norm(xyz[:, None] - xyz[None], axis=-1) + np.diag(np.full(len(symbols), np.inf))
    single = radii[:, None] + radii[None]
    bonds = (apart <= single + TOLERANCE).sum(1)
    most = np.array([capacity(s, int(c)) for s, c in zip(symbols, charges, strict=True)], dtype=int)
    free = ~(apart < nearest(single)).any(1) & np.isfinite(xyz).all(1)
    return np.asarray(free & (bonds <= most) & ((bonds > 0) | (len(symbols) == 1)))


def nearest(single: Floats) -> Floats:
    """Å under which two atoms lie in each other, by the length of their single bond."""
    return CLASH * single - 0.05


def capacity(symbol: str, charge: int) -> int:
    """Most bonds of an atom, each counted by its order."""
    moved = charge if symbol in ("N", "O", "S", "P") else -abs(charge)
    return max(0, VALENCES[symbol] + moved)


def bond_orders(symbols: Sequence[str], charges: Sequence[int], xyz: Floats, edges: Sequence[Edge]) -> list[int]:
    """1, 2 or 3 of each edge."""
    length = {e: float(np.linalg.norm(xyz[e[0]] - xyz[e[1]])) for e in edges}
    near: list[list[int]] = [[] for _ in symbols]
    for i, j in edges:
        near[i].append(j)
        near[j].append(i)
    room = [capacity(s, c) - len(n) for s, c, n in zip(symbols, charges, near, strict=True)]
    order = dict.fromkeys(edges, 1)

    def raise_to(e: Edge, to: int) -> None:
        room[e[0]], room[e[1]] = room[e[0]] - (to - 1), room[e[1]] - (to - 1)
        order[e] = to

    for e in sorted(edges, key=lambda e: length[e]):
        if length[e] < TRIPLE.get(pair(symbols[e[0]], symbols[e[1]]), 0.0) and min(room[e[0]], room[e[1]]) >= 2:
            raise_to(e, 3)
    flat = [flatness(symbols, xyz, i, n) for i, n in enumerate(near)]
    graph = nx.Graph()
    for i, j in edges:
        first = order[i, j] == 1 and min(room[i], room[j]) >= 1 and "S" not in (symbols[i], symbols[j])
        weight = doubleness(symbols, length[i, j], (i, j)) + flat[i] + flat[j]
        if first and weight > 0 and length[i, j] < border(symbols, (i, j)) + reach(near, i, j):
            graph.add_edge(i, j, weight=weight)
    for a, b in nx.max_weight_matching(graph):
        raise_to((min(a, b), max(a, b)), 2)
    for e in sorted(edges, key=lambda e: -doubleness(symbols, length[e], e)):
        ends = len(near[e[0]]) == 1 or len(near[e[1]]) == 1
        if order[e] == 1 and ends and doubleness(symbols, length[e], e) > 0 and min(room[e[0]], room[e[1]]) >= 1:
            raise_to(e, 2)
    return [order[e] for e in edges]


def border(symbols: Sequence[str], e: Edge) -> float:
    """Å between single and double bonds of a pair; 0 where there are no double ones."""
    return DOUBLE.get(pair(symbols[e[0]], symbols[e[1]]), 0.0)


def doubleness(symbols: Sequence[str], length: float, e: Edge) -> float:
    """How much a length speaks for a double bond, -3 to 3."""
    return float(np.clip((border(symbols, e) - length) / SOFT, -3, 3))


def reach(near: Sequence[Sequence[int]], i: int, j: int) -> float:
    """Å beyond the border in which a bond may still be double: more where both ends have three neighbours, whose flatness is seen."""
    return 2 * SOFT if len(near[i]) == len(near[j]) == 3 else SOFT


def flatness(symbols: Sequence[str], xyz: Floats, i: int, near: Sequence[int]) -> float:
    """How much an atom's neighbours speak for a double bond at it.

    A carbon with three: 3 or -4, as they lie in a plane with it or not; with two, whether both bonds are short, as in a ring
    of one length (so for nitrogen: 1.5 or -1).
    """
    if symbols[i] not in ("C", "N"):
        return 0.0
    if len(near) == 2:
        short = all(doubleness(symbols, float(np.linalg.norm(xyz[i] - xyz[k])), (i, k)) > -0.7 or symbols[k] == "S" for k in near)
        return {("C", True): 1.0, ("C", False): 0.0, ("N", True): 1.5, ("N", False): -1.0}[symbols[i], short]
    if len(near) < 2 or symbols[i] == "N":
        return 0.0
    if len(near) > 3:
        return -9.0
    a, b, c = xyz[near[0]], xyz[near[1]], xyz[near[2]]
    normal = np.cross(b - a, c - a)
    size = float(np.linalg.norm(normal))
    return 3.0 if size < 1e-9 or abs(float((xyz[i] - a) @ normal)) / size < PLANAR else -4.0


def valid(smiles: Any) -> bool:
    """Whether a record is one sanitised, connected molecule."""
    return isinstance(smiles, str) and bool(smiles) and "." not in smiles


@contextmanager
def quiet() -> Iterator[None]:
    """RDKit's messages are off inside."""
    with BlockLogs():
        yield


def brics_bonds(mol: Chem.Mol) -> list[tuple[tuple[int, int], tuple[str, str]]]:
    """Bonds that BRICS would cut (Degen et al. 2008): their atoms, and the kind of each end."""
    found: Any = BRICS.FindBRICSBonds
    return list(found(mol))
