"""Exported generators are the generator: alone, from another run, of a checkpoint, with branches, from a package, in 16 bits."""

import shutil
import sys

import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from scarce.catalogue import read_catalogue
from scarce.cli.app import main
from scarce.contract import Plan, Prompt, hookimpl
from scarce.errors import PluginError, RunError
from scarce.files import read_json, read_tensors
from scarce.runs.experiment import Experiment, start
from scarce.runs.exporting import export
from scarce.runs.opening import open_generator
from scarce.runs.recipe import resolve

LORA = {"name": "lora", "rank": 1, "targets": ["backbone", "conditioner.0"]}


def run(toys, folder, **changes):
    base = {
        "data": {"modality": "toy", "source": "toy"}, "backbone": {"name": "toy-net"}, "conditioner": [{"name": "toy-dense"}],
        "diffusion": {"steps": 20}, "train": {"steps": 30, "batch": 4, "rate": 0.02}, "generate": {"steps": 5, "count": 6},
        "learner": {"name": "toy-learner"}, "evaluator": [{"name": "toy-eval"}], "runtime": {"precision": "fp32", "threads": 1},
    }  # fmt: skip
    start(Experiment("probe", resolve({**base, **changes}), folder, toys))
    return folder


def onwards(toys, folder, parent, **changes):
    return run(toys, folder, backbone=None, conditioner=[], generator={"from": str(parent)}, **changes)


def draws(folder, toys):
    generator, _, _ = open_generator(folder, toys)
    return generator.draw(generator.encode_condition([Prompt(label=v) for v in "npnp"]), seed=3).num


def weights(folder):
    return read_tensors(folder / "model" / "base.safetensors")[0]


def test_a_trained_generator_is_one_set_of_weights_and_samples_the_same(toys, tmp_path):
    whole = run(toys, tmp_path / "r")
    out = export(whole, "generator", tmp_path / "out", toys)
    assert torch.equal(draws(out, toys), draws(whole, toys))
    trained = read_tensors(whole / "model" / "phases" / "train.safetensors")[0]
    assert all(torch.equal(weights(out)[n], w) for n, w in trained.items())
    assert read_tensors(out / "model" / "phases" / "train.safetensors")[0] == {}
    assert "splits" not in read_json(out / "data.json")
    assert not (out / "samples").exists()
    before, after = (sum(f.stat().st_size for f in folder.rglob("*.safetensors")) for folder in (whole / "model", out / "model"))
    assert after < 0.7 * before
    assert read_json(out / "hashes.json")


@pytest.mark.parametrize("strategy", [[], [LORA]])
def test_another_run_goes_on_from_it(toys, tmp_path, strategy):
    whole = run(toys, tmp_path / "r")
    out = export(whole, "generator", tmp_path / "out", toys)
    found = [onwards(toys, tmp_path / name, parent, strategy=strategy) for name, parent in (("a", whole), ("b", f"path:{out}"))]
    assert torch.equal(draws(found[0], toys), draws(found[1], toys))


def test_branches_with_adapters_stay_apart_and_half_is_nearly_the_same(toys, tmp_path):
    whole = run(toys, tmp_path / "r", strategy=[{"name": "toy-per-class"}])
    out = export(whole, "generator", tmp_path / "out", toys)
    assert torch.equal(draws(out, toys), draws(whole, toys))
    half = export(whole, "generator", tmp_path / "half", toys, half=True)
    assert {w.dtype for n, w in weights(half).items() if not n.startswith("buffer:")} == {torch.float16}
    assert torch.allclose(draws(half, toys), draws(whole, toys), atol=0.02)
    assert not torch.equal(draws(half, toys), draws(whole, toys))


def test_weights_that_branches_moved_are_kept_for_each(toys, tmp_path, monkeypatch):
    import scarce_toys

    def amend(self, ctx):
        leaf = ctx.plan.phases[0]
        facts = {"start": "both", "trainable": ("backbone",)}
        own = (leaf.with_(name=f"only-{v}", classes=(v,), serves=v, **facts) for v in "np")
        return Plan(phases=(leaf.with_(name="both"), *own))

    monkeypatch.setattr(scarce_toys.PerClass, "strategy_amend_plan", hookimpl(amend))
    whole = run(toys, tmp_path / "r", strategy=[{"name": "toy-per-class"}])
    out = export(whole, "generator", tmp_path / "out", toys)
    assert torch.equal(draws(out, toys), draws(whole, toys))
    plan = read_json(out / "model" / "generator.json")["plan"]
    assert [(p["name"], p["start"]) for p in plan] == [("only-n", "base"), ("only-p", "base")]


def test_a_generator_that_went_on_from_another_stands_alone(toys, tmp_path):
    first = run(toys, tmp_path / "a")
    second = onwards(toys, tmp_path / "b", first, strategy=[LORA])
    expected = draws(second, toys)
    used = onwards(toys, tmp_path / "c", second)
    outs = [export(folder, "generator", tmp_path / f"out-{folder.name}", toys) for folder in (second, used)]
    adapters = [export(folder, "peft", tmp_path / f"peft-{folder.name}", toys) for folder in (second, used)]
    for folder in (first, second, used):
        shutil.rmtree(folder)
    for out in outs:
        assert torch.equal(draws(out, toys), expected)
    names = [sorted(str(f.relative_to(out)) for f in out.rglob("*.safetensors")) for out in adapters]
    assert names[0] == names[1] == [f"train/strategy.0-{target}/adapter_model.safetensors" for target in ("backbone", "conditioner.0")]


