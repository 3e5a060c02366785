"""Baselines and pictures of series."""

import json
import time

import numpy as np
import pandas as pd
import pytest

from scarce.contract import BaselineContext, DrawContext, LoadContext, take
from scarce_timeseries.baselines import NEIGHBOURS, neighbours, series_baselines
from scarce_timeseries.codec import fit_codec
from scarce_timeseries.config import Timeseries as Options
from scarce_timeseries.draw import SHOWN
from scarce_timeseries.load import load_series
from scarce_timeseries.modality import Timeseries


def made(n=90, lengths=(12, 12), channels=2, target=True):
    rng = np.random.default_rng(0)
    kinds = np.array(["up", "down"])[np.arange(n) % 2]
    cells = []
    for kind in kinds:
        size = int(rng.integers(lengths[0], lengths[1] + 1))
        cells.append((1 if kind == "up" else -1) * np.linspace(0, 3, size)[:, None] + rng.normal(0, 0.2, (size, channels)) + 5)
    frame = pd.DataFrame({"series": pd.Series(cells, dtype=object)} | ({"kind": kinds} if target else {}))
    data = load_series(LoadContext(source=frame, target="kind" if target else None, seed=0), Options())
    data = data.with_(split=np.array(["train", "train", "test"])[np.arange(n) % 3])
    return data, fit_codec(data)


@pytest.mark.parametrize("lengths", [(12, 12), (8, 14)])
@pytest.mark.parametrize("target", [True, False])
def test_baselines_are_series_like_those_of_training(lengths, target):
    data, codec = made(lengths=lengths, target=target)
    found = series_baselines(BaselineContext(dataset=data, codec=codec, seed=0, n=50))
    assert list(found) == ["barycentre", "jitter", "bootstrap"]
    train = take(data.records, data.rows("train"))
    sizes = {len(c) for c in train["series"]}
    for name, records in found.items():
        assert len(records) == 50
        assert all(np.isfinite(c).all() and len(c) in sizes for c in records["series"])
        if target:
            slopes = [c[-1].mean() - c[0].mean() for c in records["series"]]
            assert np.mean((np.array(slopes) > 0) == (records["kind"] == "up")) > 0.95, name
    known = {c.tobytes() for c in train["series"]}
    assert all(c.tobytes() in known for c in found["bootstrap"]["series"])
    assert not any(c.tobytes() in known for name in ("barycentre", "jitter") for c in found[name]["series"])
    again = series_baselines(BaselineContext(dataset=data, codec=codec, seed=0, n=50))
    assert all(np.array_equal(a, b) for a, b in zip(found["jitter"]["series"], again["jitter"]["series"], strict=True))


def test_barycentres_lie_between_their_neighbours():
    data, codec = made()
    found = series_baselines(BaselineContext(dataset=data, codec=codec, seed=0, n=60))
    spread = {k: float(np.std(np.stack(found[k]["series"][found[k]["kind"] == "up"].tolist()), 0).mean()) for k in found}
    assert spread["barycentre"] < spread["bootstrap"] < spread["jitter"]


def test_neighbours_are_of_the_same_class():
    vectors = np.random.default_rng(0).normal(size=(20, 3))
    codes = np.array([0] * 15 + [1] * 4 + [2])
    found = neighbours(vectors, codes)
    assert all(len(found[i]) == NEIGHBOURS and i not in found[i] and set(codes[found[i]]) == {codes[i]} for i in range(19))
    assert found[19] == []


def test_five_hundred_series_take_seconds():
    data, codec = made(n=300, lengths=(64, 64), channels=1)
    begin = time.process_time()
    series_baselines(BaselineContext(dataset=data, codec=codec, seed=0, n=500))
    assert time.process_time() - begin < 10


@pytest.mark.parametrize("target", [True, False])
def test_pictures_set_real_beside_synthetic_and_work_alone(target):
    data, codec = made(lengths=(8, 14), target=target)
    modality, real = Timeseries(Options()), take(data.records, data.rows("train"))
    ours = take(data.records, data.rows("train")[10:])
    both, alone = (
        modality.modality_draw(DrawContext(dataset=data, codec=codec, seed=0, real=real, synthetic=s)) for s in (ours, ours.iloc[:0])
    )
    assert [f.name for f in both] == [f.name for f in alone] == ["series_curves", "series_bands"]
    assert len(both[0].traces) == 2 * len(alone[0].traces) == 2 * 2 * SHOWN
    assert {t["name"] for t in alone[0].traces} == {"real"}
    json.dumps([[f.traces, f.layout] for f in both], allow_nan=False)
