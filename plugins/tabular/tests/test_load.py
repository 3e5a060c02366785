"""Tables as people have them: what is read, what is said, and what is refused with one clear error."""

import datetime as dt
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from scarce.contract import LoadContext
from scarce.errors import DataError
from scarce_tabular.fitting import fit_codec
from scarce_tabular.load import content_keys, load_table


def load(source, target="", **more):
    return load_table(LoadContext(source=source, target=target, seed=0, **more))


def kinds(dataset):
    return {c["name"]: c["kind"] for c in dataset.schema["columns"]}


def write(folder, content, name="t.csv"):
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


ROWS = "".join(f"{i * 7 % 30},w{i % 3},{'yes' if i % 4 else 'no'}\n" for i in range(40))


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_separators_and_line_ends(tmp_path, separator, end):
    text = ("age,word,left\n" + ROWS).replace(",", separator).replace("\n", end)
    dataset = load(write(tmp_path, text), "left")
    assert dataset.records.columns.tolist() == ["age", "word", "left"]
    assert kinds(dataset) == {"age": "integer", "word": "category", "left": "category"}
    assert dataset.classes == ("no", "yes")
    assert len(dataset) == 40


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_byte_order_marks(tmp_path, encoding):
    dataset = load(write(tmp_path, ("größe,word,left\n" + ROWS).encode(encoding)), "left")
    assert dataset.records.columns[0] == "größe"


def test_quoted_fields_hold_separators_quotes_and_line_ends(tmp_path):
    rows = "".join(f'{i % 9},"a, ""b"";\n{i % 2}",x{i % 3}\r\n' for i in range(30))
    dataset = load(write(tmp_path, '"n;1","t\next",left\r\n' + rows), "left")
    assert dataset.records.columns.tolist() == ["n;1", "t\next", "left"]
    assert set(dataset.records["t\next"]) == {'a, "b";\n0', 'a, "b";\n1'}


def test_decimal_commas_of_semicolon_files(tmp_path):
    rows = "".join(f"{i},{i % 10:02d};w{i % 3}\n" for i in range(30))
    dataset = load(write(tmp_path, "price;word\n" + rows))
    assert kinds(dataset)["price"] == "float"
    assert dataset.records["price"].iloc[12] == 12.02
    rows = "".join(f"a,{i % 3};w{i % 3}\n" for i in range(30))
    assert kinds(load(write(tmp_path, "price;word\n" + rows)))["price"] == "category"


