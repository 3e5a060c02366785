"""How strongly columns of a mixed table go together, as one symmetric matrix.

Numeric pairs: Spearman or Pearson on rows where both are present. Numeric with categorical: the correlation ratio,
bias-corrected (epsilon squared, Kelley 1935), so tables of different length compare. Categorical pairs: Cramér's V,
bias-corrected (Bergsma 2013). Missing values of a categorical column are a level of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
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
    for i, ratios in enumerate(_ratios(x, codes)):
        out[:d, d + i] = out[d + i, :d] = ratios
    out[d:, d:] = category_pairs(codes)
    np.fill_diagonal(out, 1.0)
    return out


def _ranks(column: Matrix) -> Matrix:
    seen = np.isfinite(column)
    out = np.full(len(column), np.nan)
    out[seen] = rankdata(column[seen])
    return out


def _codes(values: npt.NDArray[np.object_]) -> Codes:
    """Level codes by falling frequency; levels beyond the most frequent ones share the last code."""
    codes, found = pd.factorize(values)
    order = np.lexsort((np.array([str(v) for v in found]), -np.bincount(codes))) if len(codes) else np.zeros(0, dtype=np.int64)
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
    return next(_ratios(x, [codes]))


def _ratios(x: Matrix, codes: Sequence[Codes]) -> Iterator[Matrix]:
    """Correlation ratios [d] of numeric columns with each of several columns of levels."""
    seen = np.isfinite(x).astype(np.float64)
    count = np.maximum(seen.sum(0), 1)
    z = np.where(seen > 0, x, 0.0)
    z = np.where(seen > 0, z - z.sum(0) / count, 0.0)
    total = (z**2).sum(0)
    whole = bool(seen.all())
    for code in codes:
        if x.shape[1] == 0 or len(code) == 0:
            yield np.zeros(x.shape[1])
            continue
        member = np.zeros((code.max() + 1, len(code)))
        member[code, np.arange(len(code))] = 1.0
        sizes = np.bincount(code)[:, None].astype(np.float64) if whole else member @ seen
        between = ((member @ z) ** 2 / np.maximum(sizes, 1)).sum(0)
        free = count - (sizes > 0).sum(0)
        valid = (total > 1e-300) & (free > 0)
        unexplained = np.where(valid, (total - between) * (count - 1) / np.where(valid, total * free, 1), 1.0)
        yield np.sqrt(np.clip(1 - unexplained, 0, 1))


def cramers_v(first: Codes, second: Codes) -> float:
    """Bias-corrected Cramér's V of two columns of level codes."""
    return float(category_pairs([first, second])[1, 0])


def category_pairs(codes: Sequence[Codes]) -> Matrix:
    """[C, C] bias-corrected Cramér's V of columns of level codes [n], diagonal 0.

    One count over all earlier columns at once: many columns take no loop over their pairs.
    """
    n, out = len(codes[0]) if codes else 0, np.zeros((len(codes), len(codes)))
    if n < 2:
        return out
    dense = [np.unique(c, return_inverse=True)[1].reshape(-1) for c in codes]
    sizes = np.array([int(c.max()) + 1 for c in dense])
    starts = np.concatenate([[0], np.cumsum(sizes)])
    flat = np.stack(dense) + starts[:-1, None]
    counts = np.bincount(flat.reshape(-1), minlength=starts[-1]).astype(np.float64)
    for i in range(1, len(dense)):
        k, width = int(sizes[i]), int(starts[i])
        table = np.bincount((flat[:i] + dense[i] * width).reshape(-1), minlength=k * width).reshape(k, width)
        shares = (table**2 / counts[starts[i] : starts[i + 1], None]).sum(0) / counts[:width]
        phi2 = np.add.reduceat(shares, starts[:i]) - 1
        rows, columns = float(k), sizes[:i].astype(np.float64)
        phi2 = np.maximum(0.0, phi2 - (rows - 1) * (columns - 1) / (n - 1))
        room = np.minimum(rows - (rows - 1) ** 2 / (n - 1), columns - (columns - 1) ** 2 / (n - 1)) - 1
        out[i, :i] = np.where(room > 0, np.sqrt(np.minimum(phi2 / np.where(room > 0, room, 1.0), 1.0)), 0.0)
    return out + out.T
