"""One run in several processes: the same order, draws and weights as in one, the barrier's rule and the resume included."""

import json

import pytest
from helping import content, finish, furthest, killed_in_two_and_in_one, scarce, staff

RUN = ["run", "text2data/table", "--preset", "test", "--set", "conditioner.0.name=words", "--set", "evaluator=[]"]
RUN += ["--set", "runtime.device=cpu", "--set", "runtime.precision=fp32", "--set", "runtime.checkpoint_seconds=0"]
RUN += ["--set", "train.steps=160", "--set", "strategy.0.steps=80", "--set", "strategy.1.rho=0.9", "--set", "generate.shard=20"]
RUN += ["--set", "generate.count=60"]


def logged(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_two_processes_then_one_then_two_train_what_one_does(tmp_path):
    pytest.importorskip("scarce_text2data")
    alone, moved = tmp_path / "alone", tmp_path / "moved"
    finish(scarce(*RUN, "--out", alone))
    killed_in_two_and_in_one(moved, *RUN, "--out", moved)
    said = finish(scarce("resume", moved, processes=2))
    assert "2 processes train together" in said
    assert furthest(alone, moved) < 1e-5
    whole = {(line["phase"], line["step"]): line for line in logged(alone)}
    assert whole["finetune", 80]["active"] > 0, "the bound never acted"
    for line in logged(moved):
        same = whole[line["phase"], line["step"]]
        assert line["loss"] == pytest.approx(same["loss"], abs=1e-5)
        assert line.get("lambda", 0) == pytest.approx(same.get("lambda", 0), rel=1e-3, abs=1e-5)
    assert len(list((moved / "samples" / "shards").iterdir())) == 3


@pytest.mark.slow
def test_only_the_first_process_writes_and_shards_are_divided(tmp_path):
    recipe = staff(tmp_path)
    finish(scarce("run", recipe, "--out", tmp_path / "one"))
    said = finish(scarce("run", recipe, "--out", tmp_path / "two", processes=2))
    assert said.count("report:") == 1
    log = logged(tmp_path / "two")
    assert [line["step"] for line in log] == [20]
    assert furthest(tmp_path / "one", tmp_path / "two") < 1e-5
    one, two = content(tmp_path / "one"), content(tmp_path / "two")
    assert one.keys() == two.keys()


def test_a_mistake_is_said_once_and_ends_every_process(tmp_path):
    recipe = staff(tmp_path)
    process = scarce("run", recipe, "--set", "data.target=nothing", "--out", tmp_path / "run", processes=2)
    said, _ = process.communicate(timeout=400)
    assert process.returncode != 0
    assert said.count("error: ") >= 1
    assert "nothing" in said
