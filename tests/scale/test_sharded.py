"""Weights cut over two processes train what whole ones in one process do, and go on in either way."""

import json
from pathlib import Path

import pytest
from fitting import Stop, trained
from helping import finish, furthest, killed_in_two_and_in_one, pair, scarce, staff
from test_processes import RUN, logged

from scarce.files import read_tensors

SHARDED = ("--set", "runtime.weights=sharded")


def worst(one: Path, other: Path) -> float:
    """The largest difference of any weight of two fits."""
    a, b = read_tensors(one)[0], read_tensors(other)[0]
    return max(float((a[k] - b[k]).abs().max()) for k in a)


def test_sharded_weights_go_on_from_whole_ones_and_hold_half(tmp_path):
    whole, moved = tmp_path / "whole", tmp_path / "moved"
    for folder in (whole, moved):
        folder.mkdir()
    trained(whole, width=32, steps=40, weights="whole")
    with pytest.raises(Stop):
        trained(moved, width=32, steps=40, weights="whole", stop=25)
    for process in pair(Path(__file__).with_name("fitting.py"), moved, 32, 40, "sharded", 1):
        finish(process)
    assert worst(whole / "0.safetensors", moved / "0.safetensors") < 1e-5
    assert worst(moved / "0.safetensors", moved / "1.safetensors") == 0
    same, line = logged(whole)[-1], logged(moved)[-1]
    assert line["step"] == same["step"] == 40
    assert line["loss"] == pytest.approx(same["loss"], abs=1e-5)
    assert line["share"] == pytest.approx(same["share"], abs=1e-5)
    for rank in range(2):
        facts = json.loads((moved / f"{rank}.json").read_text())
        assert facts["held"] < 4.2 * 4 * facts["weights"]  # weight, two moments, average, and the last good state of all: 8, halved


@pytest.mark.slow
def test_a_run_goes_on_between_sharded_and_whole_weights(tmp_path):
    pytest.importorskip("scarce_text2data")
    alone, moved = tmp_path / "alone", tmp_path / "moved"
    finish(scarce(*RUN, "--out", alone))
    killed_in_two_and_in_one(moved, *RUN, *SHARDED, "--out", moved)
    finish(scarce("resume", moved, *SHARDED, processes=2))
    assert furthest(alone, moved) < 1e-5
    whole = {(line["phase"], line["step"]): line for line in logged(alone)}
    for line in logged(moved):
        same = whole[line["phase"], line["step"]]
        assert line["loss"] == pytest.approx(same["loss"], abs=1e-5)
        assert line.get("lambda", 0) == pytest.approx(same.get("lambda", 0), rel=1e-3, abs=1e-5)


ADAPTED = """
[[strategy]]
name = "lora"
rank = 3
[[strategy]]
name = "per-class"
epochs = 2
"""
PULLED = """
[[strategy]]
name = "two-stage"
steps = 10
[[strategy]]
name = "l2-init"
"""


@pytest.mark.slow
def test_adapters_of_every_branch_are_sharded_and_leave_the_frozen_weights_as_they_are(tmp_path):
    pytest.importorskip("scarce_datadream")
    recipe = staff(tmp_path, more=ADAPTED)
    finish(scarce("run", recipe, "--out", tmp_path / "one"))
    finish(scarce("run", recipe, *SHARDED, "--out", tmp_path / "two", processes=2))
    assert furthest(tmp_path / "one", tmp_path / "two") < 1e-5
    adapters = sorted(p.relative_to(tmp_path / "one") for p in (tmp_path / "one").rglob("adapter_model.safetensors"))
    assert len(adapters) == 2
    assert all(worst(tmp_path / "one" / name, tmp_path / "two" / name) < 1e-5 for name in adapters)


@pytest.mark.slow
def test_a_loss_that_looks_at_the_weights_is_refused_by_name_and_goes_on_with_whole_ones(tmp_path):
    pytest.importorskip("scarce_text2data")
    recipe = staff(tmp_path, more=PULLED)
    process = scarce("run", recipe, *SHARDED, "--out", tmp_path / "run", processes=2)
    said, _ = process.communicate(timeout=400)
    assert process.returncode != 0
    assert "term 'l2-init" in said
    assert "--set runtime.weights=whole" in said
    finish(scarce("resume", tmp_path / "run", "--set", "runtime.weights=whole"))
