"""Fixtures for every test: a folder of really installed little distributions."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from pathlib import Path

import pytest

from scarce.catalogue import Catalogue, read_catalogue


class Site:
    """A site folder: `install` writes what pip would (package and dist-info), `run` starts scarce with it on the path."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def install(
        self,
        name: str,
        *,
        entries: Mapping[str, Mapping[str, str]] | None = None,
        manifest: str | None = None,
        files: Mapping[str, str] | None = None,
        version: str = "1.0",
    ) -> None:
        """Install a distribution; its package is its name with underscores, `manifest` its plugin.toml."""
        package = self.folder / name.replace("-", "_")
        package.mkdir()
        (package / "__init__.py").touch()
        groups = {group: dict(named) for group, named in (entries or {}).items()}
        if manifest is not None:
            (package / "plugin.toml").write_text(manifest, encoding="utf-8")
            groups["scarce.plugins"] = {name: f"{package.name}:plugin.toml"}
        for file, text in (files or {}).items():
            (package / file).parent.mkdir(exist_ok=True)
            (package / file).write_text(text, encoding="utf-8")
        info = self.folder / f"{package.name}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        sections = (f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in named.items()) for group, named in groups.items())
        (info / "entry_points.txt").write_text("\n".join(sections), encoding="utf-8")

    def catalogue(self, **chosen: set[str] | None) -> Catalogue:
        """The catalogue of this folder alone."""
        return read_catalogue(distributions=metadata.distributions(path=[str(self.folder)]), **chosen)

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """`python …` in a fresh process with this folder on its path, beside what is installed."""
        clean = {key: value for key, value in os.environ.items() if not key.startswith("SCARCE_")}
        environment = {**clean, "PYTHONPATH": str(self.folder), "OMP_NUM_THREADS": "1", **variables}
        return subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, timeout=120)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A site folder on sys.path; modules imported from it are forgotten afterwards."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    before = set(sys.modules)
    yield Site(folder)
    for module in set(sys.modules) - before:
        if str(getattr(sys.modules[module], "__file__", None) or "").startswith(str(folder)):
            del sys.modules[module]


@pytest.fixture
def component() -> Callable[..., str]:
    """Writes a manifest of one component: component("evaluator", "count", provides='["eval:fidelity"]')."""

    def write(role: str, name: str, *, api: str = "1.0", **extra: str) -> str:
        lines = "".join(f"{key} = {value}\n" for key, value in extra.items())
        return f'api = "{api}"\n[[component]]\nrole = "{role}"\nname = "{name}"\nsummary = "test"\n{lines}'

    return write
