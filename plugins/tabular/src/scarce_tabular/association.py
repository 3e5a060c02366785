"""How strongly columns of a mixed table go together, as one symmetric matrix.

Numeric pairs: Spearman or Pearson on rows where both are present. Numeric with categorical: the correlation ratio,
bias-corrected (epsilon squared, Kelley 1935), so tables of different length compare. Categorical pairs: Cramér's V,
bias-corrected (Bergsma 2013). Missing values of a categorical column are a level of their own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from scarce_tabular.columns import Columns, levels

Matrix = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
MOST_LEVELS = 64


def associations(records: Any, columns: Columns, *, method: str) -> Matrix:
    """[d, d] in the order of `columns.names`, in [-1, 1], diagonal 1; what can't be computed is 0."""
    x = np.column_stack([columns.numbers(records, c) for c in columns.numeric]) if columns.numeric else np.zeros((len(records), 0))
    if method == "spearman":
        x = np.column_stack([_ranks(column) for column in x.T]) if x.size else x
    codes = [_codes(levels(records[c])) for c in columns.categorical]
    d = x.shape[1]
    out = np.eye(len(columns.names))
    out[:d, :d] = _numeric_pairs(x)
    for i, code in enumerate(codes):
        out[:d, d + i] = out[d + i, :d] = correlation_ratio(x, code)
        for j in range(i):
            out[d + i, d + j] = out[d + j, d + i] = cramers_v(code, codes[j])
    np.fill_diagonal(out, 1.0)
    return out


def _ranks(column: Matrix) -> Matrix:
    seen = np.isfinite(column)
    out = np.full(len(column), np.nan)
    out[seen] = rankdata(column[seen])
    return out


def _codes(values: npt.NDArray[np.object_]) -> Codes:
    """Level codes by falling frequency; levels beyond the most frequent ones share the last code."""
    _, codes = np.unique(values.astype(str), return_inverse=True)
    order = np.argsort(-np.bincount(codes), kind="stable") if len(codes) else np.zeros(0, dtype=np.int64)
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    return np.minimum(place[codes], MOST_LEVELS - 1)


def _numeric_pairs(x: Matrix) -> Matrix:
    """Correlation on pairwise complete rows, from sums over masked columns."""
    seen = np.isfinite(x).astype(np.float64)
    z = np.where(seen > 0, x, 0.0)
    count = np.maximum(seen.sum(0), 1)
    z = np.where(seen > 0, z - z.sum(0) / count, 0.0)  # centred first: sums of squares of raw values lose digits
    z /= np.maximum(np.sqrt((z**2).sum(0) / count), 1e-300)
    n = np.maximum(seen.T @ seen, 1)
    mean, square = z.T @ seen / n, (z**2).T @ seen / n
    spread = np.maximum(square - mean**2, 0)
    spread = np.sqrt(spread * spread.T)
    covariance = z.T @ z / n - mean * mean.T
    return np.clip(np.where(spread > 1e-12, covariance / np.where(spread > 1e-12, spread, 1), 0.0), -1, 1)


def correlation_ratio(x: Matrix, codes: Codes) -> Matrix:
    """[d] bias-corrected correlation ratio of numeric columns x [n, d] with levels codes [n]."""
    if x.shape[1] == 0 or len(codes) == 0:
        return np.zeros(x.shape[1])
    seen = np.isfinite(x).astype(np.float64)
    count = np.maximum(seen.sum(0), 1)
    z = np.where(seen > 0, x, 0.0)
    z = np.where(seen > 0, z - z.sum(0) / count, 0.0)
    member = np.zeros((codes.max() + 1, len(codes)))
    member[codes, np.arange(len(codes))] = 1.0
    sizes = member @ seen
    between = ((member @ z) ** 2 / np.maximum(sizes, 1)).sum(0)
    total = (z**2).sum(0)
    free = count - (sizes > 0).sum(0)
    valid = (total > 1e-300) & (free > 0)
    unexplained = np.where(valid, (total - between) * (count - 1) / np.where(valid, total * free, 1), 1.0)
    ratio: Matrix = np.sqrt(np.clip(1 - unexplained, 0, 1))
    return ratio


def cramers_v(first: Codes, second: Codes) -> float:
    """Bias-corrected Cramér's V of two columns of level codes."""
    n = len(first)
    if n < 2:
        return 0.0
    k = int(second.max()) + 1
    table = np.bincount(first * k + second, minlength=(int(first.max()) + 1) * k).reshape(-1, k).astype(np.float64)
    table = table[table.sum(1) > 0][:, table.sum(0) > 0]
    rows, columns = table.shape
    expected = table.sum(1, keepdims=True) * table.sum(0) / n
    phi2 = max(0.0, float(((table - expected) ** 2 / expected).sum()) / n - (rows - 1) * (columns - 1) / (n - 1))
    room = min(rows - (rows - 1) ** 2 / (n - 1), columns - (columns - 1) ** 2 / (n - 1)) - 1
    return float(np.sqrt(min(phi2 / room, 1.0))) if room > 0 else 0.0
