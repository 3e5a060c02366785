"""Learners on handwritten digits: what they learn, weights, gradients through their preprocessing, features and passes."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_digits

from scarce.contract import Dataset, LearnerContext, TrainingPart, take
from scarce.errors import DataError, PluginError, RecipeError, RunError
from scarce.runtime.options import RuntimeOptions
from scarce.runtime.runtime import SharedRuntime
from scarce_images import config, learner
from scarce_images.codec import make_codec
from scarce_images.learner import distorted

SMALL = {
    "resnet": (learner.Resnet, config.Resnet, {"width": 8, "blocks": (1, 1, 1), "steps": 60}),
    "vit": (learner.Vit, config.Vit, {"width": 32, "layers": 2, "heads": 2, "steps": 80, "rate": 4e-3}),
    "mobilenet": (learner.Mobilenet, config.Mobilenet, {"width": 0.25, "steps": 40, "batch": 32, "shift": 0.0}),
    "features": (learner.Features, config.Features, {"resolution": 32, "steps": 60}),
}


def digits(n=None, labels=range(10), seed=0):
    images, digit = load_digits(return_X_y=True)
    rows = np.flatnonzero(np.isin(digit, list(labels)))
    rows = np.random.default_rng(seed).permutation(rows)[:n]
    grey = np.rint(images[rows].reshape(-1, 8, 8, 1) * 255 / 16).astype(np.uint8)
    cells = grey.repeat(2, 1).repeat(2, 2).repeat(3, 3)
    return pd.DataFrame({"image": pd.Series(list(cells), dtype=object), "digit": pd.Series(digit[rows].tolist(), dtype=object)})


def dataset(frame, test=3):
    n, target = len(frame), frame["digit"].to_numpy(dtype=object)
    return Dataset(
        name="digits", ids=np.arange(n).astype(str), records=frame, task="classification", target_name="digit", target=target,
        classes=tuple(sorted(set(target))), labelled=np.ones(n, dtype=bool),
        split=np.where(np.arange(n) % test == 0, "test", "train"), groups=np.arange(n).astype(str), schema={"size": 16},
    )  # fmt: skip


def built(name, data, precision="fp32", **options):
    spec, kind, small = SMALL[name]
    runtime = SharedRuntime(seed=0, options=RuntimeOptions(threads=1, precision=precision))
    ctx = LearnerContext(dataset=data, codec=make_codec(data), runtime=runtime, seed=0)
    return spec(kind(**(small | options))).learner_build(ctx)


def part(data, weight=1.0, origin="real"):
    rows = data.rows("train")
    return TrainingPart(records=take(data.records, rows), target=data.target[rows], weight=weight, origin=origin)


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCARCE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def two():
    return dataset(digits(150, labels=(0, 1)))


@pytest.fixture(scope="module", params=list(SMALL))
def fitted(request, two):
    made = built(request.param, two)
    made.fit([part(two)])
    return made


NARROW = """
import sys
sys.path.insert(0, sys.argv[1])
from test_images_learner import built, dataset, digits, part
data = dataset(digits(90, labels=(0, 1)))
for width in (2, 4, 7):
    made = built("resnet", data, width=width, blocks=(1, 1, 1), steps=6)
    made.fit([part(data)])
    made.predict(data.records.drop(columns="digit"))
    pictures = made.pictures(data.records).requires_grad_()
    made.embed(pictures).sum().backward()
    made.logits(pictures.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)).sum().backward()
