"""What generated rows must beat: columns drawn alone, interpolation between neighbours (SMOTE-like), and plain copies."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.neighbors import NearestNeighbors

from scarce.contract import BaselineContext, take
from scarce_tabular import fields as f
from scarce_tabular.codec import TableCodec, restore

NEIGHBOURS = 5
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
        "smote": smote(frame, codes, chosen, ctx.codec, rng),
        "bootstrap": take(frame, chosen),
    }


def marginals(frame: pd.DataFrame, n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Every column drawn by itself: right shapes, no relations."""
    return pd.DataFrame(
        {c: frame[c].iloc[rng.integers(len(frame), size=n)].reset_index(drop=True) for c in frame.columns}, columns=frame.columns
    )


def smote(frame: pd.DataFrame, codes: Rows, chosen: Rows, codec: TableCodec, rng: np.random.Generator) -> pd.DataFrame:
    """Rows between a row and one of its neighbours of the same class (Chawla 2002; mixed types as SMOTE-NC).

    Numbers are interpolated by one uniform share per row; categories are the neighbours' majority. With regression
    there is one pseudo-class, and the target is interpolated like any number.
    """
    vectors = codec.vectors(frame)
    near = np.zeros((len(frame), NEIGHBOURS), dtype=np.int64)
    for code in np.unique(codes):
        mine = np.flatnonzero(codes == code)
        k = min(NEIGHBOURS + 1, len(mine))
        found = NearestNeighbors(n_neighbors=k).fit(vectors[mine]).kneighbors(vectors[mine], return_distance=False)
        others = found[:, 1:] if k > 1 else found
        near[mine] = mine[others[:, np.arange(NEIGHBOURS) % others.shape[1]]]
    partner = near[chosen, rng.integers(NEIGHBOURS, size=len(chosen))]
    share = rng.uniform(size=len(chosen))
    out = {}
    for column in codec.fields:
        name = column.column.name
        one = frame[name].iloc[chosen].reset_index(drop=True)
        if isinstance(column, f.Number):
            a, b = (f.as_floats(column.column, frame[name].iloc[i]) for i in (chosen, partner))
            mixed = column.snap(a + share * (b - a))
            absent = ~np.isfinite(mixed)
            out[name] = restore(np.where(absent, column.fill, mixed), absent, column.column)
        elif isinstance(column, f.Levels) and column is not codec.label:
            votes = frame[name].to_numpy(dtype=object)[near[chosen]]
            majority = pd.DataFrame(votes).mode(axis=1, dropna=False)[0]
            out[name] = majority.astype(one.dtype)
        elif isinstance(column, f.Identifier):
            out[name] = restore(column.make(len(chosen), rng), np.zeros(len(chosen), bool), column.column)
        else:
            out[name] = one
    return pd.DataFrame(out, columns=frame.columns)
