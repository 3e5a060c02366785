"""An edited schema file: what may be changed, and how a wrong edit is said."""

import json

import numpy as np
import pandas as pd
import pytest

from scarce.contract import LoadContext
from scarce.errors import DataError
from scarce_tabular.fitting import fit_codec
from scarce_tabular.load import load_table
from scarce_tabular.schema import FORMATS, from_json, infer


def frame(n=60):
    rng = np.random.default_rng(0)
    return pd.DataFrame({
        "size": rng.choice(["small", "mid", "big"], n), "grade": rng.integers(1, 6, n), "price": rng.normal(50, 9, n).round(3),
        "when": pd.Series(pd.date_range("2020-01-01", periods=n).strftime("%y/%m/%d")), "name": [f"n{i}" for i in range(n)],
        "cat": pd.Categorical(rng.choice(["a", "b"], n)), "empty": np.nan, "flag": rng.random(n) < 0.5,
        "stamp": pd.date_range("2020-01-01", periods=n, freq="h"), "gap": np.where(np.arange(n) % 5, rng.normal(size=n), np.nan),
    })  # fmt: skip


def edited(tmp_path, **edits):
    plain = load_table(LoadContext(source=frame(), target="", seed=0)).schema
    columns = [{**c, **edits.get(c["name"], {})} for c in plain["columns"]]
    path = tmp_path / "schema.json"
    path.write_text(json.dumps({**plain, "columns": columns}, default=str))
    return load_table(LoadContext(source=frame(), target="", seed=0, schema=path))


def column(dataset, name):
    return next(c for c in dataset.schema["columns"] if c["name"] == name)


def test_an_unedited_schema_changes_nothing(tmp_path):
    plain = load_table(LoadContext(source=frame(), target="", seed=0))
    same = edited(tmp_path)
    assert same.schema == plain.schema
    assert same.notes == plain.notes
    assert from_json(plain.schema).columns == infer(plain.records).columns


@pytest.mark.parametrize(("name", "edit"), [
    ("size", {"kind": "ordered", "levels": ["small", "mid", "big"]}), ("grade", {"kind": "category"}), ("price", {"decimals": 1}),
    ("grade", {"kind": "ordered", "levels": [1, 2, 3, 4, 5]}), ("grade", {"kind": "float"}),
    ("when", {"kind": "date", "format": "%y/%m/%d"}),
    ("when", {"kind": "category"}), ("name", {"kind": "category"}), ("flag", {"kind": "ordered", "levels": [False, True]}),
    ("cat", {"kind": "ordered", "levels": ["b", "a"]}), ("stamp", {"kind": "category"}), ("size", {"kind": "identifier"}),
])  # fmt: skip
def test_edits_are_followed_to_the_rows(tmp_path, name, edit):
    dataset = edited(tmp_path, **{name: edit})
    assert {k: v for k, v in column(dataset, name).items() if k in edit} == {k: tuple(v) if k == "levels" else v for k, v in edit.items()}
    object.__setattr__(dataset, "split", np.full(len(dataset), "train"))
    codec = fit_codec(dataset, seed=0)
    rows = codec.decode(codec.encode(dataset.records), None, 0)
    assert rows[name].dtype == dataset.records[name].dtype
    if edit.get("kind") != "identifier":
        assert set(rows[name].astype(object)) <= set(dataset.records[name].astype(object)) or edit.get("decimals") == 1
    if edit.get("decimals") == 1:
        assert (rows[name] == rows[name].round(1)).all()


@pytest.mark.parametrize(("name", "edit", "said"), [
    ("size", {"kind": "categroy"}, "'categroy' of column 'size' is none of"),
    ("size", {"kind": "integer"}, "can't be integer: it holds text"),
    ("price", {"kind": "integer"}, "values with decimals"), ("size", {"kind": "ordered", "levels": ["small", "mid"]}, "'big' is not among"),
    ("size", {"kind": "ordered"}, "not among its levels"), ("when", {"kind": "date"}, "need a format"),
    ("when", {"kind": "date", "format": "%Y-%m-%d"}, "is not in the format %Y-%m-%d"), ("price", {"kind": "date"}, "it holds float64"),
    ("size", {"kind": "constant"}, "3 different values"), ("price", {"kind": "identifier"}, "only texts and whole numbers"),
    ("stamp", {"kind": "float"}, "it holds datetime64"), ("price", {"decimals": 2.5}, "whole number from 0 to 15"),
    ("empty", {"kind": "banana"}, "is none of"), ("price", {"knd": "float"}, "has no 'knd' \\(did you mean 'kind'"),
])  # fmt: skip
def test_wrong_edits_name_the_column(tmp_path, name, edit, said):
    with pytest.raises(DataError, match=said) as caught:
        edited(tmp_path, **{name: edit})
    assert f"'{name}'" in caught.value.message


@pytest.mark.parametrize("content", ["[]", "{}", '{"columns": 3}', '{"columns": [{"kind": "float"}]}'])
def test_a_file_that_is_no_schema(tmp_path, content):
    path = tmp_path / "schema.json"
    path.write_text(content)
    with pytest.raises(DataError, match="schema: it is no"):
        load_table(LoadContext(source=frame(), target="", seed=0, schema=path))


def test_a_column_the_data_lack(tmp_path):
    path = tmp_path / "schema.json"
    path.write_text('{"columns": [{"name": "prize", "kind": "float"}]}')
    with pytest.raises(DataError, match=r"'prize' is not in the data \(did you mean 'price'"):
        load_table(LoadContext(source=frame(), target="", seed=0, schema=path))


@pytest.mark.parametrize("pattern", FORMATS)
def test_every_date_format_is_found(pattern):
    stamps = pd.Timestamp("2019-12-31 23:59:58") + pd.to_timedelta(np.arange(40) * 86_399.5, unit="s")
    column = infer(pd.DataFrame({"c": stamps.strftime(pattern)}))["c"]
    assert column.kind == "date"
    assert pd.to_datetime(stamps.strftime(column.format), format=column.format).equals(
        pd.to_datetime(stamps.strftime(pattern), format=pattern)
    )
