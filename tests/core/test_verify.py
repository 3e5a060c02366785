"""Every planted corruption of a run is found, and a run as it was left verifies."""

import json
import shutil

import pandas as pd
import pytest
from sklearn.datasets import load_iris

from scarce.catalogue import read_catalogue
from scarce.cli.app import main
from scarce.errors import RunError
from scarce.files import file_hash
from scarce.runs import api
from scarce.tools.verify import verify

SMALL = {"train.steps": 40, "generate.count": 30, "generate.steps": 4, "learner.iterations": 5, "evaluator": [{"name": "utility"}]}
ONE_BYTE = [
    "model/phases/train.safetensors", "model/phases/train.json", "model/base.safetensors", "model/codec/codec.json", "model/generator.json",
    "samples/synthetic.parquet", "samples/shards/00000000.safetensors", "metrics.json", "metrics.jsonl", "data.json", "plan.json",
    "figures.json", "plugins.lock.json", "recipe.toml", "recipe.resolved.json", "README.md", "report.html", "hashes.json",
]  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with flowers.csv, a run of it, and a run of two arms and two seeds."""
    folder = tmp_path_factory.mktemp("verify")
    iris = load_iris(as_frame=True)
    iris.frame.assign(target=iris.target_names[iris.target]).to_csv(folder / "flowers.csv", index=False)
    sets = {**SMALL, "data.target": "target"}
    api.run("tabular/table", data=folder / "flowers.csv", set=sets, preset="test", out=folder / "run", quiet=True)
    arms = {"seeds": 2, "arm.0.name": "full", "arm.0.diffusion.prior": "full", "arm.1.name": "plain", "arm.1.generate.steps": 3}
    api.run("tabular/table", data=folder / "flowers.csv", set={**sets, **arms}, preset="test", out=folder / "arms", quiet=True)
    return folder


@pytest.fixture
def run(home, tmp_path):
    """A copy to damage."""
    return shutil.copytree(home / "run", tmp_path / "copy")


def states(folder, **how):
    """Check -> state, the worst over the child runs."""
    order = ("ok", "unchecked", "failed")
    out = {}
    for check in verify(folder, read_catalogue(), **how):
        out[check.name] = max(out.get(check.name, "ok"), check.state, key=order.index)
    return out


def flip(path):
    """One bit of one byte in the middle."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def said(folder, name):
    return next(check.said for check in verify(folder, read_catalogue(), quick=True) if check.name == name)


