"""Rows as numbers and codes, and back to rows with the input's columns, order, types and formats."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from scarce.contract import Known, State
from scarce.errors import RunError
from scarce.files import read_json, read_tensors, write_json, write_tensors
from scarce_tabular import constraints, joint
from scarce_tabular import fields as f
from scarce_tabular.impute import Imputer
from scarce_tabular.known import impose
from scarce_tabular.layout import Mask, TableLayout
from scarce_tabular.ordered import Gap, gaps_of, hide
from scarce_tabular.restore import restore_numbers, restore_values
from scarce_tabular.saved import field_of
from scarce_tabular.schema import plain
from scarce_tabular.texts import Text
from scarce_tabular.unique import Keys

FORMAT = 1
MOST_ONE_HOT = 32
MOST_POINTS = 2048  # numbers that stand for all levels of a row in its vector


@dataclass(frozen=True, kw_only=True)
class TableCodec(TableLayout):
    """See `contract.Codec`, and `TableLayout` for what it knows of each.

    scales: (low, span) of each numeric column for distances; imputer: what fills in missing values where they are regressed;
    keys: what was made since the last request, so that unique keys stay so over several calls.
    """

    target: str
    seed: int
    scales: Mapping[str, tuple[float, float]]
    imputer: Imputer | None = None
    keys: Keys = field(init=False, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        label = () if self.label is None else (str(self.label.column.name),)
        object.__setattr__(self, "keys", Keys(self.rules.unique, {*self.rules.ordered, *self.rules.joined, *label}))

    def encode(self, records: pd.DataFrame) -> State:
        """num [n, d] normal scores, cat [n, C] codes; deterministic, also where ties are spread."""
        gaps, unknown = self.absent(records)
        num = np.zeros(gaps.shape, dtype=np.float32 if self.imputer is None else np.float64)
        named = {str(n.column.name): n for n in self.numbers}
        bound = {name: f.as_floats(named[name].column, records[named[name].column.name]) for name in self.rules.ordered & set(named)}
        bound = hide(self.gaps[::-1], bound, self.seed)
        for i, (name, number) in enumerate(named.items()):
            rng = np.random.default_rng((self.seed, i))
            if isinstance(number, Gap):
                num[:, i] = number.encode_gaps(gaps_of(number, bound), rng)
            else:
                values = bound[name] if name in bound else f.as_floats(number.column, records[number.column.name])
                num[:, i] = number.encode(values, rng)
        flagged = set(map(id, self.flagged))
        flags = [gaps[:, i].astype(np.int64) for i, n in enumerate(self.numbers) if id(n) in flagged]
        own = len(self.levels) - len(self.joints)
        codes = [c.encode(records[c.column.name]) for c in self.levels[:own]] + [j.encode(records) for j in self.joints]
        cat = np.stack([*flags, *codes], 1) if flags or codes else np.zeros((len(records), 0), dtype=np.int64)
        if self.imputer is not None:
            num, cat = self.imputer.fill(num, cat, gaps, unknown)
        return State(torch.from_numpy(num).float(), torch.from_numpy(cat))

    def absent(self, records: pd.DataFrame) -> tuple[Mask, Mask]:
        """[n, numbers] and [n, levels]: where numbers and levels are missing."""
        n = len(records)
        gaps = [~np.isfinite(f.as_floats(c.column, records[c.column.name])) for c in self.numbers]
        own = self.levels[: len(self.levels) - len(self.joints)]
        unknown = [records[c.column.name].isna().to_numpy() for c in own]
        unknown += [records[[c.name for c in j.columns]].isna().any(axis=1).to_numpy() for j in self.joints]
        return np.array(gaps, dtype=bool).reshape(-1, n).T, np.array(unknown, dtype=bool).reshape(-1, n).T

    def soft(self, state: State) -> Tensor:
        """[n, d + sum K]: scores, then one-hots (or the expected one-hots a sampler gave); differentiable."""
        if state.cat.is_floating_point() or state.cat.shape[-1] == 0:
            return torch.cat([state.num, state.cat.to(state.num.dtype)], 1)
        hot = [one_hot(state.cat[:, i], k).to(state.num.dtype) for i, k in enumerate(self.space.levels)]
        return torch.cat([state.num, *hot], 1)

    def decode(self, state: State, labels: Sequence[Any] | None, seed: int) -> pd.DataFrame:
        """[n] rows; `labels` are the classes asked for (None: drawn by training frequency)."""
        rng = np.random.default_rng(seed)
        n, cat = len(state), self._codes(state.cat)
        values, absent = self.decode_numbers(state.num.double().numpy(), cat)
        code = {id(c): i for i, c in enumerate(self.levels, len(self.flagged))}
        joined: dict[str, f.Objects] = {}
        for together in self.joints:
            joined |= together.decode(cat[:, code[id(together.levels)]], rng)
        out = {}
        for field_ in self.fields:
            column, key = field_.column, str(field_.column.name)
            if key in joined:
                out[column.name] = restore_values(joined[key], column)
            elif isinstance(field_, f.Number):
                out[column.name] = restore_numbers(values[key], absent[key], column)
            elif field_ is self.label:
                out[column.name] = restore_values(self._labels(labels, n, rng), column)
            elif isinstance(field_, f.Levels):
                out[column.name] = restore_values(field_.decode(cat[:, code[id(field_)]], rng), column)
            else:
                out[column.name] = restore_values(field_.make(n, rng), column)
        frame = pd.DataFrame(out, columns=pd.Index([c.column.name for c in self.fields]))
        return self.keys.settle({str(c.column.name): c for c in self.fields}, frame, seed) if self.rules.unique else frame

    def _codes(self, cat: Tensor) -> npt.NDArray[np.int64]:
        if not cat.is_floating_point():
            return cat.numpy()
        parts = torch.split(cat, list(self.space.levels), 1) if self.space.levels else ()
        return np.stack([p.argmax(1).numpy() for p in parts], 1) if parts else np.zeros((len(cat), 0), dtype=np.int64)

    def _labels(self, labels: Sequence[Any] | None, n: int, rng: np.random.Generator) -> f.Objects:
        assert self.label is not None
        weights = np.array(self.label.shares) / sum(self.label.shares)
        drawn = f.objects(self.label.levels)[rng.choice(len(weights), size=n, p=weights)]
        if labels is None:
            return drawn
        asked = f.objects(plain(v) for v in labels)
        return np.where(pd.isna(asked), drawn, asked)

    def vectors(self, records: pd.DataFrame) -> npt.NDArray[np.float64]:
        """[n, d]: numbers scaled to [0, 1] by training, one-hots over sqrt 2, missing flags, the target included.

        The distance of TabDDPM's DCR (arXiv 2209.15421); identifiers and constants don't count. Beyond 32 levels a
        random unit vector of each level stands for its one-hot: levels then differ by about 1, and d stays small. Where
        there are so many columns of levels that one-hots would take over 2,048 numbers, shorter vectors share these.
        """
        parts: list[npt.NDArray[np.float64]] = []
        counts = [min(_count(c), MOST_ONE_HOT) for c in self.fields if isinstance(c, f.Levels)]
        most = MOST_ONE_HOT if sum(counts) <= MOST_POINTS else max(4, MOST_POINTS // len(counts))
        for column in self.fields:
            if str(column.column.name) in self.scales and not isinstance(column, f.Constant | f.Identifier):
                low, span = self.scales[str(column.column.name)]
                values = f.as_floats(column.column, records[column.column.name])
                gone = ~np.isfinite(values)
                fill = column.fill if isinstance(column, f.Number) else next(v for v in column.levels if v is not None)
                parts.append((np.where(gone, fill, values)[:, None] - low) / span)
                parts += [gone[:, None] / np.sqrt(2)] if column.column.missing else []
            elif isinstance(column, f.Levels):
                parts.append(_points(column, records[column.column.name], most) / np.sqrt(2))
        return np.concatenate(parts, 1) if parts else np.zeros((len(records), 1))

    def known(self, where: Mapping[str, Any], n: int, seed: int) -> tuple[Known | None, Sequence[Any] | None]:
        """See `scarce_tabular.known`."""
        self.keys.begin(where)
        return impose(self, where, n, seed)

    def save(self, folder: Path) -> None:
        """codec.json, and imputer.safetensors where missing values are regressed."""
        facts = {"format": FORMAT, "target": self.target, "missing": self.missing, "seed": self.seed, "scales": dict(self.scales)}
        label = None if self.label is None else self.fields.index(self.label)
        facts |= {"constraints": self.rules.to_json(), "joints": [j.to_json() for j in self.joints]}
        write_json(folder / "codec.json", {**facts, "label": label, "fields": [c.to_json() for c in self.fields]})
        if self.imputer is not None:
            write_tensors(folder / "imputer.safetensors", self.imputer.tensors())


def _points(column: f.Levels, series: pd.Series, most: int) -> npt.NDArray[np.float64]:
    """[n, d] points of a column's levels, each 1 from the origin: one-hots, or random directions of more than `most` levels."""
    count = _count(column)
    if isinstance(column, Text):  # whatever few rows say is one point
        codes, texts = column.encode(series), (*column.levels, "")
        return np.eye(count)[codes] if count <= most else np.stack([_direction(repr(v), most) for v in texts])[codes]
    if count <= most:
        return np.eye(count)[f.lookup(series, {v: i for i, v in enumerate((*column.levels, *column.rare))}, count - 1)]
    codes, found = f.factorize(series)
    return np.stack([_direction(repr(v), most) for v in (*found, None)])[codes]


