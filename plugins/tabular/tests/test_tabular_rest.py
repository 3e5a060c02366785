"""Table files of which a sample is held and the rest is read in blocks."""

import numpy as np
import pandas as pd
import pytest

from scarce.contract import LoadContext
from scarce.errors import DataError
from scarce_tabular import blocks
from scarce_tabular.load import load_table
from scarce_tabular.rest import load_held


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    monkeypatch.setattr(blocks, "CELLS", 1)


def rows(n=1000):
    rng = np.random.default_rng(3)
    return pd.DataFrame({
        "x": rng.normal(size=n).round(3), "age": pd.array(rng.integers(0, 90, n), dtype="Int64"),
        "code": [f"{i:04d}" for i in rng.integers(0, 900, n)], "said": rng.choice(['a "b", c', "two\nlines", "plain", None], n),
        "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 400, n), unit="D"), "ok": rng.random(n) < 0.5,
        "price": np.where(rng.random(n) < 0.02, np.nan, rng.gamma(2.0, size=n).round(2)),
    }).assign(age=lambda f: f["age"].mask(f.index % 400 == 7))  # fmt: skip


def loaded(path, target="price", hold=300, **more):
    ctx = LoadContext(source=str(path), target=target, seed=1, **more)
    return load_table(ctx), load_held(LoadContext(source=str(path), target=target, seed=1, hold=hold, **more))


def lines(frame):
    return sorted("|".join("?" if pd.isna(v) else f"{v:g}" if isinstance(v, int | float) else str(v) for v in row) for row in frame.values)


@pytest.mark.parametrize("suffix", ["csv", "parquet", "tsv", "de.csv", "utf16.csv"])
def test_held_and_streamed_rows_are_those_of_the_file(tmp_path, suffix):
    path, frame = tmp_path / f"t.{suffix}", rows()
    if suffix == "parquet":
        frame.to_parquet(path, row_group_size=170)
    elif suffix == "de.csv":
        frame.to_csv(path, index=False, sep=";", decimal=",")
    else:
        frame.to_csv(path, index=False, sep="\t" if suffix == "tsv" else ",", encoding="utf-16" if "16" in suffix else "utf-8")
    whole, held = loaded(path, group="code")
    parts = list(held.rest)
    assert len(parts) >= 4
    every = pd.concat([held.records.astype(object), *(part.records.astype(object) for part in parts)])
    assert lines(every) == lines(whole.records.astype(object))
    assert held.rest.rows == 700
    assert {"1,000 rows are held" in note for note in held.notes} >= {True}
    assert all(part.task == "regression" and part.labelled.all() and np.isfinite(part.target).all() for part in parts)
    assert sorted(np.concatenate([held.groups, *(p.groups for p in parts)])) == sorted(whole.groups)
    ids = np.concatenate([part.ids for part in parts])
    assert len(set(ids)) == len(ids)
    again = load_held(LoadContext(source=str(path), target="price", seed=1, hold=300, group="code"))
    assert again.ids.tolist() == held.ids.tolist()
    assert again.rest.mark == held.rest.mark


def test_equal_rows_are_one_group_whether_they_are_held_or_not(tmp_path):
    frame = rows(400)
    pd.concat([frame, frame]).to_parquet(tmp_path / "t.parquet")
    whole, held = loaded(tmp_path / "t.parquet", target="", hold=300)
    groups = np.concatenate([held.groups, *(part.groups for part in held.rest)])
    assert sorted(groups) == sorted(whole.groups)
    assert set(np.unique(groups, return_counts=True)[1]) == {2}


def test_a_column_that_is_something_else_further_on_is_said(tmp_path):
    lines_ = ["x,left"] + [f"{i / 7:.3f},{'yes' if i % 3 else 'no'}" for i in range(2000)]
    lines_[1500] = "none of it,no"
    (tmp_path / "t.csv").write_text("\n".join(lines_))
    held = load_held(LoadContext(source=str(tmp_path / "t.csv"), target="left", seed=0, hold=20))
    with pytest.raises(DataError, match="'x' holds float64 in the rows that are held, and 'none of it'"):
        list(held.rest)
    lines_[1200] = "1,no,more"
    (tmp_path / "t.csv").write_text("\n".join(lines_))
    with pytest.raises(DataError, match="line 1201 has 3 fields"):
        load_held(LoadContext(source=str(tmp_path / "t.csv"), target="left", seed=0, hold=20))
