"""Rows as numbers and codes, and back to rows with the input's columns, order, types and formats."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from scarce.contract import Block, Dataset, Known, Space, State
from scarce.errors import RunError
from scarce.files import read_json, read_tensors, write_json, write_tensors
from scarce_tabular import fields as f
from scarce_tabular.impute import Imputer
from scarce_tabular.restore import restore_numbers, restore_values
from scarce_tabular.schema import Column, plain
from scarce_tabular.schema import from_json as schema_from_json

FORMAT = 1
MOST_ONE_HOT = 32
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class TableCodec:
    """See `contract.Codec`. fields: one per column in order; label: the classification target, which is a condition.

    missing: "keep" (missing values are generated too) or "regress" (imputed by `imputer`, so none are generated);
    scales: (low, span) of each numeric column for distances.
    """

    fields: tuple[f.Field, ...]
    target: str
    label: f.Levels | None
    missing: str
    seed: int
    scales: Mapping[str, tuple[float, float]]
    imputer: Imputer | None = None
    space: Space = field(init=False)

    def __post_init__(self) -> None:
        blocks = [Block(name=str(n.column.name), kind="continuous", size=1, clip=f.CLIP) for n in self.numbers]
        blocks += [Block(name=f"{n.column.name} missing", kind="categorical", size=2, column=str(n.column.name)) for n in self.flagged]
        blocks += [Block(name=str(c.column.name), kind="categorical", size=c.size) for c in self.levels]
        object.__setattr__(self, "space", Space(layout="vector", blocks=tuple(blocks)))

    @property
    def numbers(self) -> tuple[f.Number, ...]:
        """Numeric columns, in order of the continuous blocks."""
        return tuple(c for c in self.fields if isinstance(c, f.Number))

    @property
    def flagged(self) -> tuple[f.Number, ...]:
        """Numeric columns whose missing values are generated: each has a two-level block."""
        return tuple(n for n in self.numbers if n.column.missing and self.missing == "keep")

    @property
    def levels(self) -> tuple[f.Levels, ...]:
        """Categorical columns of the space; the label is not among them."""
        return tuple(c for c in self.fields if isinstance(c, f.Levels) and c is not self.label)

    def encode(self, records: pd.DataFrame) -> State:
        """num [n, d] normal scores, cat [n, C] codes; deterministic, also where ties are spread."""
        gaps, unknown = self.absent(records)
        num = np.zeros(gaps.shape)
        for i, number in enumerate(self.numbers):
            values = f.as_floats(number.column, records[number.column.name])
            num[:, i] = number.encode(values, np.random.default_rng((self.seed, i)))
        flags = [gaps[:, i].astype(np.int64) for i, n in enumerate(self.numbers) if n in self.flagged]
        codes = [c.encode(records[c.column.name]) for c in self.levels]
        cat = np.stack([*flags, *codes], 1) if flags or codes else np.zeros((len(records), 0), dtype=np.int64)
        if self.imputer is not None:
            num, cat = self.imputer.fill(num, cat, gaps, unknown)
        return State(torch.from_numpy(num).float(), torch.from_numpy(cat))

    def absent(self, records: pd.DataFrame) -> tuple[Mask, Mask]:
        """[n, numbers] and [n, levels]: where numbers and levels are missing."""
        n = len(records)
        gaps = [~np.isfinite(f.as_floats(c.column, records[c.column.name])) for c in self.numbers]
        unknown = [records[c.column.name].isna().to_numpy() for c in self.levels]
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
        n, num, cat = len(state), state.num.double().numpy(), self._codes(state.cat)
        flag = {str(n.column.name): i for i, n in enumerate(self.flagged)}
        place = {str(c.column.name): i for i, c in enumerate(self.numbers)}
        code = {str(c.column.name): i for i, c in enumerate(self.levels, len(flag))}
        out = {}
        for field_ in self.fields:
            column, key = field_.column, str(field_.column.name)
            if isinstance(field_, f.Number):
                absent = cat[:, flag[key]] == 1 if key in flag else np.zeros(n, dtype=bool)
                out[column.name] = restore_numbers(field_.decode(num[:, place[key]]), absent, column)
            elif field_ is self.label:
                out[column.name] = restore_values(self._labels(labels, n, rng), column)
            elif isinstance(field_, f.Levels):
                out[column.name] = restore_values(field_.decode(cat[:, code[key]], rng), column)
            else:
                out[column.name] = restore_values(field_.make(n, rng), column)
        return pd.DataFrame(out, columns=pd.Index([c.column.name for c in self.fields]))

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
        random unit vector of each level stands for its one-hot: levels then differ by about 1, and d stays small.
        """
        parts: list[npt.NDArray[np.float64]] = []
        for column in self.fields:
            if str(column.column.name) in self.scales and not isinstance(column, f.Constant | f.Identifier):
                low, span = self.scales[str(column.column.name)]
                values = f.as_floats(column.column, records[column.column.name])
                gone = ~np.isfinite(values)
                fill = column.fill if isinstance(column, f.Number) else next(v for v in column.levels if v is not None)
                parts.append((np.where(gone, fill, values)[:, None] - low) / span)
                parts += [gone[:, None] / np.sqrt(2)] if column.column.missing else []
            elif isinstance(column, f.Levels):
                parts.append(_points(column, records[column.column.name]) / np.sqrt(2))
        return np.concatenate(parts, 1) if parts else np.zeros((len(records), 1))

    def known(self, where: Mapping[str, Any], n: int, seed: int) -> tuple[Known | None, Sequence[Any] | None]:
        """See `scarce_tabular.known`."""
        from scarce_tabular.known import impose

        return impose(self, where, n, seed)

    def save(self, folder: Path) -> None:
        """codec.json, and imputer.safetensors where missing values are regressed."""
        facts = {"format": FORMAT, "target": self.target, "missing": self.missing, "seed": self.seed, "scales": dict(self.scales)}
        label = None if self.label is None else self.fields.index(self.label)
        write_json(folder / "codec.json", {**facts, "label": label, "fields": [c.to_json() for c in self.fields]})
        if self.imputer is not None:
            write_tensors(folder / "imputer.safetensors", self.imputer.tensors())


