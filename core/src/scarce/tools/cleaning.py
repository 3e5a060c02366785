"""`scarce runs clean`: what a finished run no longer needs; never its results, weights or samples."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from scarce.files import read_json, write_json

KEPT_CACHES = ("bench",)  # whole runs, which take long


@dataclass(frozen=True)
class Waste:
    """A file or folder that can go, why, and its bytes."""

    path: Path
    why: str
    size: int


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files of a folder; links count as nothing."""
    found = [path] if path.is_file() else path.rglob("*")
    return sum(p.stat().st_size for p in found if p.is_file() and not p.is_symlink())


def waste_of(folder: Path, *, finished: bool) -> list[Waste]:
    """What can go of a run; of one that is not finished only what was damaged and made again."""
    homes = [folder, *folder.glob("arms/*/*")]
    found = [(home / ".damaged", "damaged files that were made again") for home in homes]
    if finished:
        found += [(home / "checkpoints", "checkpoints of finished training") for home in homes]
        found += [(folder / "shared", "copies of phases that the arms have")]
        found += [(path, "left by a process that was killed") for path in folder.rglob(".*.tmp")]
    return [Waste(path, why, size_of(path)) for path, why in found if path.is_file() or (path.is_dir() and any(path.iterdir()))]


def caches() -> list[Waste]:
    """Built-in data as plugins keep them, converted from installed packages, which are converted again when they are asked for."""
    home = Path(os.environ.get("SCARCE_CACHE", Path.home() / ".cache" / "scarce"))
    found = sorted(home.iterdir()) if home.is_dir() else []
    return [Waste(path, "cache of built-in data", size_of(path)) for path in found if path.is_dir() and path.name not in KEPT_CACHES]


def remove(waste: Waste) -> None:
    """Delete it; what is shared between arms leaves the hashes of its run first, so that `scarce verify` does not miss it."""
    hashes = waste.path.parent / "hashes.json"
    if waste.path.name == "shared" and hashes.is_file():
        write_json(hashes, {name: digest for name, digest in read_json(hashes).items() if not name.startswith("shared/")})
    if waste.path.is_dir():
        shutil.rmtree(waste.path)
    else:
        waste.path.unlink(missing_ok=True)
