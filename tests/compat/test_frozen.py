"""Third-party plugins as they were written against an earlier day's contract still run; README.md says what that binds us to."""

from __future__ import annotations

import json
import runpy
import shutil
from pathlib import Path

import pandas as pd
import pytest

from scarce.catalogue import EVENTS, ROLES, read_catalogue
from scarce.cli.app import main
from scarce.files import read_json, read_lines

HERE = Path(__file__).parent


@pytest.fixture
def frozen(site):
    """The frozen plugin of contract 1.0, installed as it stands."""
    source = HERE / "api_1_0"
    shutil.copytree(source / "acme_frozen", site.folder / "acme_frozen", ignore=shutil.ignore_patterns("__pycache__"))
    info = site.folder / "acme_frozen-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-frozen\nVersion: 1.0\n")
    (info / "RECORD").write_text("")
    shutil.copy(source / "entry_points.txt", info / "entry_points.txt")
    return site


def test_nobody_has_touched_the_frozen_files():
    found = runpy.run_path(str(HERE / "freeze.py"))["hashes"]()
    assert found == json.loads((HERE / "frozen.json").read_text())


def test_every_role_and_every_hook_of_it_still_works(frozen, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [row for row in read_catalogue().rows if row.distribution == "acme-frozen"]
    assert {row.status for row in rows} == {"ready"}
    assert {row.role for row in rows} == set(ROLES) - {"generator"}
    assert main(["run", "acme/points", "--out", "points", "--trace", "--quiet"]) == 0
    assert main(["run", "acme/rounds", "--out", "rounds", "--trace", "--quiet"]) == 0
    assert main(["run", "acme/rounds", "--out", "failed", "--trace", "--quiet", "--data", "nothing.csv"]) == 2
    lines = [line for home in ("points", "rounds", "failed") for line in read_lines(Path(home, "trace.jsonl"))]
    mine = {line["hook"] for line in lines if line["distribution"] == "acme-frozen"}
    assert mine == {hook for role in ROLES.values() for hook in role.hooks}
    assert not [line for line in lines if line.get("error") not in (None, "DataError")]
    diary = Path("points", "diary.txt").read_text() + Path("rounds", "diary.txt").read_text() + Path("failed", "diary.txt").read_text()
    assert {line.split()[0] for line in diary.splitlines()} == set(EVENTS)
    metrics = read_json(Path("points", "metrics.json"))["metrics"]
    assert [m["error"] for m in metrics if m["error"]] == []
    values = {(m["name"], m["source"]): m["value"] for m in metrics}
    assert values["acme_accuracy", "real"] > 0.9
    assert values["acme_distance", "bootstrap"] < 1
    assert {source for _, source in values} >= {"real", "synthetic", "both", "bootstrap", "blurred"}
    (phase,) = read_json(Path("points", "plan.json"))
    assert (phase["update"], [t["name"] for t in phase["terms"]]) == ("strategy.0", ["denoise", "pull"])
    assert max(line.get("acme_calls", 0) for line in read_lines(Path("points", "metrics.jsonl"))) == 40
    assert Path("points", "model", "adapters", "train", "nudge", "adapter_model.safetensors").is_file()
    last = read_json(Path("rounds", "rounds", "01", "round.json"))
    assert last["gate"] == "open"
    assert last["moved"] > 0
    assert "Nobody, 2026" in Path("points", "plugins.lock.json").read_text()


def test_its_run_is_sampled_exported_verified_and_its_verb_is_called(frozen, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["run", "acme/rounds", "--out", "r", "--quiet"]) == 0
    assert main(["sample", "r", "-n", "5", "--where", "kind=low", "-o", "more.csv", "--quiet"]) == 0
    assert pd.read_csv("more.csv")["kind"].tolist() == ["low"] * 5
    assert main(["export", "r", "--to", "acme-list", "-o", "out"]) == 0
    assert read_json(Path("out", "weights.json"))["serves"] == ["*"]
    assert main(["verify", "r", "--quick"]) == 0
    assert main(["data", "list"]) == 0
    capsys.readouterr()
    assert main(["acme-count", "a", "b"]) == 0
    assert capsys.readouterr().out == "2\n"