def fit_codec(dataset: Dataset, *, seed: int, label_is_condition: bool = True, most_levels: int = 2) -> TableCodec:
    """A codec of the training rows of a table."""
    frame: pd.DataFrame = dataset.records.iloc[dataset.rows("train")]
    missing = str(dataset.schema.get("missing", "keep"))
    made: list[f.Field] = []
    label: Any = None
    for told in schema_from_json({"columns": dataset.schema["columns"]}).columns:
        series = (dataset.records if told.kind == "identifier" else frame)[told.name]  # no real name is made up again
        is_label = told.name == dataset.target_name and dataset.task == "classification"
        made.append(fit_field(told, series, is_label=is_label, keep=missing == "keep", most_levels=most_levels))
        label = made[-1] if is_label and label_is_condition else label
    scales = {}
    for column in made:
        if isinstance(column, f.Number):
            low, high = float(column.ranks.v[0]), float(column.ranks.v[-1])
        elif isinstance(column, f.Levels) and column.column.kind == "integer" and column is not label:
            values = [float(v) for v in (*column.levels, *column.rare) if v is not None]
            low, high = min(values), max(values)
        else:
            continue
        scales[str(column.column.name)] = (low, (high - low) or 1.0)
    codec = TableCodec(fields=tuple(made), target=str(dataset.target_name), label=label, missing=missing, seed=seed % 2**32, scales=scales)
    return replace(codec, imputer=_fit_imputer(codec, frame)) if missing == "regress" else codec


def _fit_imputer(codec: TableCodec, frame: pd.DataFrame) -> Imputer:
    state = codec.encode(frame)
    gaps, unknown = codec.absent(frame)
    return Imputer.fit(state.num.double().numpy(), state.cat.numpy(), gaps, unknown, codec.space.levels)


def fit_field(column: Column, series: pd.Series, *, is_label: bool, keep: bool, most_levels: int = 2) -> f.Field:
    """The field of one column by its kind; one with a single value on training rows has nothing to learn.

    keep: whether missing values are generated; most_levels: whole numbers of so few values are levels.
    """
    present, gaps = series.dropna(), keep and bool(series.isna().any())
    if is_label:
        fitted = f.Levels.fit(column, series, False)
        every = fitted.shares[: len(fitted.levels)] + fitted.weights
        return replace(fitted, levels=fitted.levels + fitted.rare, rare=(), weights=(), shares=every)  # a class is never pooled
    if column.kind == "identifier" and len(present):
        return f.Identifier.fit(column, series, float(series.isna().mean()) if keep else 0.0)
    if present.nunique() < 2 and not (gaps and len(present)):
        return f.Constant.fit(column, series)
    few = column.kind == "integer" and present.nunique() <= most_levels
    if column.kind == "category" or few or present.nunique() < 2:
        return f.Levels.fit(column, series, keep)
    return f.Number.fit(column, series)


def _points(column: f.Levels, series: pd.Series) -> npt.NDArray[np.float64]:
    """[n, d] points of a column's levels, each 1 from the origin: one-hots, or random directions of many levels."""
    every = {v: i for i, v in enumerate((*column.levels, *column.rare))}
    if len(every) < MOST_ONE_HOT:
        return np.eye(len(every) + 1)[f.lookup(series, every, len(every))]
    codes, found = f.factorize(series)
    table = np.stack([_direction(v) for v in (*found, None)])
    return table[codes]


def _direction(value: Any) -> npt.NDArray[np.float64]:
    seed = hashlib.blake2b(repr(value).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    point = np.random.default_rng(int.from_bytes(seed, "big")).normal(size=MOST_ONE_HOT)
    return np.asarray(point / np.linalg.norm(point))


def read_codec(folder: Path) -> TableCodec:
    """The codec written by `TableCodec.save`."""
    data = read_json(folder / "codec.json")
    if data.get("format") != FORMAT:
        what = f"{folder}/codec.json has format {data.get('format')}, this version reads {FORMAT}"
        raise RunError(what, hint="run the recipe again with the installed version")
    made = tuple(f.from_json(c) for c in data["fields"])
    label = made[data["label"]] if data["label"] is not None else None
    imputer = Imputer.read(read_tensors(folder / "imputer.safetensors")[0]) if data["missing"] == "regress" else None
    scales = {k: (float(v[0]), float(v[1])) for k, v in data["scales"].items()}
    return TableCodec(
        fields=made, target=data["target"], label=label if isinstance(label, f.Levels) else None, missing=data["missing"],
        seed=data["seed"], scales=scales, imputer=imputer,
    )  # fmt: skip
