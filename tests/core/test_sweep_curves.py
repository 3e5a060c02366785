"""Curves over numeric factors: their axis, where they reach the largest level, and where two of them cross."""

import json
import re

import pytest

from scarce.contract import Metric
from scarce.report.statistics import Child
from scarce.tools.sweep_curves import crossed, curves, places_of, reached, rising
from scarce.tools.sweep_page import blocks, page
from scarce.tools.sweep_results import Result

SHARES = ("0.1", "0.02", "0.05", "0.4", "1.0")  # the recipe's own level is the first
NOISE = [0.0, 0.01, -0.01, 0.005, -0.005, 0.002]
ERROR = {"0.02": 0.9, "0.05": 0.8, "0.1": 0.7, "0.4": 0.502, "1.0": 0.5}


def facts(seeds=6, **factors):
    factors = factors or {"data.labelled": SHARES, "arm": ("barrier", "finetune")}
    base = {"name": "s", "command": "scarce sweep s", "metric": "control_error", "cost": "train_cpu_seconds", "seeds": [*range(seeds)]}
    return {**base, "factors": {k: list(v) for k, v in factors.items()}, "when": {k: [] for k in factors}, "points": []}


def result(levels, seed, error, splits="same"):
    metric = Metric(name="control_error", value=error, direction="lower").to_json()
    child = Child(arm="x", seed=seed, metrics=[metric], cost={"train_cpu_seconds": 1.0})
    point = "+".join(f"{k}-{v}" for k, v in levels.items())
    return Result(point=point, seed=seed, levels=levels, table="t", status="done", splits=splits, child=child)


def shares(seeds=6, arms=("barrier", "finetune")):
    """Errors fall to that of all labels at 0.4; fine-tuning is 0.1 worse below 0.1, and 0.1 better from 0.4 on."""
    worse = {"0.02": 0.1, "0.05": 0.1, "0.1": 0.1, "0.4": -0.1, "1.0": -0.1}
    noise = {share: [NOISE[(i + s) % 6] for s in range(6)] for i, share in enumerate(SHARES)}
    return [
        result({"data.labelled": share, "arm": arm}, s, ERROR[share] + (arm == "finetune") * worse[share] + noise[share][s])
        for arm in arms for share in SHARES for s in range(seeds)
    ]  # fmt: skip


def test_levels_that_are_all_numbers_rise_and_infinity_is_the_last():
    assert rising(["1.05", "inf", "1.0", "1.5"]) == ["1.0", "1.05", "1.5", "inf"]
    assert rising(["10", "0.1", "1"]) == ["0.1", "1", "10"]
    assert rising(["16 per class", "1 per class", "4 per class"]) == ["1 per class", "4 per class", "16 per class"]
    assert rising(["full", "standard"]) == rising(["1", "own"]) == rising(["1"]) == []


def test_axes_are_logarithmic_where_levels_span_orders_of_magnitude():
    assert places_of(["1.0", "1.25", "1.5", "inf"]) == ([1.0, 1.25, 1.5, 1.75], False)
    assert places_of(["0.1", "1", "10", "inf"]) == ([0.1, 1.0, 10.0, 100.0], True)
    assert places_of(["1 per class", "4 per class", "16 per class"]) == ([1.0, 4.0, 16.0], False)
    assert places_of(["0", "1", "100"]) == ([0.0, 1.0, 100.0], False)


def test_the_smallest_level_from_which_on_none_is_worse_than_full_supervision():
    curve = curves(shares(arms=("barrier",)), facts())[0]
    assert list(curve.levels) == ["0.02", "0.05", "0.1", "0.4", "1.0"]
    said = reached(curve, "control_error")
    assert said.startswith("from 0.4 on no level is worse than fully supervised (data.labelled=1.0) (there ")
    few = curves(shares(seeds=4, arms=("barrier",)), facts(4))[0]
    assert reached(few, "control_error").startswith("too few runs to say")
    hard = [r for r in shares(arms=("barrier",)) if r.levels["data.labelled"] != "0.4"]
    assert reached(curves(hard, facts())[0], "control_error").startswith("every smaller level that was run, up to 0.1, is worse")
    easy = [r for r in shares(arms=("barrier",)) if r.levels["data.labelled"] in ("0.4", "1.0")]
    assert reached(curves(easy, facts())[0], "control_error").startswith("no level, down to 0.4, is worse")


