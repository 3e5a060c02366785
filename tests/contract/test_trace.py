"""`--trace`: every hook call with its plugin and time, nothing changed by it, nothing left of it when it is off."""

from __future__ import annotations

import json
import time

import pytest
import torch

from scarce.catalogue import Row
from scarce.contract import EvaluatorContext, ScoreContext, hookimpl
from scarce.errors import PluginError
from scarce.files import read_json, read_lines
from scarce.host import Scope
from scarce.host.trace import summary, traced, tracing
from scarce.runs.api import Run
from scarce.runs.experiment import Experiment, start
from scarce.runs.recipe import resolve

RECIPE = {
    "data": {"modality": "toy", "source": "toy", "labelled": 2},
    "backbone": {"name": "toy-net"},
    "conditioner": [{"name": "label", "width": 4}],
    "strategy": [{"name": "toy-extra"}],
    "diffusion": {"steps": 20},
    "train": {"steps": 20, "batch": 4},
    "generate": {"steps": 5, "count": 6},
    "learner": {"name": "toy-learner", "steps": 5},
    "evaluator": [{"name": "toy-eval"}, {"name": "toy-eval", "fail": True}],
    "runtime": {"precision": "fp32", "threads": 1},
}


def test_every_call_of_a_run_has_a_line_and_the_run_is_the_same(toys, tmp_path):
    for name in ("plain", "traced"):
        start(Experiment("probe", resolve(RECIPE), tmp_path / name, toys, trace=name == "traced"))
    assert not (tmp_path / "plain" / "trace.jsonl").exists()
    weights = "model/phases/train.safetensors"
    assert (tmp_path / "plain" / weights).read_bytes() == (tmp_path / "traced" / weights).read_bytes()
    lines = read_lines(tmp_path / "traced" / "trace.jsonl")
    calls = [(line["path"], line["hook"]) for line in lines]
    assert calls[:2] == [("modality", "modality_load"), ("modality", "modality_codec")]
    assert calls.count(("strategy.0", "strategy_update")) == 20
    assert calls.count(("evaluator.0", "evaluator_measure")) == 1
    mine = next(line for line in lines if line["path"] == "strategy.0")
    assert (mine["name"], mine["distribution"], mine["version"], mine["scope"]) == ("toy-extra", "scarce-toys", "0.1", "data")
    assert [line["path"] for line in lines if line.get("error")] == ["evaluator.1"]
    assert "trace.jsonl" in read_json(tmp_path / "traced" / "hashes.json")  # written to the end before the folder is sealed
    rows = Run(tmp_path / "traced").trace
    assert sum(row["calls"] for row in rows) == len(lines)
    assert [row["seconds"] for row in rows] == sorted((row["seconds"] for row in rows), reverse=True)
    assert Run(tmp_path / "plain").trace == []


def test_arms_and_seeds_have_a_trace_each_and_one_table(toys, tmp_path):
    recipe = resolve({**RECIPE, "seeds": 2, "evaluator": []})
    start(Experiment("probe", recipe, tmp_path / "r", toys, trace=True))
    kids = sorted((tmp_path / "r").glob("arms/*/*/trace.jsonl"))
    assert len(kids) == 2
    (row,) = [row for row in Run(tmp_path / "r").trace if row["hook"] == "strategy_update"]
    assert row["calls"] == 40


class Sleeper:
    @hookimpl
    def acquisition_score(self, ctx):
        time.sleep(0.05)
        return torch.zeros(len(ctx.logits))


class Caller:
    """An evaluator in whose call another plugin is called."""

    def __init__(self, scope):
        self.scope = scope

    @hookimpl
    def evaluator_measure(self, ctx):
        self.scope.acquisition_score("acquisition", ScoreContext(logits=torch.zeros(2, 2)))
        return "wrong"


def scope_with_both():
    scope = Scope("data")
    for path, instance in (("acquisition", Sleeper()), ("evaluator.0", Caller(scope))):
        role = path.partition(".")[0]
        row = Row(role=role, name=role, distribution="acme-toy", version="1.0", target="acme_toy:Toy")
        scope.register(path, instance, role, row)
    scope.freeze()
    return scope


def ask(scope):
    with pytest.raises(PluginError, match="must return"):
        scope.evaluator_measure("evaluator.0", EvaluatorContext.__new__(EvaluatorContext))


def test_seconds_of_a_call_inside_a_call_are_counted_once(tmp_path):
    with tracing(tmp_path / "deep" / "trace.jsonl"):
        ask(scope_with_both())
    inner, outer = (json.loads(line) for line in (tmp_path / "deep" / "trace.jsonl").read_text().splitlines())
    assert (inner["path"], outer["path"]) == ("acquisition", "evaluator.0")
    assert inner["own_seconds"] == inner["seconds"] >= 0.05
    assert outer["seconds"] >= inner["seconds"]
    assert outer["own_seconds"] == pytest.approx(outer["seconds"] - inner["seconds"], abs=2e-6)
    assert sum(row["seconds"] for row in summary([inner, outer])) == pytest.approx(outer["seconds"], abs=1e-5)


def test_off_it_is_the_plain_call_itself(tmp_path):
    def plain(hook, path, ctx):
        return None

    assert traced(plain, "data", {}) is plain
    with tracing(tmp_path / "trace.jsonl"):
        assert traced(plain, "data", {}) is not plain
    assert traced(plain, "data", {}) is plain
    ask(scope_with_both())
    assert (tmp_path / "trace.jsonl").read_text() == ""
