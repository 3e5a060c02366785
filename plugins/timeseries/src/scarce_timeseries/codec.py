"""Series as standardised numbers of one length with a mask, and back to series in their own units."""

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
from torch import Tensor

from scarce.contract import Block, Dataset, Known, Space, State, take
from scarce.errors import DataError, RunError
from scarce.files import read_json, write_json
from scarce_timeseries.properties import properties, quintiles
from scarce_timeseries.raw import objects
from scarce_timeseries.signals import Floats, as_series, filled, resampled

FORMAT = 1
MARGIN = 1.2  # how far beyond the largest training value a sample may go


@dataclass(frozen=True, kw_only=True)
class SeriesCodec:
    """See `contract.Codec`. mean, sd, clip: one per channel, clip in standard deviations; length: the longest training series.

    classes, shares: the target's values and their training frequencies; edges: quintiles of every caption property;
    columns: those of a record, in order.
    """

    channels: tuple[str, ...]
    mean: tuple[float, ...]
    sd: tuple[float, ...]
    clip: tuple[float, ...]
    length: int
    variable: bool
    target: str = ""
    classes: tuple[Any, ...] = ()
    shares: tuple[float, ...] = ()
    edges: Mapping[str, Sequence[float]]
    columns: tuple[str, ...] = ("series",)

    @cached_property
    def space(self) -> Space:
        """One continuous block per channel along `length` steps."""
        blocks = tuple(Block(name=n, kind="continuous", size=1, clip=c) for n, c in zip(self.channels, self.clip, strict=True))
        return Space(layout="sequence", blocks=blocks, shape=(self.length,), variable=self.variable)

    def series(self, records: pd.DataFrame) -> list[Floats]:
        """[t, c] standardised series without gaps; DataError for another number of channels."""
        out = []
        for i, cell in enumerate(records["series"]):
            values = as_series(cell) if len(cell) else np.full((1, len(self.channels)), np.nan)
            if values.shape[1] != len(self.channels):
                what = f"series {i} has {values.shape[1]} channels where training has {len(self.channels)}"
                raise DataError(what, hint=f"give the channels {', '.join(self.channels)}")
            out.append((filled(values, self.mean) - np.array(self.mean)) / np.array(self.sd))
        return out

    def encode(self, records: pd.DataFrame) -> State:
        """num [n, l, c] standardised values, 0 where a series has ended; a series longer than any in training is resampled."""
        num = np.zeros((len(records), self.length, len(self.channels)), dtype=np.float32)
        mask = np.zeros((len(records), self.length), dtype=bool)
        for i, values in enumerate(self.series(records)):
            same = self.variable and len(values) <= self.length
            values = values if same else resampled(values, self.length)
            num[i, : len(values)], mask[i, : len(values)] = values, True
        cat = torch.zeros(len(records), self.length, 0, dtype=torch.int64)
        return State(torch.from_numpy(num), cat, torch.from_numpy(mask) if self.variable else None)

    def soft(self, state: State) -> Tensor:
        """[n, l, c] encoded values, and whether a step exists as one more channel where lengths differ; differentiable."""
        if state.mask is None:
            return state.num
        exists = state.mask.unsqueeze(-1).to(state.num.dtype)
        return torch.cat([state.num * exists, exists], -1)

    def decode(self, state: State, labels: Sequence[Any] | None, seed: int) -> pd.DataFrame:
        """Series in their own units, each as long as its mask says; `labels` None: classes drawn by training frequency.

        Where it was cut from, and a text of a person, no generated record has.
        """
        num = state.num.double().numpy() * np.array(self.sd) + np.array(self.mean)
        values = list(num) if state.mask is None else [v[m] for v, m in zip(num, state.mask.numpy(), strict=True)]
        out: dict[str, Any] = dict.fromkeys(self.columns, [None] * len(values)) | {"series": values}
        if self.target:
            out[self.target] = self.labels(labels, len(state), seed)
        return pd.DataFrame({name: pd.Series(cells, dtype=object) for name, cells in out.items()})

    def labels(self, labels: Sequence[Any] | None, n: int, seed: int) -> npt.NDArray[Any]:
        """[n] the classes asked for, others drawn by training frequency."""
        drawn = objects(self.classes)[np.random.default_rng(seed).choice(len(self.classes), n, p=self.shares)]
        if labels is None:
            return np.asarray(drawn)
        asked = objects(labels)
        return np.where([v is None for v in asked], drawn, asked)

    def vectors(self, records: pd.DataFrame) -> npt.NDArray[np.float64]:
        """[n, l * c] standardised series, all resampled to one length."""
        rows = [resampled(values, self.length).ravel() for values in self.series(records)]
        return np.array(rows).reshape(len(rows), self.length * len(self.channels))

    def known(self, where: Mapping[str, Any], n: int, seed: int) -> tuple[Known | None, Sequence[Any] | None]:
        """Nothing to impose, and the class of each sample where the target is asked; DataError for any other field."""
        labels = None
        for name, asked in where.items():
            if not self.target or name != self.target:
                what = f"--where: '{name}' is no field of a series" + (f"; '{self.target}' is" if self.target else "")
                raise DataError(what, hint="conditions on values inside a series are not supported")
            named = {str(v): v for v in self.classes}
            wanted = [str(v) for v in (asked.values if hasattr(asked, "values") else [getattr(asked, "value", None)])]
            unknown = [v for v in wanted if v not in named]
            if unknown:
                raise DataError(f"--where: {name} has no value '{unknown[0]}'", hint=f"one of {', '.join(list(named)[:20])}")
            shares = np.array([self.shares[self.classes.index(named[v])] for v in wanted])
            shares = shares / shares.sum() if shares.sum() else np.full(len(wanted), 1 / len(wanted))
            chosen = np.random.default_rng(seed).choice(len(wanted), n, p=shares)
            labels = [named[wanted[i]] for i in chosen]
        return None, labels

    def save(self, folder: Path) -> None:
        """codec.json."""
        facts = {k: getattr(self, k) for k in self.__dataclass_fields__}
        write_json(folder / "codec.json", {"format": FORMAT, **facts})


