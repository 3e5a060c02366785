"""Time, memory and disk before the start: estimates that hold, and a refusal of what can't fit, with what to change."""

import json

import pytest
import torch

from scarce.cli.app import main
from scarce.errors import RunError
from scarce.files import write_json
from scarce.runs import api
from scarce.runs.estimating import REPORT, Needs, refuse_large, refuse_unfit
from scarce.runs.sections import Data
from scarce.runtime.room import disk_free, memory_free, memory_used, shown

SMALL = {"train.steps": 60, "train.batch": 32, "generate.count": 60, "generate.shard": 30, "generate.steps": 3, "runtime.threads": 1}
SETS = [word for k, v in {"data.source": "builtin:iris", **SMALL}.items() for word in ("--set", f"{k}={v}")]
CPU = torch.device("cpu")


def planned(capsys, *more):
    assert main(["plan", "tabular/table", *SETS, "--preset", "test", *more]) == 0
    return capsys.readouterr().out


def test_plan_says_time_memory_and_disk(capsys):
    said = planned(capsys)
    for words in ("time: training ", "(rough, from arithmetic; --calibrate measures)", "memory: about ", "disk: about ", " free"):
        assert words in said
    assert "(measured here)" in planned(capsys, "--calibrate")
    for more in ((), ("--calibrate",)):  # nothing to train takes no time
        found = json.loads(planned(capsys, "--json", "--set", "train.steps=0", *more))["estimate"]
        assert 0 <= found["train_seconds"] < 1


def test_a_calibration_foretells_what_the_run_takes(capsys, tmp_path):
    found = json.loads(planned(capsys, "--calibrate", "--json", "--set", "train.steps=600"))
    sets = {**SMALL, "data.source": "builtin:iris", "train.steps": 600, "evaluator": [], "learner.iterations": 2}
    run = api.run("tabular/table", set=sets, preset="test", out=tmp_path / "r", quiet=True)
    cost = run.results.cost
    assert found["estimate"]["train_seconds"] == pytest.approx(cost["train_seconds"], rel=2, abs=0.5)
    assert found["estimate"]["earlier"] is None
    more = ("--set", "evaluator=[]", "--set", "learner.iterations=2", "--set", "train.steps=300", "--out", str(tmp_path))
    again = json.loads(planned(capsys, "--json", *more))["estimate"]
    assert again["earlier"] == {"folder": str(tmp_path / "r"), **{k: cost[k] for k in ("learn_seconds", "evaluate_seconds")}}
    known = sum(again[k] for k in ("train_seconds", "sample_seconds")) + cost["learn_seconds"] + cost["evaluate_seconds"]
    assert again["seconds"] == pytest.approx(known)
    assert f"learners, evaluators as in {tmp_path / 'r'})" in planned(capsys, *more)
    other = planned(capsys, *more, "--set", "learner.iterations=3")
    assert "learners and evaluators come on top, and are known when" in other
    written = sum(p.stat().st_size for folder in ("model", "samples") for p in (tmp_path / "r" / folder).rglob("*") if p.is_file())
    assert found["needs"]["disk"] - REPORT == pytest.approx(written, rel=0.5)


def test_what_cannot_fit_is_refused_by_plan_and_by_run_before_training(capsys, tmp_path):
    huge = ["--set", "generate.count=900000000000"]
    for verb in (["plan"], ["run", "--out", str(tmp_path / "r"), "--quiet"]):
        assert main([verb[0], "tabular/table", *SETS, *huge, "--preset", "test", *verb[1:]]) == 2
        said = capsys.readouterr().err
        assert "of memory beside the data and the network" in said
        assert "generate.count" in said
    assert not (tmp_path / "r" / "metrics.jsonl").exists()


def test_a_refusal_names_the_memory_or_the_disk_and_what_to_change(tmp_path):
    small = {"training": 1, "samples": 1, "weights": 1, "checkpoints": 1, "shards": 1}
    refuse_unfit(Needs(**small), tmp_path, CPU)
    with pytest.raises(RunError, match="1 TB of memory") as caught:
        refuse_unfit(Needs(**{**small, "training": 10**12}), tmp_path, CPU)
    assert "smaller network" in caught.value.hint
    with pytest.raises(RunError, match="writes 1e"):
        refuse_unfit(Needs(**{**small, "weights": 10**18}), tmp_path, CPU)
    refuse_unfit(Needs(**{**small, "weights": 10**18}), tmp_path, CPU, there=10**18)


def test_a_table_larger_than_the_memory_is_refused_before_it_is_read(tmp_path, capsys):
    with (tmp_path / "big.csv").open("wb") as file:
        file.truncate(1 << 43)
    with pytest.raises(RunError, match="all rows would be held"):
        refuse_large(Data(modality="tabular", source=str(tmp_path / "big.csv")))
    refuse_large(Data(modality="tabular", source=str(tmp_path / "big.csv"), hold=100))
    assert main(["plan", "tabular/table", "--data", str(tmp_path / "big.csv"), "--set", "data.target=x"]) == 2
    assert "--set data.hold=" in capsys.readouterr().err


