"""Rows as numbers and codes, and back to rows with the input's columns, order, types and formats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
from scarce_tabular.schema import from_json as schema_from_json

FORMAT = 1


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
        blocks += [Block(name=f"{n.column.name} missing", kind="categorical", size=2) for n in self.flagged]
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
        num = np.zeros((len(records), len(self.numbers)))
        gaps = np.zeros(num.shape, dtype=bool)
        for i, number in enumerate(self.numbers):
            values = f.as_floats(number.column, records[number.column.name])
            gaps[:, i] = ~np.isfinite(values)
            num[:, i] = number.encode(values, np.random.default_rng((self.seed, i)))
        flags = [gaps[:, self.numbers.index(n)].astype(np.int64) for n in self.flagged]
        codes = [c.encode(records[c.column.name]) for c in self.levels]
        cat = np.stack([*flags, *codes], 1) if flags or codes else np.zeros((len(records), 0), dtype=np.int64)
        if self.imputer is not None:
            unknown = np.stack([records[c.column.name].isna().to_numpy() for c in self.levels], 1) if codes else np.zeros(cat.shape, bool)
            num, cat = self.imputer.fill(num, cat, gaps, unknown)
        return State(torch.from_numpy(num).float(), torch.from_numpy(cat))

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
        n_flags = len(self.flagged)
        out = {}
        for column in self.fields:
            name, absent = column.column.name, np.zeros(n, dtype=bool)
            if isinstance(column, f.Number):
                values: Any = column.decode(num[:, self.numbers.index(column)])
                if column in self.flagged:
                    absent = cat[:, self.flagged.index(column)] == 1
            elif isinstance(column, f.Levels):
                values = self._labels(labels, n, rng) if column is self.label else None
                if values is None:
                    values = column.decode(cat[:, n_flags + self.levels.index(column)], rng)
            else:
                values = column.make(n, rng)
            out[name] = restore(values, absent, column.column)
        return pd.DataFrame(out, columns=pd.Index([c.column.name for c in self.fields]))

    def _codes(self, cat: Tensor) -> npt.NDArray[np.int64]:
        if not cat.is_floating_point():
            return cat.numpy()
        parts = torch.split(cat, list(self.space.levels), 1) if self.space.levels else ()
        return np.stack([p.argmax(1).numpy() for p in parts], 1) if parts else np.zeros((len(cat), 0), dtype=np.int64)

    def _labels(self, labels: Sequence[Any] | None, n: int, rng: np.random.Generator) -> list[Any]:
        assert self.label is not None
        present = [(v, s) for v, s in zip(self.label.levels, self.label.shares, strict=False) if v is not None]
        weights = np.array([s for _, s in present]) / sum(s for _, s in present)
        drawn = [present[int(i)][0] for i in rng.choice(len(present), size=n, p=weights)]
        return drawn if labels is None else [d if v is None else f.plain(v) for v, d in zip(labels, drawn, strict=True)]

    def vectors(self, records: pd.DataFrame) -> npt.NDArray[np.float64]:
        """[n, d]: numbers scaled to [0, 1] by training, one-hots over sqrt 2, missing flags, the target included.

        The distance of TabDDPM's DCR (arXiv 2209.15421); identifiers and constants don't count.
        """
        parts = []
        for column in self.fields:
            series = records[column.column.name] if not isinstance(column, f.Constant | f.Identifier) else None
            if isinstance(column, f.Number) and series is not None:
                low, span = self.scales[str(column.column.name)]
                values = f.as_floats(column.column, series)
                gone = ~np.isfinite(values)
                parts += [np.where(gone, (column.fill - low) / span, (values - low) / span)[:, None]]
                parts += [gone[:, None] / np.sqrt(2)] if column.column.missing else []
            elif isinstance(column, f.Levels) and series is not None:
                every = {v: i for i, v in enumerate((*column.levels, *column.rare))}
                codes = np.array([every.get(None if pd.isna(v) else f.plain(v), len(every)) for v in series.astype(object)], dtype=np.int64)
                parts.append(np.eye(len(every) + 1)[codes] / np.sqrt(2))
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


def fit_codec(dataset: Dataset, *, seed: int, label_is_condition: bool = True) -> TableCodec:
    """A codec of the training rows of a table."""
    frame: pd.DataFrame = dataset.records.iloc[dataset.rows("train")]
    missing = str(dataset.schema.get("missing", "keep"))
    made: list[f.Field] = []
    label = None
    for column in schema_from_json({"columns": dataset.schema["columns"]}).columns:
        series = (dataset.records if column.kind == "identifier" else frame)[column.name]  # no real name is made up again
        is_label = column.name == dataset.target_name and dataset.task == "classification"
        one = fit_field(column, series, is_label=is_label, missing_is_level=missing == "keep")
        label = one if is_label and label_is_condition and isinstance(one, f.Levels) else label
        made.append(one)
    numbers = [c for c in made if isinstance(c, f.Number)]
    scales = {}
    for number in numbers:
        low, high = float(number.ranks.v[0]), float(number.ranks.v[-1])
        scales[str(number.column.name)] = (low, (high - low) or 1.0)
    plain = TableCodec(fields=tuple(made), target=str(dataset.target_name), label=label, missing=missing, seed=seed % 2**32, scales=scales)
    if missing != "regress":
        return plain
    gaps = np.array([[not np.isfinite(v) for v in f.as_floats(n.column, frame[n.column.name])] for n in numbers]).T.reshape(len(frame), -1)
    unknown = np.array([frame[c.column.name].isna().to_numpy() for c in plain.levels]).T.reshape(len(frame), -1)
    state = plain.encode(frame)
    imputer = Imputer.fit(state.num.double().numpy(), state.cat.numpy(), gaps, unknown, plain.space.levels)
    return TableCodec(**{**{k: getattr(plain, k) for k in ("fields", "target", "label", "missing", "seed", "scales")}, "imputer": imputer})


def fit_field(column: Any, series: pd.Series, *, is_label: bool, missing_is_level: bool) -> f.Field:
    """The field of one column; one that is constant on training rows is a constant."""
    kind = column.kind
    if kind == "identifier":
        return f.Identifier.fit(column, series)
    if not is_label and (kind == "constant" or series.dropna().nunique() < 2) and not (series.isna().any() and series.notna().any()):
        return f.Constant.fit(column, series)
    if kind == "constant" or (kind != "category" and series.dropna().nunique() < 2 and not is_label):
        return f.Levels.fit(column, series, missing_is_level)
    if is_label or kind == "category":
        fitted = f.Levels.fit(column, series, missing_is_level and not is_label)
        if is_label and fitted.rare:  # a class is never pooled
            fitted = f.Levels(
                column=column, levels=fitted.levels + fitted.rare, rare=(), weights=(), shares=fitted.shares[:-1] + fitted.weights
            )
        return fitted
    return f.Number.fit(column, series)


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


def restore(values: Any, absent: npt.NDArray[np.bool_], column: Any) -> pd.Series:
    """Values in the column's own type and format, missing where `absent`."""
    dtype = column.dtype
    if column.kind == "date":
        dates = pd.Series(pd.to_datetime(np.asarray(values), unit="s"))
        dates = dates.mask(absent)
        if column.format:
            return dates.dt.strftime(column.format).astype(dtype)
        zone = pd.api.types.pandas_dtype(dtype)
        return dates.dt.tz_localize("UTC").astype(zone) if isinstance(zone, pd.DatetimeTZDtype) else dates.astype(dtype)
    if column.kind == "ordered":
        places = np.clip(np.asarray(values).astype(int), 0, len(column.levels) - 1)
        values = [column.levels[i] for i in places]
    if dtype == "category":
        series = pd.Series([None if a else v for v, a in zip(values, absent, strict=True)], dtype=object)
        return series.astype(pd.CategoricalDtype(list(column.levels), ordered=column.kind == "ordered"))
    series = pd.Series(values) if isinstance(values, np.ndarray) else pd.Series(values, dtype=object)
    if absent.any():
        series = series.mask(absent)
    if series.isna().any() and (dtype.startswith(("int", "uint")) or dtype == "bool"):
        return series.astype(object) if dtype == "bool" else series.astype("float64")
    return series.astype(dtype)
