"""How near series lie to those they were learned from, under dynamic time warping."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from scarce_timeseries.signals import Floats, resampled
from scarce_timeseries.warping import warped

TIE = 1e-6  # distances nearer than this are equal
_CHUNK = 500


def wilson(share: float, n: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's 95 % interval of a share of n (1927)."""
    if n == 0:
        return 0.0, 1.0
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * float(np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)))
    return max(0.0, centre - half), min(1.0, centre + half)


def nearest(rows: Sequence[Floats], to: Sequence[Floats], *, candidates: int, radius: int, length: int) -> Floats:
    """[n] DTW distance of each series to the nearest of `to`, sought among so many nearest by Euclidean distance."""
    ours, theirs = (np.array([resampled(v, length).ravel() for v in side], dtype=np.float32) for side in (rows, to))
    k = min(candidates, len(to))
    near = np.concatenate([_closest(ours[i : i + _CHUNK], theirs, k) for i in range(0, len(ours), _CHUNK)])
    pairs = warped([v for v in rows for _ in range(k)], [to[j] for row in near for j in row], radius)
    return np.asarray(pairs.reshape(len(rows), k).min(1))


def _closest(rows: npt.NDArray[np.float32], to: npt.NDArray[np.float32], k: int) -> npt.NDArray[np.int64]:
    squared = (rows**2).sum(1)[:, None] - 2 * rows @ to.T + (to**2).sum(1)
    return np.argpartition(squared, k - 1, axis=1)[:, :k].astype(np.int64)


def holdout_share(to_train: Floats, to_holdout: Floats) -> float:
    """Share of series nearer to training than to as many hold-out series; a tie counts half."""
    tied = np.abs(to_train - to_holdout) <= TIE
    return float(np.mean(np.where(tied, 0.5, to_train < to_holdout)))
