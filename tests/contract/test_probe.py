"""The contract probe: the ten things every later capability rests on, on 8x2 toy tables with tiny plugins."""

import json
import math

import pytest
import torch

from scarce.contract import Prompt
from scarce.files import read_json, read_lines
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
    out = run(toys, tmp_path / "guided", **child, learner={"name": "toy-learner", "compared": True})
    accuracy = values(out, "toy_accuracy")
    assert accuracy["real"] == 1 - accuracy["alone"]  # a teacher of what is wrong is believed, and read by id
    from scarce.errors import CapabilityError, RecipeError

    with pytest.raises(RecipeError, match="would hand it the label"):
        run(toys, tmp_path / "template", **{**child, "generate": {"steps": 5, "prompt": "a {}"}})
    with pytest.raises(CapabilityError, match=r"'privacy'.*needs codec:vectors"):
        run(toys, tmp_path / "refused", **child, evaluator=[{"name": "privacy"}])
    alone = run(toys, tmp_path / "learnt", **{**child, "generator": {}})
    assert values(alone, "toy_accuracy").keys() == {"real"}
    import pandas as pd

    views = pd.read_parquet(tmp_path / "child" / "samples" / "synthetic.parquet")
    assert list(views.columns) == ["a", "y"]
    assert len(views) == 6  # of training and validation records, never of test ones
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
    lines = read_lines(tmp_path / "r" / "metrics.jsonl")
    assert found["logged"] == len({(line["phase"], line["step"]) for line in lines})  # an interruption repeats steps
    assert out["counts"]["synthetic"] == 2 * out["counts"]["train"]


def samples(folder, toys):
    generator, _, _ = open_generator(folder, toys)
    return generator.draw(generator.encode_condition([Prompt(label=label) for label in "npnp"]), seed=3).num


def test_h_strategies_adapt_a_given_generator_and_adapt_the_result_again(toys, tmp_path):
    run(toys, tmp_path / "a", conditioner=[{"name": "toy-dense"}])
    given = {"backbone": None, "conditioner": []}
    rank = {"name": "lora", "rank": 1}
    run(toys, tmp_path / "b", **given, generator={"from": str(tmp_path / "a")}, strategy=[rank])
    run(toys, tmp_path / "c", **given, generator={"from": f"run:{tmp_path / 'b'}"}, strategy=[rank], train={"steps": 20, "batch": 4})
    assert not (tmp_path / "b" / "model" / "base.safetensors").exists()  # the parent's weights stay with the parent
    a, b, c = (samples(tmp_path / name, toys) for name in "abc")
    assert not torch.equal(a, b)
    assert not torch.equal(b, c)
    assert torch.equal(c, samples(tmp_path / "c", toys))
    generator, _, _ = open_generator(tmp_path / "c", toys)
    generator.model.activate("base")  # the child without its own adapters is the parent, adapters and all
    with torch.no_grad():
        whole = open_generator(tmp_path / "b", toys)[0]
        whole.model.activate("train")
        inputs = whole.model.conditions.prepare([Prompt(label="p")])
        x, t = whole.process.start(1, torch.Generator().manual_seed(0), "cpu"), torch.tensor([5])
        said = [g.model.backbone(x, t, g.model.conditions(inputs), None).num for g in (whole, generator)]
    assert torch.equal(*said)
    assert set(read_json(tmp_path / "c" / "parents.json")) == {f"run:{tmp_path / 'b'}"}


def test_h_a_generator_with_branches_and_one_of_other_classes_are_refused(toys, tmp_path):
    from scarce.errors import RunError

    run(toys, tmp_path / "a", strategy=[{"name": "toy-per-class"}])
    given = {"backbone": None, "conditioner": [], "generator": {"from": str(tmp_path / "a")}, "strategy": [{"name": "lora", "rank": 1}]}
    with pytest.raises(RunError, match="2 branches"):
        run(toys, tmp_path / "b", **given)