def fit_codec(dataset: Dataset) -> SeriesCodec:
    """The codec of a data set's training rows."""
    rows = dataset.rows("train")
    cells = [as_series(cell) for cell in take(dataset.records, rows)["series"]]
    channels = tuple(dataset.schema["channels"])
    steps = np.concatenate(cells)
    known = ~np.isnan(steps)
    if not known.any(0).all():
        name = channels[int(np.flatnonzero(~known.any(0))[0])]
        raise DataError(f"{dataset.name}: channel '{name}' has no value in any training series", hint="--set data.options.channels=[…]")
    mean, sd = np.nanmean(steps, 0), np.nanstd(steps, 0)
    sd = np.where(sd > 1e-9 * np.maximum(1.0, np.abs(mean)), sd, 1.0)
    clip = np.maximum(MARGIN * np.nanmax(np.abs((steps - mean) / sd), 0), 0.1)
    codes = dataset.codes()[rows]
    counts = np.bincount(codes[codes >= 0], minlength=len(dataset.classes)).astype(float)
    counts = counts if counts.sum() else counts + 1
    lengths = [len(c) for c in cells]
    return SeriesCodec(
        channels=channels, mean=tuple(mean.tolist()), sd=tuple(sd.tolist()), clip=tuple(clip.tolist()), length=max(lengths),
        variable=min(lengths) < max(lengths), target=dataset.target_name, classes=dataset.classes,
        shares=tuple((counts / counts.sum()).tolist()) if dataset.classes else (),
        edges=quintiles([properties(cell, channels) for cell in cells]), columns=tuple(map(str, dataset.records.columns)),
    )  # fmt: skip


def read_codec(folder: Path) -> SeriesCodec:
    """The codec written by `SeriesCodec.save`."""
    data = read_json(folder / "codec.json")
    if data.pop("format", None) != FORMAT:
        raise RunError(f"{folder}/codec.json is not of format {FORMAT}", hint="run the recipe again with the installed version")
    facts: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
    return SeriesCodec(**facts)