def _count(column: f.Levels) -> int:
    """Points of a column: its levels, and one for all that training never had (or, of free text, few rows have)."""
    return column.size if isinstance(column, Text) else len(column.levels) + len(column.rare) + 1


@lru_cache(maxsize=200_000)
def _direction(value: str, size: int) -> npt.NDArray[np.float64]:
    seed = hashlib.blake2b(value.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    point = np.random.default_rng(int.from_bytes(seed, "big")).normal(size=size)
    return np.asarray(point / np.linalg.norm(point))


def read_codec(folder: Path) -> TableCodec:
    """The codec written by `TableCodec.save`, with or without constraints."""
    data = read_json(folder / "codec.json")
    if data.get("format") != FORMAT:
        what = f"{folder}/codec.json has format {data.get('format')}, this version reads {FORMAT}"
        raise RunError(what, hint="run the recipe again with the installed version")
    made = tuple(field_of(c) for c in data["fields"])
    label = made[data["label"]] if data["label"] is not None else None
    imputer = Imputer.read(read_tensors(folder / "imputer.safetensors")[0]) if data["missing"] == "regress" else None
    scales = {k: (float(v[0]), float(v[1])) for k, v in data["scales"].items()}
    rules, joints = constraints.from_json(data.get("constraints", {})), tuple(map(joint.from_json, data.get("joints", ())))
    return TableCodec(
        fields=made, target=data["target"], label=label if isinstance(label, f.Levels) else None, missing=data["missing"],
        seed=data["seed"], scales=scales, imputer=imputer, rules=rules, joints=joints,
    )  # fmt: skip
