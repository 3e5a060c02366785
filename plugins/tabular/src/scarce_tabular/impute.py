"""Missing values filled by regression on the other columns, fitted on training rows only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
RIDGE = 1.0
ROWS = 5000  # most rows a regression is fitted on, and rows filled at once


@dataclass(frozen=True, kw_only=True)
class Imputer:
    """Ridge regression of every column on all others, in encoded units; categories by the largest fitted one-hot.

    weights: [1 + p, p] with p = d + sum K; a column's own features have weight 0 in its own prediction.
    """

    weights: Floats
    levels: tuple[int, ...]

    @classmethod
    def fit(cls, num: Floats, cat: Codes, gaps: Mask, unknown: Mask, levels: Sequence[int]) -> Imputer:
        """num [n, d], cat [n, C]; gaps, unknown: which entries are missing."""
        owner = owners(num.shape[1], levels)
        absent = np.concatenate([gaps, unknown], 1)
        weights = np.zeros((1 + len(owner), len(owner)))
        for column in np.flatnonzero(absent.any(0)):
            mine = owner == column
            use, rows = np.concatenate([[True], ~mine]), np.flatnonzero(~absent[:, column])
            rows = rows[np.linspace(0, len(rows) - 1, min(ROWS, len(rows))).astype(int)]
            x = features(num[rows], cat[rows], gaps[rows], unknown[rows], levels)
            a = np.concatenate([np.ones((len(rows), 1)), x[:, ~mine]], 1)
            gram = a.T @ a + RIDGE * np.diag([0.0, *np.ones(a.shape[1] - 1)])
            weights[np.ix_(use, mine)] = np.linalg.solve(gram + 1e-9 * np.eye(len(gram)), a.T @ x[:, mine])
        return cls(weights=weights, levels=tuple(levels))

    def fill(self, num: Floats, cat: Codes, gaps: Mask, unknown: Mask) -> tuple[Floats, Codes]:
        """Copies with missing entries replaced by their prediction."""
        if len(num) > ROWS:
            parts = [slice(i, i + ROWS) for i in range(0, len(num), ROWS)]
            filled = [self.fill(num[p], cat[p], gaps[p], unknown[p]) for p in parts]
            return np.concatenate([f[0] for f in filled]), np.concatenate([f[1] for f in filled])
        x = features(num, cat, gaps, unknown, self.levels)
        guess = np.concatenate([np.ones((len(x), 1)), x], 1) @ self.weights
        d = num.shape[1]
        num = np.where(gaps, np.clip(guess[:, :d], -5.0, 5.0), num)
        cat, start = cat.copy(), d
        for i, k in enumerate(self.levels):
            cat[:, i] = np.where(unknown[:, i], guess[:, start : start + k].argmax(1), cat[:, i])
            start += k
        return num, cat

    def tensors(self) -> dict[str, Tensor]:
        """What `read` takes."""
        return {"weights": torch.from_numpy(self.weights), "levels": torch.tensor(self.levels, dtype=torch.int64)}

    @classmethod
    def read(cls, tensors: Mapping[str, Tensor]) -> Imputer:
        """The imputer of `tensors`."""
        return cls(weights=tensors["weights"].numpy(), levels=tuple(tensors["levels"].tolist()))


def features(num: Floats, cat: Codes, gaps: Mask, unknown: Mask, levels: Sequence[int]) -> Floats:
    """[n, d + sum K] scores and one-hots, zero where missing."""
    hot = [np.eye(k)[cat[:, i]] * ~unknown[:, [i]] for i, k in enumerate(levels)]
    return np.concatenate([np.where(gaps, 0.0, num), *hot], 1)


def owners(d: int, levels: Sequence[int]) -> Codes:
    """[d + sum K] which column each feature belongs to."""
    return np.concatenate([np.arange(d), *(np.full(k, d + i) for i, k in enumerate(levels))]).astype(np.int64)
