"""A codec fitted on the training rows of a table, column by column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from scarce.contract import Dataset
from scarce_tabular import constraints
from scarce_tabular import fields as f
from scarce_tabular.codec import TableCodec
from scarce_tabular.constraints import Rules
from scarce_tabular.impute import Imputer
from scarce_tabular.joint import Joint
from scarce_tabular.layout import Mask
from scarce_tabular.ordered import Gap, as_number
from scarce_tabular.schema import Column
from scarce_tabular.schema import from_json as schema_from_json
from scarce_tabular.texts import Text


def fit_codec(dataset: Dataset, *, seed: int, label_is_condition: bool = True, most_levels: int = 2) -> TableCodec:
    """A codec of the training rows of a table; numbers to predict count only where they are labelled."""
    train = dataset.rows("train")
    frame: pd.DataFrame = dataset.records.iloc[train]
    hidden = ~dataset.labelled[train] & (dataset.task == "regression")
    keep = str(dataset.schema.get("missing", "keep")) == "keep"
    rules = constraints.from_json(dataset.schema.get("constraints", {}))
    made: list[f.Field] = []
    label = None
    for told in schema_from_json({"columns": dataset.schema["columns"]}).columns:
        is_target = told.name == dataset.target_name
        is_label = is_target and dataset.task == "classification"
        series = frame[told.name][~hidden] if is_target else frame[told.name]
        if str(told.name) in rules.ordered and series.notna().any():
            made.append(f.Number.fit(as_number(told), series))
        elif told.kind == "identifier":
            made.append(fit_field(told, dataset.records[told.name], is_label=is_label, keep=keep))  # no real name is made up again
        elif told.kind == "text" and series.notna().any():
            made.append(Text.learn(told, series, dataset.records[told.name], keep))
        else:
            made.append(fit_field(told, series, is_label=is_label, keep=keep, most_levels=most_levels))
        label = made[-1] if is_label and label_is_condition else label
    names = [c.column.name for c in made if isinstance(c, f.Identifier) and dataset.records[c.column.name].dropna().is_unique]
    rules = replace(rules, unique=tuple(dict.fromkeys([*rules.unique, *((str(name),) for name in names)])))
    made = _over(made, rules, frame, dataset.target_name, hidden)
    scales = {str(c.column.name): span for c in made if c is not label and (span := _span(c)) is not None}
    columns = {str(c.column.name): c.column for c in made}
    codec = TableCodec(
        fields=tuple(made), target=str(dataset.target_name), label=label if isinstance(label, f.Levels) else None,
        missing="keep" if keep else "regress", seed=seed % 2**32, scales=scales, rules=rules,
        joints=tuple(Joint.fit(tuple(columns[n] for n in names), frame, keep) for names in rules.together),
    )  # fmt: skip
    return codec if keep else replace(codec, imputer=_fit_imputer(codec, frame, hidden))


def _over(made: list[f.Field], rules: Rules, frame: pd.DataFrame, target: str, hidden: Mask) -> list[f.Field]:
    """The fields, those above others as gaps; one that is empty on training rows binds no other."""
    numbers = {str(c.column.name): c for c in made if isinstance(c, f.Number)}
    out: Mapping[str, f.Field] = {}
    for name in (n for n in constraints.layers(rules) if n in numbers):
        orders = [o for o in rules.orders if o.high == name and o.low in numbers]
        if orders:
            below = {o.low: numbers[o.low] for o in orders}
            values = {n: _values(c, frame, hidden if n == str(target) else None) for n, c in {**below, name: numbers[name]}.items()}
            out = {**out, name: Gap.over(numbers[name], below, [o.low for o in orders if o.strict], values)}
    return [out.get(str(c.column.name), c) for c in made]


def _values(field: f.Number, frame: pd.DataFrame, hidden: Mask | None) -> f.Floats:
    values = f.as_floats(field.column, frame[field.column.name])
    return values if hidden is None else np.where(hidden, np.nan, values)


def _span(column: f.Field) -> tuple[float, float] | None:
    """Lowest training value and the distance to the highest, of a column that distances see as a number."""
    if isinstance(column, f.Number):
        low, high = float(column.ranks.v[0]), float(column.ranks.v[-1])
    elif isinstance(column, f.Levels) and column.column.kind == "integer":
        values = [float(v) for v in (*column.levels, *column.rare) if v is not None]
        low, high = min(values), max(values)
    else:
        return None
    return low, (high - low) or 1.0


def _fit_imputer(codec: TableCodec, frame: pd.DataFrame, hidden: Mask) -> Imputer:
    state = codec.encode(frame)
    gaps, unknown = codec.absent(frame)
    names = [str(n.column.name) for n in codec.numbers]
    if codec.target in names:
        gaps[:, names.index(codec.target)] |= hidden
    return Imputer.fit(state.num.double().numpy(), state.cat.numpy(), gaps, unknown, codec.space.levels)


def fit_field(column: Column, series: pd.Series, *, is_label: bool, keep: bool, most_levels: int = 2) -> f.Field:
    """The field of one column by its kind; one with a single value on training rows has nothing to learn.

    keep: whether missing values are generated; most_levels: whole numbers of so few values are levels.
    """
    present, gaps = series.dropna(), keep and bool(series.isna().any())
    if is_label:
        fitted = f.Levels.fit(column, series, False)
        every = fitted.shares[: len(fitted.levels)] + fitted.weights
        return replace(fitted, levels=fitted.levels + fitted.rare, rare=(), weights=(), shares=every)  # a class is never pooled
    if column.kind == "identifier" and len(present):
        return f.Identifier.fit(column, series, float(series.isna().mean()) if keep else 0.0)
    if present.nunique() < 2 and not (gaps and len(present)):
        return f.Constant.fit(column, series)
    few = column.kind == "integer" and present.nunique() <= most_levels
    if column.kind == "category" or few or present.nunique() < 2:
        return f.Levels.fit(column, series, keep)
    return f.Number.fit(column, series)
