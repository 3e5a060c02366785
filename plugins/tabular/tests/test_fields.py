"""Columns as numbers or levels: ranks and ties, rare levels, made-up identifiers, imputation."""

import re

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtr

from scarce_tabular.fields import FEWEST, LEVELS, Constant, Identifier, Levels, Number, Ranks, as_floats, to_normal
from scarce_tabular.impute import Imputer
from scarce_tabular.saved import field_of
from scarce_tabular.schema import Column, infer


def column(kind, dtype="float64", **more):
    return Column(name="c", kind=kind, dtype=dtype, **more)


@pytest.mark.parametrize("values", [
    np.repeat([0.0, 1.5, 7.0], [500, 30, 5]),
    np.concatenate([np.zeros(400), np.random.default_rng(0).normal(size=600)]),
    np.random.default_rng(1).integers(0, 9, 300).astype(float),
])  # fmt: skip
def test_a_tie_takes_its_share_of_ranks_and_comes_back_exactly(values):
    ranks = Ranks.fit(values)
    rng = np.random.default_rng(0)
    drawn = ranks.value(rng.uniform(size=200_000))
    for value in ranks.atoms:
        assert (drawn == value).mean() == pytest.approx((values == value).mean(), abs=0.005)
    uniform = rng.uniform(size=len(values))
    tied = np.isin(values, ranks.atoms)
    assert (ranks.value(ranks.rank(values, uniform))[tied] == values[tied]).all()


def test_ranks_rise_with_values_and_stop_at_the_extremes():
    values = np.random.default_rng(0).lognormal(size=3000).round(2)  # more than 1000 different values
    assert len(np.unique(values)) > 500
    ranks = Ranks.fit(values)
    grid = np.linspace(-1, values.max() * 2, 5000)
    assert (np.diff(ranks.rank(grid, np.full(5000, 0.5))) >= 0).all()
    assert (np.diff(ranks.value(np.linspace(0, 1, 5000))) >= 0).all()
    assert ranks.value(np.array([0.0, 1.0])).tolist() == [values.min(), values.max()]
    back = ranks.value(ranks.rank(values, np.random.default_rng(1).uniform(size=3000)))
    np.testing.assert_allclose(back, values, atol=1e-9)


def test_thousands_of_distinct_values_come_back_through_few_knots():
    values = np.random.default_rng(0).normal(size=20_000)
    number = Number.fit(column("float"), pd.Series(values))
    assert len(number.ranks.v) <= 1001
    z = number.encode(values, np.random.default_rng(0)).astype(np.float32)
    back = number.decode(z.astype(float))
    assert np.abs(back - values).max() < 1e-4
    assert abs(z.mean()) < 0.02
    assert z.std() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("values", [
    np.random.default_rng(0).normal(size=60), np.random.default_rng(0).exponential(size=800),
    np.minimum(np.random.default_rng(0).exponential(size=800), 1.0), np.random.default_rng(0).integers(0, 100, 500).astype(float),
])  # fmt: skip
def test_normal_draws_pin_no_more_at_the_extremes_than_real_rows_do(values):
    number = Number.fit(column("float"), pd.Series(values))
    drawn = number.decode(np.random.default_rng(1).normal(size=100_000))
    ends = [values.min(), values.max()]
    assert np.isin(drawn, ends).mean() <= np.isin(values, ends).mean() + 0.005


def test_scores_are_standard_normal_and_bounded():
    assert np.allclose(ndtr(to_normal(np.array([0.1, 0.5, 0.9]))), [0.1, 0.5, 0.9])
    assert np.abs(to_normal(np.array([0.0, 1.0]))).max() <= 5.2


def test_missing_numbers_encode_to_the_columns_own_law():
    series = pd.Series(np.where(np.arange(5000) % 2, np.nan, np.random.default_rng(0).normal(size=5000)))
    number = Number.fit(column("float", missing=2500), series)
    z = number.encode(series.to_numpy(), np.random.default_rng(0))
    assert z[1::2].mean() == pytest.approx(0, abs=0.06)
    assert z[1::2].std() == pytest.approx(1, abs=0.06)


