"""The contract probe: the seven things every later capability rests on, on 8x2 toy tables with tiny plugins."""

import json
import math

import pytest
import torch

from scarce.contract import Prompt
from scarce.files import read_json
from scarce.runs.experiment import Experiment, start
from scarce.runs.opening import open_generator
from scarce.runs.recipe import resolve


def recipe(**changes):
    base = {
        "data": {"modality": "toy", "source": "toy"},
        "backbone": {"name": "toy-net"},
        "conditioner": [{"name": "label", "width": 4}],
        "diffusion": {"steps": 20},
        "train": {"steps": 40, "batch": 4, "rate": 0.01},
        "generate": {"steps": 5, "count": 6},
        "learner": {"name": "toy-learner"},
        "evaluator": [{"name": "toy-eval"}],
        "runtime": {"precision": "fp32", "threads": 1},
    }
    return resolve({**base, **changes})


def run(toys, folder, **changes):
    start(Experiment("probe", recipe(**changes), folder, toys))
    return read_json(folder / "metrics.json")


def values(out, name):
    return {m["source"]: m["value"] for m in out["metrics"] if m["name"] == name}


def test_a_strategy_adds_a_term_from_other_rows_and_an_update_rule(toys, tmp_path):
    data = {"modality": "toy", "source": "toy", "labelled": 2}
    run(toys, tmp_path / "r", data=data, strategy=[{"name": "toy-extra"}])
    plan = read_json(tmp_path / "r" / "plan.json")
    assert [t["rows"] for t in plan[0]["terms"]] == ["labelled", "unlabelled"]
    assert plan[0]["update"] == "strategy.0"
    lines = [json.loads(line) for line in (tmp_path / "r" / "metrics.jsonl").read_text().splitlines()]
    mine = [line for line in lines if line["phase"] == "train"]
    assert mine[-1]["calls"] == 40
    assert set(mine[-1]["loss"]) == {"denoise", "pull"}


def test_b_branches_with_adapters_on_backbone_and_conditioner_are_saved_reloaded_and_routed(toys, tmp_path):
    run(toys, tmp_path / "r", strategy=[{"name": "toy-per-class"}])
    home = tmp_path / "r" / "model"
    assert read_json(home / "routing.json") == {"n": "train-n", "p": "train-p"}
    assert (home / "adapters" / "train-n" / "word" / "adapter_model.safetensors").is_file()
    generator, _, _ = open_generator(tmp_path / "r", toys)
    prompts = [Prompt(label=label) for label in "npnp"]
    condition = generator.encode_condition(prompts)
    whole = generator.draw(condition, seed=3)
    again, _, _ = open_generator(tmp_path / "r", toys)
    assert torch.equal(whole.num, again.draw(again.encode_condition(prompts), seed=3).num)

    def network(leaf):
        """The network's answer under one branch's adapters, straight from the model."""
        generator.model.activate(leaf)
        inputs = generator.model.conditions.prepare([Prompt(label="n")])
        x, t = again.process.start(1, torch.Generator().manual_seed(0), "cpu"), torch.tensor([5])
        return generator.model.backbone(x, t, generator.model.conditions(inputs), None).num

    with torch.no_grad():
        assert not torch.equal(network("train-n"), network("train-p"))
        assert not torch.equal(network("train-n"), network("base"))
    shift_n = generator.model.handles["train-n", "word"].state()["shift"]
    shift_p = generator.model.handles["train-p", "word"].state()["shift"]
    generator.model.activate("base")
    bare = dict(zip("np", generator.model.conditions.parts[0](torch.tensor([0, 1])).pooled, strict=True))
    assert torch.allclose(condition.pooled[0], bare["n"] + shift_n)
    assert torch.allclose(condition.pooled[1], bare["p"] + shift_p)


