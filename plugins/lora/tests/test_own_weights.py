"""What trains beside adapters: nothing that came with a checkpoint; and what did train is never left out of an export in silence."""

import pytest
import torch
from torch import nn

from scarce.contract import Branch, BranchAdapter, ExportContext, Phase, Plan, PlanContext
from scarce.errors import RunError
from scarce.files import read_json, write_json, write_tensors
from scarce_lora.config import Lora as LoraOptions
from scarce_lora.export import peft
from scarce_lora.strategy import Lora


def network(**facts):
    """A module of which a checkpoint brought all but `fresh`; without `fresh` none did."""
    module = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    for name, value in facts.items():
        setattr(module, name, value)
    return module


def trainable(targets, modules, paths=None):
    plan = Plan(phases=(Phase(name="train", trainable=tuple(paths or modules)),))
    ctx = PlanContext(
        plan=plan, path="strategy.0", n_rows=4, n_labelled=4, classes=(), targets=tuple(modules), modules=modules, say=lambda _: None
    )
    return Lora(LoraOptions(rank=1, targets=targets)).strategy_amend_plan(ctx).phases[0].trainable


def test_of_a_checkpoint_only_fresh_weights_train_and_what_is_from_scratch_trains_on():
    given, partly, own = network(fresh=()), network(fresh=("1.weight",)), network()
    assert trainable(("backbone",), {"backbone": given, "conditioner.0": given}) == ("backbone:fresh",)
    assert trainable(("conditioner.0",), {"backbone": given, "conditioner.0": given}) == ("conditioner.0:fresh",)
    assert trainable(("conditioner.0",), {"backbone": partly, "conditioner.0": own}) == ("backbone:fresh", "conditioner.0:fresh")
    assert trainable(("backbone",), {"backbone": given, "conditioner.0": own}) == ("backbone:fresh", "conditioner.0")
    named = ("backbone", "conditioner.0:1")
    assert trainable(("backbone",), {"backbone": given, "conditioner.0": given}, named) == ("backbone:fresh", "conditioner.0:1")


ADAPTER = {"name": "strategy.0-backbone", "target": "backbone", "owner": "strategy.0", "options": {}}


def home(folder, *phases):
    """A run folder of phases (name, start, has an adapter, names of weights that trained)."""
    plan = [{"name": name, "start": start, "adapters": [ADAPTER] if adapted else []} for name, start, adapted, _ in phases]
    write_json(folder / "model" / "generator.json", {"plan": plan})
    for name, _, _, moved in phases:
        write_tensors(folder / "model" / "phases" / f"{name}.safetensors", {key: torch.zeros(1) for key in moved})
    return folder


def exported(out, homes, phase="train", source=""):
    adapter = BranchAdapter(name="strategy.0-backbone", target="backbone", state={"a": torch.zeros(1)}, config={"peft_type": "LORA"})
    branch = Branch(phase=phase, serves="*", adapters=(adapter,), moved=frozenset())
    ctx = ExportContext(generator=None, branches=(branch,), modules={}, source=source, lineage=tuple(homes), out=out)
    return sorted(str(file.relative_to(out)) for file in peft(ctx).rglob("*.safetensors"))


def test_weights_that_moved_beside_adapters_are_not_left_out_in_silence(tmp_path):
    alone = home(tmp_path / "alone", ("train", "base", True, []))
    beside = home(tmp_path / "beside", ("train", "base", True, ["conditions.b", "conditions.a"]))
    whole = home(tmp_path / "whole", ("train", "base", False, ["backbone.w"]))
    stages = home(tmp_path / "stages", ("pretrain", "base", False, ["backbone.w"]), ("train", "pretrain", True, []))
    after = home(tmp_path / "after", ("first", "base", True, []), ("train", "first", False, ["backbone.w"]))
    file = "train/strategy.0-backbone/adapter_model.safetensors"
    for i, homes in enumerate(([alone], [whole, alone], [stages])):  # of a network of our own: it is what adapters are put onto
        assert exported(tmp_path / f"good-{i}", homes) == [file]
    assert exported(tmp_path / "given", [alone], source="hub:some/model") == [file]
    assert read_json(tmp_path / "given" / "train" / "strategy.0-backbone" / "adapter_config.json") == {"peft_type": "LORA"}
    for homes, source in (([beside], ""), ([beside, alone], ""), ([after], ""), ([whole, alone], "hub:a/b"), ([stages], "hub:a/b")):
        with pytest.raises(RunError, match=r"weights beside its adapters, .* among them, which no adapter holds") as error:
            exported(tmp_path / "bad", homes, source=source)
        assert "--to generator" in error.value.hint
        assert "--to diffusers" in error.value.hint
    assert not (tmp_path / "bad").exists()
