"""Conditions on columns that an order binds: the columns below are drawn so that what is asked can be met."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from scarce.contract import Known
from scarce.errors import DataError
from scarce_tabular import fields as f
from scarce_tabular.layout import TableLayout
from scarce_tabular.ordered import Gap, as_stored, highest

TRIES = 256  # candidates below each asked value
ROUNDS = 40
ROWS = 2048  # settled at once
Met = npt.NDArray[np.bool_]


class Asked(NamedTuple):
    """Values a column may have, one as likely as another; between: and anything between the least and the greatest."""

    pool: f.Floats
    between: bool


def impose_order(layout: TableLayout, asked: Mapping[str, Asked], known: Known, rng: np.random.Generator) -> None:
    """Set the known values of the asked columns and of all below them; `asked` holds values inside each condition.

    A column above is its gap over those below, so these are drawn too: by their own training distribution, weighted by
    how likely the gap is that remains. Raises DataError when no draw meets all conditions.
    """
    names = [str(c.column.name) for c in layout.numbers]
    n = len(known.state)
    for start in range(0, n, ROWS):
        rows = np.arange(start, min(start + ROWS, n))
        for _ in range(ROUNDS):
            scores, met = _settled(layout, asked, len(rows), rng)
            for name, z in scores.items():
                known.state.num[rows[met], names.index(name)] = torch.from_numpy(z[met].astype(np.float32))
                known.num_mask[rows[met], names.index(name)] = True
            rows = rows[~met]
            if not len(rows):
                break
        else:
            rules = " and ".join(f"'{o}'" for o in layout.rules.orders if {o.low, o.high} & set(asked))
            what = f"--where: no row can meet the conditions on {', '.join(asked)} and keep {rules}"
            raise DataError(what, hint="ask for ranges that fit together")
    flags = [str(c.column.name) for c in layout.flagged]
    for name in (str(c.column.name) for c in layout.numbers):
        if name in flags and bool(known.num_mask[:, names.index(name)].all()) and not bool(known.cat_mask[:, flags.index(name)].any()):
            known.state.cat[:, flags.index(name)] = 0
            known.cat_mask[:, flags.index(name)] = True


def _settled(layout: TableLayout, asked: Mapping[str, Asked], n: int, rng: np.random.Generator) -> tuple[dict[str, f.Floats], Met]:
    """[n] scores of every column that has to be known, and which rows meet all conditions."""
    own = {str(c.column.name): c for c in layout.numbers}
    values: dict[str, f.Floats] = {}
    scores: dict[str, f.Floats] = {}
    met = np.ones(n, dtype=bool)
    for gap in reversed(layout.gaps):
        name = str(gap.column.name)
        if name not in values and name not in asked:
            continue
        values.setdefault(name, _drawn(own[name], asked.get(name), (n,), rng))
        tried = {b: values[b][:, None] if b in values else _drawn(own[b], asked.get(b), (n, TRIES), rng) for b in gap.below}
        every = {b: np.broadcast_to(t, (n, TRIES)) for b, t in tried.items()}
        need = gap.gap.snap(values[name][:, None] - highest(list(every.values())))
        weight = _likely(gap, need).cumsum(1)
        met &= weight[:, -1] > 0
        chosen = np.arange(n), np.minimum((weight < rng.uniform(size=(n, 1)) * weight[:, -1:]).sum(1), TRIES - 1)
        values |= {b: t[chosen] for b, t in every.items()}
        scores[name] = gap.gap.encode(need[chosen], rng)
    values |= {name: _drawn(own[name], a, (n,), rng) for name, a in asked.items() if name not in values}
    scores |= {name: own[name].encode(v, rng) for name, v in values.items() if name not in scores}
    return scores, met & _kept(layout, asked, values, scores)


def _drawn(column: f.Number, asked: Asked | None, shape: tuple[int, ...], rng: np.random.Generator) -> f.Floats:
    """Values of a column: those asked for, else by its training distribution."""
    if asked is not None:
        return asked.pool[rng.integers(len(asked.pool), size=shape)]
    return as_stored(column.decode(rng.normal(size=shape)), column.column)


def _likely(field: Gap, gaps: f.Floats) -> f.Floats:
    """[n, TRIES] about how likely each gap is in training; 0 outside what training had."""
    ranks = field.gap.ranks
    low, high = float(ranks.v[0]), float(ranks.v[-1])
    near = max(field.gap.step / 2, 0.01 * (high - low), 1e-9 * max(abs(high), 1.0))
    share = np.interp(gaps + near, ranks.v, ranks.p, right=1.0) - np.interp(gaps - near, ranks.v, ranks.p, left=0.0)
    slack = 1e-9 * max(abs(high), 1.0)
    return np.where((gaps < low - slack) | (gaps > high + slack), 0.0, np.maximum(share, 1e-9))


def _kept(layout: TableLayout, asked: Mapping[str, Asked], values: Mapping[str, f.Floats], scores: Mapping[str, f.Floats]) -> Met:
    """[n] rows whose scores decode to the values asked for: exactly on a grid, else nearly and inside the range."""
    n = len(next(iter(values.values())))
    num = np.zeros((n, len(layout.numbers)))
    for i, column in enumerate(layout.numbers):
        num[:, i] = scores.get(str(column.column.name), num[:, i]).astype(np.float32)
    back, _ = layout.decode_numbers(num, np.zeros((n, len(layout.flagged)), dtype=np.int64))
    fine = np.ones(n, dtype=bool)
    for column in (c for c in layout.numbers if str(c.column.name) in asked):
        name, pool = str(column.column.name), asked[str(column.column.name)].pool
        near = 1e-9 if column.step or column.column.decimals is not None else 1e-4
        fine &= np.isclose(back[name], values[name], rtol=near, atol=near * float(np.ptp(column.ranks.v)))
        fine &= (back[name] >= pool.min()) & (back[name] <= pool.max()) | (not asked[name].between)
    return fine
