"""The strategies as parts of runs: plans they make, mixes by --set alone, refusals, and what their evaluators say."""

import math

import numpy as np
import pandas as pd
import pytest
import tomli_w
import torch

from scarce.catalogue import read_catalogue
from scarce.errors import PlanError
from scarce.files import read_json, read_lines
from scarce.runs import api
from scarce.runs.opening import open_generator
from scarce_text2data.shift import largest_shift

RECIPE = {
    "data": {"modality": "tabular", "labelled": 60},
    "backbone": {"name": "mlp", "width": 32, "layers": 2},
    "conditioner": [{"name": "label"}],
    "strategy": [{"name": "two-stage", "steps": 30}],
    "diffusion": {"steps": 50},
    "train": {"steps": 40, "batch": 64, "rate": 2e-3},
    "generate": {"count": 50, "steps": 4},
    "evaluator": [{"name": "forgetting", "rows": 60, "draws": 2}],
    "runtime": {"threads": 1, "precision": "fp32"},
}


def people(n=400, seed=0):
    rng = np.random.default_rng(seed)
    age, pay = rng.normal(40, 9, n), rng.normal(0, 1, n)
    left = np.where(age + 5 * pay + rng.normal(0, 3, n) > 42, "yes", "no")
    return pd.DataFrame({"age": age.round(1), "pay": pay.round(3), "team": rng.choice(list("abc"), n), "left": left})


@pytest.fixture
def recipe(tmp_path):
    def write(**changes):
        path = tmp_path / "recipe.toml"
        path.write_text(tomli_w.dumps({**RECIPE, **changes}))
        return str(path)

    return write


def carry_out(path, out, data=None, **sets):
    return api.run(path, data=people() if data is None else data, set={"data.target": "left", **sets}, out=out, quiet=True)


def weights(run):
    return (run.folder / "model" / "phases" / "finetune.safetensors").read_bytes()


def test_no_bound_is_plain_fine_tuning_bit_for_bit(recipe, tmp_path):
    """T4: with rho = inf the multiplier is 0 at every step."""
    path = recipe()
    plain = carry_out(path, tmp_path / "plain")
    free = carry_out(path, tmp_path / "free", strategy=[{"name": "two-stage", "steps": 30}, {"name": "barrier", "rho": "inf"}])
    bound = carry_out(path, tmp_path / "bound", strategy=[{"name": "two-stage", "steps": 30}, {"name": "barrier", "rho": 0.5}])
    assert weights(plain) == weights(free) != weights(bound)
    logged = [line for line in read_lines(free.folder / "metrics.jsonl") if "lambda" in line]
    assert logged
    assert {line["lambda"] for line in logged} == {0.0}


ARMS = {
    "barrier": ("denoise", "constraint"), "condition-dropout": ("denoise",), "joint": ("denoise", "joint"), "augment": ("denoise",),
    "ewc": ("denoise", "ewc"), "l2-init": ("denoise", "l2-init"),
}  # fmt: skip


@pytest.mark.parametrize("name", list(ARMS))
def test_every_arm_trains_from_the_same_first_stage_and_says_what_it_forgot(name, recipe, tmp_path):
    stages = [{"name": "two-stage", "steps": 30}]
    run = carry_out(recipe(), tmp_path / "run", strategy=[*stages, {"name": name}])
    first, second = read_json(run.folder / "plan.json")
    assert (first["name"], first["trainable"], [t["condition"] for t in first["terms"]]) == ("pretrain", ["backbone"], ["null"])
    assert (second["start"], tuple(t["name"] for t in second["terms"])) == ("pretrain", ARMS[name])
    assert second["terms"][0]["rows"] == "labelled"
    found = {m["name"]: m["value"] for m in run.metrics}
    assert found["forgetting_ratio"] > 0.2
    assert found["weight_distance"] > 0
    assert found["gradient_evaluations"] == 40 + 30 * len(ARMS[name])
    plain = carry_out(recipe(), tmp_path / "plain")
    pretrained = [r.folder / "model" / "phases" / "pretrain.safetensors" for r in (run, plain)]
    assert pretrained[0].read_bytes() == pretrained[1].read_bytes()
    assert weights(run) != weights(plain)


