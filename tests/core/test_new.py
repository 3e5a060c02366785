"""`scarce plugins new` writes distributions that install, conform, and are typed as they are; bad names are refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scarce.catalogue import ROLES, read_catalogue
from scarce.cli.app import main
from scarce.errors import PluginError
from scarce.tools.new import TEMPLATES, new_plugin, template_roles

ROOT = Path(__file__).parents[2]
EVERY = tuple(template_roles())


def python(*arguments: object, path: object = "", **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(path), **variables}
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Role -> the folder of its template, unedited."""
    home = tmp_path_factory.mktemp("new")
    return {role: new_plugin(role, f"acme-{role}", home / role, read_catalogue()) for role in EVERY}


@pytest.fixture(scope="module")
def site(made, tmp_path_factory):
    """All of them, installed by pip into one folder."""
    folder = tmp_path_factory.mktemp("site")
    quiet = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-build-isolation", "--no-index")
    done = python(*quiet, "--target", folder, *made.values())
    assert done.returncode == 0, done.stderr
    return folder


def test_every_role_with_hooks_has_a_template_and_data_and_recipes_have_one():
    assert set(EVERY) == {role.name for role in ROLES.values() if role.hooks} | {"dataset", "recipe"}


def test_all_are_listed_as_ready(site):
    rows = json.loads(python("-m", "scarce", "plugins", "list", "--json", path=site).stdout)
    mine = {(row["role"], row["name"]): row for row in rows if row["distribution"].startswith("acme-")}
    names = {(role, f"acme-{role}/table" if role == "recipe" else f"acme-{role}") for role in EVERY}
    assert set(mine) == names | {("dataset", "acme-modality")}
    assert {row["status"] for row in mine.values()} == {"ready"}
    assert all(row["summary"] for row in mine.values())


def test_their_own_tests_pass_and_none_takes_a_minute(made, site):
    report = site / "report.xml"
    pytest_ = ("-m", "pytest", "-q", "--import-mode=importlib", f"--junit-xml={report}", "-p", "no:cacheprovider", "-c", os.devnull)
    done = python(*pytest_, *(folder / "tests" for folder in made.values()), path=site)
    assert done.returncode == 0, done.stdout[-4000:]
    text = report.read_text()
    assert 'errors="0"' in text
    assert 'skipped="0"' in text
    names = {f"test_conformance[{role}-acme-{role}" for role in EVERY}
    assert all(name in text for name in names)


def test_a_doctor_finds_a_template_healthy_within_a_minute(site):
    done = python("-m", "scarce", "doctor", "acme-strategy", "--json", path=site)
    facts = json.loads(done.stdout)
    assert (done.returncode, facts["healthy"]) == (0, True)
    assert sum(outcome["seconds"] for part in facts["components"] for outcome in part["report"]["outcomes"]) < 60


def typed(folders) -> subprocess.CompletedProcess[str]:
    packages = [argument for folder in folders for argument in ("-p", next((folder / "src").iterdir()).name)]
    found = ":".join(["core/src", *(str(folder / "src") for folder in folders)])
    return python("-m", "mypy", "--config-file", ROOT / "pyproject.toml", *packages, MYPYPATH=found)


def test_all_pass_mypy_strict_and_ruff(made):
    done = typed(made.values())
    assert done.returncode == 0, done.stdout
    for folder in made.values():
        for words in (("check", "--select", "E,F,I,UP,B,SIM,C4,PT,D1", "--ignore", "D105,D107", "--per-file-ignores", "tests/*:D1"),
                      ("format", "--check")):  # fmt: skip
            done = subprocess.run(
                [sys.executable, "-m", "ruff", *words, "--isolated", "--line-length", "140", "--no-cache", "."],
                cwd=folder, capture_output=True, text=True,
            )  # fmt: skip
            assert done.returncode == 0, done.stdout


def test_a_wrong_annotation_is_refused_by_mypy_and_by_the_kit(tmp_path):
    folder = new_plugin("acquisition", "acme-wrong", tmp_path / "wrong", read_catalogue())
    file = folder / "src" / "acme_wrong" / "acquisition.py"
    file.write_text(file.read_text().replace("ctx: ScoreContext) -> Tensor", "ctx: ScoreContext) -> list[float]"))
    done = typed([folder])
    assert done.returncode == 1
    assert '"acquisition_score"' in done.stdout
    info = tmp_path / "wrong" / "src" / "acme_wrong-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-wrong\nVersion: 0.1.0\n")
    entries = (
        "[scarce.plugins]\nacme-wrong = acme_wrong:plugin.toml\n[scarce.acquisitions]\nacme-wrong = acme_wrong.acquisition:AcmeWrong\n"
    )
    (info / "entry_points.txt").write_text(entries)
    code = "from scarce.testing import check_component; print(check_component('acquisition', 'acme-wrong').failed)"
    assert python("-c", code, path=info.parent).stdout.strip() == "('hooks',)"


@pytest.mark.parametrize("name", ["Acme", "acme_score", "1score", "acme--score", "-acme", "acme/score", "class", "", "acme.v2", "../up"])
def test_a_name_that_cannot_be_one_is_refused(name, tmp_path):
    with pytest.raises(PluginError, match="can't be a name") as caught:
        new_plugin("acquisition", name, tmp_path / "out", read_catalogue())
    assert "scarce plugins new acquisition acme-" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("role", "name", "said"),
    [
        ("acquisition", "margin", "there is an acquisition 'margin' already"),
        ("evaluator", "scarce-tabular", "distribution 'scarce-tabular'"),
        ("learner", "scarce", "distribution 'scarce'"),
        ("learner", "torch", "Python package 'torch'"),
        ("aquisition", "acme", "did you mean 'acquisition'"),
        ("exporter", "acme", "no template of role 'exporter'"),
    ],
)
def test_what_is_taken_or_unknown_is_refused(role, name, said, tmp_path):
    with pytest.raises(PluginError, match=said):
        new_plugin(role, name, tmp_path / "out", read_catalogue())
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten_and_an_empty_folder_is_used(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["plugins", "new", "evaluator", "acme-mean"]) == 0
    said = capsys.readouterr().out
    assert "src/acme_mean/evaluator.py" in said
    assert "pip install -e 'acme-mean[test]'" in said
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    assert main(["plugins", "new", "evaluator", "acme-mean"]) == 2
    assert "--out DIR" in capsys.readouterr().err
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before
    (tmp_path / "empty").mkdir()
    assert main(["plugins", "new", "learner", "acme-near", "--out", "empty", "--json"]) == 0
    assert "README.md" in json.loads(capsys.readouterr().out)["files"]
    for wrong in (["plugins", "new", "learner"], ["plugins", "list", "x"], ["plugins", "info"]):
        with pytest.raises(SystemExit):
            main(wrong)


def test_templates_are_in_the_wheel(tmp_path):
    done = python(
        "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", tmp_path, ROOT / "core"
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    listed = python("-m", "zipfile", "-l", wheel).stdout
    for file in TEMPLATES.rglob("*"):
        if file.is_file():
            assert f"scarce/tools/templates/{file.relative_to(TEMPLATES)}" in listed
