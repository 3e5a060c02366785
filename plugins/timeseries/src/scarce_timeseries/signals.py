"""Arithmetic on series: filling gaps, one length for all, autocorrelation, spectra."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def as_series(cell: Any) -> Floats:
    """[t, c] floats of a record's cell (an array or nested lists); infinite values are missing."""
    values = np.array([np.asarray(step, dtype=np.float64) for step in cell], dtype=np.float64)
    values = values[:, None] if values.ndim == 1 else values
    return np.where(np.isfinite(values), values, np.nan)


def filled(values: Floats, mean: Floats | Sequence[float]) -> Floats:
    """[t, c] with gaps interpolated in a straight line, held at the ends; a channel that holds nothing is its `mean`."""
    gaps = np.isnan(values)
    if not gaps.any():
        return values
    out, steps = values.copy(), np.arange(len(values))
    for c in np.flatnonzero(gaps.any(0)):
        known = ~gaps[:, c]
        out[:, c] = np.interp(steps, steps[known], values[known, c]) if known.any() else mean[int(c)]
    return out


def resampled(values: Floats, length: int) -> Floats:
    """[length, c] at equal distances along a series [t, c], between its steps in a straight line."""
    if len(values) == length:
        return values
    at = np.linspace(0, len(values) - 1, length)
    return np.stack([np.interp(at, np.arange(len(values)), values[:, c]) for c in range(values.shape[1])], 1)


def autocorrelation(series: Sequence[Floats], lags: int) -> Floats:
    """[lags, c] mean over series of each one's autocorrelation at lags 1, 2, …; a constant series counts as 0.

    Lags a series is too short for don't count.
    """
    width = series[0].shape[1]
    total, counts = np.zeros((lags, width)), np.zeros((lags, 1))
    for values in series:
        centred = values - values.mean(0)
        power = (centred**2).sum(0)
        most = min(lags, len(values) - 1)
        for lag in range(1, most + 1):
            total[lag - 1] += (centred[lag:] * centred[:-lag]).sum(0) / np.where(power > 1e-12, power, np.inf)
        counts[:most] += 1
    return np.asarray(total / np.maximum(counts, 1))


def log_spectrum(series: Sequence[Floats], length: int) -> Floats:
    """[length // 2, c] mean over series of log10 of the share of power at each frequency but 0; series are resampled."""
    found = []
    for values in series:
        same = resampled(values, length)
        power = np.abs(np.fft.rfft(same - same.mean(0), axis=0))[1:] ** 2
        total = power.sum(0)
        shares = np.where(total > 1e-12, power / np.where(total > 1e-12, total, 1), 1 / len(power))
        found.append(np.log10(shares + 1e-6))  # what noise of a thousandth of the amplitude would have
    return np.asarray(np.mean(found, axis=0))