def test_penalties_hold_the_weights_near_their_start(recipe, tmp_path):
    def moved(out, *more):
        run = carry_out(recipe(), tmp_path / out, strategy=[{"name": "two-stage", "steps": 30}, *more])
        return next(m["value"] for m in run.metrics if m["name"] == "weight_distance")

    free = moved("free")
    assert moved("held", {"name": "l2-init", "weight": 10.0}) < 0.5 * free
    assert moved("curved", {"name": "ewc", "weight": 1e6, "rows": 20}) < 0.9 * free


def test_lora_under_a_barrier_by_set_alone(recipe, tmp_path):
    mix = [{"name": "two-stage", "steps": 30}, {"name": "barrier"}, {"name": "lora", "rank": 4}]
    run = carry_out(recipe(), tmp_path / "run", strategy=mix)
    generator = open_generator(run.folder, read_catalogue())[0]
    before, after = generator.weights("pretrain"), generator.weights("finetune")
    frozen = [n for n in before if n.startswith("backbone.")]
    assert frozen
    assert all(torch.equal(before[n], after[n]) for n in frozen)
    assert len(run.sample(5, where={"left": "yes"})) == 5


def test_an_interrupted_second_stage_ends_in_the_same_bytes(recipe, tmp_path, monkeypatch):
    from scarce.runtime.fit import Loop

    strategies = [{"name": "two-stage", "steps": 60}, {"name": "barrier", "rho": 0.8}, {"name": "l2-init"}]
    whole = carry_out(recipe(), tmp_path / "whole", strategy=strategies)
    finish, guard = Loop.guard, {"left": 4}

    def dying(loop):
        guard["left"] -= 1
        if guard["left"] == 0:
            loop.save()
            raise KeyboardInterrupt
        return finish(loop)

    monkeypatch.setattr(Loop, "guard", dying)
    with pytest.raises(KeyboardInterrupt):
        carry_out(recipe(), tmp_path / "cut", strategy=strategies)
    monkeypatch.setattr(Loop, "guard", finish)
    assert weights(api.resume(tmp_path / "cut")) == weights(whole)


def test_wrong_orders_and_data_without_labels_are_refused_before_training(recipe, tmp_path):
    with pytest.raises(PlanError, match="two-stage begins from one phase"):
        carry_out(recipe(), tmp_path / "twice", strategy=[{"name": "two-stage"}, {"name": "two-stage"}])
    with pytest.raises(PlanError, match="one phase with one term"):
        carry_out(recipe(), tmp_path / "late", strategy=[{"name": "joint"}, {"name": "two-stage"}])
    with pytest.raises(PlanError, match=r"strategy.1 and strategy.2 both set 'update'"):
        carry_out(recipe(), tmp_path / "two", strategy=[{"name": "two-stage"}, {"name": "barrier"}, {"name": "barrier"}])
    with pytest.raises(PlanError, match="no labelled training rows") as caught:
        carry_out(recipe(), tmp_path / "none", **{"data.labelled": 0})
    assert "data.labelled" in str(caught.value.hint)


def test_a_biased_subset_is_told_from_a_random_one():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2000, 3, generator=generator).double()
    random = torch.randperm(2000, generator=generator) < 100
    assert largest_shift(x, random)[0] < 5
    z, place = largest_shift(x, x[:, 1] > 1.2)
    assert (z > 20, place) == (True, 1)
    assert largest_shift(x, torch.ones(2000, dtype=torch.bool)) == (0.0, 0)


