"""Keys that never repeat: rows whose key was made before are given another one."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import product, takewhile
from typing import Any

import numpy as np
import pandas as pd

from scarce.errors import DataError
from scarce_tabular import fields as f
from scarce_tabular.ordered import as_stored
from scarce_tabular.restore import restore_numbers, restore_values

ROUNDS = 30
POINTS = 4001  # values of a number that are tried when draws find no free one
Made = set[tuple[Any, ...]]
Names = tuple[str, ...]


class Keys:
    """What was made since the last request, by the seed of each call of `settle`, so that calls don't repeat one another.

    A request is what `begin` opens; the same calls after it give the same rows.
    """

    def __init__(self, keys: Collection[Names], locked: Collection[str]) -> None:
        self.keys, self.locked = tuple(keys), frozenset(locked)
        self.begin(())

    def begin(self, asked: Collection[str]) -> None:
        """Forget what was made; the columns asked for keep their values."""
        self.asked = frozenset(asked)
        self.made: dict[int, list[Made]] = {}

    def settle(self, fields: Mapping[str, f.Field], frame: pd.DataFrame, seed: int) -> pd.DataFrame:
        """The rows with every key different from all others and from those of earlier calls with another seed.

        Values of free columns are drawn anew from their training distribution where a key repeats. Raises DataError
        when no unused key is left.
        """
        earlier = [self.made[s] for s in takewhile(lambda s: s != seed, self.made)]
        self.made.setdefault(seed, [])
        mine = []
        for i, key in enumerate(self.keys):
            used: Made = set().union(*(made[i] for made in earlier))
            free = tuple(n for n in key if n not in self.locked | self.asked and not isinstance(fields[n], f.Constant))
            frame = distinct(frame, {n: fields[n] for n in key}, free, used, np.random.default_rng((seed, 11, i)))
            names = [fields[n].column.name for n in key]
            mine.append(set(_rows(frame, names)))
        self.made[seed] = mine
        return frame


def distinct(frame: pd.DataFrame, key: Mapping[str, f.Field], free: Names, used: Made, rng: np.random.Generator) -> pd.DataFrame:
    """The frame with no key twice and none in `used`, changed in columns of `free` only; keys with a missing part don't count."""
    names = [field.column.name for field in key.values()]
    first = key[free[0]] if free else None
    if len(key) == 1 and isinstance(first, f.Identifier):
        made = first.make(len(frame), rng, {k for (k,) in used})
        return _put(frame, first, np.arange(len(frame)), restore_values(made, first.column))
    sizes = np.array([_size(key[n]) for n in free], dtype=np.float64)
    for _ in range(ROUNDS if free else 0):
        wrong = repeats(_rows(frame, names), used)
        if not len(wrong):
            return frame
        field = key[free[rng.choice(len(free), p=sizes / sizes.sum())]]
        frame = _put(frame, field, wrong, _drawn(field, len(wrong), rng, frame))
    wrong = repeats(_rows(frame, names), used)
    return _searched(frame, key, free, used, wrong, rng) if len(wrong) else frame


def repeats(keys: list[tuple[Any, ...]], used: Collection[Any]) -> f.Codes:
    """Places of keys that are in `used` or came before; a key with a missing part (None) never does."""
    seen, wrong = set(used), []
    for i, key in enumerate(keys):
        if None in key:
            continue
        if key in seen:
            wrong.append(i)
        seen.add(key)
    return np.array(wrong, dtype=np.int64)


def _rows(frame: pd.DataFrame, names: list[Any]) -> list[tuple[Any, ...]]:
    columns = [frame[n].astype(object).where(frame[n].notna(), None).tolist() for n in names]
    return list(zip(*columns, strict=True))


def _size(field: f.Field) -> int:
    """How many values a column has, about."""
    return len(field.ranks.v) if isinstance(field, f.Number) else field.size if isinstance(field, f.Levels) else 10 * POINTS


def _drawn(field: f.Field, n: int, rng: np.random.Generator, frame: pd.DataFrame) -> pd.Series:
    """n values by a column's training distribution, none missing."""
    if isinstance(field, f.Number):
        values = as_stored(field.decode(rng.normal(size=n)), field.column)
        return restore_numbers(values, np.zeros(n, dtype=bool), field.column)
    if isinstance(field, f.Levels):
        share = np.array([0.0 if i < len(field.levels) and field.levels[i] is None else s for i, s in enumerate(field.shares)])
        return restore_values(field.decode(rng.choice(len(share), size=n, p=share / share.sum()), rng), field.column)
    made = field.make(n, rng, set(frame[field.column.name].dropna())) if isinstance(field, f.Identifier) else field.make(n, rng)
    return restore_values(made, field.column)


def _put(frame: pd.DataFrame, field: f.Field, rows: f.Codes, values: pd.Series) -> pd.DataFrame:
    """The frame with values [len(rows)] of one column at some rows."""
    old = frame[field.column.name]
    plain = isinstance(field, f.Identifier) and isinstance(old.dtype, pd.CategoricalDtype)
    both = pd.concat([s.astype(object) if plain else s for s in (old, values)], ignore_index=True)
    places = np.arange(len(old))
    places[rows] = len(old) + np.arange(len(rows))
    new = both.iloc[places].reset_index(drop=True)
    out = frame.copy(deep=False)
    out[field.column.name] = new.astype("category") if plain else new
    return out


def _searched(
    frame: pd.DataFrame, key: Mapping[str, f.Field], free: Names, used: Made, wrong: f.Codes, rng: np.random.Generator
) -> pd.DataFrame:
    """The frame with an unused key at each of the rows `wrong`, sought among all that can be made."""
    names = [field.column.name for field in key.values()]
    keys = _rows(frame, names)
    taken = used | {k for i, k in enumerate(keys) if i not in set(wrong.tolist())}
    values = [_values(key[n], rng, frame) for n in free]
    texts = [v.astype(object).tolist() for v in values]
    place = [list(key).index(n) for n in free]
    waiting: dict[tuple[Any, ...], Iterator[tuple[int, ...]]] = {}
    chosen: list[tuple[int, ...]] = []
    for i in wrong.tolist():
        rest = tuple(v for j, v in enumerate(keys[i]) if j not in place)
        for found in waiting.setdefault(rest, product(*(range(len(v)) for v in values))):
            trial = list(keys[i])
            for j, k, column in zip(place, found, texts, strict=True):
                trial[j] = column[k]
            if free and tuple(trial) not in taken:
                taken.add(tuple(trial))
                chosen.append(found)
                break
        else:
            what = f"unique: {', '.join(key)}: no unused combination is left after {len(taken):,} rows"
            raise DataError(what, hint="ask for fewer rows, or leave the constraint out")
    for k, n in enumerate(free):
        frame = _put(frame, key[n], wrong, values[k].iloc[[c[k] for c in chosen]])
    return frame


def _values(field: f.Field, rng: np.random.Generator, frame: pd.DataFrame) -> pd.Series:
    """Every value a column can have (of a number: some thousands), in random order."""
    if isinstance(field, f.Number):
        values = np.unique(field.snap(field.ranks.value(np.linspace(0, 1, POINTS))))
        made = restore_numbers(as_stored(values, field.column), np.zeros(len(values), dtype=bool), field.column)
    elif isinstance(field, f.Levels):
        made = restore_values(f.objects(v for v in (*field.levels, *field.rare) if v is not None), field.column)
    else:
        made = _drawn(field, len(frame), rng, frame).dropna()
    return made.iloc[rng.permutation(len(made))].reset_index(drop=True)
