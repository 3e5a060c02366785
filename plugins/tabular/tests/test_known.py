"""Conditions on columns: what is imposed survives decoding, and what can't be had is said."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from scarce.contract import LoadContext, State
from scarce.errors import DataError
from scarce.runs.where import parse_where
from scarce_tabular.fitting import fit_codec
from scarce_tabular.load import load_table

NOON = pd.Timestamp("2020-06-05 12:00:01", tz="UTC")


def frame(n=400, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame({
        "id": [f"E-{i:05d}" for i in range(n)], "age": rng.integers(20, 65, n), "income": rng.integers(0, 10**6, n),
        "salary": np.where(rng.random(n) < 0.1, np.nan, rng.normal(3000, 400, n).round(2)), "ratio": rng.normal(size=n),
        "city": rng.choice(["Ulm", "Bonn", None], n, p=[0.6, 0.3, 0.1]), "few": np.where(np.arange(n) < 3, "rare", "often"),
        "since": pd.Series(pd.Timestamp("2015-01-01") + pd.to_timedelta(rng.integers(0, 3000, n), unit="D")).dt.strftime("%d.%m.%Y"),
        "stamp": pd.to_datetime("2020-06-01").tz_localize("Europe/Berlin") + pd.to_timedelta(rng.integers(0, 10**6, n), unit="s"),
        "grade": pd.Categorical(rng.choice(["low", "mid", "high"], n), categories=["low", "mid", "high"], ordered=True),
        "binary": np.where(rng.random(n) < 0.1, np.nan, rng.integers(0, 2, n)), "remote": rng.random(n) < 0.4,
        "firm": "acme", "none": np.nan,
        "left": rng.choice(["yes", "no"], n, p=[0.2, 0.8]), "odd": np.where(rng.random(n) < 0.5, "", "x"),
    }).assign(few=lambda f: f["few"].where(np.arange(n) >= 2, "rarer"))  # fmt: skip


@pytest.fixture(scope="module")
def codec():
    dataset = load_table(LoadContext(source=frame(), target="left", seed=0))
    return fit_codec(replace(dataset, split=np.full(len(dataset), "train")), seed=0)


def asked(codec, where, n=300, seed=1):
    """Rows of random states with the known values imposed, as a sampler would leave them."""
    known, labels = codec.known(parse_where(where), n, seed)
    rng = torch.Generator().manual_seed(7)
    num = torch.randn(n, codec.space.width, generator=rng)
    cat = torch.cat([torch.zeros(n, 0, dtype=torch.int64), *(torch.randint(k, (n, 1), generator=rng) for k in codec.space.levels)], 1)
    if known is not None:
        num, cat = torch.where(known.num_mask, known.state.num, num), torch.where(known.cat_mask, known.state.cat, cat)
    return codec.decode(State(num, cat), labels, 0)


@pytest.mark.parametrize(("where", "holds"), [
    (["age=31"], lambda r: (r["age"] == 31).all()),
    (["income=123457"], lambda r: (r["income"] == 123457).all()),
    (["salary=3000.25"], lambda r: (r["salary"] == 3000.25).all()),
    (["ratio=0.125"], lambda r: np.allclose(r["ratio"], 0.125, atol=1e-4)),
    (["age in {31,40}"], lambda r: set(r["age"]) == {31, 40}),
    (["30<age<33"], lambda r: set(r["age"]) == {31, 32}),
    (["30<=age<=32"], lambda r: set(r["age"]) == {30, 31, 32}),
    ({"age": (31, 31)}, lambda r: set(r["age"]) == {31}),
    (["age>=64"], lambda r: set(r["age"]) == {64}),
    (["age<21"], lambda r: set(r["age"]) == {20}),
    (["123450<income<123460"], lambda r: r["income"].between(123451, 123459).all()),
    (["0.1<ratio<0.10001"], lambda r: ((r["ratio"] > 0.1) & (r["ratio"] < 0.10001)).all()),
    (["salary="], lambda r: r["salary"].isna().all()),
    ({"salary": None}, lambda r: r["salary"].isna().all()),
    (["salary>3500"], lambda r: (r["salary"] > 3500).all()),
    (["city=Ulm"], lambda r: (r["city"] == "Ulm").all()),
    (["city="], lambda r: r["city"].isna().all()),
    ({"city": ["Ulm", None]}, lambda r: set(r["city"].fillna("?")) == {"Ulm", "?"}),
    (["odd="], lambda r: (r["odd"] == "").all()),
    (["city in {Ulm,Bonn}"], lambda r: (r["city"] == "Ulm").mean() == pytest.approx(2 / 3, abs=0.1)),
    (["remote=true"], lambda r: r["remote"].all()),
    ({"remote": np.bool_(False)}, lambda r: (~r["remote"]).all()),
    (["binary=1"], lambda r: (r["binary"] == 1).all()),
    ({"binary": np.int64(0)}, lambda r: (r["binary"] == 0).all()),
    (["grade=mid"], lambda r: (r["grade"] == "mid").all()),
    ({"grade": ("mid", "high")}, lambda r: set(r["grade"]) == {"mid", "high"}),
    (["since=03.02.2016"], lambda r: (r["since"] == "03.02.2016").all()),
    ({"since": ("2016-01-01", "2016-01-31")}, lambda r: r["since"].str.endswith("01.2016").all()),
    (["since>2022-06-01"], lambda r: (pd.to_datetime(r["since"], format="%d.%m.%Y") > "2022-06-01").all()),
    ({"stamp": NOON}, lambda r: (r["stamp"] == NOON).all()),
    (["stamp=2020-06-05 14:00:01"], lambda r: (r["stamp"] == NOON).all()),
    (["firm=acme"], lambda r: (r["firm"] == "acme").all()),
    (["none="], lambda r: r["none"].isna().all()),
    (["left=yes"], lambda r: (r["left"] == "yes").all()),
    (["left in {yes,no}"], lambda r: (r["left"] == "yes").mean() == pytest.approx(0.2, abs=0.08)),
    (["left=yes", "age>60", "city=Bonn"], lambda r: ((r["left"] == "yes") & (r["age"] > 60) & (r["city"] == "Bonn")).all()),
])  # fmt: skip
def test_conditions_hold_in_every_row(codec, where, holds):
    assert holds(asked(codec, where))


@pytest.mark.parametrize(("where", "said"), [
    (["agee=31"], "no column 'agee' \\(did you mean 'age'"), (["id=E-00001"], "identifier"), (["age=old"], "'old' is not a value of 'age'"),
    (["age=nan"], "'nan' is not a value"), (["age=200"], "can't be 200; training has 20 to 64"), (["age=31.5"], "can't be 31.5"),
    (["80<age<90"], "no training value of 'age' lies between 80 and 90"), (["40<age<39"], "no training value"),
    (["31<age<32"], "no training value"),
    (["age="], "'age' has no missing values"), (["remote="], "'remote' has no missing values"), (["left="], "'left' has no missing values"),
    (["city=Paris"], "never is 'Paris'.*Ulm, Bonn"), (["city=ulm"], "did you mean 'Ulm'"), (["few=rarer"], "too rare to be learnt"),
    (["1<city<2"], "has levels, not a range"), (["grade=top"], "is not a value of 'grade' .*low, mid, high"),
    (["since=32.01.2016"], "not a value of 'since'"), (["firm=other"], "always 'acme'"), (["none=3"], "always missing"),
    ({"firm": (1, 2)}, "not a range"), (["since=01.01.1990"], "can't be 1990-01-01; training has 2015"),
    (["left=maybe"], "never is 'maybe'"),
])  # fmt: skip
def test_what_cannot_be_had_is_said(codec, where, said):
    with pytest.raises(DataError, match=said):
        codec.known(parse_where(where), 5, 0)


def test_nothing_asked_is_nothing_known_and_the_label_alone_imposes_nothing(codec):
    assert codec.known({}, 5, 0) == (None, None)
    known, labels = codec.known(parse_where(["left=yes"]), 5, 0)
    assert known is None
    assert labels == ["yes"] * 5


def test_ranges_follow_the_training_distribution(codec):
    drawn = asked(codec, ["2800<salary<3600"], n=4000)["salary"]
    real = frame()["salary"]
    real = real[(real > 2800) & (real < 3600)]
    assert drawn.median() == pytest.approx(real.median(), rel=0.02)
    assert drawn.std() == pytest.approx(real.std(), rel=0.15)


def test_same_seed_same_values(codec):
    a, b, c = (codec.known(parse_where(["age>30", "city in {Ulm,Bonn}"]), 50, seed)[0].state for seed in (1, 1, 2))
    assert torch.equal(a.num, b.num)
    assert torch.equal(a.cat, b.cat)
    assert not torch.equal(a.num, c.num)


def test_columns_of_tied_values_only_allow_these():
    values = np.tile([0.0, 2.5, 7.0], 40)
    dataset = load_table(LoadContext(source=pd.DataFrame({"x": values, "y": np.arange(120) % 40}), target="", seed=0))
    codec = fit_codec(replace(dataset, split=np.full(120, "train")), seed=0)
    for where, found in ((["x=2.5"], {2.5}), (["x>=2.5"], {2.5, 7.0}), (["x>2.5"], {7.0}), (["x<=2.5"], {0.0, 2.5}), (["0<x<7"], {2.5})):
        assert set(asked(codec, where)["x"]) == found
    with pytest.raises(DataError, match="can't be 3"):
        codec.known(parse_where(["x=3"]), 5, 0)