@pytest.mark.parametrize(("every", "step"), [("1D", 86400.0), ("6h", 3600.0), ("90s", 1.0), ("1min", 60.0), ("1500ms", 0.0)])
def test_dates_keep_to_the_grid_of_their_column(every, step):
    series = pd.Series(pd.date_range("2020-01-01", periods=300, freq=every))
    number = Number.fit(infer(series.to_frame("c"))["c"], series)
    assert number.step == step
    drawn = number.decode(np.random.default_rng(0).normal(size=500))
    assert not step or (drawn % step == 0).all()


def test_ordered_levels_are_their_places():
    levels = column("ordered", "ordered category", levels=("low", "mid", "high"))
    assert as_floats(levels, pd.Series(["high", None, "low", "odd"]))[[0, 2]].tolist() == [2.0, 0.0]
    assert np.isnan(as_floats(levels, pd.Series(["high", None, "low", "odd"]))[[1, 3]]).all()


def test_rare_levels_are_pooled_and_come_back_by_their_frequency():
    series = pd.Series(["a"] * 100 + ["b"] * 50 + ["r"] * 3 + ["s"] * 1, dtype=object)
    levels = Levels.fit(column("category", "object"), series)
    assert levels.levels == ("a", "b")
    assert set(levels.rare) == {"r", "s"}
    assert levels.size == 3
    assert sum(levels.shares) == pytest.approx(1)
    assert levels.encode(pd.Series(["b", "s", "never seen"], dtype=object)).tolist() == [1, 2, 2]
    drawn = levels.decode(np.full(8000, 2), np.random.default_rng(0))
    assert (drawn == "r").mean() == pytest.approx(0.75, abs=0.02)
    assert set(drawn) == {"r", "s"}


def test_many_levels_are_cut_and_a_level_seen_often_enough_is_kept():
    series = pd.Series([f"v{i}" for i in range(200) for _ in range(FEWEST + i % 7)], dtype=object)
    levels = Levels.fit(column("category", "object"), series)
    assert len(levels.levels) == LEVELS
    assert len(levels.rare) == 200 - LEVELS


def test_one_rare_level_stays_itself_and_unseen_ones_join_the_most_frequent_that_is_no_gap():
    series = pd.Series([None] * 50 + ["a"] * 30 + ["b"] * 20 + ["c"], dtype=object)
    levels = Levels.fit(column("category", "object"), series)
    assert levels.levels == (None, "a", "b", "c")
    assert levels.encode(pd.Series([None, "c", "new"], dtype=object)).tolist() == [0, 3, 1]
    assert levels.decode(np.array([0, 3]), np.random.default_rng(0)).tolist() == [None, "c"]


def test_missing_is_no_level_when_not_asked_for():
    assert Levels.fit(column("category", "object"), pd.Series(["a", None, "b"], dtype=object), False).levels == ("a", "b")


@pytest.mark.parametrize(("made", "make"), [
    ([f"E-{i:05d}" for i in range(0, 40_000, 400)], r"E-\d{5}"),
    ([f"{a}{b}{i % 10}" for i, (a, b) in enumerate((a, b) for a in "ABCDE" for b in "vwxyz")], r"[A-Z][a-z]\d"),
    ([f"{i:08x}-é" for i in range(10**8, 10**8 + 30)], r"[\da-z]{8}-[a-zé]"),
])  # fmt: skip
def test_identifiers_are_fresh_and_of_the_same_make(made, make):
    one = Identifier.fit(column("identifier", "object"), pd.Series(made, dtype=object))
    drawn = one.make(120, np.random.default_rng(0)).tolist()
    assert len(set(drawn)) == 120
    assert not set(drawn) & set(made)
    assert all(re.fullmatch(make, text) for text in drawn)
    assert drawn == field_of(one.to_json()).make(120, np.random.default_rng(0)).tolist()


