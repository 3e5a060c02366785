import math

import numpy as np
import pandas as pd
import pytest

from scarce.contract import Dataset, EvaluatorContext
from scarce.parts import config
from scarce.parts.detection import Detection, auc_interval
from scarce.parts.diversity import Diversity, coverage, radii
from scarce.parts.membership import Membership, true_positives
from scarce.parts.privacy import Privacy, copies, holdout_share, nearest, wilson
from scarce.runtime.runtime import SharedRuntime


class Plain:
    """Vectors are the numbers themselves."""

    def vectors(self, records):
        return records[[c for c in records.columns if c != "note"]].to_numpy(dtype=np.float64)


def table(n, seed, shift=0.0, width=3):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(rng.normal(size=(n, width)) + shift, columns=[f"x{i}" for i in range(width)])


def dataset(records, train=0.5):
    n = len(records)
    split = np.where(np.arange(n) < train * n, "train", np.where(np.arange(n) % 2 == 0, "validation", "test"))
    names = np.arange(n).astype(str)
    return Dataset(name="t", ids=names, records=records, labelled=np.ones(n, dtype=bool), split=split, groups=names)


def context(data, **samples):
    return EvaluatorContext(
        dataset=data, codec=Plain(), samples=samples, targets={}, predictions={}, runtime=SharedRuntime(seed=0), seed=0
    )  # fmt: skip


def measured(evaluator, ctx):
    return {(m.source, m.name): m for m in evaluator.evaluator_measure(ctx)}


def test_nearest_agrees_with_brute_force(monkeypatch):
    monkeypatch.setattr("scarce.parts.privacy._CHUNK", 50)
    a, b = table(17, 0).to_numpy(), table(23, 1).to_numpy()
    full = np.linalg.norm(a[:, None] - b[None], axis=2)
    distances, places = nearest(a, b, 2)
    assert np.allclose(distances, np.sort(full, axis=1)[:, :2])
    assert np.array_equal(places[:, 0], full.argmin(1))


def test_nearest_of_a_copy_is_exactly_zero():
    a = table(40, 0).to_numpy() * 3
    assert (nearest(a, a)[0] == 0).all()
    assert copies(np.array([[0.0, 1.0], [-0.0, 2.0]]), np.array([[-0.0, 1.0]])).tolist() == [True, False]


def test_wilson_matches_published_values():
    assert wilson(0.5, 100) == pytest.approx((0.4038, 0.5962), abs=1e-4)
    low, high = wilson(0.0, 10)
    assert low == 0
    assert high == pytest.approx(0.2775, abs=1e-4)


def test_holdout_share_is_half_for_fresh_rows_and_for_ties():
    train, holdout, fresh = (table(400, s).to_numpy() for s in (0, 1, 2))
    assert holdout_share(fresh, train, holdout) == pytest.approx(0.5, abs=0.06)
    assert holdout_share(fresh, train, train) == 0.5
    assert holdout_share(train, train, holdout) == 1.0


def test_privacy_tells_fresh_rows_from_copies():
    data = dataset(table(600, 0))
    bootstrap = data.records.iloc[np.random.default_rng(1).integers(300, size=200)].reset_index(drop=True)
    found = measured(Privacy(config.Privacy()), context(data, synthetic=table(300, 5), bootstrap=bootstrap))
    fresh, copied = found["synthetic", "dcr_median"], found["bootstrap", "dcr_median"]
    assert fresh.value == pytest.approx(fresh.floor, rel=0.2)
    assert copied.value == 0
    assert found["bootstrap", "exact_copies"].value == 1
    assert found["synthetic", "exact_copies"].value == 0
    assert "200 of 200; of real rows 0.0 % equal another" in found["bootstrap", "exact_copies"].note
    share = found["synthetic", "holdout_share"]
    assert share.low < 0.5 < share.high
    assert found["bootstrap", "holdout_share"].low > 0.9


def test_copies_are_held_against_how_often_real_rows_repeat_each_other():
    data = dataset(table(400, 0))
    data.records.iloc[:40] = data.records.iloc[:1].to_numpy()  # 40 equal rows among the 200 of train
    found = measured(Privacy(config.Privacy()), context(data, synthetic=table(300, 5)))
    assert found["synthetic", "exact_copies"].floor == pytest.approx(40 / 200)


