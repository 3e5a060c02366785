"""What generated rows must beat: drawn columns, interpolated neighbours, copies; and rows in words and pictures."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from scarce.contract import BaselineContext, CaptionContext, DrawContext, LoadContext, take
from scarce.errors import DataError, RecipeError
from scarce_tabular.baselines import table_baselines
from scarce_tabular.caption import captions
from scarce_tabular.draw import draw_columns
from scarce_tabular.fields import Number
from scarce_tabular.fitting import fit_codec
from scarce_tabular.load import load_table
from scarce_tabular.write import write_table


def numeric(n=300, seed=0):
    x = np.random.default_rng(seed).normal(size=(n, 3))
    return pd.DataFrame(x, columns=["a", "b", "c"]).assign(left=np.where(x[:, 0] + x[:, 1] > 1, "yes", "no"))


def mixed(n=300):
    rng = np.random.default_rng(1)
    return numeric(n).assign(
        city=rng.choice(["Ulm", "Bonn", None], n), id=[f"E-{i:05d}" for i in range(n)], k=rng.integers(0, 50, n),
        gap=np.where(rng.random(n) < 0.3, np.nan, rng.normal(size=n)), firm="acme",
        when=pd.date_range("2020-01-01", periods=n).strftime("%d.%m.%Y"),
        grade=pd.Categorical(rng.choice(["lo", "hi"], n), categories=["lo", "hi"], ordered=True),
    )  # fmt: skip


def baselines(frame, target="left", n=500, missing="keep"):
    dataset = load_table(LoadContext(source=frame, target=target, seed=0, missing=missing))
    places = np.where(np.arange(len(dataset)) % 4 < 3, "train", "test")
    dataset = replace(dataset, split=places.astype("<U10"))
    codec = fit_codec(dataset, seed=0)
    train = take(dataset.records, dataset.rows("train"))
    return train, table_baselines(BaselineContext(dataset=dataset, codec=codec, n=n, seed=5)), dataset, codec


def rows_of(frame):
    return set(map(tuple, frame.astype(object).where(frame.notna(), None).to_numpy().tolist()))


@pytest.mark.parametrize("target", ["left", "c", ""])
def test_all_have_n_rows_of_the_tables_shape(target):
    train, found, *_ = baselines(mixed(), target)
    assert set(found) == {"marginals", "smote", "bootstrap"}
    for rows in found.values():
        assert len(rows) == 500
        assert rows.columns.tolist() == train.columns.tolist()
        assert (rows.dtypes == train.dtypes).all()


def test_class_shares_are_those_of_training_rows():
    train, found, *_ = baselines(mixed(1000), n=3000)
    share = (train["left"] == "yes").mean()
    for rows in found.values():
        assert (rows["left"] == "yes").mean() == pytest.approx(share, abs=0.03)


def test_bootstrap_copies_and_smote_does_not():
    train, found, *_ = baselines(numeric())
    assert rows_of(found["bootstrap"]) <= rows_of(train)
    assert not rows_of(found["smote"]) & rows_of(train)


def test_smote_stays_inside_and_keeps_relations_marginals_lose():
    train, found, *_ = baselines(numeric(600), n=1500)
    for name in ("a", "b", "c"):
        assert found["smote"][name].between(train[name].min(), train[name].max()).all()
    real, smote, alone = (f["a"].corr((f["left"] == "yes").astype(float)) for f in (train, found["smote"], found["marginals"]))
    assert smote == pytest.approx(real, abs=0.15)
    assert abs(alone) < 0.1


def test_smote_of_mixed_columns_is_valid():
    train, found, *_ = baselines(mixed())
    rows = found["smote"]
    assert set(rows["city"].dropna()) == {"Ulm", "Bonn"}
    assert rows["id"].is_unique
    assert not set(rows["id"]) & set(train["id"])
    assert rows["k"].between(train["k"].min(), train["k"].max()).all()
    assert 0 < rows["gap"].isna().mean() < 0.9
    assert (rows["firm"] == "acme").all()
    pd.to_datetime(rows["when"], format="%d.%m.%Y")
    assert rows["grade"].isin(["lo", "hi"]).all()


def test_a_class_of_one_row_and_one_of_all_rows():
    frame = numeric(80)
    frame["left"] = ["once", *["often"] * 79]
    train, found, *_ = baselines(frame, n=400)
    alone = found["smote"][found["smote"]["left"] == "once"]
    assert len(alone) > 0
    assert np.allclose(alone[["a", "b", "c"]], train[train["left"] == "once"][["a", "b", "c"]])


def test_rows_without_a_class_are_left_out():
    frame = mixed()
    frame.loc[::3, "left"] = None
    _, found, *_ = baselines(frame)
    assert all(rows["left"].notna().all() for rows in found.values())


def test_same_seed_same_rows():
    first, second = (baselines(mixed())[1] for _ in range(2))
    for name in first:
        pd.testing.assert_frame_equal(first[name], second[name])


def test_captions_say_what_is_there_and_carry_the_numbers():
    frame = pd.DataFrame(
        {"age": [31, 64, 20], "gap": [np.nan, 1.5, 2.5], "left": ["yes", None, "no"], "ok": [True, False, True], "e": np.nan}
    )
    found = captions(CaptionContext(records=frame, style="exact", seed=0))
    assert [c.text for c in found][:2] == ["age is 31, left is yes, ok is True", "age is 64, gap is 1.5, ok is False"]
    assert found[0].props == {"age": 31.0}
    assert captions(CaptionContext(records=frame, style="binned", seed=0))[1].text.startswith("age is very high, gap is")
    with pytest.raises(RecipeError, match="not 'poem'"):
        captions(CaptionContext(records=frame, style="poem", seed=0))


def test_words_for_amounts_are_those_of_the_training_rows():
    train, _, _, codec = baselines(mixed())
    name = next(f.column.name for f in codec.fields if isinstance(f, Number) and f.column.kind == "float")
    high = train.assign(**{name: train[name].max()})
    alone = captions(CaptionContext(records=high[[name]].head(3), style="binned", seed=0, codec=codec))
    assert {c.text for c in alone} == {f"{name} is very high"}


def test_every_learnt_column_is_drawn():
    train, found, dataset, codec = baselines(mixed())
    figures = draw_columns(DrawContext(real=train, synthetic=found["marginals"], dataset=dataset, codec=codec, seed=0))
    assert {f.title for f in figures} == set(train.columns) - {"id", "firm"}
    for figure in figures:
        for trace in figure.traces:
            assert len(trace["x"]) == len(trace["y"]) > 0
            assert 0 <= sum(trace["y"]) <= 1.01


def test_files_are_written_in_the_input_s_formats(tmp_path):
    frame = pd.DataFrame({"k": [1.0, None] * 10, "p": [0.5, 2.25] * 10, "t": pd.date_range("2020-01-01", periods=20, tz="Asia/Tokyo")})
    schema = load_table(LoadContext(source=frame.assign(k=[1.0, None, 3.0, 4.0] * 5), target="", seed=0)).schema
    lines = write_table(frame, tmp_path / "t.csv", schema).read_text().splitlines()
    assert lines[:3] == ["k,p,t", "1,0.5,2019-12-31T15:00:00Z", ",2.25,2020-01-01T15:00:00Z"]
    assert write_table(frame, tmp_path / "t.tsv").read_text().startswith("k\tp\tt\n1.0\t")
    assert len(pd.read_json(write_table(frame, tmp_path / "t.json"))) == 20
    with pytest.raises(DataError, match=r"\.xlsx"):
        write_table(frame, tmp_path / "t.xlsx")
    with pytest.raises(DataError, match="'k' appears 2 times"):
        write_table(frame.set_axis(["k", "k", "t"], axis=1), tmp_path / "t.parquet")