def test_c_a_run_whose_generator_is_another_run_of_another_modality(toys, tmp_path):
    words = {"conditioner": [{"name": "words", "width": 4}], "generate": {"steps": 5, "prompt": "{}", "count": 6}}
    run(toys, tmp_path / "parent", **words)
    child = {
        "data": {"modality": "toy-text", "source": "toy"}, "backbone": None, "conditioner": [],
        "generator": {"from": f"run:{tmp_path / 'parent'}"}, "generate": {"steps": 5, "prompt": "words"},
    }  # fmt: skip
    out = run(toys, tmp_path / "child", **child)
    assert out["counts"]["synthetic"] == 0
    assert set(values(out, "toy_accuracy")) == {"real"}
    import pandas as pd

    views = pd.read_parquet(tmp_path / "child" / "samples" / "synthetic.parquet")
    assert list(views.columns) == ["a", "y"]
    assert len(views) == 8
    parents = read_json(tmp_path / "child" / "parents.json")
    assert next(iter(parents.values()))["recipe"]["recipe"]["data"]["modality"] == "toy"


def test_d_a_gradient_flows_from_a_learner_through_draw_to_a_condition(toys, tmp_path):
    run(toys, tmp_path / "r")
    generator, assembly, r = open_generator(tmp_path / "r", toys)
    from scarce.contract import LearnerContext
    from scarce.runs.loading import load_data

    dataset = load_data(r, assembly, toys)
    ctx = LearnerContext(dataset=dataset, codec=generator.codec, runtime=generator.runtime, seed=0)
    learner = assembly.scope.learner_build("learner", ctx)
    condition = generator.encode_condition([Prompt(label="n"), Prompt(label="p")])
    pooled = condition.pooled.clone().requires_grad_(True)
    for steps in (1, 5):
        state = generator.draw(condition.with_(pooled=pooled), seed=1, grad_steps=steps)
        learner.logits(generator.codec.soft(state))[:, 0].sum().backward()
        assert torch.isfinite(pooled.grad).all()
        assert float(pooled.grad.abs().sum()) > 0
        pooled.grad = None


def test_e_components_named_inside_options_are_checked_loaded_and_handed_over(toys, tmp_path):
    out = run(
        toys,
        tmp_path / "r",
        learner={"name": "toy-learner", "judge": {"name": "toy-eval"}},
        evaluator=[{"name": "toy-eval", "student": {"name": "toy-learner", "steps": 3}}],
    )
    assert values(out, "has_student") == {"synthetic": 1.0}
    from scarce.errors import RecipeError

    with pytest.raises(RecipeError, match=r"evaluator\.0\.student\.stepz"):
        run(toys, tmp_path / "bad", evaluator=[{"name": "toy-eval", "student": {"name": "toy-learner", "stepz": 3}}])
    assert not (tmp_path / "bad").exists()


def test_f_two_evaluators_of_one_class_one_of_which_raises(toys, tmp_path):
    out = run(toys, tmp_path / "r", evaluator=[{"name": "toy-eval", "fail": True}, {"name": "toy-eval"}])
    failed = [m for m in out["metrics"] if m["error"]]
    assert [m["evaluator"] for m in failed] == ["evaluator.0"]
    assert "always fails" in failed[0]["error"]
    assert math.isnan(failed[0]["value"])
    assert set(values(out, "toy_accuracy")) >= {"real", "synthetic", "both", "bootstrap"}


def test_observers_see_and_change_nothing(toys, tmp_path):
    plain = run(toys, tmp_path / "a")
    watched = run(toys, tmp_path / "b", lifecycle=[{"name": "toy-watcher"}])
    assert (tmp_path / "b" / "seen.txt").read_text() == "samples"
    assert [m["value"] for m in plain["metrics"]] == [m["value"] for m in watched["metrics"]]
    name = "model/phases/train.safetensors"
    assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_g_a_strategy_measures_gradients_and_an_evaluator_looks_at_training(toys, tmp_path):
    data = {"modality": "toy", "source": "toy", "labelled": 2}
    generate = {"steps": 5, "prompt": "plain", "ratio": 2.0}
    evaluator = [{"name": "toy-eval", "looks": True}]
    out = run(toys, tmp_path / "r", data=data, strategy=[{"name": "toy-pull"}], generate=generate, evaluator=evaluator)
    found = {m["name"]: m["value"] for m in out["metrics"] if m["name"] not in ("toy_accuracy",)}
    assert (found["moved"], found["described"], found["phases"]) == (1.0, 8.0, 1.0)
    assert math.isfinite(found["learnt"])
    assert found["learnt"] != 0
    assert found["logged"] == len((tmp_path / "r" / "metrics.jsonl").read_text().splitlines())
    assert out["counts"]["synthetic"] == 2 * out["counts"]["train"]
