"""Every distribution alone: built as a wheel, in an environment that holds what it declares and nothing else."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from scarce.catalogue.catalogue import normal

ROOT = Path(__file__).parents[2]
NAMES = ["scarce", *(f"scarce-{p.parent.name}" for p in sorted(ROOT.glob("plugins/*/pyproject.toml")))]
SCRIPT = Path(__file__).with_name("import_all.py")
LIAR = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "acme-liar"
version = "1.0"
dependencies = ["scarce", "pydantic"]
[project.entry-points."scarce.plugins"]
acme-liar = "acme_liar:plugin.toml"
[project.entry-points."scarce.acquisitions"]
liar = "acme_liar.score:Score"
vague = "acme_liar.score:Vague"
[tool.hatch.build.targets.wheel]
packages = ["acme_liar"]
"""
MANIFEST = """
api = "1.0"
[[component]]
role = "acquisition"
name = "liar"
config = "acme_liar.config:Liar"
[[component]]
role = "acquisition"
name = "vague"
config = "acme_liar.options:Vague"
"""
FILES = {
    "pyproject.toml": LIAR,
    "acme_liar/__init__.py": "",
    "acme_liar/plugin.toml": MANIFEST,
    "acme_liar/config.py": "from pydantic import BaseModel\nclass Liar(BaseModel):\n    share: float = 0.5\n",
    "acme_liar/options.py": "import peft\n",
    "acme_liar/score.py": "import torch\nimport catboost\n",
}


@pytest.fixture(scope="module")
def environments(environment, build, tmp_path_factory):
    """Distribution -> its clean environment, one that is not honest about what it needs among them."""
    folder = tmp_path_factory.mktemp("liar")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    liar = build(folder)
    return {name: environment(name, more=liar, unpacked=True) for name in (*NAMES, "acme-liar")}


@pytest.fixture(scope="module")
def imported(environments):
    """Distribution -> what importing all of it said."""
    pairs = [f"{name.replace('-', '_')}={e.packages}" for name, e in environments.items() if name != "scarce"]
    done = environments["scarce"].run("python", str(SCRIPT), "scarce", *pairs)
    assert done.returncode == 0, done.stderr
    return {normal(facts["name"]): facts for facts in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize("name", NAMES)
def test_every_module_and_every_config_is_there_with_what_is_declared(imported, environments, name):
    found = imported[name]
    assert {module: why for module, why in found["modules"].items() if why} == {}
    assert {config: why for config, why in found["configs"].items() if why} == {}
    assert Path(found["file"]).is_relative_to(environments[name].packages)
    assert len(found["modules"]) >= len(list(environments[name].packages.glob(f"{name.replace('-', '_')}/*.py")))


@pytest.mark.parametrize("name", NAMES)
def test_it_lists_its_own_parts_and_those_of_what_it_needs_all_ready(environments, name):
    done = environments[name].run("python", "-m", "scarce", "plugins", "list", "--json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert [row for row in rows if row["status"] != "ready"] == []
    assert {row["distribution"] for row in rows} == environments[name].distributions
    offered = (ROOT / ("core" if name == "scarce" else f"plugins/{name.removeprefix('scarce-')}")).glob("src/*/plugin.toml")
    (manifest,) = offered
    assert manifest.read_text(encoding="utf-8").count("[[component]]") <= sum(row["distribution"] == name for row in rows)


def test_what_is_not_declared_is_not_there(imported, environments):
    """The dishonest one imports catboost and peft, which others of this tree need; both are noticed."""
    found = imported["acme-liar"]
    assert found["modules"]["acme_liar.score"] == "ModuleNotFoundError: No module named 'catboost'"
    assert found["modules"]["acme_liar.options"] == "ModuleNotFoundError: No module named 'peft'"
    assert found["configs"]["acquisition liar"] == ""
    assert "pip install --upgrade acme-liar" not in found["configs"]["acquisition vague"]
    assert "acme-liar 1.0 can't be imported from acme_liar.options:Vague" in found["configs"]["acquisition vague"]
    seen = environments["scarce-tabular"].run("python", "-c", "import catboost, importlib.util as u; print(u.find_spec('peft'))")
    assert seen.stdout == "None\n", seen.stderr


def test_an_environment_hides_this_checkout_and_its_tools(environments):
    code = "import importlib.util as u; print([n for n in ('pytest', 'ruff', 'pip', 'scarce_tabular', 'transformers') if u.find_spec(n)])"
    assert environments["scarce"].run("python", "-c", code).stdout == "[]\n"
    with pytest.raises(subprocess.CalledProcessError):
        subprocess.run([environments["scarce"].bin / "python", "-m", "pytest"], check=True, capture_output=True)
