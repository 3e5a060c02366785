"""Trackers by name: TensorBoard's event file holds what the run logged; a bad tracker is refused or left out, never fatal."""

import json
from pathlib import Path

import pytest
from accelerate.tracking import LOGGER_TYPE_TO_CLASS
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from scarce.errors import RecipeError
from scarce.runs import api
from scarce.runtime import trackers
from scarce.runtime.options import RuntimeOptions
from scarce.runtime.runtime import SharedRuntime
from scarce.runtime.trackers import Trackers, scalars

SMALL = {"data.source": "builtin:iris", "train.steps": 40, "generate.count": 20, "generate.steps": 4, "learner.iterations": 5}


def events(folder: Path) -> dict[str, list[tuple[int, float]]]:
    found = EventAccumulator(str(folder)).Reload()
    return {tag: [(e.step, e.value) for e in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


def test_tensorboard_gets_the_log_lines_and_the_final_metrics(tmp_path):
    run = api.run("tabular/table", set={**SMALL, "runtime.trackers": ["tensorboard"]}, preset="test", out=tmp_path / "run", quiet=True)
    found = events(tmp_path / "run" / "trackers" / "run")
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    train = [line for line in lines if line["phase"] == "train"]
    assert [step for step, _ in found["train/loss/denoise"]] == [line["step"] for line in train] == [20, 40]
    assert [v for _, v in found["train/loss/denoise"]] == pytest.approx([line["loss"]["denoise"] for line in train], rel=1e-6)
    expected = {f"{m['source']}/{m['name']}": m["value"] for m in run.metrics if m["value"] == m["value"]}
    assert expected
    assert {tag: found[tag][-1][1] for tag in expected} == pytest.approx(expected, rel=1e-5)


def test_unknown_and_missing_trackers_are_refused_before_anything_is_written(tmp_path):
    absent = next(name for name in sorted(LOGGER_TYPE_TO_CLASS) if name not in trackers.available_trackers())
    for name, said in (("tensorbord", "did you mean 'tensorboard'"), (absent, f"pip install {absent.replace('_', '-')}")):
        with pytest.raises(RecipeError) as caught:
            api.run("tabular/table", set={**SMALL, "runtime.trackers": [name]}, preset="test", out=tmp_path / "run", quiet=True)
        assert said in str(caught.value)
        assert not (tmp_path / "run").exists()


def test_a_tracker_that_raises_is_left_out_and_said_once(tmp_path):
    (tmp_path / "trackers").write_text("a file where TensorBoard wants a folder")
    said = []
    made = Trackers(("tensorboard",), tmp_path, said.append)
    made.log({"phase": "train", "step": 20, "loss": {"denoise": 1.0}})
    made.finish([])
    assert len(said) == 1
    assert "tensorboard" in said[0]


def test_steps_count_on_over_phases_and_no_folder_means_no_tracker(tmp_path):
    made = Trackers(("tensorboard",), tmp_path, print)
    for phase, step in (("first", 20), ("first", 40), ("second", 20)):
        made.log({"phase": phase, "step": step, "rate": 0.1, "loss": {"denoise": step / 10}})
    made.finish([{"source": "synthetic", "name": "x", "value": float("nan")}, {"source": "synthetic", "name": "y", "value": 2.0}])
    found = events(tmp_path / "trackers" / tmp_path.name)
    assert found["first/loss/denoise"] == [(20, 2.0), (40, 4.0)]
    assert found["second/loss/denoise"] == [(60, 2.0)]
    assert found["synthetic/y"] == [(60, 2.0)]
    assert "synthetic/x" not in found
    SharedRuntime(seed=0, options=RuntimeOptions(trackers=("tensorboard",), threads=1)).log({"phase": "a", "step": 1, "loss": {}})


def test_scalars_flatten_numbers_only():
    nested = {"phase": "train", "rate": 0.5, "loss": {"a": 1, "b": {"c": 2.0}}}
    assert scalars(nested, "p/") == {"p/rate": 0.5, "p/loss/a": 1.0, "p/loss/b/c": 2.0}


def test_listing_verbs_do_not_import_accelerate(site):
    done = site.run("-c", "import sys; from scarce.cli.app import main; main(['recipes']); sys.exit('accelerate' in sys.modules)")
    assert done.returncode == 0
    assert "tabular/table" in done.stdout
