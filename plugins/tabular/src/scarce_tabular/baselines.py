"""What generated rows must beat: columns drawn alone, interpolation between neighbours (SMOTE-like), and plain copies."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.neighbors import NearestNeighbors

from scarce.contract import BaselineContext, take
from scarce_tabular import fields as f
from scarce_tabular.codec import TableCodec
from scarce_tabular.restore import restore_numbers, restore_values

NEIGHBOURS = 5
MOST_ROWS = 5000  # of one class, among which neighbours are sought
Rows = npt.NDArray[np.int64]


def table_baselines(ctx: BaselineContext) -> Mapping[str, pd.DataFrame]:
    """ "marginals", "smote" and "bootstrap": n rows each, with the training rows' share of classes."""
    rows = ctx.dataset.rows("train")
    rows = rows[ctx.dataset.labelled[rows]] if ctx.dataset.labelled[rows].any() else rows
    frame = take(ctx.dataset.records, rows)
    codes = ctx.dataset.codes()[rows]
    rng = np.random.default_rng(ctx.seed)
    chosen = rng.integers(len(frame), size=ctx.n)
    assert isinstance(ctx.codec, TableCodec)
    return {
        "marginals": marginals(frame, ctx.n, rng),
        "smote": smote(frame, codes, codes[chosen], ctx.codec, rng),
        "bootstrap": take(frame, chosen),
    }


def marginals(frame: pd.DataFrame, n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Every column drawn by itself: right shapes, no relations."""
    return pd.DataFrame(
        {c: frame[c].iloc[rng.integers(len(frame), size=n)].reset_index(drop=True) for c in frame.columns}, columns=frame.columns
    )


def smote(frame: pd.DataFrame, codes: Rows, wanted: Rows, codec: TableCodec, rng: np.random.Generator) -> pd.DataFrame:
    """A row per wanted class, between a row and one of its neighbours of that class (Chawla 2002; SMOTE-NC for mixed types).

    Numbers are interpolated by one uniform share per row; categories are the neighbours' majority. With regression
    there is one pseudo-class, and the target is interpolated like any number.
    """
    chosen, near = _neighbours(codec.vectors(frame), codes, wanted, rng)
    partner = near[np.arange(len(chosen)), rng.integers(NEIGHBOURS, size=len(chosen))]
    share = rng.uniform(size=len(chosen))
    out = {}
    for field in codec.fields:
        column, series = field.column, frame[field.column.name]
        if str(column.name) in codec.rules.joined:  # a combination stays whole
            out[column.name] = series.iloc[chosen].reset_index(drop=True)
        elif isinstance(field, f.Number):
            values = f.as_floats(column, series)
            mixed = field.snap(values[chosen] + share * (values[partner] - values[chosen]))
            absent = ~np.isfinite(mixed)
            out[column.name] = restore_numbers(np.where(absent, field.fill, mixed), absent, column)
        elif isinstance(field, f.Levels) and field is not codec.label:
            out[column.name] = series.iloc[_majority(f.factorize(series)[0], near)].reset_index(drop=True)
        elif isinstance(field, f.Identifier):
            out[column.name] = restore_values(field.make(len(chosen), rng), column)
        else:
            out[column.name] = series.iloc[chosen].reset_index(drop=True)
    return pd.DataFrame(out, columns=frame.columns)


def _neighbours(vectors: npt.NDArray[np.float64], codes: Rows, wanted: Rows, rng: np.random.Generator) -> tuple[Rows, Rows]:
    """[n] a row of each wanted class and [n, NEIGHBOURS] others near it; a class of one row is its own neighbour."""
    chosen = np.zeros(len(wanted), dtype=np.int64)
    near = np.zeros((len(wanted), NEIGHBOURS), dtype=np.int64)
    for code in np.unique(wanted):
        mine = np.flatnonzero(codes == code)
        mine = rng.choice(mine, MOST_ROWS, replace=False) if len(mine) > MOST_ROWS else mine
        places = np.flatnonzero(wanted == code)
        base = rng.integers(len(mine), size=len(places))
        k = min(NEIGHBOURS + 1, len(mine))
        found = NearestNeighbors(n_neighbors=k).fit(vectors[mine]).kneighbors(vectors[mine], return_distance=False)
        others = found[:, 1:] if k > 1 else found
        chosen[places] = mine[base]
        near[places] = mine[others[base][:, np.arange(NEIGHBOURS) % others.shape[1]]]
    return chosen, near


def _majority(codes: Rows, near: Rows) -> Rows:
    """[n] of each row's neighbours the first one with the most frequent code among them."""
    votes = codes[near]
    counts = (votes[:, :, None] == votes[:, None, :]).sum(2)
    return np.asarray(near[np.arange(len(near)), counts.argmax(1)])
