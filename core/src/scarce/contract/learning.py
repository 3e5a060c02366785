"""What learners of classes share: the rows they can use, and predictions from probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from scarce.contract.dataset import Dataset, Rows, take
from scarce.contract.protocols import Array, Predictions, TrainingPart
from scarce.errors import DataError


def usable_parts(dataset: Dataset, parts: Sequence[TrainingPart]) -> list[tuple[Any, Rows, TrainingPart]]:
    """Records and class codes of every part with a weight, without rows of unknown class, and the part itself.

    Raises DataError when there is no class to learn, or not one usable row.
    """
    if dataset.task != "classification":
        raise DataError(f"data set '{dataset.name}' has no classes to learn", hint="--set data.target=COLUMN")
    out = []
    for part in parts:
        if part.weight <= 0 or len(part.records) == 0:
            continue
        codes = dataset.codes_of(part.target)
        rows = np.flatnonzero(codes >= 0)
        if len(rows):
            out.append((part.records if len(rows) == len(codes) else take(part.records, rows), codes[rows], part))
    if not out:
        raise DataError(f"no training record has a known class of '{dataset.target_name}'", hint="scarce data inspect FILE")
    return out


def as_predictions(dataset: Dataset, probabilities: Array) -> Predictions:
    """The most probable class of each row; probabilities [n, k] in the order of the classes."""
    values = np.empty(len(probabilities), dtype=object)
    values[:] = [dataset.classes[i] for i in probabilities.argmax(axis=1)]
    return Predictions(values=values, probabilities=probabilities)
