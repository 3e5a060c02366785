"""Every evaluator: real against real beats real against noise, copies are seen, failures count; and distances with known values."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from scarce.contract import Dataset, EvaluatorContext, Phase, Plan, Predictions, Term, take
from scarce.runtime.options import RuntimeOptions
from scarce.runtime.runtime import SharedRuntime
from scarce_images import config, evaluator
from scarce_images.codec import make_codec
from scarce_images.distances import frechet, gaussian_distance, kernel_distance, nearest, within
from scarce_images.sides import learnt

SPACE = {"space": "pixels"}
JUDGES = {
    "frechet_distance": lambda: evaluator.Frechet(config.Frechet(**SPACE, dimensions=16)),
    "kernel_distance": lambda: evaluator.Frechet(config.Frechet(**SPACE)),
    "manifold_precision": lambda: evaluator.PrecisionRecall(config.PrecisionRecall(**SPACE)),
    "manifold_recall": lambda: evaluator.PrecisionRecall(config.PrecisionRecall(**SPACE)),
}
NEAREST = config.NearestShot(**SPACE, rows=200)


def frame(n, seed):
    """Discs of two colours, at random places on noisy grounds."""
    rng = np.random.default_rng(seed)
    kinds = np.array(["blue", "red"])[rng.integers(2, size=n)]
    y, x = np.mgrid[:12, :12]
    cells = []
    for kind in kinds:
        (cy, cx), ground = rng.uniform(3, 9, 2), rng.integers(150, 220)
        inside = ((y - cy) ** 2 + (x - cx) ** 2 < rng.uniform(4, 9))[..., None]
        picture = np.where(inside, [30, 30, 200] if kind == "blue" else [200, 30, 30], ground) + rng.normal(0, 8, (12, 12, 1))
        cells.append(picture.clip(0, 255).astype(np.uint8))
    side = np.where(rng.random(n) < 0.7, "left", "right")
    return pd.DataFrame({"image": pd.Series(cells, dtype=object), "kind": pd.Series(kinds, dtype=object), "side": side})


def noise(n, seed):
    cells = np.random.default_rng(seed).integers(0, 256, (n, 12, 12, 3), dtype=np.uint8)
    return pd.DataFrame({"image": pd.Series(list(cells), dtype=object), "kind": pd.Series(["red"] * n, dtype=object)})


def dataset(records):
    n, target = len(records), records["kind"].to_numpy(dtype=object)
    return Dataset(
        name="discs", ids=np.arange(n).astype(str), records=records, task="classification", target_name="kind", target=target,
        classes=("blue", "red"), labelled=np.ones(n, dtype=bool), groups=np.arange(n).astype(str), schema={"size": 12},
        split=np.array(["train", "train", "test", "validation"])[np.arange(n) % 4],
    )  # fmt: skip


def context(data, samples, expected=0, predictions=None):
    runtime = SharedRuntime(seed=0, options=RuntimeOptions(threads=1, precision="fp32"))
    targets = {s: r["kind"].to_numpy(dtype=object) if "kind" in r else None for s, r in samples.items()}
    return EvaluatorContext(
        dataset=data, codec=make_codec(data), samples=samples, targets=targets, predictions=predictions or {}, runtime=runtime, seed=0,
        expected=expected,
    )  # fmt: skip


def measured(judge, ctx):
    return {(m.name, m.source): m for m in judge.evaluator_measure(ctx)}


@pytest.fixture(scope="module")
def ctx():
    data = dataset(frame(480, 0))
    train = take(data.records, data.rows("train"))
    # One picture again and again lies among real ones, and reaches none but its own neighbours.
    same = pd.concat([frame(1, 3)] * 240, ignore_index=True)
    return context(data, {"synthetic": frame(240, 1), "noise": noise(240, 2), "same": same, "bootstrap": train})


@pytest.mark.parametrize("name", JUDGES)
def test_real_pictures_beat_noise_and_are_near_the_floor(ctx, name):
    found = measured(JUDGES[name](), ctx)
    good, bad = found[name, "synthetic"], found[name, "same" if name == "manifold_recall" else "noise"]
    if good.direction == "lower":
        assert good.value < 0.2 * bad.value
    else:
        assert good.value > bad.value + 0.5
    assert abs(good.value - good.floor) < 0.15 * abs(good.ceiling - good.floor)
    assert "in the space pixels" in good.note
    assert good.n == bad.n == found[name, "bootstrap"].n == 240
    assert found == measured(JUDGES[name](), ctx)


@pytest.mark.parametrize("name", JUDGES)
def test_missing_and_invalid_pictures_count_as_failures(ctx, name):
    whole = ctx.samples["synthetic"].iloc[:200].reset_index(drop=True)
    broken = whole.copy()
    broken["image"] = pd.Series([None if i % 4 == 0 else cell for i, cell in enumerate(whole["image"])], dtype=object)
    broken.at[1, "image"] = np.zeros((12, 12, 3))
    broken.at[2, "image"] = np.zeros((0, 12, 3), dtype=np.uint8)
    for samples, expected, share in ((broken, 200, 0.74), (take(whole, np.arange(100)), 200, 0.5)):
        other = measured(JUDGES[name](), context(ctx.dataset, {"synthetic": samples}, expected))[name, "synthetic"]
        valid = take(samples, [i for i, c in enumerate(samples["image"]) if c is not None and c.size and c.dtype == np.uint8])
        alone = measured(JUDGES[name](), context(ctx.dataset, {"synthetic": valid}))[name, "synthetic"]
        if name == "manifold_recall":
            assert other.value < alone.value
        elif name == "manifold_precision":
            assert other.value == pytest.approx(share * alone.value, abs=0.1)
        else:
            assert other.value == pytest.approx(share * alone.value + (1 - share) * alone.ceiling, rel=1e-6)
        assert "count as failures" in other.note


def test_copies_are_seen_and_unseen_real_pictures_are_not(ctx):
    judge = evaluator.NearestShot(NEAREST)
    found = measured(judge, ctx)
    assert found["shot_nearest_ratio", "bootstrap"].value == 0
    assert found["shot_memorised", "bootstrap"].value == 1
    assert found["shot_memorised", "bootstrap"].low > 0.9
    assert found["shot_copies", "bootstrap"].value == 1
    assert found["shot_holdout_share", "bootstrap"].low > 0.9
    fired = []
    for seed in range(20, 26):
        fresh = measured(judge, context(ctx.dataset, {"synthetic": frame(150, seed)}))
        assert fresh["shot_copies", "synthetic"].value == 0
        assert fresh["shot_nearest_ratio", "synthetic"].value == pytest.approx(1, abs=0.15)
        fired.append(fresh["shot_memorised", "synthetic"].low > 0.03)
        share = fresh["shot_holdout_share", "synthetic"]
        assert share.low - 0.05 < 0.5 < share.high + 0.05
    assert not any(fired)


def test_blurred_copies_are_memorised_though_no_byte_is_equal(ctx):
    train = ctx.samples["bootstrap"]
    near = pd.Series([(c * 0.98 + 2).astype(np.uint8) for c in train["image"]], dtype=object)
    found = measured(evaluator.NearestShot(NEAREST), context(ctx.dataset, {"synthetic": train.assign(image=near)}))
    assert found["shot_copies", "synthetic"].value == 0
    assert found["shot_memorised", "synthetic"].low > 0.8


def test_each_class_is_compared_with_its_own(ctx):
    judge = evaluator.Frechet(config.Frechet(**SPACE, per_class=True, dimensions=8))
    good = ctx.samples["synthetic"]
    swapped = good.assign(kind=good["kind"].map({"red": "blue", "blue": "red"}))
    found = measured(judge, context(ctx.dataset, {"synthetic": good, "swapped": swapped}))
    assert found["frechet_distance", "synthetic"].value == found["frechet_distance", "swapped"].value
    for name in ("frechet_class_mean", "frechet_class_worst"):
        assert found[name, "synthetic"].value < 0.3 * found[name, "swapped"].value
    (figure,) = judge.evaluator_draw(context(ctx.dataset, {"synthetic": good}))
    assert [t["name"] for t in figure.traces] == ["real", "synthetic"]
    assert figure.traces[0]["x"] == ["blue", "red"]


def predicted(ctx, right, source="real"):
    data, rng = ctx.dataset, np.random.default_rng(5)
    truth = data.target[data.rows("test")]
    other = np.where(truth == "red", "blue", "red").astype(object)
    return {source: Predictions(values=np.where(rng.random(len(truth)) < right, truth, other))}


def test_accuracy_is_that_of_the_answers_and_confusion_counts_them(ctx):
    said = predicted(ctx, 0.9) | predicted(ctx, 0.6, "both")
    judge, ctx = evaluator.ImageAccuracy(config.ImageAccuracy()), ctx.with_(predictions=said)
    found, truth = measured(judge, ctx), ctx.dataset.target[ctx.dataset.rows("test")]
    assert found["accuracy", "both"].value == np.mean(said["both"].values == truth)
    assert found["accuracy", "both"].floor == found["accuracy", "real"].value > 0.8
    assert found["accuracy", "both"].ceiling in [np.mean(truth == "red"), np.mean(truth == "blue")]
    confusion, classes = judge.evaluator_draw(ctx)
    counts = np.array(confusion.traces[0]["text"])
    assert counts.sum() == len(truth)
    assert np.trace(counts) / len(truth) == found["accuracy", "both"].value
    bars = {t["name"]: dict(zip(t["x"], t["y"], strict=True)) for t in classes.traces}
    assert bars["real"]["red"] == pytest.approx(np.mean(said["real"].values[truth == "red"] == "red"), abs=1e-4)


def test_groups_are_counted_and_judged_apart(ctx):
    data = ctx.dataset
    test = take(data.records, data.rows("test"))
    truth, left = data.target[data.rows("test")], (test["side"] == "left").to_numpy()
    other = np.where(truth == "red", "blue", "red").astype(object)
    said = {"real": Predictions(values=np.where(left, truth, other))}
    one = ctx.samples["synthetic"].assign(side="left")
    judge = evaluator.Groups(config.Groups(column="side"))
    ctx = context(data, {"synthetic": one, "noise": ctx.samples["noise"]}, predictions=said)
    found = measured(judge, ctx)
    train = take(data.records, data.rows("train"))
    assert found["group_share_distance", "synthetic"].value == pytest.approx((train["side"] == "right").mean())
    assert found["group_share_distance", "synthetic"].floor < 0.1
    assert "have no column 'side'" in found["group_share_distance", "noise"].error
    assert (found["group_accuracy_worst", "real"].value, found["group_accuracy_gap", "real"].value) == (0, 1)
    assert {f.name for f in judge.evaluator_draw(ctx)} == {"group_shares", "group_accuracy"}
    missing = measured(evaluator.Groups(config.Groups(column="age")), ctx)
    assert "no values in a column 'age'" in missing["group_share_distance", "synthetic"].error
    many = data.records.assign(tags=[["a", str(i % 50)] for i in range(len(data.records))])  # of lists, each in few test pictures
    rare = measured(evaluator.Groups(config.Groups(column="tags")), ctx.with_(dataset=replace(data, records=many)))
    assert "no value of 'tags' has 10 test pictures" in rare["group_accuracy_worst", "real"].error


ALL = [
    *JUDGES.values(), lambda: evaluator.NearestShot(NEAREST), lambda: evaluator.ImageAccuracy(config.ImageAccuracy()),
    lambda: evaluator.Groups(config.Groups(column="side")),
]  # fmt: skip


@pytest.mark.parametrize("make", ALL)
def test_few_pictures_are_refused_in_words_and_none_are_no_crash(make, ctx):
    small = dataset(frame(12, 0))
    for data, samples in ((small, frame(4, 1)), (ctx.dataset, frame(3, 1)), (ctx.dataset, frame(3, 1).iloc[:0])):
        for m in make().evaluator_measure(context(data, {"synthetic": samples}, expected=3)):
            assert np.isfinite(m.value) or m.error
        make().evaluator_draw(context(data, {"synthetic": samples}, expected=3))


@pytest.mark.parametrize("make", ALL)
def test_figures_are_plain_data(make, ctx):
    ctx = ctx.with_(predictions=predicted(ctx, 0.8) | predicted(ctx, 0.8, "both"))
    for figure in make().evaluator_draw(ctx):
        json.dumps([figure.traces, figure.layout], allow_nan=False)
        assert figure.section in ("utility", "fidelity", "privacy")
        assert "<script" not in figure.html


def test_the_distance_of_normal_laws_is_that_of_the_formula():
    spread = np.diag([1.0, 4.0, 9.0])
    assert gaussian_distance(np.zeros(3), spread, np.zeros(3), spread) == pytest.approx(0, abs=1e-9)
    assert gaussian_distance(np.zeros(3), spread, np.array([1.0, 2.0, 2.0]), spread) == pytest.approx(9)
    other = np.diag([4.0, 4.0, 1.0])
    assert gaussian_distance(np.zeros(3), spread, np.zeros(3), other) == pytest.approx(1 + 0 + 4)


def test_frechet_of_a_set_with_itself_is_nothing_and_of_a_shift_its_square():
    rng = np.random.default_rng(0)
    rows, shift = rng.normal(size=(2000, 8)), np.full(8, 0.5)
    assert frechet(rows, rows) == pytest.approx(0, abs=1e-8)
    assert frechet(rows, rows + shift) == pytest.approx(2.0, abs=1e-6)
    assert frechet(rows, rng.normal(size=(2000, 8)) + shift) == pytest.approx(2.0, abs=0.3)


def test_the_kernel_distance_is_unbiased_and_sees_a_shift():
    def drawn(seed, shift):
        rng = np.random.default_rng(seed)
        return kernel_distance(rng.normal(size=(20, 5)), rng.normal(size=(30, 5)) + shift)

    same, moved = (np.array([drawn(seed, shift) for seed in range(300)]) for shift in (0.0, 0.7))
    assert abs(same.mean()) < 3 * same.std() / 300**0.5
    assert same.min() < 0
    assert moved.mean() > 20 * same.std() / 300**0.5


def test_the_kernel_distance_is_that_of_the_sums_written_out():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(4, 3)), rng.normal(size=(5, 3))

    def k(a, b):
        return (a @ b / 3 + 1) ** 3

    inside = [np.mean([k(a, b) for i, a in enumerate(s) for j, b in enumerate(s) if i != j]) for s in (x, y)]
    assert kernel_distance(x, y) == pytest.approx(sum(inside) - 2 * np.mean([k(a, b) for a in x for b in y]))


def test_precision_and_recall_on_a_line():
    real, fake = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([[0.5], [2.5], [50.0], [50.1]])
    assert within(fake, real, 1) == 0.5
    assert within(real, fake, 1) == 1.0
    assert within(real, np.array([[50.0], [50.1]]), 1) == 0.0
    assert nearest(fake, real)[1][:, 0].tolist()[3] == 3


def test_a_generator_that_learnt_from_labelled_pictures_alone_is_held_against_those():
    data = dataset(frame(80, 0))
    shots = data.rows("train")[:12]
    data = replace(data, labelled=np.isin(np.arange(len(data)), shots) | (data.split != "train"))
    ctx = context(data, {"bootstrap": take(data.records, shots)})
    for rows, n in (("labelled", 12), ("all", 40)):
        phase = Phase(name="train", trainable=("backbone",), terms=(Term(name="denoise", rows=rows),))
        told = replace(ctx, generator=SimpleNamespace(plan=Plan(phases=(phase,))))
        assert len(learnt(told)) == n
    assert len(learnt(ctx)) == 40