def test_privacy_counts_every_copy_even_when_distances_are_sub_sampled():
    data = dataset(table(400, 0))
    half = pd.concat([data.records.iloc[:50], table(50, 9)], ignore_index=True)
    found = measured(Privacy(config.Privacy(rows=10)), context(data, synthetic=half))
    assert found["synthetic", "exact_copies"].value == 0.5
    assert found["synthetic", "dcr_median"].n == 10


def test_privacy_without_enough_records_says_so():
    few = measured(Privacy(config.Privacy()), context(dataset(table(2, 0)), synthetic=table(3, 1)))
    assert math.isnan(few["synthetic", "dcr_median"].value)
    assert "hold-out" in few["synthetic", "dcr_median"].error
    none = measured(Privacy(config.Privacy()), context(dataset(table(20, 0)), synthetic=table(0, 1)))
    assert none["synthetic", "dcr_median"].error == "no records"
    assert Privacy(config.Privacy()).evaluator_draw(context(dataset(table(20, 0)), synthetic=table(0, 1))) == []


def test_privacy_shows_the_nearest_record_escaped():
    data = dataset(table(40, 0).assign(note="<script>alert(1)</script>"))
    near = data.records.iloc[[3]].assign(x0=lambda t: t.x0 + 1e-3)
    histogram, pairs = Privacy(config.Privacy(nearest=1)).evaluator_draw(context(data, synthetic=near.reset_index(drop=True)))
    assert "<script" not in pairs.html
    assert "&lt;script&gt;" in pairs.html
    assert f"{data.records.x1[3]:.6g}" in pairs.html
    assert pairs.html.count('class="differs"') == 2
    assert sum(histogram.traces[1]["y"]) == pytest.approx(1)


def test_detection_knows_fresh_from_shifted_rows():
    data = dataset(table(600, 0))
    found = measured(Detection(config.Detection()), context(data, synthetic=table(300, 5), marginals=table(300, 6, shift=1.5)))
    assert found["synthetic", "c2st_auc"].low < 0.5 < found["synthetic", "c2st_auc"].high
    assert found["marginals", "c2st_auc"].value > 0.9
    assert found["marginals", "c2st_auc"].low > 0.85
    assert abs(found["synthetic", "c2st_auc"].floor - 0.5) < 0.1
    assert found["synthetic", "c2st_auc"].n == 300


def test_detection_works_on_ten_rows_and_refuses_three():
    data = dataset(table(20, 0))
    found = measured(Detection(config.Detection()), context(data, synthetic=table(10, 5, shift=9), bootstrap=table(3, 6)))
    assert found["synthetic", "c2st_auc"].n == 10
    assert found["synthetic", "c2st_auc"].value == 1
    assert "linear" in found["synthetic", "c2st_auc"].note
    assert math.isnan(found["bootstrap", "c2st_auc"].value)
    assert "found 3 bootstrap" in found["bootstrap", "c2st_auc"].error


def test_auc_interval_matches_hanley_and_mcneil():
    low, high = auc_interval(0.8, 50)
    assert (high - low) / 2 == pytest.approx(1.96 * 0.0447, rel=0.03)
    assert auc_interval(1.0, 20)[0] < 1


def test_membership_of_fresh_rows_is_a_guess_and_of_copies_is_known():
    inside, areas = 0, []
    for seed in range(12):
        data = dataset(table(1200, seed))
        copied = data.records.iloc[:600].reset_index(drop=True)
        found = measured(Membership(config.Membership()), context(data, synthetic=table(600, 100 + seed), bootstrap=copied))
        area = found["synthetic", "membership_auc"]
        inside += area.low <= 0.5 <= area.high
        areas.append(area.value)
        assert found["bootstrap", "membership_auc"].value > 0.999
        assert found["bootstrap", "membership_auc"].high <= 1
        assert area.n == 300
    assert inside >= 10
    assert np.mean(areas) == pytest.approx(0.5, abs=0.02)


def test_membership_finds_drawn_rows_only_and_near_copies_too():
    data = dataset(table(2400, 0))
    drawn = data.records.iloc[np.random.default_rng(1).integers(1200, size=1200)].reset_index(drop=True)
    moved = data.records.iloc[:1200].reset_index(drop=True) + 0.01 * table(1200, 3)
    found = measured(Membership(config.Membership()), context(data, synthetic=moved, bootstrap=drawn))
    known = 1 - math.exp(-1)  # of rows drawn with replacement, as many as there are
    assert found["bootstrap", "membership_auc"].value == pytest.approx((1 + known) / 2, abs=0.03)
    assert found["bootstrap", "membership_tpr"].value == pytest.approx(known, abs=0.05)
    assert found["bootstrap", "membership_tpr"].low < known < found["bootstrap", "membership_tpr"].high
    assert found["synthetic", "membership_auc"].value > 0.95


