"""The documentation says what is so: every command and example runs, links lead somewhere, generated parts are current."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scarce.catalogue import Malformed
from scarce.catalogue.manifest import read_manifest
from scarce.cli.app import main
from scarce.runs import api
from scarce.runs.recipe import resolve
from scarce.tools import sweep

ROOT = Path(__file__).parents[2]
PAGES = ["README.md", "CONTRIBUTING.md", *(str(p.relative_to(ROOT)) for p in sorted(ROOT.glob("docs/*.md")))]
PAGES += [str(p.relative_to(ROOT)) for p in sorted([ROOT / "core/README.md", *ROOT.glob("plugins/*/README.md")])]
CLUSTERS = ("docs/scale.md", "plugins/ray/README.md")  # their commands start clusters, for minutes: `make scale`
TUTORIAL = "docs/write-a-plugin.md"  # test_tutorial.py carries it out, in its order
FIRST = "scarce run tabular/table --data my.csv --set data.target=left --out runs/mine"


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def commands(page: str) -> list[str]:
    return [line for block in blocks(page, "bash") for line in block.replace("\\\n", " ").splitlines() if line.strip()]


def my_table() -> pd.DataFrame:
    """150 employees: numbers, categories, a date and a class that depends on them."""
    rng = np.random.default_rng(0)
    age, hours = rng.integers(20, 65, 150), rng.normal(40, 6, 150).round(1)
    left = np.where(hours - 0.2 * age + rng.normal(0, 3, 150) > 32, "yes", "no")
    joined = pd.Series(pd.Timestamp("2015-01-01") + pd.to_timedelta(rng.integers(0, 3000, 150), unit="D")).dt.strftime("%Y-%m-%d")
    team, city = [f"team {i}" for i in rng.integers(0, 30, 150)], rng.choice(["Ulm", "Bonn", "Kiel"], 150)
    return pd.DataFrame({"age": age, "team": team, "city": city, "hours": hours, "joined": joined, "left": left})


def my_prices() -> pd.DataFrame:
    """400 days of one share's price."""
    days = pd.date_range("2020-01-01", periods=400).strftime("%Y-%m-%d")
    return pd.DataFrame({"date": days, "price": 100 + np.random.default_rng(1).normal(0, 1, 400).cumsum().round(2)})


def my_opinions() -> pd.DataFrame:
    """150 short opinions with one to three stars."""
    rng = np.random.default_rng(2)
    said = {1: "a bad purchase, it broke", 2: "it does what it should", 3: "wonderful, I love it"}
    stars = rng.integers(1, 4, 150)
    things = rng.choice(["kettle", "lamp", "chair", "tea", "bread", "soap", "pen"], 150)
    return pd.DataFrame({"text": [f"{t} no. {i}: {said[s]}" for i, (t, s) in enumerate(zip(things, stars, strict=True))], "stars": stars})


def quickly(raw, *, preset=None, overrides=()):
    """`resolve`, with the preset `test` where a command names none."""
    return resolve(raw, preset=preset or ("test" if "test" in raw.get("preset", {}) else None), overrides=overrides)


@pytest.fixture(scope="module")
def workshop(tmp_path_factory):
    """A folder with my.csv and the run that pages speak of; the commands that were carried out in it."""
    folder, done = tmp_path_factory.mktemp("docs"), {FIRST}
    my_table().to_csv(folder / "my.csv", index=False)
    my_prices().to_csv(folder / "prices.csv", index=False)
    my_opinions().to_csv(folder / "opinions.csv", index=False)
    (folder / "asked.txt").write_text("a series: mean very high\na series: mean very low\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(api, "resolve", quickly)
        patch.setattr(sweep, "resolve", quickly)
        assert main(shlex.split(FIRST)[1:]) == 0
        yield done


def carry_out(command: str) -> None:
    words = shlex.split(command, comments=True)
    if words[0] == "make":
        subprocess.run([*words, "--dry-run"], cwd=ROOT, check=True, capture_output=True)
    else:
        assert words[0] == "scarce", f"no test knows how to run: {command}"
        assert main(words[1:]) == 0, command


@pytest.mark.parametrize("page", [pytest.param(page, marks=[pytest.mark.slow] * (page in CLUSTERS)) for page in PAGES if page != TUTORIAL])
def test_every_command_and_example_runs(page, workshop, capsys):
    for command in commands(page):
        if command not in workshop:
            carry_out(command)
            workshop.add(command)
    for block in blocks(page, "python"):
        exec(compile(block, page, "exec"), {"__name__": "example"})


def test_commands_are_found_and_a_wrong_one_is_noticed(workshop, capsys):
    assert FIRST in commands("README.md")
    assert {"make quickstart", "make test"} <= set(commands("README.md"))
    for wrong in ("scarce plugins info nothing-like-this", "scarce recipess"):
        with pytest.raises(AssertionError):
            carry_out(wrong)
    with pytest.raises(subprocess.CalledProcessError):
        carry_out("make nothing-like-this")


@pytest.mark.parametrize("page", [page for page in PAGES if page != TUTORIAL])
def test_toml_examples_are_what_they_claim(page, tmp_path):
    for block in blocks(page, "toml"):
        found = tomllib.loads(block)
        if "data" in found:
            assert resolve(found, preset="test").data.target == "left"
        if "api" in found:
            (tmp_path / "plugin.toml").write_text(block)
            assert read_manifest(tmp_path / "plugin.toml").components
            (tmp_path / "plugin.toml").write_text(block.replace("provides", "provide"))
            with pytest.raises(Malformed):
                read_manifest(tmp_path / "plugin.toml")


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files_and_headings(page):
    for target in re.findall(r"\]\(([^)#\s]*(?:#[\w-]+)?)\)", (ROOT / page).read_text(encoding="utf-8")):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        path = (ROOT / page).parent / file if file else ROOT / page
        assert path.exists(), target
        if anchor:
            heads = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w\- ]", "", head).lower().replace(" ", "-") for head in heads}, target


def test_generated_parts_are_current():
    done = subprocess.run([sys.executable, ROOT / "tests/docs/pages.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
