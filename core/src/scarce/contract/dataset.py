"""Records with stable ids, a target, labelled and split masks: what every modality loads to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, replace
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from scarce.contract.frozen import Frozen

Split = Literal["train", "validation", "test"]
Task = Literal["classification", "regression", "none"]
Rows = npt.NDArray[np.int64]


def take(records: Any, rows: Any) -> Any:
    """The chosen records, in that order; `records` is a DataFrame, an array or a sequence."""
    if hasattr(records, "iloc"):
        return records.iloc[rows].reset_index(drop=True)
    if isinstance(records, np.ndarray):
        return records[rows]
    return [records[int(i)] for i in np.arange(len(records))[rows]]


def concat(parts: Sequence[Any]) -> Any:
    """Records of several parts one after another, of the type of the first."""
    if hasattr(parts[0], "iloc"):
        import pandas as pd

        return pd.concat(list(parts), ignore_index=True)
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(list(parts))
    return [record for part in parts for record in part]


class View(Frozen):
    """What stands beside some records and is found by their ids: ids [v] str, records of another modality [v]."""

    ids: npt.NDArray[np.str_]
    records: Any

    def rows_of(self, ids: Sequence[str] | npt.NDArray[Any]) -> Rows:
        """[n] positions of ids in this view; -1 for one that has none."""
        index = {name: row for row, name in enumerate(self.ids.tolist())}
        return np.array([index.get(str(name), -1) for name in ids], dtype=np.int64)


class Rest(Protocol):
    """Records of a source beyond those that a run holds, read a part at a time (`LoadContext.hold`, `Dataset.rest`).

    Every pass gives the same parts in the same order: data
    sets with the classes, target and groups of the one that is held, and ids of their own.
    """

    @property
    def rows(self) -> int:
        """The most records that the parts have together."""

    @property
    def mark(self) -> str:
        """A text that changes when the source does."""

    def __iter__(self) -> Iterator[Dataset]: ...


class Dataset(Frozen):
    """Records and what is known of them; ids are stable and travel with everything derived.

    ids: [n] str; records: a DataFrame, array or sequence of length n (a table's records include its target
    column); target: [n] class values, floats, or None; labelled: [n] bool; split: [n] "train" | "validation" |
    "test", empty strings until the run splits; groups: [n] str, rows of one group share a split; views: other
    data of some of the records, by name ("generated": what a generator of another modality made of them); notes: what the
    loader wants a person to know; rest: records of the source that are not held here, None where all are.
    """

    name: str
    ids: npt.NDArray[np.str_]
    records: Any
    task: Task = "none"
    target_name: str = ""
    target: npt.NDArray[Any] | None = None
    classes: tuple[Any, ...] = ()
    labelled: npt.NDArray[np.bool_]
    split: npt.NDArray[np.str_]
    groups: npt.NDArray[np.str_]
    views: Mapping[str, View] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    schema: Mapping[str, Any] = field(default_factory=dict)
    rest: Rest | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, *splits: Split) -> Rows:
        """Positions of the records in the named splits, in data order."""
        return np.flatnonzero(np.isin(self.split, splits)).astype(np.int64)

    def part(self, rows: Any) -> Dataset:
        """The data set of the chosen rows, and no others."""
        arrays = {name: getattr(self, name)[rows] for name in ("ids", "labelled", "split", "groups")}
        target = None if self.target is None else self.target[rows]
        return replace(self, records=take(self.records, rows), target=target, rest=None, **arrays)

    def codes(self) -> Rows:
        """[n] class codes in the order of `classes`; -1 where unlabelled or without a class."""
        if self.task != "classification" or self.target is None:
            return np.full(len(self), -1, dtype=np.int64)
        return np.where(self.labelled, self.codes_of(self.target), -1)

    def codes_of(self, values: Any) -> Rows:
        """[n] codes of class values in the order of `classes`; -1 for one that is no class."""
        index = {value: code for code, value in enumerate(self.classes)}
        return np.array([index.get(value, -1) for value in np.asarray(values, dtype=object).tolist()], dtype=np.int64)
