"""How shots differ from what a generator makes unasked: what classes' shifts share, how far classes lie apart, how far the shots are out.

All on feature vectors; every number is corrected for how few shots there are, so that noise alone scores nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float64]
Groups = Sequence[Vectors]


def within(groups: Groups) -> float:
    """Mean squared distance of a record to the mean of its class, unbiased; NaN where every class has one record."""
    free = sum(len(g) - 1 for g in groups)
    return float(sum(((g - g.mean(0)) ** 2).sum() for g in groups) / free) if free > 0 else float("nan")


def separation(groups: Groups) -> float:
    """Between-class over within-class scatter of two or more classes, 0 for classes of one law; NaN where a class has one record."""
    if len(groups) < 2:
        return float("nan")
    means, noise = np.stack([g.mean(0) for g in groups]), within(groups)
    between = ((means - means.mean(0)) ** 2).sum() / (len(groups) - 1) - noise * float(np.mean([1 / len(g) for g in groups]))
    return max(0.0, float(between)) / noise if noise > 0 else float("nan")


def shared_shift(real: Groups, made: Groups) -> tuple[float, float]:
    """Share of the shifts of class means that their mean explains, |mean d|^2 / mean |d|^2, and the size of the shifts over their noise.

    Shift d of a class: mean of its shots less mean of what was generated for it. 1 where all classes shift alike, about one over
    the number of classes where each goes its own way, or one alone. Sampling noise of the means is taken off numerator and
    denominator. NaN for a share when no shift stands out of the noise (size at most 1).
    """
    shifts = np.stack([a.mean(0) - b.mean(0) for a, b in zip(real, made, strict=True)])
    spreads = [within(real), within(made)]
    noise = sum(w * float(np.mean([1 / len(g) for g in part])) for w, part in zip(spreads, (real, made), strict=True))
    total, mean = float((shifts**2).sum(1).mean()), float((shifts.mean(0) ** 2).sum())
    size = total / noise if noise > 0 else float("inf") if total > 0 else 0.0
    if not size > 1:
        return float("nan"), size
    return min(1.0, max(0.0, (mean - noise / len(shifts)) / (total - noise))), size


def mean_distance(a: Vectors, b: Vectors | None = None) -> float:
    """Mean Euclidean distance of a pair from a and b, or of two different ones of a; NaN without a pair."""
    other = a if b is None else b
    squares = (a**2).sum(1)[:, None] + (other**2).sum(1)[None] - 2 * a @ other.T
    total = float(np.sqrt(np.clip(squares, 0, None)).sum())
    pairs = len(a) * (len(a) - 1 if b is None else len(other))
    if b is None:
        total -= float(np.sqrt(np.clip(np.diag(squares), 0, None)).sum())
    return total / pairs if pairs else float("nan")


def domain_shift(real: Groups, made: Groups) -> float:
    """Normalised energy distance of shots and generated records of one class, mean over classes: 0 for one law, 1 for points apart.

    (2 E|X-Y| - E|X-X'| - E|Y-Y'|) / (2 E|X-Y|), unbiased in numerator and denominator (Szekely and Rizzo, 2013); classes with one
    shot are left out, NaN without any other.
    """
    found = []
    for a, b in zip(real, made, strict=True):
        if len(a) > 1 and len(b) > 1:
            across = 2 * mean_distance(a, b)
            found.append((across - mean_distance(a) - mean_distance(b)) / across if across > 0 else 0.0)
    return float(np.mean(found)) if found else float("nan")


def shift_of_chance(real: Groups, made: Groups, draws: int, seed: int) -> Vectors:
    """[draws] domain shifts when within each class it is left to chance which records are the shots."""
    rng = np.random.default_rng([seed, 41])
    out = []
    for _ in range(draws):
        pairs = []
        for a, b in zip(real, made, strict=True):
            both = np.concatenate([a, b])[rng.permutation(len(a) + len(b))]
            pairs.append((both[: len(a)], both[len(a) :]))
        out.append(domain_shift([a for a, _ in pairs], [b for _, b in pairs]))
    return np.array(out)
