"""How far two sets of feature vectors [n, d] and [m, d] are apart."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from sklearn.covariance import ledoit_wolf

Vectors = npt.NDArray[np.float64]
TIE = 1e-6  # distances nearer than this are equal
_BLOCK = 1000


def principal(rows: Vectors, most: int) -> tuple[Vectors, Vectors]:
    """Mean [d] and at most so many principal directions [d, k] of rows [n, d]."""
    mean = rows.mean(0)
    directions = np.linalg.svd(rows - mean, full_matrices=False)[2]
    return mean, np.ascontiguousarray(directions[:most].T)


def frechet(first: Vectors, second: Vectors) -> float:
    """Squared Fréchet distance of the normal laws fitted to two sets; covariances shrunk as by Ledoit and Wolf (2004)."""
    return gaussian_distance(first.mean(0), ledoit_wolf(first)[0], second.mean(0), ledoit_wolf(second)[0])


def gaussian_distance(mean: Vectors, covariance: Vectors, other_mean: Vectors, other_covariance: Vectors) -> float:
    """|m - m'|^2 + tr(C + C' - 2 (C C')^(1/2)) of two normal laws (Dowson and Landau 1982; arXiv 1706.08500)."""
    root = _root(covariance)
    cross = np.linalg.eigvalsh(root @ other_covariance @ root)
    spread = np.trace(covariance) + np.trace(other_covariance) - 2 * np.sqrt(np.maximum(cross, 0)).sum()
    return float(((mean - other_mean) ** 2).sum() + max(0.0, spread))


def _root(matrix: Vectors) -> Vectors:
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T)


def kernel_distance(first: Vectors, second: Vectors) -> float:
    """Unbiased squared maximum mean discrepancy with the kernel (x y / d + 1)^3 (arXiv 1801.01401); may be below zero."""
    d, n, m = first.shape[1], len(first), len(second)
    own, other, cross = ((a @ b.T / d + 1) ** 3 for a, b in ((first, first), (second, second), (first, second)))
    inside = (own.sum() - np.trace(own)) / (n * (n - 1)) + (other.sum() - np.trace(other)) / (m * (m - 1))
    return float(inside - 2 * cross.mean())


def kernel_distances(first: Vectors, second: Vectors, *, subsets: int, size: int, seed: int) -> Vectors:
    """[subsets] kernel distances of random subsets of at most `size`, or half of the smaller set."""
    size = max(2, min(size, len(first) // 2, len(second) // 2))
    rng = np.random.default_rng([seed, 11])
    pairs = [(rng.choice(len(first), size, replace=False), rng.choice(len(second), size, replace=False)) for _ in range(subsets)]
    return np.array([kernel_distance(first[a], second[b]) for a, b in pairs])


def nearest(rows: Vectors, to: Vectors, k: int = 1) -> tuple[Vectors, npt.NDArray[np.int64]]:
    """Distances and positions [n, k] of the k nearest of `to`; a distance below TIE is 0, as matrix products round it."""
    reference, found = torch.from_numpy(np.ascontiguousarray(to)), []
    for start in range(0, len(rows), _BLOCK):
        block = torch.cdist(torch.from_numpy(np.ascontiguousarray(rows[start : start + _BLOCK])), reference)
        found.append(block.topk(min(k, len(to)), largest=False))
    values = torch.cat([f.values for f in found]).numpy()
    return np.where(values <= TIE, 0.0, values), torch.cat([f.indices for f in found]).numpy()


def within(rows: Vectors, of: Vectors, k: int) -> float:
    """Share of rows that lie within some ball around a row of `of` that reaches its k-th nearest other (arXiv 1904.06991)."""
    radius = torch.from_numpy(nearest(of, of, k + 1)[0][:, -1])
    balls, inside = torch.from_numpy(np.ascontiguousarray(of)), []
    for start in range(0, len(rows), _BLOCK):
        distance = torch.cdist(torch.from_numpy(np.ascontiguousarray(rows[start : start + _BLOCK])), balls)
        inside.append((distance <= radius + TIE).any(1))
    return float(torch.cat(inside).double().mean()) if inside else 0.0
