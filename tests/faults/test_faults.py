"""Runs that are killed, meet a full disk or are damaged end in the bytes of a run left in peace, or say what is wrong."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from scarce.catalogue import read_catalogue
from scarce.cli.app import main
from scarce.runs import api
from scarce.runtime import fit
from scarce.tools.verify import verify

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from folders import content, differences, finished  # noqa: E402

SMALL = {
    "train.steps": 60, "train.batch": 32, "generate.count": 60, "generate.shard": 30, "generate.steps": 3, "learner.iterations": 2,
    "evaluator": [], "runtime.threads": 1, "data.target": "target",
}  # fmt: skip
WAYS = ("flip", "truncate", "remove")


def script(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, HERE / name, *arguments], env=environment, capture_output=True, text=True)


def test_twenty_kills_at_random_moments_lose_no_shard_and_change_no_byte(tmp_path):
    recipes = ("tabular/table", "galot/table", "datadream/shapes")  # `make faults` has three more
    done = script("kills.py", "--kills", "20", "--only", *recipes, "--out", str(tmp_path / "found.json"))
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["kills"] == 20
    assert [c["wrong"] or c["lost"] for c in found["chains"] if c["wrong"] or c["lost"]] == []


def test_a_full_disk_is_said_and_resume_goes_on_when_there_is_room():
    done = script("fills.py", "--times", "2")
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)["fills"]
    assert [f["wrong"] for f in found] == [[], []]
    assert all(f["met"] for f in found)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A finished run."""
    folder = tmp_path_factory.mktemp("faults") / "whole"
    api.run("tabular/table", data="builtin:iris", set=SMALL, preset="test", out=folder, quiet=True)
    return folder