def test_labels_of_one_kind_of_row_are_said_to_be_biased(recipe, tmp_path, capsys):
    frame = people(600)
    frame.loc[frame["age"] < 42, "left"] = None
    out = tmp_path / "run"
    api.run(recipe(data={**RECIPE["data"], "labelled": 1.0}), data=frame, set={"data.target": "left"}, out=out)
    assert "no random subset: the mean of 'age'" in capsys.readouterr().err


def test_a_table_without_numbers_has_no_control_to_measure(recipe, tmp_path):
    frame = people()[["team", "left"]].assign(city=np.random.default_rng(1).choice(["Ulm", "Bonn"], 400))
    generate = {**RECIPE["generate"], "prompt": "binned"}
    path = recipe(conditioner=[{"name": "words"}], generate=generate, evaluator=[{"name": "controllability", "rows": 20}])
    failed = next(m for m in carry_out(path, tmp_path / "run", data=frame).metrics if m["name"] == "control_error")
    assert "no number" in failed["error"]


def test_control_needs_captions_and_says_so(recipe, tmp_path):
    run = carry_out(recipe(), tmp_path / "run", evaluator=[{"name": "controllability"}])
    failed = next(m for m in run.metrics if m["name"] == "control_error")
    assert math.isnan(failed["value"])
    assert "generate.prompt" in failed["error"]


BRANCHES = """
from scarce.contract import Plan, StrategySpec, hookimpl

class Branches(StrategySpec):
    @hookimpl
    def strategy_amend_plan(self, ctx):
        leaf = ctx.plan.leaves()[0]
        made = [leaf.with_(name=f"{leaf.name}-{label}", classes=(label,), serves=label) for label in ctx.classes]
        return Plan(phases=(*(p for p in ctx.plan.phases if p.name != leaf.name), *made))
"""
MANIFEST = """
api = "1.0"
[[component]]
role = "strategy"
name = "branches"
summary = "a leaf per class"
"""
ENTRY_POINTS = """
[scarce.plugins]
scarce-branches = scarce_branches:plugin.toml
[scarce.strategies]
branches = scarce_branches:Branches
"""


@pytest.fixture
def branches(tmp_path, monkeypatch):
    """A really installed distribution whose strategy fine-tunes one leaf per class."""
    package, info = tmp_path / "site" / "scarce_branches", tmp_path / "site" / "scarce_branches-0.1.dist-info"
    for folder, files in {
        package: {"__init__.py": BRANCHES, "plugin.toml": MANIFEST},
        info: {"METADATA": "Metadata-Version: 2.1\nName: scarce-branches\nVersion: 0.1\n", "entry_points.txt": ENTRY_POINTS, "RECORD": ""},
    }.items():
        folder.mkdir(parents=True)
        for name, text in files.items():
            (folder / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))


def test_what_branches_per_class_forget_is_measured_with_prompts_they_answer(branches, recipe, tmp_path):
    """No leaf answers a prompt without a class, so every leaf is measured on its class, and the numbers say so."""
    data = {**RECIPE["data"], "labelled": 1.0}
    evaluator = [{"name": "forgetting", "rows": 100, "draws": 4}]
    stage = [{"name": "two-stage", "steps": 60, "rate": 0.02}, {"name": "branches"}]
    run = carry_out(recipe(data=data, evaluator=evaluator), tmp_path / "run", strategy=stage)
    assert [p["serves"] for p in read_json(run.folder / "plan.json")[1:]] == ["no", "yes"]
    found = {m["name"]: m for m in run.metrics}
    assert [m["error"] for m in run.metrics if m["error"]] == []
    assert "unconditional_loss" not in found
    ratio = found["forgetting_ratio"]
    assert "prompt of each record's class" in ratio["note"]
    assert ratio["n"] == 100
    assert 0.2 < ratio["value"] < 2
    assert ratio["value"] != 1
    assert found["weight_distance"]["value"] > 0
    assert found["gradient_evaluations"]["value"] == 40 + 2 * 60
