"""Every evaluator: real against real beats real against noise, copies are seen, failures count."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from scarce.contract import Dataset, EvaluatorContext, Predictions, take
from scarce.runtime.options import RuntimeOptions
from scarce.runtime.runtime import SharedRuntime
from scarce_timeseries import config, evaluator
from scarce_timeseries.codec import fit_codec
from scarce_timeseries.signals import autocorrelation, log_spectrum

JUDGES = {
    "discriminative_score": lambda: evaluator.Discriminative(config.Discriminative(steps=60, channels=12)),
    "forecast_mae": lambda: evaluator.Predictive(config.Predictive(lags=4)),
    "acf_distance": lambda: evaluator.Autocorrelation(config.Autocorrelation()),
    "spectrum_distance": lambda: evaluator.Spectrum(config.Spectrum()),
}


def frame(n, seed, lengths=(20, 20)):
    rng = np.random.default_rng(seed)
    cells = []
    for _ in range(n):
        t = np.arange(rng.integers(lengths[0], lengths[1] + 1)) / 20
        wave = np.sin(2 * np.pi * (rng.uniform(1, 3) * t + rng.random()))
        cells.append(np.stack([wave, np.cumsum(rng.normal(0, 0.3, len(t)))], 1))
    return pd.DataFrame({"series": pd.Series(cells, dtype=object)})


def noise(n, seed, lengths=(20, 20)):
    rng = np.random.default_rng(seed)
    cells = [rng.normal(size=(rng.integers(lengths[0], lengths[1] + 1), 2)) for _ in range(n)]
    return pd.DataFrame({"series": pd.Series(cells, dtype=object)})


def dataset(records, target=None):
    n = len(records)
    names = np.arange(n).astype(str)
    split = np.array(["train", "train", "test", "validation"])[np.arange(n) % 4]
    classes = () if target is None else tuple(sorted(set(target)))
    return Dataset(
        name="t", ids=names, records=records, task="none" if target is None else "classification", target=target,
        target_name="" if target is None else "kind", classes=classes, labelled=np.ones(n, dtype=bool), split=split, groups=names,
        schema={"channels": ["a", "b"]},
    )  # fmt: skip


def context(data, samples, expected=0, predictions=None):
    runtime = SharedRuntime(seed=0, options=RuntimeOptions(threads=1, precision="fp32"))
    return EvaluatorContext(
        dataset=data, codec=fit_codec(data), samples=samples, targets={}, predictions=predictions or {}, runtime=runtime, seed=0,
        expected=expected,
    )  # fmt: skip


def measured(judge, ctx):
    return {(m.name, m.source): m for m in judge.evaluator_measure(ctx)}


@pytest.fixture(scope="module", params=[(20, 20), (12, 20)], ids=["equal", "variable"])
def ctx(request):
    data = dataset(frame(200, 0, request.param))
    real, bad = frame(100, 1, request.param), noise(100, 2, request.param)
    train = take(data.records, data.rows("train"))
    return context(data, {"synthetic": real, "noise": bad, "bootstrap": train})


@pytest.mark.parametrize("name", JUDGES)
def test_real_series_beat_noise_and_are_near_the_floor(ctx, name):
    found = measured(JUDGES[name](), ctx)
    good, bad = found[name, "synthetic"], found[name, "noise"]
    assert good.direction == "lower"
    assert good.value < 0.5 * bad.value
    assert abs(good.value - good.floor) < 0.35 * (good.ceiling - good.floor)
    assert bad.value > good.floor
    assert good.n > 0
    assert found == measured(JUDGES[name](), ctx)


@pytest.mark.parametrize("name", JUDGES)
def test_missing_and_invalid_series_count_as_failures(ctx, name):
    whole = ctx.samples["synthetic"]
    broken = whole.copy()
    broken["series"] = pd.Series([np.full_like(c, np.nan) if i % 4 == 0 else c for i, c in enumerate(whole["series"])], dtype=object)
    broken.at[1, "series"] = np.full((20, 2), np.inf)
    broken.at[2, "series"] = np.zeros((0, 2))
    for samples, expected, share in ((broken, 100, 0.73), (take(whole, np.arange(50)), 100, 0.5)):
        other = measured(JUDGES[name](), ctx.with_(samples={"synthetic": samples}, expected=expected))[name, "synthetic"]
        valid = take(samples, [i for i, c in enumerate(samples["series"]) if c.size and np.isfinite(c).all()])
        alone = measured(JUDGES[name](), ctx.with_(samples={"synthetic": valid}, expected=0))[name, "synthetic"]
        assert other.value == pytest.approx(share * alone.value + (1 - share) * alone.ceiling, abs=1e-6)
        assert "count as failures" in other.note


def test_copies_lie_too_near_under_warping(ctx):
    found = measured(evaluator.DtwPrivacy(config.DtwPrivacy(rows=60)), ctx)
    assert found["dtw_nearest_ratio", "bootstrap"].value == pytest.approx(0, abs=1e-5)
    assert found["dtw_nearest_ratio", "synthetic"].value == pytest.approx(1, abs=0.25)
    copied, fresh = found["dtw_holdout_share", "bootstrap"], found["dtw_holdout_share", "synthetic"]
    assert copied.low > 0.5
    assert fresh.low < 0.5 < fresh.high


def test_shifted_copies_are_nearer_than_fresh_series(ctx):
    train = ctx.samples["bootstrap"]
    shifted = pd.DataFrame({"series": pd.Series([np.concatenate([c[:1], c[:-1]]) for c in train["series"]], dtype=object)})
    found = measured(evaluator.DtwPrivacy(config.DtwPrivacy(rows=60)), ctx.with_(samples={"synthetic": shifted}))
    assert found["dtw_nearest_ratio", "synthetic"].value < 0.6


ALL = [*JUDGES.values(), lambda: evaluator.DtwPrivacy(config.DtwPrivacy())]


@pytest.mark.parametrize("make", ALL)
def test_ten_series_work_and_fewer_are_refused_in_words(make):
    data = dataset(frame(16, 0))
    few = {"synthetic": frame(10, 1), "empty": frame(10, 1).iloc[:0]}
    found = make().evaluator_measure(context(data, few))
    assert all(np.isfinite(m.value) for m in found if m.source == "synthetic")
    assert all(m.error for m in found if m.source == "empty")
    tiny = make().evaluator_measure(context(dataset(frame(6, 0)), few))
    assert tiny
    assert all(re.fullmatch("needs 4 training and as many hold-out series, found 4 and [12]", m.error) for m in tiny)


def test_accuracy_scores_every_source_on_test_series():
    kinds = np.array(["a", "b", "a", "b", "b"] * 12, dtype=object)
    data = dataset(frame(60, 0), kinds)
    truth = kinds[data.rows("test")]
    said = {"real": Predictions(values=truth), "synthetic": Predictions(values=np.where(truth == "a", "b", "a").astype(object))}
    found = measured(evaluator.Accuracy(config.Accuracy()), context(data, {}, predictions=said))
    assert found["accuracy", "real"].value == found["macro_f1", "real"].value == 1
    assert found["accuracy", "synthetic"].value == 0
    assert found["accuracy", "synthetic"].floor == 1
    assert found["accuracy", "real"].ceiling == pytest.approx(np.mean(truth == "b"))
    none = evaluator.Accuracy(config.Accuracy()).evaluator_measure(context(dataset(frame(60, 0)), {}, predictions=said))
    assert {m.error for m in none} == {"the data set has no classes"}


@pytest.mark.parametrize("name", ["acf_distance", "spectrum_distance"])
def test_figures_are_plain_data(ctx, name):
    figures = JUDGES[name]().evaluator_draw(ctx)
    assert len(figures) == 1
    assert {t["name"] for t in figures[0].traces} == {"real", "real hold-out", "synthetic"}
    assert len(figures[0].traces) == 6  # two channels
    json.dumps([figures[0].traces, figures[0].layout], allow_nan=False)
    assert JUDGES[name]().evaluator_draw(ctx.with_(samples={})) == []


def test_curves_of_known_series():
    t = np.arange(40)
    wave = np.cos(2 * np.pi * t / 8)[:, None]
    acf = autocorrelation([wave], 8)[:, 0]
    assert np.argmin(acf) == 3
    assert acf[7] == pytest.approx(32 / 40, abs=0.01)
    assert np.argmax(log_spectrum([wave], 40)[:, 0]) == 4
    assert np.isfinite(log_spectrum([np.ones((5, 1))], 40)).all()
    assert np.array_equal(autocorrelation([np.ones((5, 1))], 8), np.zeros((8, 1)))
