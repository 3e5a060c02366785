"""`scarce doctor`: what is installed here and what is missing, in general or for one recipe."""

from __future__ import annotations

import os
import platform
import re
import shutil
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from scarce.catalogue.catalogue import Catalogue, Row
from scarce.contract.frozen import Frozen
from scarce.errors import ScarceError
from scarce.host.loading import load_options, nested
from scarce.runs.assembly import Named, assemble, install_lines, named_components
from scarce.runs.parents import settled
from scarce.runs.recipe import find_recipe, resolve
from scarce.runs.sections import Recipe
from scarce.runtime.device import pick_precision, set_threads
from scarce.runtime.trackers import available_trackers, check_trackers


class Problem(Frozen):
    """What stands in the way, and the line to try."""

    what: str
    hint: str


def examine_recipe(name: str, catalogue: Catalogue) -> list[Problem]:
    """Everything that keeps an installed recipe or recipe file from starting; empty when it is ready.

    Raises ScarceError when the recipe itself can't be read.
    """
    recipe = settled(resolve(find_recipe(name, catalogue)[1]), catalogue)
    out = [Problem(what="distributions under needs are not installed", hint=line) for line in install_lines(recipe.needs)]
    waiting = [*named_components(recipe), *_builtin(recipe)]
    while waiting:
        part = waiting.pop(0)
        try:
            inner = nested(load_options(catalogue, part.role, part.name, part.options, part.path))
            waiting += [Named(*found) for found in inner]
        except ScarceError as err:
            told = err.message.startswith((f"{part.path}.", f"{part.path}:"))
            out.append(Problem(what=err.message if told else f"{part.path}: {err.message}", hint=err.hint))
    try:
        check_trackers(recipe.runtime.trackers)
        if not out:
            assemble(recipe, catalogue, name="doctor")
    except ScarceError as err:
        out.append(Problem(what=err.message, hint=err.hint))
    return out


def _builtin(recipe: Recipe) -> list[Named]:
    kind, _, name = (recipe.data.source or "").partition(":")
    return [Named("data.source", "dataset", name, {})] if kind == "builtin" else []


def installation(catalogue: Catalogue) -> dict[str, Any]:
    """Versions, devices, threads, free disk, plugins that are not ready, and optional parts that are missing."""
    before = torch.get_num_threads()
    threads = set_threads(0)
    torch.set_num_threads(before)
    versions = {"scarce": metadata.version("scarce"), "python": platform.python_version(), "torch": torch.__version__}
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return {
        "versions": {**versions, "cuda": torch.version.cuda or "none"},
        "devices": [{"device": str(d), "precision": pick_precision("auto", d)} for d in _devices()],
        "threads": threads,
        "disk": {str(place): round(_free(place) / 1e9, 1) for place in (Path("runs"), cache)},
        "plugins": [_state(row, catalogue) for row in catalogue.rows if row.status != "ready"],
        "extras": _missing_extras(),
        "trackers": available_trackers(),
    }


def _devices() -> list[torch.device]:
    return [*(torch.device("cuda", i) for i in range(torch.cuda.device_count())), torch.device("cpu")]


def _free(place: Path) -> int:
    """Bytes free where a folder is or would be made."""
    place = place.absolute()
    return shutil.disk_usage(next(p for p in (place, *place.parents) if p.exists())).free


def _state(row: Row, catalogue: Catalogue) -> dict[str, str]:
    hint = ""
    try:
        catalogue.find(row.role, row.name)
    except ScarceError as err:
        hint = err.hint
    keys = ("role", "name", "distribution", "version", "status", "reason")
    return {**{key: str(getattr(row, key)) for key in keys}, "hint": hint}


def _missing_extras() -> list[dict[str, Any]]:
    """The extras of the core that lack a distribution, with what installs them."""
    extras: dict[str, list[str]] = {}
    for line in metadata.requires("scarce") or ():
        wanted, _, marker = line.partition(";")
        if (extra := re.search(r"extra == ['\"]([\w-]+)", marker)) and install_lines([wanted.strip()]):
            extras.setdefault(extra[1], []).append(wanted.strip())
    return [{"extra": name, "missing": missing, "hint": f"pip install 'scarce[{name}]'"} for name, missing in extras.items()]
