"""Ends of paths that a person meets seldom: full disks, kills at the wrong moment, folders where files are meant, long commands."""

import json
import shlex

import pytest

from scarce.catalogue.catalogue import read_catalogue
from scarce.cli.app import main
from scarce.errors import RecipeError, RunError
from scarce.files import read_json, write_bytes
from scarce.runs import experiment as experiments
from scarce.runs.provenance import command
from scarce.runs.recipe import parse_set, resolve, show_value
from scarce.tools.points import level_name, parse_over, show_over
from scarce.tools.sweep import results, run_sweep
from scarce.tools.verify import verify

RECIPE = """
[data]
modality = "tabular"
source = "builtin:iris"
[backbone]
name = "mlp"
width = 32
[train]
steps = 12
[generate]
steps = 4
count = 30
[runtime]
threads = 1
trackers = ["tensorboard"]
[[evaluator]]
name = "privacy"
"""


@pytest.fixture
def recipe(tmp_path):
    """The path of a recipe file."""
    (tmp_path / "tiny.toml").write_text(RECIPE)
    return str(tmp_path / "tiny.toml")


def test_a_place_that_cannot_be_written_is_said_and_leaves_no_draft(tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(RunError, match="taken can't be written"):
        write_bytes(tmp_path / "taken", b"x")
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="inner can't be written"):
        write_bytes(tmp_path / "file" / "inner", b"x")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "taken"]


def test_every_out_option_refuses_a_folder_in_plain_words_and_answers_json_with_the_file(tmp_path, capsys):
    for verb in (["schema"], ["data", "inspect", "builtin:iris"]):
        assert main([*verb, "-o", str(tmp_path)]) == 2
        assert "can't be written" in capsys.readouterr().err
    for name in ("schema.json", "page.html"):
        assert main(["data", "inspect", "builtin:iris", "-o", str(tmp_path / name), "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == {"file": str(tmp_path / name)}


@pytest.mark.parametrize("value", [True, 3, 0.5, "text", "true", "3", "a b", ["x", 1], "", "x=y"])
def test_a_command_sets_the_very_values_it_was_given(value):
    assert parse_set(f"k={show_value(value)}") == ("k", value)
    shown = shlex.split(command("r", [("a.b", value)], None, None))
    assert parse_set(shown[shown.index("--set") + 1]) == ("a.b", value)


@pytest.mark.parametrize("values", [[True, False], [1, 2.5], ["standard", "full"], ["a,b", "c"], ["1", "2"], [[1, 2], [3]], ["a", 1]])
def test_over_reads_what_it_shows(values):
    assert parse_over(show_over("k", values)) == ("k", values)


@pytest.mark.parametrize("name", ["..", ".", ".hidden"])
def test_an_arm_stays_inside_its_run(name):
    made = {"data": {"modality": "tabular"}, "backbone": {"name": "mlp"}, "arm": [{"name": name}, {"name": "b"}]}
    with pytest.raises(RecipeError, match=r"arm\.0\.name"):
        resolve(made)


def test_levels_named_after_relative_paths_are_no_hidden_folders():
    assert level_name("./data/a.csv") == "data-a.csv"
    assert level_name("..") == "empty"


def test_a_grid_too_large_to_run_is_refused_at_once(recipe, tmp_path):
    over = {f"train.{key}": [i / 1e3 for i in range(1, 200)] for key in ("rate", "weight_decay", "clip")}
    with pytest.raises(RecipeError, match="7,880,599 points"):
        run_sweep(recipe, over=over, out=tmp_path / "out", quiet=True)


def test_a_sweep_killed_while_its_points_are_written_goes_on_with_the_same_command(recipe, tmp_path, monkeypatch, capsys):
    asked, out = (
        {"over": {"train.steps": [12, 13]}, "quiet": True, "metric": "exact_copies", "cost": "trainable"},
        tmp_path / "runs" / "grid",
    )
    write, written = experiments.write_recipe, []

    def killed(folder, *rest):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(write(folder, *rest))

    monkeypatch.setattr(experiments, "write_recipe", killed)
    with pytest.raises(KeyboardInterrupt):
        run_sweep(recipe, out=out, **asked)
    monkeypatch.setattr(experiments, "write_recipe", write)
    run_sweep(recipe, out=out, **asked)
    assert {r.status for r in results(out)} == {"done"}
    assert read_json(out / "sweep.json")["command"].endswith("--over train.steps=12,13 --metric exact_copies --cost trainable")
    monkeypatch.chdir(tmp_path)
    assert main(["runs", "--json"]) == 0
    assert [run["state"] for run in json.loads(capsys.readouterr().out)] == ["finished"]
    home = out / "arms" / "default" / "0"
    (home / "hashes.json").unlink()
    assert main(["resume", str(out), "--quiet"]) == 0
    assert {c.state for c in verify(home, read_catalogue(), quick=True) if c.name == "files"} == {"ok"}


def test_trackers_are_closed_when_a_run_fails(recipe, tmp_path, monkeypatch):
    from scarce.runtime import trackers

    closed = []
    finish = trackers.Trackers.finish
    monkeypatch.setattr(trackers.Trackers, "finish", lambda self, metrics: (closed.append(list(self._open)), finish(self, metrics)))
    (tmp_path / "few.csv").write_text("a,y\n1,n\n2,p\n3,n\n")
    made = run_sweep(recipe, over={"train.steps": [12, 13]}, data=str(tmp_path / "few.csv"), out=tmp_path / "out", quiet=True)
    assert {r.status for r in results(made)} == {"failed"}
    assert closed == [["tensorboard"]] * 2
