"""Learners on two kinds of waves: what they learn, weights, lengths, gradients; and warping equal to tslearn's."""

import numpy as np
import pandas as pd
import pytest
import torch

from scarce.contract import Dataset, LearnerContext, TrainingPart, take
from scarce.errors import DataError
from scarce.runtime.options import RuntimeOptions
from scarce.runtime.runtime import SharedRuntime
from scarce_timeseries import config
from scarce_timeseries.codec import fit_codec
from scarce_timeseries.learner import Conv, Tslearn
from scarce_timeseries.warping import padded, tslearn_module, warped

MAKE = {
    "tslearn": lambda **o: Tslearn(config.Tslearn(**o)),
    "conv": lambda **o: Conv(config.ConvLearner(**({"channels": 12, "layers": 2, "steps": 80, "batch": 32, "rate": 0.01} | o))),
}


def waves(n=90, seed=0, lengths=(16, 16)):
    rng = np.random.default_rng(seed)
    kinds = np.array(["slow", "fast"])[np.arange(n) % 2]
    cells = []
    for kind in kinds:
        t = np.arange(rng.integers(lengths[0], lengths[1] + 1)) / 16
        cells.append(np.sin(2 * np.pi * ((1 if kind == "slow" else 3) * t + rng.random()))[:, None] + rng.normal(0, 0.1, (len(t), 1)))
    return pd.DataFrame({"series": pd.Series(cells, dtype=object), "kind": pd.Series(kinds, dtype=object)})


def dataset(frame):
    n, target = len(frame), frame["kind"].to_numpy(dtype=object)
    return Dataset(
        name="waves", ids=np.arange(n).astype(str), records=frame, task="classification", target_name="kind", target=target,
        classes=("fast", "slow"), labelled=np.ones(n, dtype=bool), split=np.array(["train", "train", "test"])[np.arange(n) % 3],
        groups=np.arange(n).astype(str), schema={"channels": ["value"]},
    )  # fmt: skip


def built(kind, data, **options):
    runtime = SharedRuntime(seed=0, options=RuntimeOptions(threads=1, precision="fp32"))
    return MAKE[kind](**options).learner_build(LearnerContext(dataset=data, codec=fit_codec(data), runtime=runtime, seed=0))


def part(data, weight=1.0, origin="real"):
    rows = data.rows("train")
    return TrainingPart(records=take(data.records, rows), target=data.target[rows], weight=weight, origin=origin)


@pytest.mark.parametrize("kind", MAKE)
@pytest.mark.parametrize("lengths", [(16, 16), (10, 20)])
def test_waves_are_told_apart(kind, lengths):
    data = dataset(waves(lengths=lengths))
    learner = built(kind, data)
    learner.fit([part(data)])
    rows = data.rows("test")
    blind = take(data.records, rows).drop(columns="kind")
    found = learner.predict(blind)
    assert np.mean(found.values == data.target[rows]) > 0.9
    assert found.probabilities.shape == (len(rows), 2)
    assert np.allclose(found.probabilities.sum(1), 1)
    assert np.array_equal(np.array(data.classes, dtype=object)[found.probabilities.argmax(1)], found.values)


@pytest.mark.parametrize("kind", MAKE)
def test_weight_zero_changes_nothing_and_refitting_starts_afresh(kind):
    data, other = dataset(waves()), dataset(waves(seed=5))
    wrong = TrainingPart(records=other.records, target=np.array(["slow"] * len(other), dtype=object), weight=0.0)
    test = take(data.records, data.rows("test"))
    alone, beside = built(kind, data), built(kind, data)
    beside.fit([TrainingPart(records=other.records, target=wrong.target)])
    spoilt = beside.predict(test).probabilities
    alone.fit([part(data)])
    beside.fit([part(data), wrong])
    assert np.array_equal(alone.predict(test).probabilities, beside.predict(test).probabilities)
    assert not np.array_equal(spoilt, alone.predict(test).probabilities)


def test_neighbours_vote_with_their_weights():
    data = dataset(waves())
    opposite = TrainingPart(
        records=part(data).records, target=np.where(part(data).target == "slow", "fast", "slow").astype(object), weight=3.0
    )
    learner = built("tslearn", data, neighbours=2)
    learner.fit([part(data), opposite])
    found = learner.predict(part(data).records)
    assert np.allclose(np.sort(found.probabilities, 1), [0.25, 0.75])
    assert np.array_equal(found.values, opposite.target)


def test_euclidean_neighbours_miss_a_shift_that_warping_forgives():
    base = np.random.default_rng(0).normal(size=20).cumsum()
    moved, other = np.r_[base[:1], base[:-1]], base + np.random.default_rng(1).normal(0, np.abs(np.diff(base)).mean() * 0.7, 20)
    cells = [base[:, None], other[:, None], moved[:, None]]
    assert warped(cells[:1], cells[2:], 3)[0] < np.linalg.norm(base - moved)


@pytest.mark.parametrize("kind", MAKE)
def test_series_without_classes_are_refused(kind):
    data = dataset(waves(12))
    learner = built(kind, data)
    with pytest.raises(DataError, match="no training record has a known class"):
        learner.fit([TrainingPart(records=data.records, target=np.array([None] * 12, dtype=object))])
    with pytest.raises(DataError, match="no classes to learn"):
        built(kind, data.with_(task="none", target=None, classes=(), target_name="")).fit([part(data)])


def test_gradients_reach_the_features_and_short_series_are_fine():
    data = dataset(waves(lengths=(3, 6)))
    learner = built("conv", data, layers=3, steps=10)
    learner.fit([part(data)])
    features = learner._features(data.records).requires_grad_()
    learner.logits(features)[:, 0].sum().backward()
    assert features.grad[..., 0].abs().sum() > 0
    assert torch.isfinite(features.grad).all()


@pytest.mark.parametrize("radius", [1, 4, 30])
def test_warping_equals_tslearn(radius):
    rng = np.random.default_rng(radius)
    first = [rng.normal(size=(rng.integers(2, 20), 2)) for _ in range(12)]
    second = [rng.normal(size=(rng.integers(2, 20), 2)) for _ in range(12)]
    theirs = tslearn_module("metrics").cdist_dtw(padded(first), padded(second), global_constraint="sakoe_chiba", sakoe_chiba_radius=radius)
    assert np.allclose(warped(first, second, radius), np.diag(theirs))
