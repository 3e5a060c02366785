"""The TL;DR recipes end to end on real data: run, sample, opened without the pretrained model, swept, refused when wrong."""

import math
from importlib import metadata

import pytest

import scarce
from scarce.catalogue import read_catalogue
from scarce.cli.app import main
from scarce.errors import PluginError, RecipeError
from scarce.files import read_json, read_tensors
from scarce.runs.recipe import read_toml, resolve
from scarce.tools.sweep import points, results
from scarce_tldr import source

FAST = ["--preset", "test", "--quiet"]
try:
    metadata.distribution(source.MINILM)
except metadata.PackageNotFoundError:
    pytest.skip(f"{source.MINILM} is not installed (make extras)", allow_module_level=True)


@pytest.fixture(scope="module")
def churn(tmp_path_factory):
    """One finished run of `tldr/churn`."""
    folder = tmp_path_factory.mktemp("tldr") / "run"
    assert main(["run", "tldr/churn", "--out", str(folder), *FAST]) == 0
    return folder


def test_churn_runs_to_numbers_beside_baselines_and_keeps_a_small_delta(churn):
    run = scarce.load(churn)
    found = {(m["source"], m["name"]): m["value"] for m in run.metrics}
    assert {"real", "synthetic", "both", "bootstrap"} <= {source for source, name in found if name == "macro_f1"}
    assert all(math.isfinite(found["synthetic", name]) for name in ("macro_f1", "correlation_distance", "holdout_share", "membership_auc"))
    plan = read_json(churn / "plan.json")[0]
    assert plan["trainable"] == ["backbone:fresh", "conditioner.0"]
    assert plan["adapters"][0]["options"]["rank"] == 16
    kept = read_tensors(churn / "model" / "phases" / "train.safetensors")[0]
    assert not any("attention.self.query.weight" in name for name in kept)
    assert any("LayerNorm" in name for name in kept)
    cost = run.results.cost
    assert cost["trainable"] < 0.5 * cost["parameters"]


def test_it_samples_without_the_pretrained_model_at_hand(churn, monkeypatch):
    first = scarce.load(churn).sample(5, where={"churn": "yes"})
    monkeypatch.setattr(source, "MINILM", "no-such-package")
    again = scarce.load(churn).sample(5, where={"churn": "yes"})
    assert first.equals(again)
    assert set(first["churn"]) == {"yes"}


def test_a_quantised_base_runs_and_comes_back(tmp_path):
    out = tmp_path / "r"
    sets = {"backbone.quantise": "int8", "strategy.0.rank": "energy", "data.target": None, "evaluator": [{"name": "correlation"}]}
    run = scarce.run("tldr/table", data="builtin:wine", set=sets, preset="test", out=out, quiet=True)
    base = read_tensors(out / "model" / "base.safetensors")[0]
    assert str(base["buffer:backbone.encoder.0.intermediate.dense.codes"].dtype) == "torch.int8"
    assert 1 <= read_json(out / "plan.json")[0]["adapters"][0]["options"]["rank"] <= 14  # 13 numbers
    assert run.sample(4).equals(scarce.load(out).sample(4))


def test_a_part_of_the_suite_runs_to_one_table(tmp_path, capsys):
    only = [f"--only={part}" for part in ("table=wine", "backbone=bert,mlp", "prior=full", "rank=16")]
    sets = ["--set", "generate.count=60", "--set", 'evaluator=[{name="utility"}]']
    assert main(["sweep", "tldr/suite", *only, *sets, "--preset", "test", "--out", str(tmp_path / "s"), "--quiet"]) == 0
    assert "mlp" in capsys.readouterr().out
    rows = [(r.levels["backbone"], r.status, r.cost("trainable")) for r in results(tmp_path / "s")]
    assert [(name, status) for name, status, _ in rows] == [("bert", "done"), ("mlp", "done")]
    assert rows[0][2] != rows[1][2]
    assert (tmp_path / "s" / "sweep.html").is_file()


def test_the_whole_suite_varies_one_factor_at_a_time_on_twelve_tables():
    sweep = resolve(read_toml(read_catalogue().recipe_path("tldr/suite"))).sweep
    found = points(sweep)
    assert len(found) == 132
    assert len({p.levels["table"] for p in found}) == 12
    assert {p.levels["backbone"] for p in found if p.levels.get("rank", "16") != "16"} == {"bert"}


def test_a_missing_package_is_named_with_the_line_that_installs_it(tmp_path, monkeypatch):
    monkeypatch.setattr(source, "MINILM", "no-such-package")
    with pytest.raises((PluginError, RecipeError), match="no-such-package, which is not installed") as caught:
        scarce.run("tldr/table", data="builtin:iris", set={"data.target": None}, preset="test", out=tmp_path / "r", quiet=True)
    assert "pip install --no-deps no-such-package" in str(caught.value)
    sets = {"data.target": None, "backbone.source": str(tmp_path)}
    with pytest.raises(RecipeError, match=r"backbone\.source: .* is not a model folder"):
        scarce.run("tldr/table", data="builtin:iris", set=sets, preset="test", out=tmp_path / "q", quiet=True)
