"""Statistics of a series that can be measured again exactly: what captions speak of."""

from __future__ import annotations

import numpy as np
from scipy.signal import find_peaks

from scarce_timeseries.signals import Floats, as_series, filled

NAMES = ("mean", "variance", "skewness", "frequency", "linearity", "peaks")
PROMINENCE = 0.5  # of a peak, in standard deviations of the series


def properties(cell: object, channels: tuple[str, ...]) -> dict[str, float]:
    """Property -> value of one series [t, c]; with several channels each name begins with its channel ("x mean").

    mean, variance and skewness of the values; frequency: of the largest power after the straight line is taken away, in
    cycles per step (0 for none); linearity: R² of a straight line in time, negative where it falls; peaks: how many rise
    by half a standard deviation above both sides; length in steps. Gaps are interpolated; a channel without values has none.
    """
    values = as_series(cell)
    out: dict[str, float] = {}
    for c, channel in enumerate(channels):
        known = values[:, c : c + 1]
        if np.isnan(known).all():
            continue
        prefix = f"{channel} " if len(channels) > 1 else ""
        out |= {f"{prefix}{name}": value for name, value in zip(NAMES, measure(filled(known, [0.0])[:, 0]), strict=True)}
    return out | {"length": float(len(values))}


def measure(x: Floats) -> tuple[float, ...]:
    """Mean, variance, skewness, frequency, linearity and peaks of one channel [t] without gaps."""
    centred = x - x.mean()
    variance = float(np.mean(centred**2))
    if variance <= 1e-12 * max(1.0, float(x.mean()) ** 2):  # constant but for rounding
        return (float(x.mean()), variance, 0.0, 0.0, 0.0, 0.0)
    sd = float(np.sqrt(variance))
    time = np.arange(len(x)) - (len(x) - 1) / 2
    slope = float(time @ centred / (time @ time))
    rest = centred - slope * time
    linearity = float(np.sign(slope) * max(0.0, 1 - np.mean(rest**2) / variance))
    power = np.abs(np.fft.rfft(rest))[1:] ** 2
    frequency = float(1 + np.argmax(power)) / len(x) if power.max(initial=0.0) > 1e-9 * variance * len(x) ** 2 else 0.0
    skewness = float(np.mean(centred**3) / sd**3)
    return (float(x.mean()), variance, skewness, frequency, linearity, float(len(find_peaks(x, prominence=PROMINENCE * sd)[0])))


def quintiles(rows: list[dict[str, float]]) -> dict[str, tuple[float, ...]]:
    """Property -> its four quintile edges over all rows that have it."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {n: tuple(float(q) for q in np.quantile([r[n] for r in rows if n in r], (0.2, 0.4, 0.6, 0.8))) for n in names}
