"""Scores of a learner's answers, within classes and groups, and how the shares of groups differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import accuracy_score, f1_score

Codes = npt.NDArray[np.int64]


def class_scores(truth: Codes, said: Codes) -> dict[str, float]:
    """`macro_f1` and `accuracy` on rows with a known class."""
    y, p = truth[truth >= 0], said[truth >= 0]
    return {"macro_f1": float(f1_score(y, p, average="macro", zero_division=0)), "accuracy": float(accuracy_score(y, p))}


def within_groups(groups: Any, right: npt.NDArray[np.bool_], names: Mapping[Any, str], fewest: int) -> dict[str, float]:
    """Share of right answers in each group of at least so many rows: name -> accuracy."""
    member = {name: np.array([g == group for g in groups], dtype=bool) for group, name in names.items()}
    return {name: float(right[rows].mean()) for name, rows in member.items() if rows.sum() >= fewest}


def share_of(records: Any, column: str, names: Sequence[str]) -> dict[str, float]:
    """Share of each group, by its name, among records whose group is known; 0 without any."""
    values = [str(value) for value in records[column].dropna()]
    return {name: values.count(name) / max(1, len(values)) for name in names}


def apart(first: Mapping[str, float], second: Mapping[str, float]) -> float:
    """Total variation distance of two laws over the same names; what a law does not cover counts as elsewhere."""
    elsewhere = abs(sum(first.values()) - sum(second.values()))
    return 0.5 * (sum(abs(first[name] - second[name]) for name in first) + elsewhere)


def gap(accuracies: Mapping[str, float]) -> float:
    """How far the best lies above the worst."""
    return max(accuracies.values()) - min(accuracies.values())
