"""docs/write-a-plugin.md, read from top to bottom: every file that it shows is written, every command carried out, in that order."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "write-a-plugin.md"
STEP = re.compile(r"(?:`([\w./-]+)`:\n\n)?^```(bash|python|toml)\n(.*?)^```", re.MULTILINE | re.DOTALL)
OFFLINE = ("--quiet", "--disable-pip-version-check", "--no-deps", "--no-build-isolation", "--no-index")


def steps() -> list[tuple[str, str, str]]:
    """(file, language, text) of every block."""
    return [(file, language, text) for file, language, text in STEP.findall(PAGE.read_text(encoding="utf-8"))]


class Workshop:
    """A folder to work in, and one where what is installed goes."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.site = folder / "work", folder / "site"
        self.folder.mkdir()

    def run(self, *words: str) -> None:
        environment = {**os.environ, "PYTHONPATH": str(self.site), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(words, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"

    def carry_out(self, command: str) -> None:
        words = shlex.split(command)
        if words[:3] == ["pip", "install", "-e"]:
            self.install(words[3].partition("[")[0])
        elif words[0] == "pip":
            self.run(sys.executable, "-m", "pip", words[1], *OFFLINE, *words[2:])
        elif words[0] == "pytest":
            self.run(sys.executable, "-m", "pytest", "-q", "--import-mode=importlib", "-p", "no:cacheprovider", *words[1:])
        else:
            assert words[0] == "scarce", f"no test knows how to run: {command}"
            self.run(sys.executable, "-m", *words)

    def install(self, folder: str) -> None:
        """As `pip install -e` would, into the folder of the test: the package is a link to its source."""
        self.run(sys.executable, "-m", "pip", "install", *OFFLINE, "--target", str(self.site), folder)
        package = next((self.folder / folder / "src").iterdir())
        self.run("rm", "-r", str(self.site / package.name))
        (self.site / package.name).symlink_to(package)


def test_the_tutorial_works_from_top_to_bottom(tmp_path):
    workshop = Workshop(tmp_path)
    for file, language, text in steps():
        if language == "bash":
            for command in text.splitlines():
                workshop.carry_out(command)
        else:
            assert file, f"nothing says which file this is:\n{text}"
            path = workshop.folder / file
            assert path.parent.is_dir(), f"{file} lies where nothing was made"
            path.write_text(text, encoding="utf-8")
    assert sorted(p.name for p in (workshop.folder / "dist").iterdir()) == ["acme_ratio-0.1.0-py3-none-any.whl"]
    assert {p.name for p in (workshop.folder / "runs").iterdir()} == {"ratio", "gentle", "moons", "points"}


def test_every_file_and_command_of_the_tutorial_is_found():
    text = PAGE.read_text(encoding="utf-8")
    fences = re.findall(r"^```(\w+)$", text, re.MULTILINE)
    assert fences.count("text") == 1
    assert len(steps()) == len(fences) - 1
    assert [file for file, language, _ in steps() if language != "bash"].count("") == 0
