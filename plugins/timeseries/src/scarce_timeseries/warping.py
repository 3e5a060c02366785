"""Dynamic time warping (Sakoe and Chiba, 1978) of many pairs at once, equal to tslearn's, without compiling anything.

tslearn itself is slow to start (numba compiles its loops in every process), so it is imported where it is used only.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from scarce_timeseries.signals import Floats

_CELLS = 2_000_000  # of cost matrices held at a time


def radius_of(share: float, length: int) -> int:
    """Half width of the band in steps: at least 1."""
    return max(1, round(share * length))


def padded(series: Sequence[Floats], length: int | None = None) -> Floats:
    """[n, l, c] with NaN after the end of each series, as tslearn takes them."""
    out = np.full((len(series), length or max(map(len, series)), series[0].shape[1]), np.nan)
    for i, values in enumerate(series):
        out[i, : len(values)] = values
    return out


def warped(first: Sequence[Floats], second: Sequence[Floats], radius: int) -> Floats:
    """[p] DTW distance of each pair of series [t, c] and [s, c] inside a Sakoe-Chiba band.

    The root of the least sum of squared differences along a path; the band is widened by the difference in length.
    """
    a, b = padded(first), padded(second)
    block = max(1, _CELLS // (a.shape[1] * b.shape[1]))
    ends = [np.array([len(v) for v in side]) for side in (first, second)]
    parts = [
        _block(a[i : i + block], b[i : i + block], ends[0][i : i + block], ends[1][i : i + block], radius)
        for i in range(0, len(first), block)
    ]
    return np.concatenate(parts) if parts else np.zeros(0)


def _block(a: Floats, b: Floats, la: npt.NDArray[np.int64], lb: npt.NDArray[np.int64], radius: int) -> Floats:
    n, m = a.shape[1], b.shape[1]
    cost = np.nan_to_num(((a[:, :, None] - b[:, None]) ** 2).sum(-1), nan=0.0)
    offset = np.arange(n)[:, None] - np.arange(m)
    longer = (la - lb)[:, None, None]
    inside = (offset >= -radius + np.minimum(longer, 0)) & (offset <= radius + np.maximum(longer, 0))
    cost = np.where(inside, cost, np.inf)
    best = np.full((len(a), n + 1, m + 1), np.inf)
    best[:, 0, 0] = 0
    for diagonal in range(n + m - 1):
        i = np.arange(max(0, diagonal - m + 1), min(diagonal, n - 1) + 1)
        j = diagonal - i
        before = np.minimum(np.minimum(best[:, i, j], best[:, i, j + 1]), best[:, i + 1, j])
        best[:, i + 1, j + 1] = cost[:, i, j] + before
    return np.asarray(np.sqrt(best[np.arange(len(a)), la, lb]))


def tslearn_module(name: str) -> Any:
    """A module of tslearn, without its warning about a file format that isn't used here."""
    from importlib import import_module

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import tslearn

        return import_module(f"{tslearn.__name__}.{name}")
