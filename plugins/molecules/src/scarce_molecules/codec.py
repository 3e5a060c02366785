"""Molecules as points with features: centred coordinates, one-hot elements and formal charges, and back by finding bonds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from rdkit import Chem
from rdkit.Chem import rdFingerprintGenerator
from torch import Tensor

from scarce.contract import Block, Dataset, Known, Space, State, take
from scarce.errors import DataError, RunError
from scarce.files import read_json, write_json
from scarce_molecules.bonds import quiet
from scarce_molecules.properties import measured, properties, quintiles
from scarce_molecules.raw import Floats, column
from scarce_molecules.records import Row, as_row, frame_of

FORMAT = 1
MARGIN = 1.2  # how far beyond the farthest training atom a sample may go
BITS = 512


@dataclass(frozen=True, kw_only=True)
class MoleculeCodec:
    """See `contract.Codec`. elements: those of the one-hots, in order; states: (element, formal charge) that occur.

    scale: Å per encoded unit, the root mean square of training coordinates; reach: of the farthest training atom, in units; size: most
    atoms; divisor: of one-hots and charges. classes, shares: the target's values and their training frequencies; edges: quintiles of
    every caption property of labelled training molecules; properties: their kind; columns: those of a record, in order.
    """

    elements: tuple[str, ...]
    states: tuple[tuple[str, int], ...]
    scale: float
    reach: float
    size: int
    divisor: float = 4.0
    target: str = ""
    classes: tuple[Any, ...] = ()
    shares: tuple[float, ...] = ()
    edges: Mapping[str, Sequence[float]]
    properties: str = "descriptors"
    columns: tuple[str, ...] = ("smiles", "atoms", "charges", "xyz")

    @property
    def charged(self) -> bool:
        """Whether a formal charge occurs; without one there is no channel for it."""
        return any(charge for _, charge in self.states)

    @cached_property
    def space(self) -> Space:
        """Coordinates of zero centre of mass, one-hot elements, and formal charges where there are any."""
        blocks = [
            Block(name="xyz", kind="coordinates", size=3, clip=MARGIN * self.reach),
            Block(name="elements", kind="continuous", size=len(self.elements), clip=2 / self.divisor),
        ]
        if self.charged:
            most = max(abs(charge) for _, charge in self.states)
            blocks.append(Block(name="charge", kind="continuous", size=1, clip=2 * most / self.divisor))
        return Space(layout="set", blocks=tuple(blocks), shape=(self.size,), variable=True)

    def encode(self, records: pd.DataFrame) -> State:
        """num [n, size, width]; 0 where there is no atom, and in all one-hots of an element that is not known.

        DataError for a molecule of more atoms than there is room for.
        """
        num = np.zeros((len(records), self.size, self.space.width), dtype=np.float32)
        mask = np.zeros((len(records), self.size), dtype=bool)
        place = {symbol: 3 + i for i, symbol in enumerate(self.elements)}
        for i, (symbols, charges, xyz) in enumerate(zip(records["atoms"], records["charges"], records["xyz"], strict=True)):
            n = len(symbols)
            if n > self.size:
                raise DataError(f"molecule {i} has {n} heavy atoms where the generator has room for {self.size}", hint="leave it out")
            places = np.array([np.asarray(p, dtype=np.float64) for p in xyz], dtype=np.float64).reshape(n, 3)
            num[i, :n, :3] = (places - places.mean(0)) / self.scale if n else 0.0
            for j, symbol in enumerate(symbols):
                if symbol in place:
                    num[i, j, place[symbol]] = 1 / self.divisor
            if self.charged:
                num[i, :n, -1] = np.asarray(charges, dtype=np.float64) / self.divisor
            mask[i, :n] = True
        cat = torch.zeros(len(records), self.size, 0, dtype=torch.int64)
        return State(torch.from_numpy(num), cat, torch.from_numpy(mask))

    def soft(self, state: State) -> Tensor:
        """[n, size, width + 1] encoded values, and whether an atom exists; differentiable."""
        mask = torch.ones(state.num.shape[:2], dtype=torch.bool) if state.mask is None else state.mask
        exists = mask.unsqueeze(-1).to(state.num)
        return torch.cat([state.num * exists, exists], -1)

    def decode(self, state: State, labels: Sequence[Any] | None, seed: int) -> pd.DataFrame:
        """Records of points; one that is no molecule has no SMILES. Atoms of others stand in the order of their SMILES.

        A target of classes is what was asked (`labels`), or drawn by training frequency; one that is a measured property is
        measured. Names and other things that are known of real molecules no sample has.
        """
        num = state.num.double().numpy()
        masks = np.ones(num.shape[:2], dtype=bool) if state.mask is None else state.mask.numpy()
        return self.answered([self._row(v[m]) for v, m in zip(num, masks, strict=True)], labels, seed)

    def answered(self, rows: Sequence[Row], labels: Sequence[Any] | None, seed: int) -> pd.DataFrame:
        """Records with their target: the class asked for, or what is measured."""
        found = frame_of(rows, self.columns)
        if self.classes:
            found[self.target] = column(self.labels(labels, len(rows), seed))
        elif self.target:
            found[self.target] = measured(found, self.target)
        return found

    def _row(self, values: Floats) -> Row:
        """Elements, charges and Å of one sample [n, width], and what molecule it is."""
        kinds = values[:, 3 : 3 + len(self.elements)].argmax(1)
        symbols = [self.elements[int(k)] for k in kinds]
        near = values[:, -1] * self.divisor if self.charged else np.zeros(len(values))
        charges = [self._charge(s, float(c)) for s, c in zip(symbols, near, strict=True)]
        return as_row(symbols, charges, values[:, :3] * self.scale)

    def _charge(self, symbol: str, value: float) -> int:
        """The nearest formal charge that occurs with an element."""
        return min((c for s, c in self.states if s == symbol), key=lambda c: (abs(c - value), abs(c)), default=0)

    def labels(self, labels: Sequence[Any] | None, n: int, seed: int) -> list[Any]:
        """[n] the classes asked for, others drawn by training frequency."""
        drawn = np.random.default_rng(seed).choice(len(self.classes), n, p=self.shares)
        asked = [None] * n if labels is None else list(labels)
        return [self.classes[int(d)] if v is None else v for v, d in zip(asked, drawn, strict=True)]

    def vectors(self, records: pd.DataFrame) -> npt.NDArray[np.float64]:
        """[n, 512 + elements] roots of Morgan counts (radius 2), zeros for what is no molecule, and of counts of elements."""
        make = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=BITS)
        out = np.zeros((len(records), BITS + len(self.elements)))
        for i, (text, symbols) in enumerate(zip(records["smiles"], records["atoms"], strict=True)):
            with quiet():
                mol = Chem.MolFromSmiles(text) if isinstance(text, str) and text else None
            if mol is not None:
                out[i, :BITS] = make.GetCountFingerprintAsNumPy(mol)
            out[i, BITS:] = [sum(s == e for s in symbols) for e in self.elements]
        return np.asarray(np.sqrt(out))

    def known(self, where: Mapping[str, Any], n: int, seed: int) -> tuple[Known | None, Sequence[Any] | None]:
        """Nothing to impose, and the class of each sample where the target is asked; DataError for any other field."""
        labels = None
        for name, asked in where.items():
            if not self.classes or name != self.target:
                what = f"--where: '{name}' is no field of a molecule that can be asked" + (f"; '{self.target}' is" if self.classes else "")
                raise DataError(what, hint="ask in words: --prompt TEXT")
            named = {str(v): v for v in self.classes}
            wanted = [str(v) for v in (asked.values if hasattr(asked, "values") else [getattr(asked, "value", None)])]
            unknown = [v for v in wanted if v not in named]
            if unknown:
                raise DataError(f"--where: {name} has no value '{unknown[0]}'", hint=f"one of {', '.join(list(named)[:20])}")
            shares = np.array([self.shares[self.classes.index(named[v])] for v in wanted])
            shares = shares / shares.sum() if shares.sum() else np.full(len(wanted), 1 / len(wanted))
            labels = [named[wanted[i]] for i in np.random.default_rng(seed).choice(len(wanted), n, p=shares)]
        return None, labels

    def save(self, folder: Path) -> None:
        """codec.json."""
        facts = {k: getattr(self, k) for k in self.__dataclass_fields__}
        write_json(folder / "codec.json", {"format": FORMAT, **facts})


def fit_codec(dataset: Dataset) -> MoleculeCodec:
    """The codec of a data set's training rows."""
    rows = dataset.rows("train")
    records = take(dataset.records, rows)
    places = [np.array(list(xyz), dtype=np.float64) for xyz in records["xyz"]]
    together = np.concatenate([p - p.mean(0) for p in places])
    scale = float(np.sqrt(np.mean(together**2))) or 1.0
    codes = dataset.codes()[rows]
    counts = np.bincount(codes[codes >= 0], minlength=len(dataset.classes)).astype(float)
    counts = counts if counts.sum() else counts + 1
    told = np.flatnonzero(dataset.labelled[rows])
    schema = dataset.schema
    return MoleculeCodec(
        elements=tuple(schema["elements"]), states=tuple((str(s), int(c)) for s, c in schema["states"]), scale=scale,
        reach=float(np.linalg.norm(together, axis=1).max()) / scale or 1.0, size=int(schema["size"]),
        divisor=float(schema["divisor"]), target=dataset.target_name,
        classes=dataset.classes, shares=tuple((counts / counts.sum()).tolist()) if dataset.classes else (),
        edges=quintiles(properties(take(records, told) if len(told) else records, schema["properties"])), properties=schema["properties"],
        columns=tuple(map(str, dataset.records.columns)),
    )  # fmt: skip


def read_codec(folder: Path) -> MoleculeCodec:
    """The codec written by `MoleculeCodec.save`."""
    data = read_json(folder / "codec.json")
    if data.pop("format", None) != FORMAT:
        raise RunError(f"{folder}/codec.json is not of format {FORMAT}", hint="run the recipe again with the installed version")
    facts: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
    return MoleculeCodec(**{**facts, "states": tuple((str(s), int(c)) for s, c in facts["states"]), "edges": dict(facts["edges"])})