def test_rows_that_repeat_each_other_or_lack_a_target_betray_nobody():
    base = table(400, 0).round(1)
    records = base.iloc[np.random.default_rng(2).integers(400, size=3000)].reset_index(drop=True)
    keys = records.astype(str).agg("|".join, axis=1).to_numpy(dtype=str)
    order = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    split = np.where(np.array([order[k] for k in keys]) % 2 == 0, "train", "test")
    target = np.where(split == "train", np.where(np.arange(3000) % 3 == 0, None, "a"), "a")
    odd = records.assign(x0=records.x0 + 50 * (target == None))  # noqa: E711
    data = dataset(odd).with_(split=split, groups=keys, target=target, task="classification", classes=("a",))
    areas = [
        measured(Membership(config.Membership()), context(data, synthetic=table(400, s)))["synthetic", "membership_auc"] for s in (5, 6)
    ]
    assert all(a.low <= 0.5 <= a.high for a in areas)
    assert areas[0].n < 120  # different rows, not 1000 repeats of them


def test_membership_without_enough_records_says_so():
    few = measured(Membership(config.Membership()), context(dataset(table(30, 0)), synthetic=table(30, 1)))
    assert "needs 10 records a side" in few["synthetic", "membership_auc"].error
    none = measured(Membership(config.Membership()), context(dataset(table(100, 0)), synthetic=table(0, 1)))
    assert math.isnan(none["synthetic", "membership_auc"].value)


def test_true_positives_allow_no_more_than_the_rate():
    non_members = np.arange(1000.0)
    scores = np.concatenate([np.full(1000, 989.5), non_members])
    assert true_positives(scores, 0.01) == 1.0  # 990 ... 999 score above: exactly 1 %
    assert true_positives(np.concatenate([np.full(1000, 989.0), non_members]), 0.01) == 0.0


def test_coverage_knows_collapse_from_copies_and_fresh_rows():
    data = dataset(table(1000, 0))
    one = data.records.iloc[[7] * 500].reset_index(drop=True)
    drawn = data.records.iloc[np.random.default_rng(1).integers(500, size=500)].reset_index(drop=True)
    narrow = 0.3 * table(500, 4)
    found = measured(Diversity(config.Diversity()), context(data, synthetic=table(500, 5), smote=one, bootstrap=drawn, marginals=narrow))
    value = {source: found[source, "coverage"].value for source in ("synthetic", "smote", "bootstrap", "marginals")}
    assert value["smote"] < 0.05
    assert value["smote"] < value["marginals"] < 0.7
    assert value["synthetic"] == pytest.approx(found["synthetic", "coverage"].floor, abs=0.04)
    assert value["bootstrap"] > 0.97
    assert "good privacy" in found["bootstrap", "coverage"].note
    assert found["synthetic", "nearest_train"].value == pytest.approx(1, abs=0.15)
    assert found["bootstrap", "nearest_train"].value == 0


def test_coverage_agrees_with_its_definition_and_counts_ties():
    rows, by = table(40, 0).to_numpy(), table(25, 1).to_numpy()
    full = np.linalg.norm(rows[:, None] - rows[None], axis=2)
    radius = np.sort(full, axis=1)[:, 3]
    assert np.allclose(radii(rows, 3), radius)
    assert coverage(rows, radius, by) == np.mean(
        [(np.linalg.norm(by - row, axis=1) <= r).any() for row, r in zip(rows, radius, strict=True)]
    )
    same = np.zeros((20, 2))
    assert coverage(same, radii(same, 3), same[:1]) == 1.0


def test_records_that_were_not_delivered_cover_nothing():
    data = dataset(table(1000, 0))
    whole, half = context(data, synthetic=table(500, 5)), context(data, synthetic=table(250, 5)).with_(expected=500)
    first, second = (measured(Diversity(config.Diversity()), ctx)["synthetic", "coverage"] for ctx in (whole, half))
    assert second.value < first.value - 0.05
    assert first.n == second.n == 500
    empty = measured(Diversity(config.Diversity()), context(data, synthetic=table(0, 5)).with_(expected=500))
    assert empty["synthetic", "coverage"].value == 0
    few = measured(Diversity(config.Diversity()), context(dataset(table(8, 0)), synthetic=table(30, 1)))
    assert "needs 10 records" in few["synthetic", "coverage"].error
