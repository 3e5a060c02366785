"""Splits that the data bring: kept, without what would leak, and with a validation part where they have none."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from scarce.contract import Dataset
from scarce.errors import DataError
from scarce_text.sources import SPLITS

Names = npt.NDArray[np.str_]
Mask = npt.NDArray[np.bool_]
SHARE = 0.1  # of the training texts that become validation where the data have none


def with_parts(data: Dataset, column: str, seed: int, most: int | None) -> tuple[Dataset, list[str]]:
    """The data set with the splits of a column of its records, and notes; `most`: of the test texts that stay, by a hash of their id.

    Left out are test and validation texts without a class, and training texts that are copies of theirs. Raises DataError for
    a row without a split, or without a training or test part.
    """
    said: Names = np.array([SPLITS.get(str(v).lower(), "") for v in data.records[column]], dtype="<U10")
    if (said == "").any():
        row = int(np.flatnonzero(said == "")[0])
        raise DataError(f"{data.name}: row {row + 1} has no split", hint="fill the column, or --set data.options.split='' to split anew")
    missing = [part for part in ("train", "test") if not (said == part).any()]
    if missing:
        raise DataError(f"{data.name}: its splits have no {missing[0]} part", hint="--set data.options.split='' splits anew")
    notes, kept = [], (said == "train") | data.labelled
    if not kept.all():
        notes.append(f"{int((~kept).sum())} test or validation texts without a class are left out")
    exact = _contents(data)
    for part, others in (("test", ("train", "validation")), ("validation", ("train",))):
        copies = kept & np.isin(said, others) & np.isin(exact, exact[(said == part) & kept])
        if copies.any():
            kept &= ~copies
            notes.append(f"{int(copies.sum())} texts outside the {part} part are copies of texts in it and are left out")
    test = np.flatnonzero((said == "test") & kept)
    if most is not None and len(test) > most:
        kept[test[np.argsort(_places(data.ids[test], ""), kind="stable")[most:]]] = False
        notes.append(f"{most} of {len(test)} test texts are used, chosen by a hash of their id")
    found = replace(data, split=said).part(np.flatnonzero(kept))
    found, more = _with_validation(found, seed)
    return found, [*notes, *more, *_torn(found)]


def _contents(data: Dataset) -> Names:
    """[n] what a record is, whatever its case and white space."""
    columns = [data.records[c] for c in ("word", "text") if c in data.records.columns]
    return np.array([hashlib.blake2b("\x00".join(" ".join(v.casefold().split()) for v in row).encode("utf-8", "surrogatepass")).hexdigest()
                     for row in zip(*columns, strict=True)])  # fmt: skip


def _places(names: Names, seed: int | str) -> Names:
    """[n] an order that follows from names and seed alone."""
    return np.array([hashlib.blake2b(f"{seed}/{name}".encode("utf-8", "surrogatepass"), digest_size=8).hexdigest() for name in names])


def _with_validation(data: Dataset, seed: int) -> tuple[Dataset, list[str]]:
    """The data set as it is, or with a tenth of the labelled training groups of each class as validation, chosen under the seed."""
    if (data.split == "validation").any():
        return data, ["the data's own splits are kept"]
    rows = np.flatnonzero((data.split == "train") & data.labelled)
    rows = rows[np.unique(data.groups[rows], return_index=True)[1]]
    rows = rows[np.argsort(_places(data.groups[rows], seed), kind="stable")]
    values = np.array([str(v) for v in data.target[rows]]) if data.target is not None else np.full(len(rows), "")
    chosen = [g for value in np.unique(values) for g in data.groups[rows[values == value]][: round(SHARE * (values == value).sum())]]
    if not chosen:
        what = f"{data.name}: its training part is too small to set a tenth of it aside for validation"
        raise DataError(what, hint="give at least 10 training texts of a class, or a validation part")
    held = (data.split == "train") & np.isin(data.groups, chosen)
    note = f"the data's own test part is kept; {int(held.sum())} of its training texts are for validation"
    return replace(data, split=np.where(held, "validation", data.split)), [note]


def _torn(data: Dataset) -> list[str]:
    """A note on groups that the data's own splits part."""
    test = data.split == "test"
    n = int(np.isin(data.groups[~test], data.groups[test]).sum())
    return (
        [f"{n} training or validation records share their text or group with test records, which the data's own splits part"] if n else []
    )