def test_adapters_of_both_runs_are_exported_but_not_packed(toys, tmp_path):
    first = run(toys, tmp_path / "a", strategy=[LORA])
    second = onwards(toys, tmp_path / "b", first, strategy=[LORA])
    with pytest.raises(RunError, match="went on from a generator with adapters") as error:
        export(second, "generator", tmp_path / "out", toys)
    assert "peft" in error.value.hint
    out = export(second, "peft", tmp_path / "out", toys)
    assert len(list(out.glob("train/*/adapter_config.json"))) == 4
    kept = read_tensors(first / "model/adapters/train/strategy.0-backbone/adapter_model.safetensors")[0]
    mine = read_tensors(out / "train/parent-strategy.0-backbone/adapter_model.safetensors")[0]
    assert all(torch.equal(mine[n], w) for n, w in kept.items())


@pytest.mark.parametrize("strategy", [[{"name": "lora", "rank": 1}], []])
def test_weights_of_a_checkpoint_stay_there_unless_they_moved(toys, tmp_path, strategy):
    import scarce_toys

    torch.manual_seed(0)
    net, spoken = scarce_toys.Net(1, 3), scarce_toys.Spoken()
    file = tmp_path / "weights.safetensors"
    save_file({f"{k}.{n}": w for k, m in (("net", net), ("spoken", spoken)) for n, w in m.state_dict().items()}, file)
    whole = run(toys, tmp_path / "r", backbone={"name": "toy-checkpoint", "source": str(file)}, conditioner=[], strategy=strategy)
    out = export(whole, "generator", tmp_path / "out", toys)
    assert torch.equal(draws(out, toys), draws(whole, toys))
    assert weights(out).keys() == weights(whole).keys()
    moved = read_tensors(out / "model" / "phases" / "train.safetensors")[0]
    assert moved.keys() == read_tensors(whole / "model" / "phases" / "train.safetensors")[0].keys() - weights(out).keys()
    further = onwards(toys, tmp_path / "s", out, strategy=[{"name": "lora", "rank": 1}]) if not strategy else None
    if further is not None:
        assert torch.equal(draws(export(further, "generator", tmp_path / "again", toys), toys), draws(further, toys))


def test_a_package_brings_it(toys, tmp_path, monkeypatch):
    whole = run(toys, tmp_path / "r")
    export(whole, "generator", tmp_path / "site" / "toy_weights" / "tiny", toys)
    (tmp_path / "site" / "toy_weights" / "__init__.py").write_text("")
    (tmp_path / "site" / "toy_weights" / "plugin.toml").write_text('api = "1.0"\n')
    info = tmp_path / "site" / "toy_weights-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-weights\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[scarce.plugins]\ntoy-weights = toy_weights:plugin.toml\n[scarce.generators]\ntoy-tiny = toy_weights.tiny:recipe.resolved.json\n"
    )
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site"), *sys.path])
    catalogue = read_catalogue()
    assert torch.equal(draws(onwards(catalogue, tmp_path / "s", "generator:toy-tiny"), catalogue), draws(whole, toys))


def test_what_cannot_be_exported_is_said_and_nothing_is_touched(toys, tmp_path):
    whole = run(toys, tmp_path / "r")
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "mine.txt").write_text("mine")
    with pytest.raises(RunError, match="not an empty folder"):
        export(whole, "generator", taken, toys)
    assert [f.name for f in taken.iterdir()] == ["mine.txt"]
    with pytest.raises(RunError, match="has no adapters"):
        export(whole, "peft", tmp_path / "out", toys)
    other = run(toys, tmp_path / "o", strategy=[{"name": "toy-per-class"}])
    with pytest.raises(RunError, match="adapters that are no LoRA"):
        export(other, "peft", tmp_path / "out", toys)
    with pytest.raises(PluginError, match="exporter 'generatr' is not installed"):
        export(whole, "generatr", tmp_path / "out", toys)
    (whole / "model" / "phases" / "train.json").unlink()
    with pytest.raises(RunError, match="not finished"):
        export(whole, "generator", tmp_path / "out", toys)
    (whole / "model" / "generator.json").unlink()
    with pytest.raises(RunError, match="no finished generator"):
        export(whole, "generator", tmp_path / "out", toys)
    assert not (tmp_path / "out").exists()
    assert [p for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_the_command_line_writes_it_and_samples_are_drawn_from_it(toys, tmp_path, capsys):
    whole = run(toys, tmp_path / "r")
    assert main(["export", str(whole), "--to", "generator", "-o", str(tmp_path / "out"), "--half"]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "out")
    assert main(["sample", str(tmp_path / "out"), "-n", "4", "-o", str(tmp_path / "four.parquet"), "--quiet"]) == 0
    assert len(pd.read_parquet(tmp_path / "four.parquet")) == 4
    assert main(["export", str(whole), "--to", "generator", "-o", str(tmp_path / "out")]) == 2