BAD = {
    "empty": (b" \n", "is empty"), "header only": (b"a,left\n", "has 0 rows"), "one row": (b"a,left\n1,yes\n", "has 1 row"),
    "single class": (b"a,left\n" + b"1,yes\n" * 50, "single class: it holds only 'yes'"),
    "no class": (b"a,left\n" + b"1,\n2,\n" * 20, "single class: it holds nothing"),
    "twice": (b"a,a,left\n" + b"1,2,yes\n1,3,no\n" * 9, "'a' appears 2 times"),
    "near": (b"a,lefd\n" + b"1,yes\n2,no\n" * 9, "did you mean 'lefd'"),
    "latin": ("a,left\n1,jé\n2,no\n".encode("latin1") * 20, "is not UTF-8: byte 0xe9 at line 2"),
    "half utf-16": (b"\xff\xfea\x00b", "is not UTF-16"), "binary": (bytes(range(256)) * 10, "is binary"),
    "late zero": (b"a,left\n" + b"1,yes\n" * 20_000 + b"\x00", "is binary"),
    "long line": (b"a,left\n1,yes\n1,2,3,4\n", "line 3 has 4 fields, the header names 2"),
    "every line long": (b"a,left\n" + b"1,2,yes\n" * 9, "line 2 has 3 fields"),
    "short line": (b"a,b,left\n1,2,yes\n3,no\n", "line 3 has 2 fields"),
    "open quote": (b'a,left\n1,"yes\n' + b"1,no\n" * 9, "is not a table: .*EOF inside string"),
    "other separator": (b"a^left\n" + b"1^yes\n2^no\n" * 9, "has no column 'left'"),
    "identifier": (b"a,left\n" + b"".join(b"%d,E-%d\n" % (i % 3, i) for i in range(40)), "target 'left' is an identifier"),
    "date": (b"a,left\n" + b"".join(b"%d,2020-01-%02d\n" % (i % 3, i % 28 + 1) for i in range(40)), "target 'left' is a date"),
    "too many classes": (b"a,left\n" + b"".join(b"%d,c%d\n" % (i, i % 150) for i in range(400)), "has 150 different values"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_unusable_files_are_one_clear_error(tmp_path, case):
    content, said = BAD[case]
    with pytest.raises(DataError, match=said) as caught:
        load(write(tmp_path, content), "left")
    assert caught.value.hint


def test_missing_files_folders_and_damaged_parquet(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        load(tmp_path / "gone.csv")
    with pytest.raises(DataError, match="is a folder"):
        load(tmp_path)
    with pytest.raises(DataError, match="not a readable Parquet"):
        load(write(tmp_path, b"PAR1 and noise", "t.parquet"))
    good = tmp_path / "good.parquet"
    pd.DataFrame({"a": range(30)}).to_parquet(good)
    with pytest.raises(DataError, match="not a readable Parquet"):
        load(write(tmp_path, good.read_bytes()[:-40], "cut.parquet"))
    assert len(load(good)) == 30


def test_one_column_says_which_separators_are_read(tmp_path):
    with pytest.raises(DataError) as caught:
        load(write(tmp_path, BAD["other separator"][0]), "left")
    assert "semicolon" in caught.value.hint


def test_frames_with_unusable_names_or_no_columns():
    twice = pd.DataFrame([[1, 2]] * 20, columns=["a", "a"])
    with pytest.raises(DataError, match="'a' appears 2 times"):
        load(twice)
    with pytest.raises(DataError, match="'1' appears 2 times"):
        load(pd.DataFrame([[1, 2]] * 20, columns=[1, "1"]))
    with pytest.raises(DataError, match="no columns"):
        load(pd.DataFrame(index=range(20)))
    mixed = load(pd.DataFrame([[1, 2, 3]] * 20, columns=[1, "b", pd.Timestamp("2020-01-01")]))
    assert mixed.records.columns.tolist() == ["1", "b", "2020-01-01 00:00:00"]
    assert "names" in mixed.notes[0]


def test_a_target_must_be_named_and_group_errors_name_the_group():
    frame = pd.DataFrame({"a": range(30), "team": ["x", "y", None] * 10})
    with pytest.raises(DataError, match="which column is to be predicted"):
        load(frame, None)
    with pytest.raises(DataError, match="no column 'taem'") as caught:
        load(frame, group="taem")
    assert "data.group" in caught.value.hint
    groups = load(frame, group="team").groups
    assert len(set(groups)) == 2 + 10, "rows without a team stand alone"


@pytest.mark.parametrize(("values", "dtype", "said"), [
    ([1, "forty", 2.5] * 10, "object", "mixes types (float, int, str)"),
    ([[1, 2], [3]] * 15, "object", "holds list values"),
    ([True, 1, "x"] * 10, "object", "mixes types"),
    ([dt.date(2020, 1, 1 + i) for i in range(28)], "object", "holds date values"),
    ([1.0, np.inf, -np.inf] * 10, "float64", "20 infinite values"),
    ([1.0, 1e300] * 15, "float64", "beyond 1e+38"),
    (pd.to_timedelta(range(30), unit="min"), "timedelta64[ns]", "read as seconds"),
    (pd.period_range("2020-01", periods=30, freq="M"), None, "holds Period values"),
    (pd.cut(np.arange(30.0), 3), "category", "its levels are read as text"),
    ([None] * 30, "object", "has no values"),
    ([f"name {i}" for i in range(29)] + ["name 0"], "object", "29 of 30 texts differ"),
])  # fmt: skip
def test_odd_columns_are_read_with_a_note(values, dtype, said):
    dataset = load(pd.DataFrame({"c": pd.Series(values, dtype=dtype), "d": range(len(values))}))
    assert any(said in note for note in dataset.notes), dataset.notes


@pytest.mark.parametrize(("values", "kind", "dtype"), [
    (pd.Series([1, None, 3, 4] * 10, dtype=object), "integer", "float64"),
    (pd.Series([1, 2, 3] * 10, dtype=object), "integer", "int64"),
    (pd.Series([Decimal("1.5"), Decimal("2.25"), None] * 10, dtype=object), "float", "float64"),
    (pd.Series([2**70, 5, 7] * 10, dtype=object), "float", "float64"),
    (pd.Series([True, None, False] * 10, dtype=object), "category", "object"),
    (pd.Series(np.array([True, False, True] * 10, dtype=object)).map(np.bool_).astype(object), "category", "object"),
    (pd.Series([1, 2, None] * 10, dtype="Int64"), "category", "Int64"),
    (pd.Series([0.0, 1.0, np.nan] * 10), "category", "float64"),
    (pd.Series([0.5, 1.25, 2.0] * 10), "float", "float64"),
    (pd.Series(range(100, 130)), "identifier", "int64"),
    (pd.Series([7, 3, 9] * 10), "integer", "int64"),
    (pd.Series([2**63 - 1, -(2**63), 5] * 10), "integer", "int64"),
    (pd.Series(["31.12.1999", "01.01.2000"] * 15), "date", None),
    (pd.Series(["2020-13-01", "2020-01-01"] * 15), "category", None),
    (pd.Series(["2020-01-01T10:00:00Z", None] * 15), "constant", None),
    (pd.Series([f"{i}@x.org" for i in range(29)] + [None]), "identifier", None),
    (pd.Series([f"t{i}" for i in range(15)] * 2), "category", None),
    (pd.Series(pd.Categorical(["a", "b"] * 15, ordered=True)), "ordered", "category"),
    (pd.Series(pd.Categorical(["a"] * 30, ordered=True)), "constant", "category"),
    (pd.Series(pd.arrays.SparseArray([0.0, 1.5, 2.5] * 10)), "float", "float64"),
    (pd.Series([1.5, 2.0, None] * 10, dtype="double[pyarrow]"), "float", "Float64"),
])  # fmt: skip
def test_what_a_column_is(values, kind, dtype):
    dataset = load(pd.DataFrame({"c": values}))
    assert kinds(dataset)["c"] == kind
    assert dtype is None or str(dataset.records["c"].dtype) == dtype


@pytest.mark.parametrize(("values", "decimals"), [
    ([0.1, 0.25, 3.0], 2), ([1e-12, 2.5e-12, 3e-12], None), ([1 / 3, 0.1, 0.2], None), ([100.5, 2.0, 1e15 + 0.5], 1),
])  # fmt: skip
def test_decimals_are_those_of_the_values(values, decimals):
    assert load(pd.DataFrame({"c": values * 10})).schema["columns"][0]["decimals"] == decimals


@pytest.mark.parametrize(("name", "found"), [("user_id", True), ("customerId", True), ("zip code", True), ("paid", False), ("grid", False)])
def test_whole_numbers_called_an_id_are_identifiers(name, found):
    values = np.random.default_rng(0).permutation(1000)[:50] * 7
    assert (kinds(load(pd.DataFrame({name: values})))[name] == "identifier") is found


@pytest.mark.parametrize(("values", "task", "classes"), [
    (pd.Series(["b", "a", None] * 10), "classification", ("a", "b")),
    (pd.Series([3, 1, 2] * 10), "classification", (1, 2, 3)),
    (pd.Series([1.0, 0.0, np.nan] * 10), "classification", (0.0, 1.0)),
    (pd.Series([True, False, True] * 10), "classification", (False, True)),
    (pd.Series(pd.Categorical(["lo", "hi"] * 15, categories=["lo", "hi"], ordered=True)), "classification", ("hi", "lo")),
    (pd.Series(np.arange(30) % 25), "regression", ()),
])  # fmt: skip
def test_targets_and_rows_without_one(values, task, classes):
    dataset = load(pd.DataFrame({"x": np.arange(30) * 1.5, "y": values}), "y")
    assert dataset.task == task
    assert dataset.classes == classes
    assert (dataset.labelled == values.notna().to_numpy()).all()
    codes = dataset.codes()
    if task == "classification":
        assert ((codes >= 0) == dataset.labelled).all()
        assert [classes[c] for c in codes[dataset.labelled]] == values.dropna().tolist()


def test_rows_without_a_number_to_predict_are_left_out():
    frame = pd.DataFrame({"x": np.arange(30) * 1.5, "y": pd.Series([1.5, 2.5, None] * 10, dtype="Float64")})
    dataset = load(frame, "y")
    assert dataset.task == "regression"
    assert len(dataset) == 20
    assert dataset.target.tolist() == [1.5, 2.5] * 10
    assert dataset.labelled.all()
    assert "10 rows without a value of the target 'y'" in dataset.notes[0]
    assert dataset.schema["columns"][1]["missing"] == 0


@pytest.mark.parametrize("rows", ["007,a\n021,b\n", "7,a\n021,b\n,a\n"])
def test_codes_keep_their_zeros(tmp_path, rows):
    values = load(write(tmp_path, "zip,left\n" + rows * 20)).records["zip"].dropna()
    assert set(values) == {r.split(",")[0] for r in rows.split() if r[0] != ","}


@pytest.mark.parametrize("team", [
    pd.Series(["x", "y", "z"] * 10), pd.Series([7, 8, 9] * 10), pd.Series(pd.Categorical(["x", "y", "z"] * 10)),
    pd.Series(pd.to_datetime(["2020-01-01", "2020-01-02", "2020-01-03"] * 10)), pd.Series([True, False, True] * 10),
])  # fmt: skip
def test_the_group_column_names_rows_and_stays_usable(team):
    dataset = load(pd.DataFrame({"team": team, "a": np.arange(30) % 7}), group="team")
    dataset = replace(dataset, split=np.full(30, "train"))
    codec = fit_codec(dataset, seed=0)
    rows = codec.decode(codec.encode(dataset.records), None, 0)
    assert rows["team"].notna().all()
    if kinds(dataset)["team"] == "identifier":
        assert not set(rows["team"].astype(object)) & set(team.astype(object))
    assert len(set(dataset.groups)) == team.nunique()


def test_ids_follow_the_content_and_equal_rows_share_a_group():
    frame = pd.DataFrame({"a": [1, 2, 1], "b": ["x", "y", "x"]})
    dataset = load(frame)
    assert len(set(dataset.ids)) == 3
    assert dataset.groups[0] == dataset.groups[2] != dataset.groups[1]
    assert (load(frame.iloc[[1, 0, 2]]).ids[[1, 0, 2]] == dataset.ids).all()
    assert (content_keys(frame) == dataset.groups).all()


def test_the_frame_given_is_not_changed():
    frame = pd.DataFrame({"a": [np.inf, 1.0] * 10, "b": [1, "x"] * 10})
    before = frame.copy()
    load(frame)
    pd.testing.assert_frame_equal(frame, before)