def test_i_a_checkpoint_brings_conditioner_codec_and_diffusion_and_keeps_its_weights(toys, tmp_path):
    from safetensors.torch import save_file

    torch.manual_seed(0)
    toy = __import__("scarce_toys")
    parts = {f"net.{k}": v for k, v in toy.Net(1, 3).state_dict().items()}
    file = tmp_path / "weights.safetensors"
    save_file(parts | {f"spoken.{k}": v for k, v in toy.Spoken().state_dict().items()}, file)
    checkpoint = {"backbone": {"name": "toy-checkpoint", "source": str(file)}, "conditioner": []}
    run(toys, tmp_path / "r", **checkpoint, strategy=[{"name": "lora", "rank": 1}])
    home = tmp_path / "r" / "model"
    generator, _, _ = open_generator(tmp_path / "r", toys)
    assert (generator.process.options.target, generator.process.options.steps) == ("eps", 30)
    assert type(generator.codec).__name__ == "Doubled"
    from scarce.files import read_tensors

    assert all(n.startswith("buffer:") for n in read_tensors(home / "base.safetensors")[0])
    assert torch.equal(samples(tmp_path / "r", toys), samples(tmp_path / "r", toys))
    conditions = generator.model.conditions
    asked = conditions.prepare([Prompt(label="n"), Prompt(label="p")])
    with torch.no_grad():
        dropped = conditions(asked, torch.tensor([False, True])).pooled
        assert torch.equal(dropped[0], conditions(asked).pooled[0])
        assert torch.equal(dropped[1], conditions.nothing(1).pooled[0])
        assert torch.equal(dropped[1], conditions.parts[0].table(torch.tensor(2)))
    save_file({k: v + 1 for k, v in {n: torch.as_tensor(p) for n, p in parts.items()}.items()} | {
        f"spoken.{k}": v for k, v in toy.Spoken().state_dict().items()}, file)  # fmt: skip
    from scarce.errors import RunError

    with pytest.raises(RunError, match="are not those the run was trained on"):
        open_generator(tmp_path / "r", toys)


def test_j_generation_begins_at_labelled_records_of_the_asked_class(toys, tmp_path):
    import pandas as pd

    data = {"modality": "toy", "source": "toy", "labelled": 2}
    shots = {"steps": 5, "count": 40, "init": "shots", "strength": 0.2}
    out = run(toys, tmp_path / "r", data=data, generate=shots)
    made = pd.read_parquet(tmp_path / "r" / "samples" / "synthetic.parquet")
    assert len(made) == out["counts"]["synthetic"] == 40
    near = {label: float(made["a"][made["y"] == label].mean()) for label in "np"}
    assert near["n"] < -0.5  # the toy's n are about -1, its p about 1, and 20 % of the noise leaves them there
    assert near["p"] > 0.5
    from scarce.catalogue import read_catalogue
    from scarce.tools.verify import verify

    checks = {c.name: c.state for c in verify(tmp_path / "r", read_catalogue())}
    assert checks["samples"] == "ok"


def test_k_a_network_has_a_loss_of_its_own_on_the_clean_samples_its_prediction_means(toys, tmp_path, monkeypatch):
    import pandas as pd
    import scarce_toys as toy

    def generated(folder):
        run(toys, folder, train={"steps": 150, "batch": 4, "rate": 0.01}, generate={"steps": 5, "count": 40}, learner=None)
        return float(pd.read_parquet(folder / "samples" / "synthetic.parquet")["a"].mean())

    seen = []

    def penalty(self, predicted, clean):
        seen.append((predicted.num.shape, clean.num.shape))
        return 20 * (predicted.num - 3.0).square().mean(1)

    plain = generated(tmp_path / "plain")
    monkeypatch.setattr(toy.Net, "penalty", penalty, raising=False)
    assert generated(tmp_path / "drawn") > plain + 1.0
    assert set(seen) == {(torch.Size([4, 1]), torch.Size([4, 1]))}
