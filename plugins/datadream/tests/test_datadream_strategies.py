"""The strategies on a generator of digits: the plans they make, mixes by --set alone, what stays as it was (D1), bookkeeping (D5)."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from scarce.catalogue import read_catalogue
from scarce.errors import PlanError, RunError
from scarce.files import file_hash, read_json
from scarce.runs.opening import open_generator
from scarce_datadream.strategy import file_names

LORA = {"name": "lora", "rank": 2}


def plan_of(run):
    return read_json(run.folder / "plan.json")


def test_a_branch_per_class_with_adapters_in_either_order(adapt):
    """Adapters come to every branch whether `lora` is named before or after."""
    cls = {"name": "per-class", "epochs": 3, "batch": 8}
    runs = [adapt([cls, LORA]), adapt([LORA, cls])]
    for run, owner in zip(runs, ("strategy.1", "strategy.0"), strict=True):
        plan = plan_of(run)
        assert [(p["name"], p["start"], p["serves"], p["classes"]) for p in plan] == [
            (f"train-{c}", "base", c, [c]) for c in "0147"
        ]  # fmt: skip
        assert {a["owner"] for p in plan for a in p["adapters"]} == {owner}
        assert {(t["rows"], t["condition"]) for p in plan for t in p["terms"]} == {("labelled", "given")}
        assert {(p["budget"]["steps"], p["budget"]["batch"]) for p in plan} == {(3, 4)}
        assert len(list((run.folder / "model" / "adapters").glob("*/*/adapter_model.safetensors"))) == 4
        assert run.sample(3, where={"digit": "4"})["digit"].tolist() == ["4"] * 3
        with pytest.raises(RunError, match="no phase of this run answers"):
            open_generator(run.folder, read_catalogue())[0].model.leaf_of("8")


def test_one_branch_for_all_classes_trains_on_shots_alone(adapt):
    run = adapt([{"name": "all-classes", "epochs": 5, "batch": 6, "targets": ["backbone"]}, LORA])
    (only,) = plan_of(run)
    assert (only["name"], only["serves"], only["trainable"]) == ("train", "*", ["backbone:fresh"])
    assert only["budget"]["steps"] == 5 * math.ceil(16 / 6)
    assert only["budget"]["decay"] == "cosine"
    assert run.results.children[0].counts["labelled"] == 16
    free = plan_of(adapt([{"name": "all-classes", "epochs": 1}]))[0]
    assert free["trainable"] == ["backbone", "conditioner.0"]


def test_lora_under_a_barrier_in_branches_by_set_alone(adapt):
    mix = [{"name": "per-class", "epochs": 2}, {"name": "barrier", "rows": 16, "draws": 2}, LORA]
    run = adapt(mix, evaluator=[{"name": "forgetting", "rows": 20, "draws": 1}])
    assert {(p["update"], tuple(t["name"] for t in p["terms"])) for p in plan_of(run)} == {("strategy.1", ("denoise", "constraint"))}
    found = {m["name"]: m for m in run.metrics}
    assert [m["error"] for m in run.metrics if m["error"]] == []
    assert found["forgetting_ratio"]["value"] > 0
    other = adapt([mix[1], mix[2], mix[0]], evaluator=[])
    assert [p["update"] for p in plan_of(other)] == ["strategy.0"] * 4


def test_d1_untrained_adapters_change_no_picture_and_training_changes_no_base_weight(adapt, parent):
    before = {f.name: file_hash(f) for f in (parent.folder / "model").rglob("*.safetensors")}
    zero = adapt([])
    still = adapt([{"name": "all-classes", "epochs": 1, "rate": 1e-30, "targets": ["backbone"]}, LORA])
    moved = adapt([{"name": "all-classes", "epochs": 20, "rate": 1e-2, "targets": ["backbone"]}, LORA])
    made = [run.sample(8, where={"digit": "7"}, seed=3)["image"] for run in (zero, still, moved)]
    assert all(np.array_equal(a, b) for a, b in zip(made[0], made[1], strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(made[0], made[2], strict=True))
    generator = open_generator(moved.folder, read_catalogue())[0]
    base, after = generator.weights("base"), generator.weights("train")
    assert all(torch.equal(base[name], after[name]) for name in base)
    own = open_generator(parent.folder, read_catalogue())[0].weights("train")
    assert all(torch.equal(own[name], after[name]) for name in own)
    assert {f.name: file_hash(f) for f in (parent.folder / "model").rglob("*.safetensors")} == before
    cost = read_json(moved.folder / "metrics.json")["cost"]
    assert cost["trainable"] < 0.1 * cost["parameters"]


def test_d5_so_many_of_each_class_and_the_same_under_the_same_seed(adapt):
    branches = [{"name": "per-class", "epochs": 2, "rate": 1e-2}, LORA]
    runs = [adapt(branches, seed=seed, **{"generate.per_class": 7}) for seed in (1, 1, 2)]
    made = [pd.read_parquet(run.folder / "samples" / "synthetic.parquet") for run in runs]
    assert all(frame["digit"].value_counts().to_dict() == dict.fromkeys("0147", 7) for frame in made)
    bytes_ = [[cell["bytes"] for cell in frame["image"]] for frame in made]
    assert bytes_[0] == bytes_[1] != bytes_[2]
    asked = read_json(runs[0].folder / "recipe.resolved.json")
    assert "digit {}" in str(asked)


def test_what_cannot_be_adapted_is_said_before_training(adapt):
    with pytest.raises(PlanError, match=r"no labelled training row of class '[0147]'") as caught:
        adapt([{"name": "per-class"}], shots=2)
    assert "4 per class" in caught.value.hint
    with pytest.raises(PlanError, match=r"there is no 'backbon' \(did you mean 'backbone'\?\)"):
        adapt([{"name": "all-classes", "targets": ["backbon"]}])
    with pytest.raises(PlanError, match=r"strategy.0 and strategy.1 both set 'budget"):
        adapt([{"name": "all-classes", "epochs": 1}, {"name": "all-classes", "epochs": 2}])
    branched = adapt([{"name": "per-class", "epochs": 1}])
    with pytest.raises(RunError, match="4 branches"):
        adapt([{"name": "all-classes"}], **{"generator.from": f"run:{branched.folder}"})


def test_labels_as_file_names():
    names = file_names(["cat", "Cat", "a/b", "a b", "", "..", 3, "café"])
    assert len({n.casefold() for n in names}) == len(names)
    assert all(n and not n.startswith(".") and "/" not in n for n in names)
    assert names[-1] == "café"
