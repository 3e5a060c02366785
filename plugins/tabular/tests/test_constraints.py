"""Orders, keys and combinations hold in every row, however it was made; what contradicts the data is said first."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from scarce.contract import BaselineContext, LoadContext, State
from scarce.errors import DataError
from scarce.runs.where import parse_where
from scarce_tabular.baselines import table_baselines
from scarce_tabular.codec import read_codec
from scarce_tabular.fitting import fit_codec
from scarce_tabular.load import load_table

RULES = ["start <= end", "lo<hi", "top >= hi", "top > lo", "unique: id", "unique: store, day", "together: city, state,zip"]
PLACES = {"Ulm": ("BW", 89073), "Bonn": ("NRW", 53111), "Kiel": ("SH", 24103), "Trier": ("RP", 54290)}


def stays(n=900, seed=0):
    """Dates in two forms, numbers of three grids, gaps in some, places and a key of two columns."""
    rng = np.random.default_rng(seed)
    start = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, n), unit="D")
    end = pd.Series(start + pd.to_timedelta(rng.integers(0, 40, n), unit="D")).dt.strftime("%d.%m.%Y")
    lo = np.round(rng.normal(10, 3, n), 2)
    hi = np.round(lo + rng.exponential(2, n) + 0.15, 1)
    city = pd.Series(rng.choice(list(PLACES), n, p=[0.5, 0.3, 0.19, 0.01]))
    frame = pd.DataFrame({
        "id": rng.permutation(10**6)[:n], "start": start, "end": end, "lo": lo, "hi": hi, "top": np.ceil(np.maximum(hi, 5)).astype(int),
        "city": city, "state": city.map(lambda c: PLACES[c][0]), "zip": city.map(lambda c: PLACES[c][1]),
        "store": rng.integers(0, 40, n), "day": np.arange(n) // 30, "left": np.where(lo > 10, "yes", "no"),
    })  # fmt: skip
    for name in ("start", "end", "hi"):
        frame[name] = frame[name].mask(rng.random(n) < 0.1)
    return frame.drop_duplicates(["store", "day"]).reset_index(drop=True)


def fitted(frame, rules, target="left", missing="keep"):
    dataset = load_table(LoadContext(source=frame, target=target, seed=0, missing=missing), rules)
    dataset = replace(dataset, split=np.where(np.arange(len(dataset)) % 4 < 3, "train", "test").astype("<U10"))
    return dataset, fit_codec(dataset, seed=0)


def noise(codec, n, seed=0, known=None):
    rng = torch.Generator().manual_seed(seed)
    num = torch.randn(n, codec.space.width, generator=rng) * 1.5
    cat = torch.cat([torch.randint(k, (n, 1), generator=rng) for k in codec.space.levels], 1)
    if known is not None:
        num, cat = torch.where(known.num_mask, known.state.num, num), torch.where(known.cat_mask, known.state.cat, cat)
    return State(num, cat)


def keep(rows):
    end = pd.to_datetime(rows["end"], format="%d.%m.%Y")
    assert not (rows["start"] > end).any()
    assert not (rows["lo"] >= rows["hi"]).any()
    assert not (rows["hi"] > rows["top"]).any()
    assert not (rows["lo"] >= rows["top"]).any()
    assert rows["id"].is_unique
    assert not rows.duplicated(["store", "day"]).any()
    assert set(rows[["city", "state", "zip"]].itertuples(index=False, name=None)) <= {(c, *rest) for c, rest in PLACES.items()}


@pytest.mark.parametrize("missing", ["keep", "regress"])
def test_rows_of_any_state_keep_every_constraint(missing):
    dataset, codec = fitted(stays(), RULES, missing=missing)
    for seed in range(3):
        rows = codec.decode(noise(codec, 300, seed), ["yes"] * 300, seed)
        keep(rows)
        assert (rows.dtypes == dataset.records.dtypes).all()
        assert rows[["start", "end", "hi"]].isna().any().all() == (missing == "keep")
        assert not set(rows["id"]) & set(dataset.records["id"])
        assert rows["top"].max() <= dataset.records["top"].max(), "no value beyond what training had"


def test_real_rows_come_back():
    dataset, codec = fitted(stays(), RULES)
    back, real = codec.decode(codec.encode(dataset.records), dataset.target, 0), dataset.records
    train = dataset.rows("train")
    for name in ("start", "end", "lo", "hi", "top", "city", "state", "zip", "store", "day"):
        both = (back[name].isna() & real[name].isna()) | (back[name] == real[name])
        assert both.iloc[train].mean() > 0.99, name
    assert [b.name for b in codec.space.blocks][-1] == "city + state + zip"


def test_saved_codecs_keep_them_and_calls_with_other_seeds_repeat_no_key(tmp_path):
    _, codec = fitted(stays(), RULES)
    codec.save(tmp_path)
    same = read_codec(tmp_path)
    first, second = (codec.decode(noise(codec, 200, s), ["no"] * 200, s) for s in (0, 1))
    keep(pd.concat([first, second], ignore_index=True))
    pd.testing.assert_frame_equal(first, codec.decode(noise(codec, 200, 0), ["no"] * 200, 0))
    pd.testing.assert_frame_equal(first, same.decode(noise(same, 200, 0), ["no"] * 200, 0))
    pd.testing.assert_frame_equal(second, same.decode(noise(same, 200, 1), ["no"] * 200, 1))
    codec.known({}, 1, 0)
    pd.testing.assert_frame_equal(codec.decode(noise(codec, 200, 1), ["no"] * 200, 1), fitted(stays(), RULES)[1].decode(
        noise(codec, 200, 1), ["no"] * 200, 1
    ))  # fmt: skip


WHERE = {
    ("end=03.04.2021",): lambda r: r["end"] == "03.04.2021",
    ("hi>12", "lo<11"): lambda r: (r["hi"] > 12) & (r["lo"] < 11),
    ("top=14", "lo=9.5"): lambda r: (r["top"] == 14) & (r["lo"] == 9.5),
    ("hi in {12.3,9.1}",): lambda r: r["hi"].isin([12.3, 9.1]),
    ("start>2021-01-01", "end=03.04.2021"): lambda r: (r["start"] > "2021-01-01") & (r["end"] == "03.04.2021"),
    ("start=", "end=03.04.2021"): lambda r: r["start"].isna() & (r["end"] == "03.04.2021"),
    ("end=",): lambda r: r["end"].isna(),
    ("state in {NRW,SH}",): lambda r: r["state"].isin(["NRW", "SH"]),
    ("zip<60000", "city=Bonn"): lambda r: (r["zip"] < 60000) & (r["city"] == "Bonn"),
    ("store=3",): lambda r: r["store"] == 3,
}


@pytest.mark.parametrize("where", WHERE)
def test_conditions_hold_beside_constraints(where):
    _, codec = fitted(stays(), RULES)
    known, _ = codec.known(parse_where(where), 25, 5)
    rows = codec.decode(noise(codec, 25, 1, known), ["yes"] * 25, 1)
    keep(rows)
    assert WHERE[where](rows).all()


@pytest.mark.parametrize(("where", "said"), [
    (["top=9", "lo=12.5"], "no row can meet the conditions on top, lo and keep .*'hi <= top'.*'lo < top'"),
    (["city=Ulm", "state=SH"], "no combination of city, state, zip"),
    (["city=Trier"], "no combination of city, state, zip that training has often enough"),
])  # fmt: skip
def test_conditions_no_row_can_meet_are_errors(where, said):
    frame = stays()
    few = frame.index[frame["city"] == "Trier"][3:]
    frame = pd.concat(
        [frame.drop(few), frame.iloc[:4].assign(city="Nowhere", state="-", zip=1, day=99, id=range(-4, 0))], ignore_index=True
    )
    _, codec = fitted(frame, RULES)
    with pytest.raises(DataError, match=said):
        codec.known(parse_where(where), 5, 0)


def test_a_full_key_is_filled_to_the_last_and_then_an_error():
    frame = pd.DataFrame({"a": np.repeat(["x", "y", "z"], 10), "b": np.tile(np.arange(10), 3), "c": np.arange(30) % 7})
    dataset = load_table(LoadContext(source=frame, target="", seed=0), ["unique: a, b"])
    codec = fit_codec(replace(dataset, split=np.full(30, "train")), seed=0)
    rows = codec.decode(noise(codec, 30), None, 0)
    assert set(rows[["a", "b"]].itertuples(index=False)) == set(frame[["a", "b"]].itertuples(index=False))
    with pytest.raises(DataError, match="no unused combination is left after 30 rows"):
        codec.decode(noise(codec, 31), None, 1)


@pytest.mark.parametrize("values", [
    pd.Series([f"K{i:03d}" for i in range(60)], dtype="category"), pd.Series(np.arange(60)[::-1] * 3.0), pd.Series(np.arange(60) * 0.25),
    pd.Series(pd.date_range("2020-01-01", periods=60)), pd.Series([None, *range(100, 159)], dtype="Int64"),
])  # fmt: skip
def test_keys_of_every_type_are_unique_and_keep_it(values):
    frame = pd.DataFrame({"key": values, "x": np.arange(60) % 11})
    dataset = load_table(LoadContext(source=frame, target="", seed=0), ["unique: key"])
    codec = fit_codec(replace(dataset, split=np.full(60, "train")), seed=0)
    rows = codec.decode(noise(codec, 40), None, 0) if codec.space.levels else codec.decode(State(
        torch.randn(40, codec.space.width), torch.zeros(40, 0, dtype=torch.int64)), None, 0)  # fmt: skip
    assert rows["key"].dropna().is_unique
    assert str(rows["key"].dtype) == str(values.dtype)


@pytest.mark.parametrize(("rule", "said"), [
    ("strat <= end", r"no column 'strat' \(did you mean"), ("start <= ende", r"did you mean 'end'"),
    ("unique: stor", "did you mean 'store'"),
    ("together: city", "names one column"), ("unique: id, id", "names a column twice"), ("start until end", "can't read"),
    ("lo <= lo", "with itself"), ("lo <= end", "compares numbers with dates"), ("city <= lo", r"'city' \(category\) has no order"),
    ("together: city, left", "target 'left' holds classes"), ("unique: left", "'left' can't be unique"),
    ("together: city, id", "'id' is identifier"),
    ("hi <= lo", r"'hi <= lo' does not hold in \d+ of \d+ rows: row 1 \(hi .*, lo "),
    ("unique: store", r"'unique: store' does not hold in \d+ of \d+ rows: row \d+ \(store \d+\)"),
])  # fmt: skip
def test_what_cannot_be_kept_is_said_before_anything_is_fitted(rule, said):
    with pytest.raises(DataError, match=said) as caught:
        load_table(LoadContext(source=stays(), target="left", seed=0), [rule])
    assert caught.value.hint
    assert caught.value.message.startswith("data.options.constraints: ")


@pytest.mark.parametrize(("rules", "said"), [
    (["lo <= hi", "hi <= top", "top <= lo"], "in a circle"), (["together: zip, lo", "lo <= hi"], "another constraint"),
    (["together: city, state", "together: state, zip"], "another constraint"), (["lo <= hi", "unique: lo, hi"], "fix all of its columns"),
])  # fmt: skip
def test_constraints_that_clash_are_errors(rules, said):
    with pytest.raises(DataError, match=said):
        load_table(LoadContext(source=stays(), target="left", seed=0), rules)


def test_names_with_signs_commas_and_colons():
    frame = pd.DataFrame(
        {"a <= b": range(30), "c, d": range(1, 31), "[CLS]": range(2, 32), "e:f": list("xyz") * 10, " g": list("pqr") * 10}
    )
    frame = frame.assign(**{"a <= b": frame["a <= b"] % 7, "c, d": frame["c, d"] % 7 + 7, "[CLS]": frame["[CLS]"] % 7 + 14})
    rules = ["a <= b <= c, d", "[CLS] > c, d", "together: e:f, g"]
    dataset = load_table(LoadContext(source=frame, target="", seed=0), rules)
    codec = fit_codec(replace(dataset, split=np.full(30, "train")), seed=0)
    assert [str(o) for o in codec.rules.orders] == ["a <= b <= c, d", "c, d < [CLS]"]
    rows = codec.decode(noise(codec, 200), None, 0)
    assert (rows["a <= b"] <= rows["c, d"]).all()
    assert (rows["c, d"] < rows["[CLS]"]).all()
    assert set(zip(rows["e:f"], rows[" g"], strict=True)) == {("x", "p"), ("y", "q"), ("z", "r")}


@pytest.mark.parametrize("dtype", ["float32", "float64", "Int64", "int8", "category"])
def test_orders_of_small_types_and_ordered_levels(dtype):
    rng = np.random.default_rng(0)
    low, more = rng.integers(0, 5, 200), rng.integers(0, 4, 200)
    if dtype == "category":
        levels = pd.CategoricalDtype(list("abcdefghi"), ordered=True)
        low, high = (pd.Series(pd.Categorical.from_codes(v, dtype=levels)) for v in (low, low + more))
    else:
        scale = 1 / 3 if "float" in dtype else 1
        low, high = (pd.Series(v * scale).astype(dtype) for v in (low, low + more))
    _, codec = fitted(pd.DataFrame({"low": low, "high": high, "left": rng.choice(["yes", "no"], 200)}), ["low <= high"])
    rows = codec.decode(State(torch.randn(3000, 2) * 3, torch.zeros(3000, 0, dtype=torch.int64)), ["no"] * 3000, 0)
    assert (rows["low"] <= rows["high"]).all()
    assert rows["high"].max() <= high.max()


def test_a_numeric_target_can_be_bound_and_baselines_work():
    dataset, codec = fitted(stays(), RULES, target="top")
    found = table_baselines(BaselineContext(dataset=dataset, codec=codec, n=300, seed=0))
    assert {name: len(rows) for name, rows in found.items()} == {"marginals": 300, "smote": 300, "bootstrap": 300}
    assert set(found["smote"][["city", "state"]].itertuples(index=False, name=None)) <= {(c, rest[0]) for c, rest in PLACES.items()}
    keep(codec.decode(noise(codec, 300), None, 0))


def test_hidden_numbers_to_predict_are_not_seen_by_the_codec():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"x": rng.normal(size=300), "y": rng.normal(size=300), "gap": np.where(rng.random(300) < 0.3, np.nan, rng.normal(size=300))}
    )
    frame.loc[150:, "y"] += 1000
    for missing in ("keep", "regress"):
        dataset = load_table(LoadContext(source=frame, target="y", seed=0, missing=missing))
        dataset = replace(dataset, split=np.full(300, "train"), labelled=np.arange(300) < 150)
        codec = fit_codec(dataset, seed=0)
        assert codec.scales["y"][0] + codec.scales["y"][1] == frame["y"][:150].max()
        rows = codec.decode(State(torch.randn(500, 3), torch.zeros(500, len(codec.space.levels), dtype=torch.int64)), None, 0)
        assert rows["y"].max() <= frame["y"][:150].max()


@pytest.mark.parametrize("make", [lambda i: i + 5, lambda i: f"E-{i:02d}"])
def test_identifiers_stay_unique_over_several_calls(make):
    frame = pd.DataFrame({"id": [make(i) for i in range(60)], "x": np.arange(60) % 7})
    _, codec = fitted(frame, [], target="")
    rows = pd.concat([codec.decode(State(torch.randn(40, 1), torch.zeros(40, 0, dtype=torch.int64)), None, s) for s in range(4)])
    assert rows["id"].is_unique
    assert not set(rows["id"]) & set(frame["id"])