def test_nothing_of_a_name_is_kept_only_its_shape():
    names = ["王小明", "李小龍", "Ana Ruiz", "Bo Li", "Zoë Müller"] + [f"{a}{b} Smith" for a in "ABCDE" for b in "abcde"]
    one = Identifier.fit(column("identifier", "object"), pd.Series(names, dtype=object))
    kept = " ".join(one.patterns)
    assert "Smith" not in kept or all(n.endswith(" Smith") for n in names[5:])  # shared by five or more: part of the make
    assert not set("王小明李龍ëüMRuz") & set(kept.replace("\\m\\i\\t\\h", ""))
    assert not set(one.make(500, np.random.default_rng(0))) & set(names)


def test_a_make_that_runs_out_grows_instead_of_repeating():
    one = Identifier.fit(column("identifier", "object"), pd.Series([f"A{i}" for i in range(10)] * 1 + ["B1"], dtype=object))
    drawn = one.make(200, np.random.default_rng(0)).tolist()
    assert len(set(drawn)) == 200
    assert not set(drawn) & {f"A{i}" for i in range(10)}


def test_whole_number_identifiers_count_on_and_keep_their_gaps():
    one = Identifier.fit(column("identifier", "Int64"), pd.Series([5, 9, None] * 10, dtype="Int64"), missing=0.3)
    drawn = one.make(1000, np.random.default_rng(0))
    present = [v for v in drawn if v is not None]
    assert min(present) >= 10
    assert len(set(present)) == len(present)
    assert 1 - len(present) / 1000 == pytest.approx(0.3, abs=0.05)


def test_constants_are_written_back():
    constant = Constant.fit(column("constant", "object"), pd.Series(["acme"] * 3, dtype=object))
    assert constant.make(2, np.random.default_rng(0)).tolist() == ["acme", "acme"]
    assert field_of(constant.to_json()) == constant
    assert Constant.fit(column("constant"), pd.Series([np.nan])).make(1, np.random.default_rng(0)).tolist() == [None]


def relation(n, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    return np.stack([x, 0.8 * x + 0.1 * rng.normal(size=n)], 1), (x > 0).astype(np.int64)[:, None]


def test_imputation_recovers_a_linear_relation():
    num, cat = relation(2000, 0)
    gaps, unknown = np.zeros(num.shape, bool), np.zeros(cat.shape, bool)
    gaps[::3, 1], unknown[1::3, 0] = True, True
    imputer = Imputer.fit(np.where(gaps, 9.0, num), np.where(unknown, 1, cat), gaps, unknown, (2,))
    test, levels = relation(500, 1)
    all_gaps, all_unknown = np.zeros(test.shape, bool), np.ones(levels.shape, bool)
    all_gaps[:, 1] = True
    filled, codes = imputer.fill(np.where(all_gaps, -3.0, test), 1 - levels, all_gaps, all_unknown)
    assert np.abs(filled[:, 1] - 0.8 * test[:, 0]).mean() < 0.05
    assert (filled[:, 0] == test[:, 0]).all()
    assert (codes == levels).mean() > 0.95
    same = Imputer.read(imputer.tensors())
    assert (same.fill(test, levels, all_gaps, all_unknown)[0] == imputer.fill(test, levels, all_gaps, all_unknown)[0]).all()


def test_filling_many_rows_in_pieces_changes_nothing():
    num, cat = relation(12_000, 0)
    gaps, unknown = np.zeros(num.shape, bool), np.zeros(cat.shape, bool)
    gaps[::3, 1] = True
    imputer = Imputer.fit(num, cat, gaps, unknown, (2,))
    whole = imputer.fill(num, cat, gaps, unknown)[0]
    np.testing.assert_allclose(whole[6000:6100], imputer.fill(num[6000:6100], cat[6000:6100], gaps[6000:6100], unknown[6000:6100])[0])