def test_a_run_as_it_was_left_verifies_and_computing_it_again_gives_the_same_bits(home, capsys):
    assert states(home / "run") == dict.fromkeys(("files", "plugins", "data", "training", "samples"), "ok")
    assert main(["verify", str(home / "run"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {c["name"]: c["state"] for c in found}["training"] == "ok"
    assert "40 steps of phase 'train'" in next(c["said"] for c in found if c["name"] == "training")


@pytest.mark.parametrize("name", ONE_BYTE)
def test_one_flipped_bit_is_found_in_every_kind_of_file(run, name, capsys):
    flip(run / name)
    assert main(["verify", str(run), "--quick"]) == 1
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("files"))
    assert "FAILED" in line
    assert name in line or name == "hashes.json"


def test_deleted_added_and_edited_files_are_found(run):
    (run / "samples/synthetic.parquet").unlink()
    (run / "model/adapters").mkdir()
    (run / "model/adapters/foreign.safetensors").write_bytes(b"x")
    text = (run / "recipe.toml").read_text()
    (run / "recipe.toml").write_text(text.replace("batch = 128", "batch = 64"))
    found = said(run, "files")
    for part in ("changed: recipe.toml", "missing: samples/synthetic.parquet", "added: model/adapters/foreign.safetensors"):
        assert part in found
    (run / "hashes.json").unlink()
    assert said(run, "files") == "hashes.json is missing"


def test_a_file_of_ones_own_in_the_folder_is_named_but_no_failure(run, capsys):
    (run / "notes.txt").write_text("mine")
    assert main(["verify", str(run), "--quick"]) == 0
    assert "not written by it: notes.txt" in capsys.readouterr().out


@pytest.mark.parametrize("again", ["resume", "evaluate"])
def test_going_on_with_a_run_keeps_the_hashes_right_and_hides_no_damage(run, again):
    kept = json.loads((run / "hashes.json").read_text())
    assert main([again, str(run), "--quiet"]) == 0
    assert states(run, quick=True)["files"] == "ok"
    flip(run / "model/codec/done.json")
    flip(run / "model/phases/train.json")
    assert main([again, str(run), "--quiet"]) == 0 or again == "evaluate"
    now = json.loads((run / "hashes.json").read_text())
    assert {k for k in kept if k.startswith("model/") and now[k] != kept[k]} == set()
    assert "changed: model/codec/done.json" in said(run, "files")


def test_a_run_killed_before_its_hashes_is_sealed_by_resume(run):
    (run / "hashes.json").unlink()
    assert states(run, quick=True)["files"] == "failed"
    assert main(["resume", str(run), "--quiet"]) == 0
    assert states(run, quick=True)["files"] == "ok"


def test_damage_with_a_matching_hash_is_found_by_computing_again(run):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    lines[0]["loss"]["denoise"] *= 1 + 1e-12
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    weights = bytearray((run / "model/phases/train.safetensors").read_bytes())
    for last in range(len(weights) - 4001, len(weights), 4):  # the sign of a thousand little-endian numbers
        weights[last] ^= 128
    (run / "model/phases/train.safetensors").write_bytes(weights)
    hashes = json.loads((run / "hashes.json").read_text())
    hashes |= {name: file_hash(run / name) for name in ("metrics.jsonl", "model/phases/train.safetensors")}
    (run / "hashes.json").write_text(json.dumps(hashes))
    found = states(run)
    assert found["files"] == "ok"
    assert (found["training"], found["samples"]) == ("failed", "failed")


def test_another_machine_makes_a_difference_no_failure_but_says_so(run):
    locked = json.loads((run / "plugins.lock.json").read_text())
    locked["machine"]["torch"] = "1.0"
    (run / "plugins.lock.json").write_text(json.dumps(locked))
    lines = (run / "metrics.jsonl").read_text().replace('"step": 20', '"step": 20, "extra": 1')
    (run / "metrics.jsonl").write_text(lines)
    training = next(check for check in verify(run, read_catalogue()) if check.name == "training")
    assert training.state == "unchecked"
    assert "torch was 1.0" in training.said


def test_other_plugins_are_named_with_their_versions(run):
    locked = json.loads((run / "plugins.lock.json").read_text())
    locked["parts"] = [{**p, "version": "0.0.9"} if p["distribution"] == "scarce-tabular" else p for p in locked["parts"]]
    locked["parts"].append({**locked["parts"][0], "distribution": "scarce-gone", "version": "3"})
    (run / "plugins.lock.json").write_text(json.dumps(locked))
    assert "scarce-tabular 0.0.9 made it, 0.1.0 is installed" in said(run, "plugins")
    assert "scarce-gone 3 made it, none is installed" in said(run, "plugins")


def test_changed_and_lost_data_are_told_apart(home, run):
    source = home / "flowers.csv"
    text = source.read_text()
    try:
        source.write_text(text.replace("5.1,3.5,1.4,0.2", "5.1,3.5,1.4,9.9", 1))
        assert states(run, quick=True)["data"] == "failed"
        source.unlink()
        assert states(run, quick=True)["data"] == "unchecked"
    finally:
        source.write_text(text)


def test_every_child_of_arms_and_seeds_is_checked(home, tmp_path):
    folder = shutil.copytree(home / "arms", tmp_path / "arms")
    found = verify(folder, read_catalogue(), quick=True)
    assert [c.where for c in found if c.name == "files"] == ["", "arms/full/0", "arms/full/1", "arms/plain/0", "arms/plain/1"]
    assert {c.state for c in found} == {"ok"}
    flip(folder / "arms/plain/1/metrics.json")
    (folder / "arms/full/0/recipe.resolved.json").unlink()
    flip(folder / "report.html")
    flip(next(folder.glob("shared/*/phases/*.safetensors")))
    failed = [c.where for c in verify(folder, read_catalogue(), quick=True) if c.state == "failed"]
    assert sorted(failed) == ["", "arms/full/0", "arms/plain/1"]
    shutil.rmtree(folder / "arms/full/1")
    assert "missing: arms/full/1/hashes.json" in said(folder, "files")


def test_a_phase_of_another_arm_is_no_failure(home):
    found = {(c.where, c.name): c for c in verify(home / "arms", read_catalogue())}
    assert found["arms/full/0", "training"].state == "ok"
    assert found["arms/plain/0", "training"].state == "unchecked"
    assert found["arms/plain/0", "samples"].state == "ok"


def test_a_changed_parent_is_found(home, tmp_path):
    parent = shutil.copytree(home / "run", tmp_path / "parent")
    sets = {**SMALL, "data.target": "target", "generator.from": f"run:{parent}"}
    api.run("tabular/table", data=home / "flowers.csv", set=sets, preset="test", out=tmp_path / "kid", quiet=True)
    assert states(tmp_path / "kid") == dict.fromkeys(("files", "plugins", "data", "parents", "samples"), "ok")
    flip(parent / "model/phases/train.safetensors")
    assert states(tmp_path / "kid", quick=True)["parents"] == "failed"
    shutil.rmtree(parent)
    assert states(tmp_path / "kid", quick=True)["parents"] == "unchecked"


def test_records_from_memory_are_checked_against_what_was_kept(home, tmp_path):
    run = api.run(
        "tabular/table", data=pd.read_csv(home / "flowers.csv"), set={**SMALL, "data.target": "target"}, out=tmp_path / "m", quiet=True
    )
    assert states(run.folder)["data"] == "ok"
    flip(run.folder / "input.parquet")
    assert states(run.folder, quick=True)["files"] == "failed"


def test_unfinished_runs_and_other_folders(run, tmp_path):
    (run / "hashes.json").unlink()
    (run / "metrics.json").unlink()
    assert "not finished" in said(run, "files")
    with pytest.raises(RunError):
        verify(tmp_path, read_catalogue())


def test_runs_lists_state_and_main_numbers(home, run, monkeypatch, capsys):
    monkeypatch.chdir(run.parent)
    shutil.copytree(run, "runs/good")
    shutil.copytree(home / "arms", "runs/arms")
    shutil.copytree(run, "runs/stopped")
    (run.parent / "runs/stopped/metrics.json").unlink()
    shutil.copytree(run, "runs/broken")
    (run.parent / "runs/broken/metrics.json").write_text("{")
    assert main(["runs", "--json"]) == 0
    found = {row["folder"]: row for row in json.loads(capsys.readouterr().out)}
    expected = {"good": "finished", "arms": "finished", "stopped": "unfinished (0 of 1)", "broken": "damaged"}
    assert {name: found[f"runs/{name}"]["state"] for name in expected} == expected
    mine = next(m["value"] for m in api.load(run).metrics if (m["name"], m["source"]) == ("macro_f1", "real"))
    assert found["runs/good"]["means"]["real"] == pytest.approx(mine)
    assert "plain/synthetic" in found["runs/arms"]["means"]
    assert main(["runs", "list"]) == 0
    assert "macro_f1: real" in capsys.readouterr().out


def test_results_and_records_print_as_json(run, capsys):
    assert main(["resume", str(run), "--quiet", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert facts["metrics"]
    assert set(facts["verdict"]["lights"]) == {"usable", "similar", "private"}
    assert main(["sample", str(run), "-n", "3", "--quiet", "--json", "--where", "target=setosa"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["target"] for row in rows] == ["setosa"] * 3