def hurt(path: Path, way: str) -> None:
    """Flip a bit of the middle byte, cut the second half off, or remove a file."""
    data = bytearray(path.read_bytes())
    if way == "remove":
        path.unlink()
    elif way == "truncate":
        path.write_bytes(data[: len(data) // 2])
    else:
        data[len(data) // 2] ^= 1
        path.write_bytes(data)


def files_of(folder: Path) -> list[str]:
    """Everything a run folder holds but hidden files."""
    names = (p.relative_to(folder) for p in sorted(folder.rglob("*")) if p.is_file())
    return [n.as_posix() for n in names if not any(part.startswith(".") for part in n.parts)]


@pytest.mark.parametrize("way", WAYS)
def test_verify_finds_damage_of_every_file(whole, way):
    missed = []
    for name in files_of(whole):
        kept = (whole / name).read_bytes()
        hurt(whole / name, way)
        found = [check.said for check in verify(whole, read_catalogue(), quick=True) if check.state == "failed"]
        if not any(name in said or name == "hashes.json" for said in found):  # a flipped hash accuses the file it is of
            missed.append(name)
        (whole / name).write_bytes(kept)
    assert missed == []


@pytest.fixture
def stopped(whole, tmp_path) -> Path:
    """The run as it is when it is killed while it judges: everything made, no results."""
    folder = shutil.copytree(whole, tmp_path / "stopped")
    for name in ("metrics.json", "hashes.json", "figures.json"):
        (folder / name).unlink()
    book = (folder / ".book.jsonl").read_text().splitlines(keepends=True)
    (folder / ".book.jsonl").write_text("".join(line for line in book if "figures" not in line and "metrics" not in line))
    return folder


TOGETHER = (
    ("model/codec/codec.json", "samples/shards/00000000.safetensors", "plan.json"),
    ("model/base.safetensors", "data.json", "plugins.lock.json"),
    ("model/process.safetensors", "model/phases/train.json"),
    ("model/generator.json", "samples/shards/00000000.safetensors"),
    ("model/phases/train.safetensors", "model/codec/done.json", "model/routing.json"),
)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("names", TOGETHER, ids=lambda names: names[0])
def test_what_is_damaged_is_said_and_made_again_to_the_same_bytes(whole, stopped, names, way, capsys):
    for name in names:
        hurt(stopped / name, way)
    assert main(["resume", str(stopped)]) == 0
    said = capsys.readouterr().err
    assert [name for name in names if f"{stopped / name} is {'missing' if way == 'remove' else 'damaged'}" not in said] == []
    assert differences(stopped, content(whole)) == []
    assert [c.state for c in verify(stopped, read_catalogue(), quick=True) if c.name == "files"] == ["ok"]


@pytest.mark.parametrize("way", WAYS)
def test_what_was_given_and_is_damaged_is_said_and_nothing_is_done(stopped, way, capsys):
    hurt(stopped / "recipe.resolved.json", way)
    assert main(["resume", str(stopped), "--quiet"]) == 2
    assert "recipe.resolved.json" in capsys.readouterr().err
    assert not (stopped / "metrics.json").exists()


def test_a_finished_run_that_is_damaged_is_said_and_made_again_when_asked(whole, tmp_path, capsys):
    folder = shutil.copytree(whole, tmp_path / "finished")
    hurt(folder / "samples/shards/00000000.safetensors", "flip")
    assert main(["resume", str(folder)]) == 0
    said = capsys.readouterr().err
    assert "samples/shards/00000000.safetensors: not as the run left it" in said
    assert f"rm {folder}/metrics.json" in said
    (folder / "metrics.json").unlink()
    assert main(["resume", str(folder), "--quiet"]) == 0
    assert differences(folder, content(whole)) == []
    assert [c.state for c in verify(folder, read_catalogue(), quick=True) if c.name == "files"] == ["ok"]


class Enough(KeyboardInterrupt):
    pass


@pytest.fixture
def half_trained(tmp_path, monkeypatch, capsys) -> Path:
    """A run that was stopped at step 40 of 60, with two checkpoints."""
    real, folder = fit.Loop.advance, tmp_path / "half"

    def advance(loop: fit.Loop) -> None:
        if loop.step == 45:
            raise Enough
        real(loop)

    monkeypatch.setattr(fit.Loop, "advance", advance)
    sets = [w for k, v in {**SMALL, "runtime.checkpoint_seconds": 0}.items() for w in ("--set", f"{k}={v}")]
    assert main(["run", "tabular/table", "--data", "builtin:iris", *sets, "--preset", "test", "--out", str(folder), "--quiet"]) == 130
    assert f"interrupted: what is finished stays in {folder}\n  to go on: scarce resume {folder}" in capsys.readouterr().err
    monkeypatch.undo()
    return folder


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("how_many", [1, 2])
def test_a_damaged_checkpoint_is_said_and_an_earlier_one_or_the_start_is_gone_on_from(whole, half_trained, way, how_many, capsys):
    found = sorted((half_trained / "checkpoints/train").glob("step-*"))
    assert len(found) == 2
    for path in found[2 - how_many :]:
        hurt(path, way)
    assert main(["resume", str(half_trained)]) == 0
    said = capsys.readouterr().err
    for path in found[2 - how_many :]:
        assert way == "remove" or f"checkpoint {path} is damaged" in said
    if way != "remove":
        assert f"goes on from {found[0].name if how_many == 1 else 'its start'}" in said
    wrong = [name for name in differences(half_trained, content(whole)) if not name.startswith("recipe.")]
    assert wrong == []


def test_a_lost_record_of_the_parents_is_made_again_and_another_parent_is_refused(whole, tmp_path, capsys):
    parent, kid = shutil.copytree(whole, tmp_path / "parent"), tmp_path / "kid"
    sets = {**SMALL, "generator.from": f"run:{parent}"}
    api.run("tabular/table", data="builtin:iris", set=sets, preset="test", out=kid, quiet=True)
    before = content(kid)
    for name in ("metrics.json", "hashes.json"):
        (kid / name).unlink()
    hurt(kid / "parents.json", "flip")
    assert main(["resume", str(kid), "--quiet"]) == 0
    assert differences(kid, before) == []
    for name in ("metrics.json", "hashes.json", "parents.json"):
        (kid / name).unlink()
    hurt(parent / "model/routing.json", "truncate")
    assert main(["resume", str(kid), "--quiet"]) == 2
    assert "the parents of" in capsys.readouterr().err


def test_samples_in_parts_go_on_where_they_stopped_and_are_the_rows_of_one_file(whole, tmp_path, monkeypatch, capsys):
    sample = ["sample", str(whole), "-n", "100", "--where", "target in {setosa,virginica}", "--quiet"]
    out, real = tmp_path / "parts.parquet", api.Run.write

    def write(run: api.Run, records: pd.DataFrame, path: Path) -> Path:
        if "60" in path.name:
            raise Enough
        return real(run, records, path)

    monkeypatch.setattr(api.Run, "write", write)
    assert main([*sample, "-o", str(out), "--parts"]) == 130
    assert "to go on: the same command again" in capsys.readouterr().err
    monkeypatch.undo()
    kept = finished(out)
    assert len(kept) == 3
    hurt(min(kept), "flip")
    assert main(["sample", str(whole), "-n", "101", "-o", str(out), "--parts", "--quiet"]) == 2
    assert "holds something else" in capsys.readouterr().err
    assert main([*sample, "-o", str(out), "--parts"]) == 0
    assert main([*sample, "-o", str(tmp_path / "one.parquet")]) == 0
    pd.testing.assert_frame_equal(pd.read_parquet(out), pd.read_parquet(tmp_path / "one.parquet"))
    assert sorted(p.name for p in out.iterdir()) == ["_asked.json", *(f"part-{i:010d}.parquet" for i in (0, 30, 60, 90))]
