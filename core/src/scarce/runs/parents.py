"""Runs build on runs: which folder `generator.from` names, and which recipe made its network."""

from __future__ import annotations

from pathlib import Path

from scarce.catalogue.catalogue import Catalogue
from scarce.errors import RunError
from scarce.runs.folder import children, read_recipe
from scarce.runs.sections import Recipe

HINT = "scarce run RECIPE --set generator.from=run:runs/NAME, or generator:NAME of scarce plugins list --role generator"


def parent_folder(source: str, catalogue: Catalogue) -> Path:
    """The run folder that "run:PATH", "path:PATH", "generator:NAME", a path or an installed name means.

    Raises RunError when it is none, PluginError for a packaged generator that is not installed.
    """
    kind, colon, rest = source.partition(":")
    named = rest if kind == "generator" and colon else source
    if kind == "generator" or (not Path(source).exists() and any(row.name == source for row in catalogue.entries("generators"))):
        return catalogue.generator_path(named)
    folder = Path(rest if kind in ("run", "path") else source)
    if not (folder / "recipe.resolved.json").is_file():
        raise RunError(f"generator.from: {source} is not a run folder", hint=HINT)
    return folder


def origin(recipe: Recipe, catalogue: Catalogue) -> Recipe:
    """The recipe whose backbone and conditioners a run's generator has: its own, or that of the first of its parents."""
    seen: list[str] = []
    while recipe.generator.source is not None:
        if recipe.generator.source in seen:
            raise RunError(f"generator.from: {recipe.generator.source} builds on itself", hint=HINT)
        seen.append(recipe.generator.source)
        recipe, _ = read_recipe(children(parent_folder(recipe.generator.source, catalogue))[0])
    return recipe


def codec_parent(recipe: Recipe, catalogue: Catalogue) -> Path | None:
    """The folder whose codec a run must use: that of its parent, where both are of one modality."""
    if recipe.generator.source is None or origin(recipe, catalogue).data.modality != recipe.data.modality:
        return None
    return children(parent_folder(recipe.generator.source, catalogue))[0]