"""


def test_narrow_residual_networks_do_not_crash():
    """In a process of their own: with channels last, training these widths on AVX2 overwrites memory."""
    asked = [sys.executable, "-c", NARROW, str(Path(__file__).parent)]
    done = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr


def last(made):
    """Whether the weights [o, i, h, w] have channels last, by the strides of those with h, w and i above 1."""
    weights = [m.weight for m in made.network.modules() if isinstance(m, torch.nn.Conv2d) and min(m.weight.shape[1:]) > 1]
    return {w.is_contiguous(memory_format=torch.channels_last) and not w.is_contiguous() for w in weights}


def test_networks_have_channels_last(fitted):
    assert last(fitted) == {True}


def test_a_residual_network_learns_ten_digits():
    data = dataset(digits(900))
    made = built("resnet", data, width=8, blocks=(2, 2, 2), steps=130)
    made.fit([part(data)])
    rows = data.rows("test")
    found = made.predict(take(data.records, rows).drop(columns="digit"))
    assert np.mean(found.values == data.target[rows]) > 0.9
    assert np.allclose(found.probabilities.sum(1), 1)
    assert np.array_equal(np.array(data.classes, dtype=object)[found.probabilities.argmax(1)], found.values)


def test_two_digits_are_told_apart(fitted, two):
    rows = two.rows("test")
    assert np.mean(fitted.predict(take(two.records, rows)).values == two.target[rows]) > 0.9
    assert fitted.predict(take(two.records, rows[:0])).probabilities.shape == (0, 2)


def test_gradients_reach_the_pictures_and_leave_the_network_alone(fitted, two):
    features = fitted.pictures(take(two.records, np.arange(6))).requires_grad_()
    logits = fitted.logits(features)
    (gradient,) = torch.autograd.grad(logits[:, 0].sum(), features)
    assert gradient.flatten(1).abs().sum(1).min() > 0
    assert not any(p.requires_grad for p in fitted.network.parameters())
    # No batch statistics, no dropout: a row's logits are its own.
    assert torch.allclose(fitted.logits(features[:1]), logits[:1], atol=1e-4)
    assert torch.equal(fitted.logits(features), logits)


def test_features_are_the_inputs_of_the_last_layer(fitted, two):
    features = fitted.pictures(take(two.records, np.arange(6)))
    embedded = fitted.embed(features)
    assert embedded.shape == (6, fitted.network.head.in_features)
    assert torch.allclose(fitted.network.head(embedded), fitted.logits(features), atol=1e-5)


def test_passes_differ_repeat_and_average_to_the_logits(fitted, two):
    features = fitted.pictures(take(two.records, np.arange(5)))
    found = fitted.passes(features, 400, 7)
    assert found.shape == (400, 5, 2)
    assert torch.equal(found, fitted.passes(features, 400, 7))
    assert not torch.equal(found, fitted.passes(features, 400, 8))
    assert found.std(0).min() > 0
    assert torch.allclose(found[:, :2], fitted.passes(features[:2], 400, 7), atol=1e-4)
    error = found.std(0) / 20
    assert ((found.mean(0) - fitted.logits(features)).abs() < 5 * error).all()


@pytest.mark.parametrize("name", ["resnet", "vit", "features"])
def test_weight_zero_changes_nothing_and_refitting_starts_afresh(name, two):
    other = dataset(digits(60, labels=(0, 1), seed=3))
    swapped = np.where(other.target == 0, 1, 0).astype(object)
    wrong = TrainingPart(records=other.records, target=swapped, weight=0.0)
    test = take(two.records, two.rows("test"))
    alone, beside = built(name, two, steps=20), built(name, two, steps=20)
    alone.fit([part(two)])
    beside.fit([wrong.with_(weight=1.0)])
    spoilt = beside.predict(test).probabilities
    beside.fit([part(two), wrong])
    assert np.array_equal(alone.predict(test).probabilities, beside.predict(test).probabilities)
    assert not np.array_equal(alone.predict(test).probabilities, spoilt)


def test_answers_are_those_of_the_logits(fitted, two):
    records = take(two.records, two.rows("test"))
    with torch.no_grad():
        logits = fitted.logits(fitted.pictures(records))
    assert np.allclose(fitted.predict(records).probabilities, torch.softmax(logits.double(), 1).numpy(), atol=1e-4)


def test_the_heavier_of_two_opposed_parts_is_believed(two):
    rows = two.rows("train")
    opposite = TrainingPart(records=take(two.records, rows), target=np.where(two.target[rows] == 0, 1, 0).astype(object), weight=20.0)
    made = built("resnet", two)
    made.fit([part(two), opposite])
    rows = two.rows("test")
    assert np.mean(made.predict(take(two.records, rows)).values == two.target[rows]) < 0.1


@pytest.mark.parametrize("n", [1, 2, 3])
def test_hardly_any_pictures_are_enough_to_fit(n):
    data = dataset(digits(12, labels=(0, 1)))
    few = TrainingPart(records=take(data.records, np.arange(n)), target=data.target[:n])
    for name in SMALL:
        made = built(name, data, steps=3)
        made.fit([few])
        assert np.isfinite(made.predict(data.records).probabilities).all()


def test_what_cannot_be_learnt_is_said_in_words(two):
    made = built("resnet", two)
    with pytest.raises(DataError, match="no training record has a known class of 'digit'"):
        made.fit([TrainingPart(records=two.records, target=np.array([None] * len(two), dtype=object))])
    with pytest.raises(RunError, match="before it was fitted"):
        made.predict(two.records)
    with pytest.raises(DataError, match="no classes to learn"):
        built("resnet", two.with_(task="none", target=None, classes=(), target_name="")).fit([part(two)])
    with pytest.raises(RecipeError, match="patches of 5") as caught:
        built("vit", two, patch=5).fit([part(two)])
    assert caught.value.hint == "--set learner.patch=4"


def test_distortions_shift_whole_pictures_and_repeat_under_their_seed():
    ramp = torch.arange(64.0).reshape(1, 1, 8, 8).repeat(40, 3, 1, 1)
    moved = distorted(ramp, torch.Generator().manual_seed(0), 0.25, False)
    assert torch.equal(moved, distorted(ramp, torch.Generator().manual_seed(0), 0.25, False))
    middle = ramp[0, 0, 2:6, 2:6]
    steps = {tuple((p[0, 2:6, 2:6] - middle).unique().tolist()) for p in moved}
    assert all(len(s) == 1 for s in steps)
    assert {s[0] for s in steps} <= {8 * y + x for y in range(-2, 3) for x in range(-2, 3)}
    assert len(steps) > 10
    assert torch.equal(distorted(ramp, torch.Generator().manual_seed(0), 0.0, False), ramp)
    mirrored = distorted(ramp, torch.Generator().manual_seed(0), 0.0, True)
    flipped = [torch.equal(p, ramp[0].flip(2)) for p in mirrored]
    assert all(f or torch.equal(p, ramp[0]) for f, p in zip(flipped, mirrored, strict=True))
    assert 8 < sum(flipped) < 32


@pytest.mark.parametrize(
    ("name", "options", "error", "said"),
    [
        ("vit", {"patch": 5}, RecipeError, "can't be cut into patches of 5"),
        ("features", {"space": "path:/nowhere"}, PluginError, "not a model folder"),
    ],
)
def test_what_no_learner_can_be_built_from_is_said_before_it_is_fitted(two, name, options, error, said):
    with pytest.raises(error, match=said):
        built(name, two, **options)


def test_the_published_sizes_are_those_of_the_options():
    network, width = learner.resnet(config.Resnet(width=64))
    assert width == 512
    assert sum(p.numel() for p in network.parameters()) == 11_168_832  # ResNet-18 without its last layer


def halves(data):
    """Six real pictures, and the rest as if they were generated with every second label wrong."""
    rows = data.rows("train")
    few, rest = rows[:6], rows[6:]
    wrong = data.target[rest].copy()
    wrong[::2] = np.where(wrong[::2] == 0, 1, 0)
    synthetic = TrainingPart(records=take(data.records, rest), target=wrong, origin="synthetic")
    return TrainingPart(records=take(data.records, few), target=data.target[few]), synthetic


@pytest.mark.parametrize("name", ["resnet", "features"])
def test_real_weight_1_is_real_pictures_alone_0_synthetic_ones_alone_and_between_few_real_ones_are_repeated(two, name):
    """DataDream's lambda, check D4: both ends equal training on one source, to the bit."""
    real, synthetic = halves(two)
    test = take(two.records, two.rows("test"))

    def said(parts, weight):
        made = built(name, two, real_weight=weight, steps=30)
        made.fit(parts)
        return made.predict(test).probabilities

    assert np.array_equal(said([real, synthetic], 1.0), said([real], None))
    assert np.array_equal(said([real, synthetic], 0.0), said([synthetic], None))
    truth = two.target[two.rows("test")]
    right = [np.mean((said([real, synthetic], weight)[:, 1] > 0.5) == truth) for weight in (None, 0.9)]
    assert right[1] > right[0]
