"""Clean environments: wheels of this tree, and of what is installed here only what they declare.

Each environment is a real one made by venv. Packages of others are links to the ones installed here, so that nothing is
downloaded; those that no distribution of the environment asks for, directly or through others, are not there.
"""

from __future__ import annotations

import os
import re
import site
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable, Iterable
from email import message_from_bytes
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
INSTALLED = Path(site.getsitepackages()[0])
SKIPPED = re.compile(r"\.pth$|^\.\.$|^__pycache__$")
BUILD = """
import importlib, os, sys
out, *folders = sys.argv[1:]
for folder, backend in (pair.split("=") for pair in folders):
    os.chdir(folder)
    importlib.import_module(backend).build_wheel(out)
"""


def normal(name: str) -> str:
    """A distribution's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def build_wheels(folders: Iterable[Path], out: Path) -> dict[str, Path]:
    """Distribution -> its wheel, made by each project's own build backend."""
    out.mkdir(parents=True, exist_ok=True)
    known = set(out.glob("*.whl"))
    tables = {folder: tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8")) for folder in folders}
    pairs = [f"{folder}={table['build-system']['build-backend']}" for folder, table in tables.items()]
    subprocess.run([sys.executable, "-c", BUILD, out, *pairs], check=True, cwd=out)
    return {normal(wheel.name.partition("-")[0]): wheel for wheel in set(out.glob("*.whl")) - known}


def wheel_requires(wheel: Path) -> list[str]:
    """What a wheel says it needs."""
    with zipfile.ZipFile(wheel) as file:
        (name,) = (n for n in file.namelist() if n.endswith(".dist-info/METADATA"))
        return message_from_bytes(file.read(name)).get_all("Requires-Dist") or []


@cache
def _files(name: str) -> tuple[tuple[str, ...], ...]:
    """Files of an installed distribution, as parts of their path in site-packages; none when it is not installed."""
    try:
        found = metadata.distribution(name).files or ()
    except metadata.PackageNotFoundError:
        return ()
    return tuple(file.parts for file in found if not SKIPPED.search(file.parts[0]))


@cache
def _owners() -> dict[str, set[str]]:
    """Top-level entry of site-packages -> the distributions that have files in it."""
    out: dict[str, set[str]] = {}
    for dist in metadata.distributions(path=[str(INSTALLED)]):
        for parts in _files(name := normal(dist.metadata["Name"])):
            out.setdefault(parts[0], set()).add(name)
    return out


def link(names: Iterable[str], packages: Path) -> None:
    """Links in `packages` to the installed files of the named distributions, and to nothing of others."""
    for name in names:
        for top in {parts[0] for parts in _files(name)}:
            alone = _owners()[top] <= {name}
            below = {Path(*parts[:2]) for parts in _files(name) if parts[0] == top}
            for entry in {Path(top)} if alone else below:
                place = packages / entry
                place.parent.mkdir(exist_ok=True)
                if not place.exists() and (INSTALLED / entry).exists():
                    place.symlink_to(INSTALLED / entry)


def closure(asked: Iterable[str], wheels: dict[str, Path], *, alone: bool = False) -> tuple[set[str], set[str]]:
    """Names of wheels and of installed distributions that requirements stand for, with all that those require in turn.

    alone: nothing that they require.
    """
    waiting, seen = [Requirement(line) for line in asked], set[tuple[str, str]]()
    while waiting:
        need = waiting.pop()
        name = normal(need.name)
        for extra in {"", *need.extras}:
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            try:
                lines = wheel_requires(wheels[name]) if name in wheels else metadata.requires(name) or []
            except metadata.PackageNotFoundError:
                continue
            found = (Requirement(line) for line in lines)
            waiting += [] if alone else [r for r in found if r.marker is None or r.marker.evaluate({"extra": extra})]
    names = {name for name, _ in seen}
    return names & set(wheels), names - set(wheels)


class Environment:
    """A venv with what requirements stand for (`distributions`: those of the tree), and a working folder outside the tree.

    Wheels are installed by pip, or with `unpacked` only unpacked, which is all but their scripts and takes no time.
    """

    def __init__(self, folder: Path, wheels: dict[str, Path], *asked: str, unpacked: bool = False) -> None:
        self.cwd, self.wheels, self.unpacked = folder / "work", wheels, unpacked
        self.cwd.mkdir(parents=True)
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "env"], check=True)
        self.bin = folder / "env" / "bin"
        self.distributions: set[str] = set()
        self.packages = next((folder / "env" / "lib").glob("python*/site-packages"))
        self.install(*asked)

    def install(self, *asked: str, alone: bool = False) -> None:
        """Add requirements: wheels of this tree, all others as links; nothing is downloaded."""
        mine, others = closure(asked, self.wheels, alone=alone)
        link(others, self.packages)
        missing = [self.wheels[name] for name in mine - self.distributions]
        self.distributions |= mine
        if self.unpacked:
            for wheel in missing:
                zipfile.ZipFile(wheel).extractall(self.packages)
        elif missing:
            pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--python", self.bin / "python"]
            subprocess.run([*pip, "install", "--no-deps", "--no-index", "--no-compile", *missing], check=True)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """One of the environment's own commands, with nothing of the caller's Python settings."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("SCARCE_", "PYTHON", "VIRTUAL_ENV"))}
        command = [str(self.bin / arguments[0]), *arguments[1:]]
        return subprocess.run(command, cwd=self.cwd, env={**kept, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Distribution of this tree -> its wheel, built once."""
    folders = [ROOT / "core", *sorted(p.parent for p in ROOT.glob("plugins/*/pyproject.toml"))]
    found = build_wheels(folders, tmp_path_factory.mktemp("wheels"))
    assert len(found) == len(folders)
    return found


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], dict[str, Path]]:
    """Makes the wheel of one more project."""
    return lambda folder: build_wheels([folder], tmp_path_factory.mktemp("more-wheels"))


@pytest.fixture(scope="session")
def environment(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Environment]:
    """Makes a clean environment of requirements: environment("scarce-tabular[recipes]"); `more` are further wheels."""

    def make(*asked: str, more: dict[str, Path] | None = None, unpacked: bool = False) -> Environment:
        return Environment(tmp_path_factory.mktemp("env"), {**wheels, **(more or {})}, *asked, unpacked=unpacked)

    return make
