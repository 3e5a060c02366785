"""The run folder: what lies where, and opening one written by this version."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import tomli_w

from scarce.errors import RecipeError, RunError
from scarce.files import read_json, write_bytes, write_json
from scarce.runs.recipe import difference, resolve
from scarce.runs.sections import Recipe

FORMAT = 1


def new_folder(name: str, out: Path | None) -> Path:
    """A folder for a new run: `out`, or the first free runs/NAME-N; one that holds a run already is a RunError."""
    if out is not None:
        if (out / "recipe.resolved.json").exists():
            raise RunError(f"{out} already holds a run; it is left as it is", hint=f"scarce resume {out}, or choose another --out")
        if out.exists() and not out.is_dir():
            raise RunError(f"{out} is a file, not a folder", hint="choose another --out")
        return out
    stem = re.sub(r"[^\w.+-]+", "-", name)
    number = 1
    while (Path("runs") / f"{stem}-{number}").exists():
        number += 1
    return Path("runs") / f"{stem}-{number}"


def plain(recipe: Recipe) -> dict[str, Any]:
    """The recipe as plain data without empty values, as it is written to TOML; its sweep has become overrides or arms."""

    def clean(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: clean(v) for k, v in value.items() if v is not None}
        return [clean(v) for v in value] if isinstance(value, list) else value

    out: dict[str, Any] = clean(recipe.model_dump(mode="json", by_alias=True, exclude={"sweep"}))
    return out


def write_recipe(folder: Path, recipe: Recipe, facts: dict[str, Any]) -> None:
    """Write recipe.toml (what people read and rerun) and recipe.resolved.json (what resume holds it against)."""
    write_bytes(folder / "recipe.toml", tomli_w.dumps(plain(recipe)).encode())
    write_json(folder / "recipe.resolved.json", {"format": FORMAT, **facts, "recipe": plain(recipe)})


def read_recipe(folder: Path) -> tuple[Recipe, dict[str, Any]]:
    """The recipe of a run folder and its facts; another format, or a changed recipe.toml, is a RunError."""
    if not (folder / "recipe.resolved.json").is_file():
        raise RunError(f"{folder} is not a run folder: it has no recipe.resolved.json", hint="scarce runs")
    facts = read_json(folder / "recipe.resolved.json")
    if facts.get("format") != FORMAT:
        what = f"{folder} was written in run format {facts.get('format')}, this version reads format {FORMAT}"
        raise RunError(what, hint=f"pip install scarce=={facts.get('version', '?')}, or run the recipe again")
    try:
        return resolve(facts["recipe"]), facts
    except RecipeError as error:
        what = f"{folder / 'recipe.resolved.json'} is damaged, or of another version than {version('scarce')}: {error.message}"
        raise RunError(what, hint=f"pip install scarce=={facts.get('version', '?')}, or run the recipe again in a new folder") from error


def carried_as(old: Recipe, new: Recipe) -> Recipe:
    """The old recipe with its pieces carried out as the new one says, which changes nothing of what they give."""
    how = {key: getattr(new.runtime, key) for key in ("executor", "workers", "weights")}
    return old.model_copy(update={"runtime": old.runtime.model_copy(update=how)})


def refuse_changes(folder: Path, old: Recipe, new: Recipe) -> None:
    """Raise RunError with a line per difference when a run would be continued under another recipe; see `carried_as`."""
    lines = difference(plain(carried_as(old, new)), plain(new))
    if lines:
        what = f"{folder} was started with another recipe; resume would mix the two:\n  " + "\n  ".join(lines[:20])
        raise RunError(what, hint="scarce run with the changed recipe in a new folder")


def children(folder: Path) -> list[Path]:
    """The child runs of a folder (arms x seeds), or the folder itself when it is a single run."""
    found = sorted(folder.glob("arms/*/*/recipe.resolved.json"), key=lambda p: (p.parent.parent.name, int(p.parent.name)))
    return [p.parent for p in found] or [folder]
