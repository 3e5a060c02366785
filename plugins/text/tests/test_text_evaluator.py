"""The evaluator's numbers by hand."""

import numpy as np
import pytest

from scarce.contract import EvaluatorContext, Predictions
from scarce_text import config
from scarce_text.evaluator import TextAccuracy, calibration_error


@pytest.fixture
def data(kit):
    """Ten test texts, 4 fruit and 6 tools, one of them of unknown class; training texts are mostly tools."""
    frame = kit.sentences(30)
    frame["text"] = [f"{t} {i}" for i, t in enumerate(frame["text"])]
    frame["kind"] = (["fruit"] * 4 + ["tools"] * 6) + ["tools"] * 12 + ["fruit"] * 8
    return kit.loaded(frame).with_(split=np.array(["test"] * 10 + ["train"] * 20))


def context(data, runtime, **probabilities):
    said = {}
    for name, sure in probabilities.items():  # of "tools"
        p = np.stack([1 - np.array(sure), np.array(sure)], 1)
        said[name] = Predictions(values=np.array(data.classes, dtype=object)[p.argmax(1)], probabilities=p)
    return EvaluatorContext(dataset=data, codec=None, seed=0, samples={}, targets={}, predictions=said, runtime=runtime)


def test_numbers_by_hand(data, runtime):
    sure = [0.05, 0.05, 0.05, 0.95, 0.95, 0.95, 0.95, 0.65, 0.65, 0.35]  # 8 right: one fruit and one tool are not
    found = TextAccuracy(config.TextAccuracy()).evaluator_measure(context(data, runtime, real=sure, student=[1.0] * 10))
    rows = {(m.source, m.name): m for m in found}
    assert rows["real", "accuracy"].value == pytest.approx(0.8)
    assert rows["real", "macro_f1"].value == pytest.approx((6 / 8 + 10 / 12) / 2)
    # Seven answers of confidence 0.95, six of them right; three of 0.65, two of them right.
    assert rows["real", "calibration_error"].value == pytest.approx(0.7 * abs(6 / 7 - 0.95) + 0.3 * abs(2 / 3 - 0.65))
    assert rows["student", "accuracy"].value == rows["real", "accuracy"].ceiling == pytest.approx(0.6)
    assert rows["student", "accuracy"].floor == pytest.approx(0.8)
    assert rows["student", "macro_f1"].value == rows["real", "macro_f1"].ceiling == pytest.approx(0.75 / 2)
    assert rows["student", "calibration_error"].value == pytest.approx(0.4)
    assert (rows["real", "calibration_error"].floor, rows["real", "calibration_error"].ceiling) == (None, None)
    assert {m.n for m in found} == {10}
    assert {m.name: m.direction for m in found} == {"accuracy": "higher", "macro_f1": "higher", "calibration_error": "lower"}


def test_a_calibrated_answer_has_no_error_and_bins_matter():
    right = np.array([1.0] * 7 + [0.0] * 3)
    assert calibration_error(np.full(10, 0.7), right, 10) == pytest.approx(0)
    assert calibration_error(np.array([0.9] * 5 + [0.5] * 5), right, 2) == pytest.approx(0)
    assert calibration_error(np.array([0.9] * 5 + [0.4] * 5), right, 2) == pytest.approx(0.5 * 0.1 + 0.5 * 0.0)
    assert calibration_error(np.ones(10), right, 10) == pytest.approx(0.3)


def test_texts_of_unknown_class_do_not_count_and_without_any_it_is_said(data, runtime):
    target = data.target.copy()
    target[3] = "stones"
    sure = [0.05, 0.05, 0.05, 0.95, 0.95, 0.95, 0.95, 0.65, 0.65, 0.35]
    found = TextAccuracy(config.TextAccuracy()).evaluator_measure(context(data.with_(target=target), runtime, real=sure))
    assert found[0].value == pytest.approx(8 / 9)
    assert found[0].n == 9
    none = data.with_(target=np.where(data.split == "test", "stones", data.target).astype(object))
    failed = TextAccuracy(config.TextAccuracy()).evaluator_measure(context(none, runtime, real=sure))
    assert [m.error for m in failed] == ["no test text has a known class"]
    assert TextAccuracy(config.TextAccuracy()).evaluator_draw(context(none, runtime, real=sure)) == []


def test_the_picture_shows_each_bin_that_holds_answers(data, runtime):
    sure = [0.05, 0.05, 0.05, 0.95, 0.95, 0.95, 0.95, 0.65, 0.65, 0.35]
    figure = TextAccuracy(config.TextAccuracy()).evaluator_draw(context(data, runtime, real=sure))[0]
    assert figure.traces[1]["x"] == [0.65, 0.95]
    assert figure.traces[1]["y"] == [0.6667, 0.8571]
