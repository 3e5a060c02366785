import math

import pytest
from scipy import stats

from scarce.contract import Metric
from scarce.report.statistics import Child, paired, summarise
from scarce.report.verdict import flags, judge


def metric(name, value, source="synthetic", **facts):
    return Metric(name=name, value=value, source=source, evaluator="evaluator.0", **facts).to_json()


def children(per_seed, arm="main"):
    return [Child(arm=arm, seed=seed, metrics=metrics) for seed, metrics in enumerate(per_seed)]


def utility(real, synthetic, both, n=200):
    rows = zip(real, synthetic, both, strict=True)
    return [
        [metric("macro_f1", v, s, direction="higher", ceiling=0.4, n=n) for s, v in zip(("real", "synthetic", "both"), row, strict=True)]
        for row in rows
    ]


def privacy(source="synthetic", copied=0.0, near=0.5, share=0.5, n=1000):
    return [
        metric("exact_copies", copied, source, direction="lower", floor=0.0, n=n),
        metric("dcr_median", near, source, direction="higher", floor=0.5, n=n),
        metric("holdout_share", share, source, direction="target", target=0.5, n=n),
    ]


def test_the_interval_is_students_over_seeds():
    values = [0.7, 0.72, 0.69, 0.75, 0.71]
    row = summarise(children([[metric("macro_f1", v, floor=0.8, n=10)] for v in values]))[0]
    low, high = stats.t.interval(0.95, 4, loc=sum(values) / 5, scale=stats.sem(values))
    assert (row.low, row.high) == pytest.approx((low, high))
    assert row.values == tuple(values)
    assert (row.n_seeds, row.floor, row.n) == (5, 0.8, 10)


def test_one_seed_has_no_interval_and_failures_are_not_averaged_away():
    one = summarise(children([[metric("r2", 0.5)]]))[0]
    assert (one.low, one.high) == (None, None)
    two = summarise(children([[metric("r2", 0.5)], [metric("r2", math.nan, error="too few")]]))[0]
    assert two.value == 0.5
    assert two.n_seeds == 1
    assert two.error == "too few"
    assert math.isnan(two.values[1])


def test_rows_of_two_evaluators_and_arms_stay_apart():
    a, b = metric("c2st_auc", 0.6), {**metric("c2st_auc", 0.9), "evaluator": "evaluator.1"}
    rows = summarise(children([[a, b]]) + children([[a]], arm="other"))
    assert [(r.arm, r.evaluator, r.value) for r in rows] == [
        ("main", "evaluator.0", 0.6), ("main", "evaluator.1", 0.9), ("other", "evaluator.0", 0.6),
    ]  # fmt: skip


def test_paired_verdicts():
    real, close = [0.7, 0.72, 0.69, 0.75, 0.71], [0.71, 0.71, 0.70, 0.74, 0.72]
    better = [v + 0.02 + 0.001 * i for i, v in enumerate(real)]
    kids = children(utility(real, close, better))
    assert paired(kids, "both", "real", "macro_f1").verdict == "better"
    assert paired(kids, "real", "both", "macro_f1").verdict == "worse"
    assert paired(kids, "synthetic", "real", "macro_f1").verdict == "no evidence"
    few = paired(kids[:4], "both", "real", "macro_f1")
    assert (few.n, few.verdict) == (4, "too few runs to say")
    assert few.low < few.mean < few.high
    assert paired(kids, "both", "absent", "macro_f1").n == 0


def test_paired_knows_that_lower_or_nearer_is_better():
    def both(seed, worse):
        off = worse + 0.01 * seed * (worse == 0)
        return [metric("rmse", 5 + seed + off, direction="lower"), metric("c2st_auc", 0.6 + off / 10, direction="target", target=0.5)]

    kids = [Child(arm=arm, seed=s, metrics=both(s, worse)) for arm, worse in (("a", 0.0), ("b", 1.0)) for s in range(5)]
    assert paired(kids, ("a", "synthetic"), ("b", "synthetic"), "rmse").verdict == "better"
    assert paired(kids, ("b", "synthetic"), ("a", "synthetic"), "c2st_auc").verdict == "worse"