def test_memory_is_what_the_container_leaves(tmp_path):
    free = memory_free(CPU, ())
    assert 0 < memory_used() < free
    (tmp_path / "limit").write_text("1000\n")
    (tmp_path / "used").write_text("400\n")
    (tmp_path / "max").write_text("max\n")
    files = {name: str(tmp_path / name) for name in ("limit", "used", "max", "none")}
    assert memory_free(CPU, ((files["limit"], files["used"]),)) == 600
    (tmp_path / "memory.stat").write_text("anon 350\ninactive_file 50\n")
    assert memory_free(CPU, ((files["limit"], files["used"]),)) == 650
    assert memory_free(CPU, ((files["max"], files["used"]), (files["none"], files["used"]))) == pytest.approx(free, rel=0.2)
    assert disk_free(tmp_path / "not" / "there") > 0
    assert [shown(v) for v in (999, 1234, 5.6e9)] == ["999 bytes", "1.23 kB", "5.6 GB"]


@pytest.fixture
def runs(tmp_path):
    """A folder of a finished run with what a killed process left, a run of two arms, and an unfinished one."""
    sets = {**SMALL, "data.source": "builtin:iris", "evaluator": [], "learner.iterations": 2}
    for name, more in (("one", {}), ("arms", {"arm.0.name": "a", "arm.1.name": "b", "arm.1.generate.steps": 2}), ("open", {})):
        api.run("tabular/table", set={**sets, **more}, preset="test", out=tmp_path / "runs" / name, quiet=True)
    (tmp_path / "runs/open/metrics.json").unlink()
    for name in ("one", "open"):
        (tmp_path / f"runs/{name}/checkpoints/train").mkdir(parents=True, exist_ok=True)
        (tmp_path / f"runs/{name}/checkpoints/train/step-00000020-0.safetensors").write_bytes(b"x" * 1000)
        (tmp_path / f"runs/{name}/model/.base.safetensors.1.tmp").write_bytes(b"x" * 500)
    return tmp_path / "runs"


def test_runs_are_listed_with_size_and_age_and_cleaned_only_when_told(runs, capsys):
    assert main(["runs", "list", str(runs), "--json"]) == 0
    found = {row["folder"]: row for row in json.loads(capsys.readouterr().out)}
    assert found[str(runs / "one")]["bytes"] > 10_000
    assert 0 <= found[str(runs / "one")]["days"] < 1
    assert main(["runs", "list", str(runs)]) == 0
    assert " MB" in capsys.readouterr().out

    before = {p: p.read_bytes() for p in runs.rglob("*") if p.is_file()}
    assert main(["runs", "clean", str(runs)]) == 0
    assert "nothing is deleted without --yes" in capsys.readouterr().out
    assert {p for p in runs.rglob("*") if p.is_file()} == set(before)

    assert main(["runs", "clean", str(runs), "--yes", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    gone = set(before) - {p for p in runs.rglob("*") if p.is_file()}
    assert {p.relative_to(runs).parts[:2] for p in gone} == {("one", "checkpoints"), ("one", "model"), ("arms", "shared")}
    assert all(p.name.endswith(".tmp") for p in gone if "model" in p.relative_to(runs).parts[:2])
    assert said["bytes"] == sum(len(before[p]) for p in gone)
    for name in ("one", "arms"):
        main(["verify", str(runs / name), "--quick", "--json"])
        checks = json.loads(capsys.readouterr().out)
        assert {c["state"] for c in checks if c["name"] == "files"} == {"ok"}
        assert main(["resume", str(runs / name), "--quiet"]) == 0
        capsys.readouterr()
    assert main(["runs", "clean", str(runs)]) == 0
    assert "nothing to clean" in capsys.readouterr().out


def test_caches_of_built_in_data_are_cleaned_apart(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SCARCE_CACHE", str(tmp_path / "cache"))
    write_json(tmp_path / "cache/tabular/1/iris.json", {})
    write_json(tmp_path / "cache/bench/run/metrics.json", {})
    assert main(["runs", "clean", str(tmp_path), "--yes"]) == 0
    assert (tmp_path / "cache/tabular").exists()
    assert main(["runs", "clean", str(tmp_path), "--caches", "--yes"]) == 0
    assert not (tmp_path / "cache/tabular").exists()
    assert (tmp_path / "cache/bench").exists()
    capsys.readouterr()


def test_a_network_that_can_not_even_be_built_is_said(capsys):
    assert main(["plan", "tabular/table", *SETS, "--set", "backbone.width=9000000000", "--preset", "test"]) == 2
    assert "does not fit into memory" in capsys.readouterr().err


def test_arms_that_train_nothing_are_not_counted_as_training(runs, capsys):
    parent = f"generator.from=run:{runs / 'one'}"
    base = ["plan", "tabular/table", *SETS, "--preset", "test", "--set", parent, "--set", 'strategy=[{name="l2-init"}]', "--json"]
    found = []
    for arms in ('arm=[{name="a"}]', 'arm=[{name="a"}, {name="unchanged", strategy=[]}]'):
        assert main([*base, "--set", arms]) == 0
        found.append(json.loads(capsys.readouterr().out))
    assert [(out["cost"]["runs"], out["cost"]["trained"]) for out in found] == [(1, 1), (2, 1)]
    for out in found:
        facts, cost = out["estimate"], out["cost"]
        assert facts["seconds"] == pytest.approx(cost["trained"] * facts["train_seconds"] + cost["runs"] * facts["sample_seconds"])
