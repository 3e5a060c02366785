"""Strategy `lora` on backbone and conditioner of the toys: planned, trained, kept, opened again, refused when wrong."""

import pytest
import torch

from scarce.contract import Prompt
from scarce.errors import PlanError, RecipeError
from scarce.files import read_json, read_tensors
from scarce.runs.experiment import Experiment, start
from scarce.runs.opening import open_generator
from scarce.runs.recipe import resolve

BOTH = {"name": "lora", "rank": 1, "targets": ["backbone", "conditioner.0"]}


def run(toys, folder, *strategies, **changes):
    base = {
        "data": {"modality": "toy", "source": "toy"}, "backbone": {"name": "toy-net"}, "conditioner": [{"name": "toy-dense"}],
        "strategy": list(strategies), "diffusion": {"steps": 20}, "train": {"steps": 60, "batch": 4, "rate": 0.02},
        "generate": {"steps": 5, "count": 6}, "learner": {"name": "toy-learner"}, "evaluator": [{"name": "toy-eval"}],
        "runtime": {"precision": "fp32", "threads": 1},
    }  # fmt: skip
    start(Experiment("probe", resolve({**base, **changes}), folder, toys))
    return read_json(folder / "metrics.json")


def draws(folder, toys):
    generator, _, _ = open_generator(folder, toys)
    return generator, generator.draw(generator.encode_condition([Prompt(label=v) for v in "npnp"]), seed=3).num


def test_adapters_on_backbone_and_conditioner_train_are_kept_and_come_back(toys, tmp_path):
    out = run(toys, tmp_path / "r", BOTH)
    plan = read_json(tmp_path / "r" / "plan.json")[0]
    assert plan["trainable"] == ["backbone:fresh", "conditioner.0:fresh"]
    assert [a["target"] for a in plan["adapters"]] == ["backbone", "conditioner.0"]
    assert out["cost"]["trainable"] < out["cost"]["parameters"]
    home = tmp_path / "r" / "model"
    assert read_tensors(home / "phases" / "train.safetensors")[0] == {}  # nothing of the base has moved
    for target in ("backbone", "conditioner.0"):
        folder = home / "adapters" / "train" / f"strategy.0-{target}"
        assert read_json(folder / "adapter_config.json")["peft_type"] == "LORA"
        weights, _ = read_tensors(folder / "adapter_model.safetensors")
        assert any(float(w.abs().max()) > 0 for n, w in weights.items() if "lora_B" in n)
    generator, made = draws(tmp_path / "r", toys)
    assert torch.equal(made, draws(tmp_path / "r", toys)[1])
    base = read_tensors(home / "base.safetensors")[0]
    generator.model.activate("base")
    assert all(torch.equal(p, base[n]) for n, p in generator.model.base.items())
    plain = generator.model.conditions(generator.model.conditions.prepare([Prompt(label="n")])).pooled
    generator.model.activate("train")
    assert not torch.equal(plain, generator.model.conditions(generator.model.conditions.prepare([Prompt(label="n")])).pooled)


def test_the_loss_falls_and_equal_seeds_give_equal_bytes(toys, tmp_path):
    for name in "ab":
        run(toys, tmp_path / name, BOTH)
    file = "model/adapters/train/strategy.0-backbone/adapter_model.safetensors"
    assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_it_stands_on_other_strategies_and_on_itself(toys, tmp_path):
    labelled = {"modality": "toy", "source": "toy", "labelled": 2}
    run(toys, tmp_path / "extra", {"name": "toy-extra"}, {"name": "lora", "rank": 1}, data=labelled)
    plan = read_json(tmp_path / "extra" / "plan.json")[0]
    assert (plan["update"], plan["trainable"]) == ("strategy.0", ["backbone:fresh", "conditioner.0"])
    run(toys, tmp_path / "branches", {"name": "toy-per-class"}, {"name": "lora", "rank": 1})
    home = tmp_path / "branches" / "model" / "adapters"
    assert {p.name for p in home.iterdir()} == {"train-n", "train-p"}
    generator, made = draws(tmp_path / "branches", toys)
    n, p = (generator.model.handles[f"train-{label}", "strategy.1-backbone"].state() for label in "np")
    name = next(k for k in n if "lora_B" in k)
    assert not torch.equal(n[name], p[name])
    assert torch.equal(made, draws(tmp_path / "branches", toys)[1])


def test_the_rank_of_the_data_is_in_the_plan(toys, tmp_path):
    run(toys, tmp_path / "r", {"name": "lora", "rank": "energy"})
    assert read_json(tmp_path / "r" / "plan.json")[0]["adapters"][0]["options"]["rank"] == 1  # the toys have one column


@pytest.mark.parametrize(
    ("wrong", "error", "said"),
    [
        ({"rank": 9}, RecipeError, r"strategy\.0\.rank: 9 is larger than layer body\.\d of backbone"),
        ({"rank": 0}, RecipeError, r"strategy\.0\.rank"),
        ({"targets": ["backbon"]}, PlanError, r"there is no 'backbon' \(did you mean 'backbone'\?\)"),
        ({"modules": ["query"]}, PlanError, r"strategy\.0\.modules: backbone has no linear layer named query"),
        ({"share": 1.5}, RecipeError, r"strategy\.0\.share"),
    ],
)
def test_what_cannot_be_is_said_before_training(toys, tmp_path, wrong, error, said):
    with pytest.raises(error, match=said):
        run(toys, tmp_path / "r", {"name": "lora", **wrong})
    assert not (tmp_path / "r" / "model" / "phases").exists()


def test_a_peft_folder_is_where_it_begins(toys, tmp_path):
    run(toys, tmp_path / "first", {"name": "lora", "rank": 1})
    folder = tmp_path / "first" / "model" / "adapters" / "train" / "strategy.0-backbone"
    run(toys, tmp_path / "second", {"name": "lora", "rank": 1, "source": f"path:{folder}"}, train={"steps": 0, "batch": 4})
    weights = [
        read_tensors(f / "adapter_model.safetensors")[0] for f in (folder, tmp_path / "second/model/adapters/train/strategy.0-backbone")
    ]
    assert all(torch.equal(weights[0][n], weights[1][n]) for n in weights[0])


def test_no_step_at_all_leaves_what_it_begins_with_and_is_a_whole_run(toys, tmp_path):
    run(toys, tmp_path / "first", {"name": "lora", "rank": 1})
    folder = tmp_path / "first" / "model" / "adapters" / "train" / "strategy.0-backbone"
    out = run(toys, tmp_path / "used", {"name": "lora", "source": f"path:{folder}"}, train={"steps": 0})
    facts = read_json(tmp_path / "used" / "model" / "phases" / "train.json")
    assert (facts["steps"], facts["losses"], facts["events"]) == (0, {}, [])
    assert out["cost"]["train_seconds"] >= 0
    assert (tmp_path / "used" / "report.html").is_file()
    made = draws(tmp_path / "used", toys)[1]
    assert torch.equal(made, draws(tmp_path / "used", toys)[1])
    assert torch.isfinite(made).all()
    run(toys, tmp_path / "plain", train={"steps": 0})
    assert not torch.equal(made, draws(tmp_path / "plain", toys)[1])  # the adapter acts