def test_a_level_that_does_well_by_chance_below_worse_ones_is_not_the_crossing():
    lucky = [r if r.levels["data.labelled"] != "0.02" else result(r.levels, r.seed, 0.5 + NOISE[r.seed]) for r in shares(arms=("barrier",))]
    assert reached(curves(lucky, facts())[0], "control_error").startswith("from 0.4 on")


def test_runs_on_other_splits_are_no_pairs():
    moved = [r.with_(splits="other") if r.levels["data.labelled"] == "1.0" else r for r in shares(arms=("barrier",))]
    assert reached(curves(moved, facts())[0], "control_error").startswith("too few runs to say")


def test_two_settings_have_a_curve_each_and_where_they_cross():
    found = curves(shares(), facts())
    assert [c.setting for c in found] == ["arm=barrier", "arm=finetune"]
    said = crossed(*found, "control_error")
    assert "cross between 0.1 and 0.4 (about 0.2)" in said  # half way between them on a logarithmic axis
    assert "arm=barrier is better at 0.02, 0.05, 0.1, worse at 0.4, 1.0" in said
    assert crossed(*curves(shares(seeds=3), facts(3)), "control_error").endswith("too few runs to say")
    apart = [r for r in shares() if r.levels["data.labelled"] in ("0.02", "0.05", "0.1")]
    assert "do not cross" in crossed(*curves(apart, facts()), "control_error")


def plots(text):
    found = json.loads(re.search(r'id="plots">(.*?)</script>', text, re.S).group(1))
    return [found[f"plot-{i}"] for i in range(len(found))]


def test_the_page_draws_curves_with_intervals_and_the_fully_supervised_line():
    text = page(shares(), facts())
    curve = plots(text)[0]
    line, dashed = curve["traces"][:2]
    assert (line["name"], line["x"]) == ("arm=barrier", [0.02, 0.05, 0.1, 0.4, 1.0])
    assert line["y"] == pytest.approx([ERROR[s] + sum(NOISE) / 6 for s in ("0.02", "0.05", "0.1", "0.4", "1.0")])
    assert all(bar > 0 for bar in line["error_y"]["array"])
    assert dashed["y"] == [line["y"][-1]] * 2
    assert dashed["line"]["dash"] == "dash"
    assert curve["layout"]["xaxis"]["type"] == "log"
    assert len(curve["traces"]) == 4
    assert len(plots(text)) == 2  # the other factor's levels are no numbers; the last one is the Pareto front
    assert "fully supervised (data.labelled=1.0)" in text
    block = next(b for b in blocks(shares(), facts()) if "every level against the largest" in b.title)
    assert len(block.rows) == 10
    assert "With arm=barrier, from 0.4 on" in block.note


def test_every_numeric_factor_has_curves_and_named_levels_have_none():
    rho = [result({"rho": level, "base": base}, s, 0.5 + NOISE[s]) for level in ("1.0", "1.5", "inf") for base in "ab" for s in range(5)]
    made = facts(5, rho=("1.0", "1.5", "inf"), base=("a", "b"))
    assert [(c.factor, c.setting, c.top) for c in curves(rho, made)] == [("rho", "base=a", "inf"), ("rho", "base=b", "inf")]
    axis = plots(page(rho, made))[0]["layout"]["xaxis"]
    assert (axis["tickvals"], axis["ticktext"], axis["type"]) == ([1.0, 1.5, 2.0], ["1.0", "1.5", "inf"], "linear")
