"""Splits by hashing group ids: made once per run seed, before anything is fitted."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from scarce.contract.dataset import Dataset
from scarce.errors import DataError, RecipeError

NAMES = ("train", "validation", "test")
SHARES = (0.65, 0.10, 0.25)
NAMED = 10  # classes that a note names


def _places(groups: npt.NDArray[np.str_], seed: int) -> npt.NDArray[np.float64]:
    """[n] position in [0, 1) of each row's group, equal for equal groups."""
    digest = {g: hashlib.blake2b(f"{seed}/{g}".encode(), digest_size=8).digest() for g in set(groups.tolist())}
    return np.array([int.from_bytes(digest[g], "big") / 2.0**64 for g in groups.tolist()])


def split(dataset: Dataset, seed: int, shares: tuple[float, float, float] = SHARES) -> Dataset:
    """The data set with every row in train, validation or test, stratified by class; given splits are kept.

    Rows of one group stay together; rows without a label are all in train. Within a class, groups are ordered by
    their hash and cut at the shares of train, validation and test, which are so exact up to one group. Raises DataError
    when a split would be empty.
    """
    if (dataset.split != "").any():
        return dataset
    ends = tuple(zip(NAMES, (shares[0], shares[0] + shares[1], 1.0), strict=True))
    places, codes = _places(dataset.groups, seed), dataset.codes()
    stratum = dict(zip(dataset.groups.tolist(), codes.tolist(), strict=True))
    strata = np.array([stratum[g] for g in dataset.groups.tolist()])
    out = np.full(len(dataset), "test", dtype="<U10")
    for code in np.unique(strata):
        rows = np.flatnonzero(strata == code)
        rows = rows[np.argsort(places[rows], kind="stable")]
        _, first = np.unique(places[rows], return_index=True)
        share = (np.repeat(np.sort(first), np.diff([*np.sort(first), len(rows)])) + 0.5) / len(rows)
        for name, end in reversed(ends):
            out[rows[share < end]] = name
    out[~dataset.labelled] = "train"  # without a label a row can teach, but not judge
    counts = {name: int((out == name).sum()) for name in NAMES}
    if min(counts.values()) == 0:
        shown = ", ".join(f"{k} {v}" for k, v in counts.items())
        raise DataError(
            f"{dataset.name}: {len(dataset)} rows are too few to split ({shown})", hint="give at least 12 rows, 4 of each class"
        )
    return replace(dataset, split=out)


def hide_labels(dataset: Dataset, labelled: float | int | str, seed: int) -> Dataset:
    """Keep labels on a share, a count or "N per class" of the training rows; validation and test keep theirs.

    A note names the classes that have fewer than N.
    """
    train = dataset.rows("train")
    known = train[dataset.labelled[train]]
    places = _places(dataset.ids, seed + 1)
    order = known[np.argsort(places[known], kind="stable")]
    if isinstance(labelled, str):
        match = re.fullmatch(r"\s*(\d+)\s*per class\s*", labelled)
        if match is None:
            raise RecipeError(
                f"data.labelled: '{labelled}' is not a share, a count or 'N per class'", hint="--set 'data.labelled=4 per class'"
            )
        codes, wanted = dataset.codes(), int(match[1])
        rows = [order[codes[order] == c][:wanted] for c in range(len(dataset.classes))]
        keep = np.concatenate(rows) if rows else order[:0]
        few = [f"class '{value}' has {len(kept)}" for value, kept in zip(dataset.classes, rows, strict=True) if len(kept) < wanted]
        if few:
            shown = ", ".join(few[:NAMED]) + (f" and {len(few) - NAMED} more classes fewer" if len(few) > NAMED else "")
            dataset = replace(dataset, notes=(*dataset.notes, f"{shown} labelled records, {wanted} were asked for"))
    elif isinstance(labelled, int) and not isinstance(labelled, bool) and labelled != 1:
        if dataset.rest is not None and labelled > len(order):
            what = f"data.labelled: {labelled} is a count among the {len(order)} training records that are held"
            raise RecipeError(what, hint="--set data.labelled=SHARE is of all, or raise data.hold")
        if labelled < 0:
            raise RecipeError(f"data.labelled: a count can't be below 0, got {labelled}", hint="--set data.labelled=100")
        keep = order[:labelled]
    else:
        if not 0 < labelled <= 1:
            raise RecipeError(f"data.labelled: a share must be in (0, 1], got {labelled}", hint="--set data.labelled=0.1")
        keep = order[: max(1, round(len(order) * labelled))]
    mask = dataset.labelled.copy()
    mask[train] = False
    mask[keep] = True
    return replace(dataset, labelled=mask)


def hide_rest(part: Dataset, labelled: float | int | str, seed: int) -> Dataset:
    """Further training rows of a source (`Dataset.rest`), with labels on a share of them; a count is of held rows alone."""
    share = labelled if not isinstance(labelled, str) and 0 < labelled <= 1 else 0.0
    known = part.labelled if share == 1 else part.labelled & (_places(part.ids, seed + 1) < share)
    return replace(part, labelled=known, split=np.full(len(part), "train", "<U10"))
