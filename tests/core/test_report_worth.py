import math
from itertools import pairwise

import numpy as np
import pytest

from scarce.contract import Metric, TrainingPart
from scarce.report.results import Results, tables
from scarce.report.statistics import Child
from scarce.report.worth import Curve, curve_figure, curves, statement, statements
from scarce.runs.judging import subsets

SIZES = (50, 100, 200, 400)
REAL = (0.5, 0.6, 0.7, 0.8)  # of 50, 100, 200 and 800 real rows in all


def curve(score, scores=REAL, rows=(*SIZES[:3], 800)):
    return Curve(rows=np.array(rows, dtype=float), scores=np.array(scores), score=score)


def child(seed, synthetic, both, arm="main", shift=0.0):
    scores = {"real": REAL[-1] + shift, "synthetic": synthetic, "both": both}
    subset = [
        {**Metric(name=name, value=value + shift, source=f"real/{part}").to_json(), "rows": rows}
        for name in ("macro_f1", "accuracy") for part, rows, value in zip((16, 8, 4), SIZES, REAL, strict=False)
    ]  # fmt: skip
    metrics = [Metric(name="macro_f1", value=value, source=source).to_json() for source, value in scores.items()]
    return Child(arm=arm, seed=seed, metrics=metrics, counts={"labelled": 800}, curve=subset)


def test_a_score_is_read_off_the_curve_between_logs_of_rows():
    assert curve(0.6).worth() == pytest.approx(100)
    assert curve(0.65).worth() == pytest.approx(math.sqrt(100 * 200))
    assert curve(0.75).worth() == pytest.approx(400)
    assert curve(0.49).worth() == 0
    assert curve(0.8).worth() == math.inf


def test_a_dip_in_the_curve_is_levelled():
    dip = (0.5, 0.7, 0.6, 0.8)
    assert curve(0.649, dip).worth() < 100 < curve(0.651, dip).worth()
    assert curve(0.651, dip).worth() == pytest.approx(200, rel=0.02)
    assert curve(0.72, (0.5, 0.6, 0.75, 0.7)).worth() < 200


def test_the_statement_has_the_interval_over_seeds():
    scores = (0.63, 0.64, 0.65, 0.66, 0.67)
    logs = [math.log(curve(s).worth()) for s in scores]
    half = 2.776445 * np.std(logs, ddof=1) / math.sqrt(5)
    low, high = (math.exp(np.mean(logs) + sign * half) for sign in (-1, 1))
    said = statement([curve(s) for s in scores], "synthetic")
    assert said == f"The synthetic rows were worth about 141 of 800 real rows (95 % interval {low:,.0f} to {high:,.0f}; 5 seeds)."


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        ((0.65,) * 4, "too few runs to say (4 of 5; so far 141, 141, 141, 141 of 800 real rows)"),
        ((0.4, 0.9), "so far fewer than 50, at least 800 of 800"),
        ((0.9,) * 5, "at least all 800 real rows, outside the curve"),
        ((0.4,) * 5, "fewer than 50 real rows, the smallest subset"),
        ((0.4, 0.65, 0.65, 0.65, 0.9), "in 1 of 5 seeds and at least all 800 in 1: no mean can be given"),
        ((0.7, 0.7, 0.75, 0.75, 0.9), "at least about 348 of 800 real rows (95 % interval from 169 up; 5 seeds, 1 of them at or above"),
        ((0.4, 0.6, 0.6, 0.6, 0.6), "at most about 87 of 800 real rows (95 % interval up to 128; 5 seeds, 1 of them below the curve"),
        ((0.5, 0.5, 0.5, 0.5, 0.79), "(95 % interval below 50 to"),
    ],
)
def test_what_is_outside_the_curve_gives_a_bound(scores, said):
    assert said in statement([curve(s) for s in scores], "synthetic")


def test_a_curve_that_does_not_rise_allows_no_statement():
    flat = [curve(0.7, (0.7 + d, 0.7, 0.7, 0.7 - d)) for d in (-0.02, -0.01, 0.0, 0.01, 0.02)]
    assert "No evidence that 800 real rows teach more than 50" in statement(flat, "synthetic")


def test_children_of_each_arm_are_read_and_those_without_a_curve_left_out():
    kids = [child(s, 0.6 + 0.001 * s, 0.81) for s in range(5)]
    both, alone = curves(kids, "classification", "both"), curves(kids, "classification", "synthetic")
    assert [list(c.rows) for c in alone] == [[50, 100, 200, 800]] * 5
    assert both[0].worth() == math.inf
    said = statements(kids, "classification")
    assert said[0].startswith("The synthetic rows were worth about 101 of 800")
    assert said[1].startswith("Real and synthetic rows together were worth at least all 800 real rows")
    two = statements([*kids, *(child(s, 0.7, 0.81, arm="lora") for s in range(5))], "classification")
    assert [text.partition(":")[0] for text in two] == ["main", "main", "lora", "lora"]
    bare = [k.with_(curve=()) for k in kids]
    assert statements(bare, "classification") == [] == statements(kids, "none")
    assert curve_figure(bare, "classification") is None


def test_the_figure_has_the_curve_every_seed_and_a_level_per_source():
    figure = curve_figure([child(s, 0.65, 0.79, shift=0.01 * (s - 2)) for s in range(5)], "classification")
    mean, dots, synthetic, both = figure.traces
    assert mean["x"] == [50, 100, 200, 800]
    assert mean["y"] == pytest.approx(REAL)
    assert len(dots["x"]) == 20
    assert (synthetic["name"], synthetic["x"], synthetic["y"]) == ("synthetic", [50, 800], pytest.approx([0.65, 0.65]))
    assert both["y"][0] == pytest.approx(0.79)


def test_the_statement_is_in_the_results_and_subsets_are_in_no_table():
    made = Results(name="r", children=[child(s, 0.65, 0.79) for s in range(5)], task="classification")
    assert "141 of 800" in made.worth[0]
    assert {line.label for table in tables(made) for line in table.lines} == {"real only", "synthetic", "real + synthetic"}


def test_subsets_are_nested_and_hold_every_class_in_its_share():
    codes = np.repeat([0, 1, 2], [600, 160, 40])
    real = TrainingPart(records=np.arange(800), target=codes)
    found = subsets(real, codes, seed=3)
    assert [(name, len(part.records)) for name, part in found.items()] == [
        ("real/16", 50),
        ("real/8", 100),
        ("real/4", 200),
        ("real/2", 400),
    ]
    rows = [set(part.records.tolist()) for part in found.values()]
    assert all(small < large for small, large in pairwise(rows))
    for part in found.values():
        assert np.array_equal(part.target, codes[part.records])
        assert np.abs(np.bincount(part.target, minlength=3) / len(part.target) - [0.75, 0.2, 0.05]).max() <= 1 / len(part.target)
    assert np.array_equal(subsets(real, codes, seed=3)["real/8"].records, found["real/8"].records)
    assert not np.array_equal(subsets(real, codes, seed=4)["real/8"].records, found["real/8"].records)


def test_few_rows_have_few_subsets_or_none():
    def names(n):
        return list(subsets(TrainingPart(records=np.arange(n), target=np.zeros(n)), np.full(n, -1), seed=0))

    assert names(39) == []
    assert names(40) == ["real/2"]
    assert names(320) == ["real/16", "real/8", "real/4", "real/2"]
