"""Random tables through load, split, fit, encode, decode, save and read; and what the codec promises beyond that."""

import datetime as dt
import string
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scarce.contract import LoadContext, State, take
from scarce.errors import DataError, RunError
from scarce.runs.split import split
from scarce_tabular.codec import read_codec
from scarce_tabular.fitting import fit_codec
from scarce_tabular.load import load_table
from scarce_tabular.schema import FORMATS
from scarce_tabular.write import write_table

SETTINGS = settings(max_examples=120, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
NAMES = st.one_of(st.text(max_size=6), st.sampled_from(["", " ", "a=b", "x<y", "two\nlines", "a,b", 'q"q', "left in {a}", "köln", "<b>"]))
WORDS = st.one_of(
    st.text(max_size=5), st.sampled_from(["", " ", "a,b", 'say "x"', "<b>&amp;</b>", "köln", "line\nbreak", "NaN", "None", "1", "\\9"])
)
NONE = [None, float("nan"), pd.NaT, pd.NA]


def load(frame, target="", missing="keep", **more):
    return load_table(LoadContext(source=frame, target=target, seed=0, missing=missing, **more))


def fitted(frame, target="", missing="keep", label_is_condition=True, **more):
    dataset = load(frame, target, missing, **more)
    places = np.array(["train", "train", "test", "train", "validation"])[np.arange(len(dataset)) % 5]  # equal rows may be split here
    dataset = replace(dataset, split=places.astype("<U10"))
    return dataset, fit_codec(dataset, seed=3, label_is_condition=label_is_condition)


@st.composite
def column(draw, n):
    """A column of n values of any type people have, a share of them missing."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    gone = rng.random(n) < draw(st.sampled_from([0, 0, 0.1, 0.5, 1.0]))
    kind = draw(st.sampled_from(list(MAKERS)))
    return MAKERS[kind](draw, rng, n, gone)


def _pick(draw, rng, n, element, most=40):
    pool = draw(st.lists(element, min_size=1, max_size=most))
    return [pool[i] for i in rng.integers(len(pool), size=n)]


def _whole(draw, rng, n, gone):
    dtype = draw(st.sampled_from(["int64", "int8", "uint64", "Int64", "UInt8", "float64", "object"]))
    bounds = {"int8": (-128, 127), "UInt8": (0, 255), "uint64": (0, 2**64 - 1), "float64": (-(2**60), 2**60)}.get(
        dtype, (-(2**63), 2**63 - 1)
    )
    values = _pick(draw, rng, n, st.integers(*bounds) | st.integers(max(bounds[0], -9), 9))
    if dtype in ("int64", "int8", "uint64"):
        return pd.Series(values, dtype=dtype)
    series = pd.Series(values, dtype=object if dtype == "object" else dtype)
    return series.mask(pd.Series(gone), draw(st.sampled_from(NONE)) if dtype == "object" else (pd.NA if dtype[0] in "UI" else np.nan))


def _real(draw, rng, n, gone):
    dtype = draw(st.sampled_from(["float64", "float32", "Float64"]))
    shape = draw(st.sampled_from(["any", "decimals", "normal", "tiny"]))
    if shape == "any":
        size = 10.0 ** draw(st.sampled_from([-30, 0, 30, 300 if dtype == "float64" else 38]))
        values = np.array(_pick(draw, rng, n, st.floats(-1, 1, allow_subnormal=False))) * size
    elif shape == "decimals":
        values = np.round(rng.normal(0, 1000, n), draw(st.integers(1, 4)))
    else:
        values = rng.normal(size=n) * (1e-12 if shape == "tiny" else 1)
    return pd.Series(values).mask(pd.Series(gone)).astype(dtype)


def _bool(draw, rng, n, gone):
    dtype = draw(st.sampled_from(["bool", "boolean", "object"]))
    series = pd.Series(rng.random(n) < 0.5)
    return series if dtype == "bool" else series.astype(dtype).mask(pd.Series(gone), pd.NA if dtype == "boolean" else None)


def _text(draw, rng, n, gone):
    dtype = draw(st.sampled_from(["str", "string", "object"]))
    series = pd.Series(_pick(draw, rng, n, WORDS), dtype=object).mask(pd.Series(gone), draw(st.sampled_from(NONE[:2])))
    return series if dtype == "object" else series.astype(dtype)


def _category(draw, rng, n, gone):
    levels = draw(
        st.lists(st.one_of(WORDS), min_size=1, max_size=6, unique=True) | st.lists(st.integers(-5, 5), min_size=1, max_size=6, unique=True)
    )
    codes = np.where(gone, -1, rng.integers(len(levels), size=n))
    return pd.Series(pd.Categorical.from_codes(codes, categories=levels, ordered=draw(st.booleans())))


def _date_text(draw, rng, n, gone):
    pattern = draw(st.sampled_from(FORMATS))
    stamps = pd.Timestamp("1995-01-01") + pd.to_timedelta(rng.integers(0, draw(st.sampled_from([3, 10**5, 10**9])), n), unit="s")
    return pd.Series(stamps.strftime(pattern)).astype(draw(st.sampled_from(["str", "object"]))).mask(pd.Series(gone))


def _stamp(draw, rng, n, gone):
    years = draw(st.sampled_from([(1990, 2030), (1500, 2500)]))
    grain = draw(st.sampled_from(["D", "h", "s", "us"]))
    unit = draw(st.sampled_from(["s", "us"] if years[0] < 1600 else ["s", "us", "ns"]))
    base = np.array(_pick(draw, rng, n, st.datetimes(dt.datetime(years[0], 1, 1), dt.datetime(years[1], 1, 1))), dtype="datetime64[us]")
    series = pd.Series(base.astype(f"datetime64[{grain}]").astype(f"datetime64[{unit}]")).mask(pd.Series(gone))
    zone = draw(st.sampled_from([None, None, "UTC", "Europe/Berlin", "America/St_Johns"]))
    return series if zone is None else series.dt.tz_localize("UTC").dt.tz_convert(zone)


def _constant(draw, rng, n, gone):
    value = draw(st.sampled_from([3, 2.5, "acme", True, pd.Timestamp("2020-02-02"), pd.Timestamp("2020-02-02 10:00", tz="Asia/Tokyo")]))
    series = pd.Series([value] * n)
    return series if isinstance(value, bool | int) else series.mask(pd.Series(gone))


def _identifier(draw, rng, n, gone):
    kind = draw(st.sampled_from(["text", "count", "names"]))
    if kind == "count":
        return pd.Series(range(1000, 1000 + n))
    letters = string.ascii_letters + "éß李王小明-_ \\9"
    made = [f"E-{i:05d}" for i in range(n)] if kind == "text" else ["".join(rng.choice(list(letters), 8)) + str(i) for i in range(n)]
    return pd.Series(made).mask(pd.Series(gone))


MAKERS = {
    "whole": _whole, "real": _real, "bool": _bool, "text": _text, "category": _category, "date text": _date_text, "stamp": _stamp,
    "constant": _constant, "identifier": _identifier,
}  # fmt: skip


@st.composite
def tables(draw):
    n = draw(st.integers(24, 200))
    whole_names = draw(st.booleans())
    width = draw(st.integers(1, 6))
    names = list(range(width)) if whole_names else draw(st.lists(NAMES, min_size=width, max_size=width, unique=True))
    return pd.DataFrame({name: draw(column(n)) for name in names})


def numbers(column_, series):
    """Values on a line: seconds, places of levels, floats."""
    if column_.kind == "ordered":
        return series.astype(object).map({v: i for i, v in enumerate(column_.levels)}).to_numpy(dtype=float, na_value=np.nan)
    if column_.kind == "date":
        dates = pd.to_datetime(series.astype(object), format=column_.format) if column_.format else series
        dates = dates.dt.tz_convert(None) if dates.dt.tz is not None else dates
        stamps = dates.to_numpy("datetime64[us]")
        return np.where(np.isnat(stamps), np.nan, stamps.astype("int64") / 1e6)
    return series.to_numpy(dtype=float, na_value=np.nan)


def gaps(values, seen):
    """[n] width of the interval between training values around each value."""
    seen = np.unique(seen)
    i = np.clip(np.searchsorted(seen, values), 1, max(1, len(seen) - 1))
    wide = np.diff(seen) if len(seen) > 1 else np.zeros(1)
    left, right = wide[np.clip(i - 1, 0, len(wide) - 1)], wide[np.clip(i, 0, len(wide) - 1)]
    return np.maximum(np.maximum(left, right), np.abs(values) * 1e-12)


def same_shape(back, frame):
    assert back.columns.tolist() == frame.columns.tolist()
    for name in frame.columns:
        assert back[name].dtype == frame[name].dtype, name


@SETTINGS
@given(tables(), st.sampled_from(["keep", "regress"]))
def test_rows_survive_encode_and_decode(frame, missing):
    dataset, codec = fitted(frame, missing=missing)
    records, train = dataset.records, take(dataset.records, dataset.rows("train"))
    state = codec.encode(records)
    again = codec.encode(records)
    assert torch.equal(state.num, again.num)
    assert torch.equal(state.cat, again.cat)
    assert state.num.isfinite().all()
    back = codec.decode(state, None, 5)
    same_shape(back, records)
    for field in codec.fields:
        check_column(field, records[field.column.name], train[field.column.name], back[field.column.name], missing)


def check_column(field, given_, train, back, missing):
    column_ = field.column
    kind = type(field).__name__
    if missing == "regress" and train.notna().any():
        assert back.notna().all()
    if kind == "Identifier":
        values = back.dropna()
        assert values.is_unique
        assert not set(values.map(str)) & set(given_.dropna().map(str))
    elif kind == "Constant":
        assert back.nunique() <= 1
        assert set(back.dropna()) == set(train.dropna().unique())
    elif kind == "Levels":
        seen = {None if pd.isna(v) else v for v in train.astype(object)}
        found = [None if pd.isna(v) else v for v in back.astype(object)]
        assert set(found) <= seen
        kept = {v for v in field.levels if v is not None and not isinstance(train.iloc[0], pd.Timestamp)}
        asked = [None if pd.isna(v) else v for v in given_.astype(object)]
        assert all(a == b for a, b in zip(asked, found, strict=True) if a in kept)
        if missing == "keep" and None in field.levels:
            assert [a is None for a in asked] == [b is None for b in found]
    else:
        a, b, seen = (numbers(column_, s) for s in (given_, back, train))
        if column_.missing and missing == "keep":
            assert (np.isnan(a) == np.isnan(b)).all()
        seen, known = seen[~np.isnan(seen)], np.isin(a, seen) & ~np.isnan(a)
        inside(b[~np.isnan(b)], seen)
        grid = 0.51 * field.step
        assert (np.abs(a - b)[known] <= 1e-3 * gaps(a, seen)[known] + grid).all()
        on_grid(field, b[~np.isnan(b)])


def inside(values, seen):
    ulp = 1e-15 * np.abs(seen).max()
    assert (values >= seen.min() - ulp).all()
    assert (values <= seen.max() + ulp).all()


def on_grid(field, values):
    if field.column.kind in ("integer", "ordered"):
        assert (values == np.round(values)).all()
    if field.step:
        assert (values % field.step == 0).all()
    if field.column.decimals and "32" not in field.column.dtype:
        assert (values == np.round(values, field.column.decimals)).all()


@SETTINGS
@given(tables(), st.integers(0, 9), st.sampled_from(["keep", "regress"]))
def test_any_state_decodes_to_a_valid_row(frame, seed, missing):
    dataset, codec = fitted(frame, missing=missing)
    train = take(dataset.records, dataset.rows("train"))
    rng = torch.Generator().manual_seed(seed)
    num = torch.randn(64, codec.space.width, generator=rng) * 3
    cat = [torch.randint(k, (64, 1), generator=rng) for k in codec.space.levels]
    state = State(num, torch.cat(cat, 1) if cat else torch.zeros(64, 0, dtype=torch.int64))
    back = codec.decode(state, None, seed)
    same_shape(back, dataset.records)
    assert back.equals(codec.decode(state, None, seed))
    for field in codec.fields:
        name = field.column.name
        values, seen = back[name].dropna(), train[name].dropna()
        if type(field).__name__ == "Number":
            a, b = numbers(field.column, values), numbers(field.column, seen)
            inside(a, b)
            on_grid(field, a)
        elif type(field).__name__ != "Identifier":
            assert set(values.astype(object)) <= set(seen.astype(object))


@SETTINGS
@given(tables(), st.sampled_from(["keep", "regress"]))
def test_saved_and_read_codecs_agree_and_vectors_follow_rows(tmp_path_factory, frame, missing):
    dataset, codec = fitted(frame, missing=missing)
    folder = tmp_path_factory.mktemp("codec")
    codec.save(folder)
    same = read_codec(folder)
    state, other = codec.encode(dataset.records), same.encode(dataset.records)
    assert torch.equal(state.num, other.num)
    assert torch.equal(state.cat, other.cat)
    assert same.space == codec.space
    a, b = codec.decode(state, None, 1), same.decode(state, None, 1)
    assert a.equals(b)
    assert (a.dtypes == b.dtypes).all()
    vectors = codec.vectors(dataset.records)
    assert len(vectors) == len(dataset)
    assert np.isfinite(vectors).all()
    assert (vectors == same.vectors(dataset.records)).all()
    rows = np.random.default_rng(0).permutation(len(dataset))
    assert (codec.vectors(take(dataset.records, rows)) == vectors[rows]).all()
    soft = codec.soft(state)
    assert soft.shape == (len(dataset), codec.space.width + sum(codec.space.levels))
    assert codec.decode(State(state.num, soft[:, codec.space.width :]), None, 1).equals(a)


CSV_MAKERS = ("real", "bool", "date text", "stamp", "constant")


@settings(SETTINGS, max_examples=60)
@given(st.data())
def test_tables_written_as_csv_load_with_the_same_kinds(tmp_path_factory, data):
    n = data.draw(st.integers(24, 80))
    rng = np.random.default_rng(n)
    columns = {}
    for i in range(data.draw(st.integers(1, 4))):
        maker = data.draw(st.sampled_from([*CSV_MAKERS, "words", "ints"]))
        if maker == "words":
            words = data.draw(st.lists(st.from_regex(r"w[a-z,;\"\t\r\n|<>&é ]{0,6}w", fullmatch=True), min_size=2, max_size=5, unique=True))
            columns[f"c {i}"] = pd.Series([words[j] for j in rng.integers(len(words), size=n)]).mask(pd.Series(rng.random(n) < 0.1))
        elif maker == "ints":
            columns[f"c {i}"] = pd.Series(rng.integers(-(10**9), 10**9, n)).astype("Int64").mask(pd.Series(rng.random(n) < 0.1))
        else:
            columns[f"c {i}"] = MAKERS[maker](data.draw, rng, n, np.arange(n) % 7 == 3)
    before = load(pd.DataFrame(columns))
    codec = fit_codec(replace(before, split=np.full(n, "train")), seed=0)
    rows = codec.decode(codec.encode(before.records), None, 0)
    folder = tmp_path_factory.mktemp("csv")
    for frame, suffix in ((before.records, "csv"), (before.records, "tsv"), (rows, "csv")):
        path = write_table(frame, folder / f"t.{suffix}", before.schema)
        after = load(path)
        assert after.records.columns.tolist() == before.records.columns.tolist()
        assert len(after) == len(before)
        if frame is before.records:
            for a, b in zip(before.schema["columns"], after.schema["columns"], strict=True):
                assert _csv_kind(a) == b["kind"], (a, b)


def _csv_kind(column_):
    return column_["kind"]


def test_parquet_keeps_everything(tmp_path):
    frame = pd.DataFrame({
        0: pd.Categorical(["a", "b"] * 20, ordered=True), 1: pd.array([1, None] * 20, dtype="Int64"), 2: [1, "x"] * 20,
        3: pd.cut(np.arange(40.0), 4), 4: pd.to_timedelta(range(40), unit="s"),
    })  # fmt: skip
    before = load(frame)
    after = load(write_table(frame, tmp_path / "t.parquet"))
    assert after.records.columns.tolist() == [0, 1, 2, 3, 4]
    assert [c["kind"] for c in before.schema["columns"]] == [c["kind"] for c in after.schema["columns"]]
    assert (before.ids == after.ids).all()
    assert before.records[0].dtype == after.records[0].dtype


def spread(n=400, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    return pd.DataFrame({
        "x": x, "y": np.where(rng.random(n) < 0.3, np.nan, 2 * x + 0.1 * rng.normal(size=n)), "left": np.where(x > 0.5, "yes", "no"),
        "k": pd.array(np.where(rng.random(n) < 0.2, None, (10 * x).astype(int)), dtype="Int64"),
        "city": np.where(rng.random(n) < 0.2, None, np.where(x > 0, "Ulm", "Bonn")),
    })  # fmt: skip


def test_missing_numbers_are_kept_by_a_flag_beside_the_column():
    dataset, codec = fitted(spread(), "left")
    assert [b.name for b in codec.space.blocks] == ["x", "y", "k", "y missing", "k missing", "city"]
    state = codec.encode(dataset.records)
    assert (state.cat[:, 0].numpy() == dataset.records["y"].isna()).all()
    assert (state.cat[:, 1].numpy() == dataset.records["k"].isna()).all()
    back = codec.decode(state.with_(cat=torch.zeros_like(state.cat)), None, 0)
    assert back[["y", "k"]].notna().all().all(), "without its flag a number is there"
    assert back["k"].dtype == "Int64"
    y = back["y"][dataset.records["y"].isna()]
    assert y.std() == pytest.approx(dataset.records["y"].std(), rel=0.25), "and follows the column's own law"


def test_regressed_values_come_from_training_rows_only():
    frame = spread(1000)
    test = np.arange(1000) % 5 == 2
    frame.loc[test, "y"] = np.where(frame.loc[test, "y"].isna(), np.nan, 1e6)  # were these seen, the relation would be gone
    dataset, codec = fitted(frame, "left", "regress")
    state = codec.encode(dataset.records)
    assert state.num.shape[1] == 3
    assert codec.space.levels == (2,)
    filled = codec.decode(state, dataset.target, 0)
    assert filled.notna().all().all()
    gaps = frame["y"].isna()
    assert np.corrcoef(filled["y"][gaps], frame["x"][gaps])[0, 1] > 0.95
    unknown = frame["city"].isna()
    assert (filled["city"][unknown] == np.where(frame["x"] > 0, "Ulm", "Bonn")[unknown]).mean() > 0.9


def test_classes_are_those_asked_for_and_else_drawn_by_their_share():
    frame = spread()
    frame["left"] = frame["left"].where(np.arange(400) % 4 > 0, None)
    dataset, codec = fitted(frame, "left")
    assert "left" not in {b.name for b in codec.space.blocks}
    state = State(torch.randn(2000, 3), torch.zeros(2000, 3, dtype=torch.int64))
    train = dataset.records["left"].iloc[dataset.rows("train")].dropna()
    share = (train == "yes").mean()
    for labels in (None, [None] * 2000, [np.nan] * 2000):
        assert (codec.decode(state, labels, 0)["left"] == "yes").mean() == pytest.approx(share, abs=0.05)
    rows = codec.decode(state, ["yes", None, *["no"] * 1998], 0)
    assert rows["left"].notna().all()
    assert (rows["left"] == "no").sum() >= 1998
    assert rows["left"][0] == "yes"


@pytest.mark.parametrize("values", [[True, False], [1, 2, 3], [0.0, 1.0], ["a", "b"], pd.Categorical(["lo", "hi"], ordered=True)])
def test_classes_of_every_type_keep_it_and_rare_ones_are_not_pooled(values):
    target = pd.Series(values).repeat([120 // len(values)] * (len(values) - 1) + [4]).reset_index(drop=True)
    frame = pd.DataFrame({"x": np.random.default_rng(0).normal(size=len(target)), "y": target})
    dataset = load(frame, "y")
    dataset = replace(dataset, split=np.full(len(dataset), "train"))
    codec = fit_codec(dataset, seed=0)
    rows = codec.decode(codec.encode(dataset.records), dataset.target, 0)
    assert rows["y"].dtype == frame["y"].dtype
    assert rows["y"].tolist() == frame["y"].tolist()
    assert set(codec.label.levels) == set(dataset.classes)
    assert not codec.label.rare
    assert fit_codec(dataset, seed=0, label_is_condition=False).label is None


def test_vectors_measure_the_distance_of_records():
    frame = pd.DataFrame({"x": [0.0, 10.0, 5.0, 5.0] * 10, "c": ["a", "b", "a", "b"] * 10, "g": [1.5, np.nan, 2.5, 3.5] * 10})
    _, codec = fitted(frame)
    first, second = codec.vectors(frame.iloc[[2, 3]].assign(g=2.5))
    assert np.linalg.norm(first - second) == pytest.approx(1.0)
    first, second = codec.vectors(frame.iloc[[0, 1]].assign(g=1.5, c="a"))
    assert np.linalg.norm(first - second) == pytest.approx(1.0)


def test_vectors_of_thousands_of_levels_stay_narrow_and_tell_them_apart():
    n = 6000
    frame = pd.DataFrame({"zip": [f"z{i}" for i in np.random.default_rng(0).integers(0, 2000, n)], "x": np.arange(n) % 50})
    dataset, codec = fitted(frame)
    vectors = codec.vectors(dataset.records.assign(x=0))
    assert vectors.shape[1] < 40
    a, b = vectors[:1000], vectors[1000:2000]
    same = dataset.records["zip"].to_numpy()[:1000] == dataset.records["zip"].to_numpy()[1000:2000]
    distance = np.linalg.norm(a - b, axis=1)
    assert (distance[same] == 0).all()
    assert distance[~same].min() > 0.5
    assert distance[~same].mean() == pytest.approx(1, abs=0.02)
    assert codec.space.levels == (61,)


def test_soft_features_are_differentiable():
    dataset, codec = fitted(spread(), "left")
    state = codec.encode(dataset.records)
    expected = torch.full((len(dataset), sum(codec.space.levels)), 0.5, requires_grad=True)
    num = state.num.clone().requires_grad_(True)
    codec.soft(State(num, expected)).sum().backward()
    assert num.grad is not None
    assert expected.grad is not None


def test_a_codec_of_another_format_is_refused(tmp_path):
    _, codec = fitted(spread(), "left")
    codec.save(tmp_path)
    text = (tmp_path / "codec.json").read_text()
    (tmp_path / "codec.json").write_text(text.replace('"format": 1', '"format": 7', 1))
    with pytest.raises(RunError, match="format 7, this version reads 1"):
        read_codec(tmp_path)


def test_a_big_table_takes_seconds(tmp_path):
    n, rng = 20_000, np.random.default_rng(0)
    columns = {f"x{i}": rng.normal(size=n) for i in range(8)} | {f"k{i}": rng.integers(0, 10**6, n) for i in range(4)}
    columns |= {f"c{k}": rng.choice([f"v{j}" for j in range(k)], n) for k in (2, 10, 100, 3000)}
    frame = pd.DataFrame({
        **columns, "id": [f"E-{i:07d}" for i in range(n)], "gap": np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n)),
        "when": (pd.Timestamp("2000-01-01") + pd.to_timedelta(rng.integers(0, 9000, n), unit="D")).strftime("%d.%m.%Y"),
        "left": rng.choice(["yes", "no"], n),
    })  # fmt: skip
    frame.to_csv(tmp_path / "t.csv", index=False)
    began = time.process_time()
    dataset, codec = fitted(tmp_path / "t.csv", "left")
    rows = codec.decode(codec.encode(dataset.records), dataset.target, 0)
    vectors = codec.vectors(rows)
    assert time.process_time() - began < 5, "measured: about 1 s"
    assert vectors.nbytes < n * 8 * 120


def test_few_whole_numbers_can_be_levels_and_stay_numbers_for_distances_and_ranges():
    from scarce.runs.where import parse_where

    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"calls": rng.integers(0, 8, 300), "x": rng.normal(size=300), "y": rng.choice(["p", "q"], 300)})
    data = split(load_table(LoadContext(source=frame, target="y", seed=0)), 0)
    plain, sharp = fit_codec(data, seed=0), fit_codec(data, seed=0, most_levels=12)
    assert [b.kind for b in plain.space.blocks] == ["continuous", "continuous"]
    assert [b.kind for b in sharp.space.blocks] == ["continuous", "categorical"]
    assert np.allclose(plain.vectors(data.records), sharp.vectors(data.records))
    back = sharp.decode(sharp.encode(data.records), data.target.tolist(), 0)
    pd.testing.assert_frame_equal(back[["calls", "y"]], data.records[["calls", "y"]])
    known, _ = sharp.known(parse_where(["2<=calls<5"]), 200, 0)
    asked = sharp.decode(State(torch.zeros(200, 1), known.state.cat), ["p"] * 200, 0)["calls"]
    assert set(asked) == {2, 3, 4}
    with pytest.raises(DataError, match="no training value"):
        sharp.known(parse_where(["calls>90"]), 2, 0)
