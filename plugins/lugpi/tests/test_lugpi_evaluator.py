"""The evaluator's numbers by hand, and what a report says of them over seeds."""

import math
from dataclasses import replace

import numpy as np
import pytest

from scarce.contract import EvaluatorContext, Predictions
from scarce.report.results import Results
from scarce.report.statistics import Child
from scarce_lugpi.config import Privileged as Options
from scarce_lugpi.evaluator import Privileged


def said(values):
    return Predictions(values=np.array(list(values), dtype=object))


def teacher(**changes):
    return {"out_of_fold": 0.6, "validation": 0.7, "without_view": 0.4, "gate": 0.5, **changes}


FACTS = {
    "views": {"asked": 50, "failed": 5, "train": 30, "validation": 15}, "baseline": {"validation": 0.6}, "student_parameters": 123,
    "cpu_seconds": {"tokens": 1.0, "teacher": 2.0, "student": 0.5, "students": 3.0}, "options": {"source": "generated"},
    "arms": {
        "views": {"teacher": teacher(), "open": True, "rescued": 0.2, "alpha": 0.5, "grid": {"0": 0.6, "0.5": 0.65}, "validation": 0.65},
        "self": {
            "teacher": teacher(validation=0.6, gate=None), "open": False, "rescued": 0.1, "alpha": None, "grid": {}, "validation": 0.6,
        },
    },
}  # fmt: skip


@pytest.fixture
def ctx(toy):
    data = toy.data(0)
    rows = np.r_[0:40, data.rows("test")[:4]]
    data = data.part(rows)
    target = data.target.copy()
    target[-4:] = list("aabb")
    predictions = {"real": said("aabb"), "baseline": said("abbb"), "self": said("aaab")}
    return EvaluatorContext(
        dataset=replace(data, target=target), codec=toy.codec, seed=0, samples={}, targets={}, predictions=predictions, runtime=None,
        facts={"real": FACTS},
    )  # fmt: skip


def test_gains_are_differences_on_test_records_and_teachers_are_judged_on_validation_ones(ctx):
    metrics = Privileged(Options()).evaluator_measure(ctx)
    found = {(m.name, m.source): m for m in metrics}
    assert found["accuracy_gain", "baseline"].value == pytest.approx(1 - 0.75)
    f1 = (2 * 1 * 0.5 / 1.5 + 2 * (2 / 3) * 1 / (5 / 3)) / 3  # of a and b; c has none
    assert found["macro_f1_gain", "baseline"].value == pytest.approx(2 / 3 - f1)
    assert found["accuracy_gain", "self"].over == "self-distillation"
    assert found["teacher_gain", "views"].value == pytest.approx(0.1)
    assert found["teacher_gain", "views"].over
    assert not found["teacher_gain", "self"].over
    assert (found["gate_open", "views"].value, found["gate_open", "self"].value) == (1.0, 0.0)
    assert found["gate_open", "self"].note == "closed: the student is the baseline"
    assert found["alpha", "views"].note.endswith("0: 0.600, 0.5: 0.650")
    assert found["view_reliance", "views"].value == pytest.approx(0.3)
    assert ("view_reliance", "self") not in found
    assert found["views_failed", "views"].value == pytest.approx(0.1)
    assert (found["teacher_seconds", "views"].value, found["student_parameters", "views"].value) == (3.0, 123.0)


def test_views_are_shown_beside_their_records_and_failed_ones_say_so(ctx):
    (table, alphas) = Privileged(Options(shown=3)).evaluator_draw(ctx)
    assert table.html.count("<tr>") == 4
    assert "v0 " in table.html
    assert [t["name"] for t in alphas.traces] == ["views"]
    assert Privileged(Options(shown=0)).evaluator_draw(ctx) == [alphas]


def test_a_run_without_the_learner_says_so(ctx):
    (metric,) = Privileged(Options()).evaluator_measure(replace(ctx, facts={}))
    assert math.isnan(metric.value)
    assert "no learner 'lugpi'" in metric.error


@pytest.mark.parametrize(("gains", "words"), [
    ((0.05, 0.06, 0.04, 0.05, 0.07), "Evidence of accuracy gained over the baseline."),
    ((0.05, -0.06, 0.04, -0.05, 0.01), "No evidence of accuracy gained over the baseline."),
    ((0.05, 0.06), "2 of at least 5 runs: too few runs to say whether there is accuracy gained."),
])  # fmt: skip
def test_the_report_says_in_words_whether_there_is_a_gain(gains, words):
    def child(seed, gain):
        one = {"name": "accuracy_gain", "source": "baseline", "value": gain, "direction": "higher", "over": "the baseline"}
        return Child(arm="main", seed=seed, metrics=[{**one, "evaluator": "evaluator.0", "n": 100}])

    results = Results(name="x", children=[child(i, g) for i, g in enumerate(gains)], task="classification")
    assert results.verdict().sentence == words
    (line,) = results.margins
    assert line.startswith(f"accuracy gained over the baseline: {np.mean(gains):+.3f} [")
    assert line.endswith({"E": "better", "N": "no evidence", "2": "too few runs to say"}[words[0]])