def test_a_good_generator_is_green_on_five_seeds_and_grey_on_one():
    real = [0.7, 0.72, 0.69, 0.75, 0.71]
    metrics = utility(real, [v - 0.01 for v in real], [v + 0.001 * i for i, v in enumerate(real)])
    extra = [metric("correlation_distance", 0.05, floor=0.05), metric("c2st_auc", 0.6), *privacy()]
    verdict = judge(children([m + extra for m in metrics]), "classification")
    assert set(verdict.lights.values()) == {"green"}
    assert "macro-F1" in verdict.reasons["usable"]
    assert "real + synthetic against real alone +0.002 [" in verdict.reasons["usable"]
    assert "0.60" in verdict.reasons["similar"]
    single = judge(children([metrics[0] + extra]), "classification")
    assert single.lights["usable"] == "grey"
    assert "too few runs to say" in single.sentence


@pytest.mark.parametrize(("factor", "light"), [(0.96, "green"), (0.9, "amber"), (0.7, "red")])
def test_the_usable_light_follows_the_share_of_the_real_score(factor, light):
    real = [0.7, 0.72, 0.69, 0.75, 0.71]
    verdict = judge(children(utility(real, [factor * v for v in real], real)), "classification")
    assert verdict.lights["usable"] == light
    assert verdict.lights["private"] == "grey"


def test_few_test_rows_and_a_useless_real_model_allow_no_claim():
    real = [0.7, 0.72, 0.69, 0.75, 0.71]
    few = judge(children(utility(real, real, real, n=12)), "classification")
    assert few.lights["usable"] == "grey"
    assert "too few real records for a claim (12 test rows)" in few.reasons["usable"]
    useless = judge(children(utility([0.4] * 5, [0.4] * 5, [0.4] * 5)), "classification")
    assert useless.lights["usable"] == "grey"


@pytest.mark.parametrize(
    ("facts", "light"),
    [
        ({}, "green"),
        ({"near": 0.43}, "green"),
        ({"near": 0.4}, "amber"),
        ({"near": 0.1}, "red"),
        ({"copied": 0.002}, "amber"),
        ({"copied": 0.2}, "red"),
        ({"share": 0.57}, "green"),
        ({"share": 0.59}, "amber"),
        ({"share": 0.7}, "red"),
        ({"share": 0.3}, "green"),
        ({"share": 0.7, "n": 10}, "amber"),
    ],
)
def test_the_private_light(facts, light):
    assert judge(children([privacy(**facts)]), "none").lights["private"] == light


@pytest.mark.parametrize(
    ("areas", "n", "light"),
    [
        ((0.5,), 500, "green"),
        ((0.56,), 500, "green"),  # reaches down to 0.52
        ((0.58,), 500, "amber"),
        ((0.58,), 50, "green"),  # 50 records a side say little
        ((0.82,), 500, "red"),
        ((0.4,), 500, "green"),
        ((0.54, 0.55, 0.54, 0.55, 0.54), 500, "amber"),  # no seed alone, but all together
        ((0.62, 0.7), 500, "red"),  # two seeds' own interval would reach 0.15
        ((1.0,), 20, "red"),
    ],
)
def test_the_private_light_sees_an_attacker_who_tells_members(areas, n, light):
    kids = children([[*privacy(), metric("membership_auc", area, direction="target", target=0.5, n=n)] for area in areas])
    verdict = judge(kids, "none")
    assert verdict.lights["private"] == light
    assert "an attacker tells training from hold-out rows" in verdict.reasons["private"]


def test_a_copy_that_only_an_attacker_sees_is_flagged():
    kids = children([[metric("membership_auc", 0.5, n=500), metric("membership_auc", 0.82, "bootstrap", n=500)]])
    assert [(f.source, f.word) for f in flags(kids)] == [("bootstrap", "too near")]
    assert judge(kids, "none").lights["private"] == "green"


def test_only_sources_that_copy_are_flagged():
    kids = children([privacy() + privacy("bootstrap", copied=1.0, near=0.0, share=0.8) + privacy("smote", near=0.1)] * 2)
    assert [(f.source, f.word) for f in flags(kids)] == [("bootstrap", "copies"), ("smote", "too near")]
    assert "100.0 % exact copies" in flags(kids)[0].reason


def test_nothing_measured_is_said_plainly():
    verdict = judge([], "none")
    assert set(verdict.lights.values()) == {"grey"}
    assert "0 of at least 5 runs" in verdict.sentence


def test_flags_are_those_of_each_arm():
    kids = children([privacy()], arm="plain") + children([privacy(near=0.1)], arm="lora")
    assert [(f.arm, f.source) for f in flags(kids)] == [("lora", "synthetic")]


def test_a_run_that_generates_nothing_says_what_its_model_scores():
    said = judge(children([[Metric(name="macro_f1", value=0.7, source="real", n=100).to_json()]]), "classification").sentence
    assert said == "Nothing was generated; macro-F1 is 0.700 trained on real records."
