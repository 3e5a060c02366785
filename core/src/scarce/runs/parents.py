"""What `generator.from` names: a run folder and the recipe that made its network, or a checkpoint and who opens it."""

from __future__ import annotations

from pathlib import Path

from scarce.catalogue.catalogue import Catalogue, Row
from scarce.contract.options import Named
from scarce.errors import PluginError, RunError
from scarce.runs.folder import children, read_recipe
from scarce.runs.sections import Data, GeneratorSection, Recipe

HINT = "--set generator.from=run:runs/NAME, generator:NAME (scarce plugins list --role generator), or hub:ORG/NAME of a pipeline"
OPENS = "opens:diffusers"


def settled(recipe: Recipe, catalogue: Catalogue) -> Recipe:
    """The recipe in which a checkpoint that `generator.from` names is `[backbone] source` of the component that opens it.

    A checkpoint is "hub:ORG/NAME" or a folder with model_index.json; it brings what conditions it, so conditioners of the recipe
    go. Any other recipe is returned as it is, and so is one whose data nothing generates: its checkpoint makes views. Raises
    PluginError when no installed backbone opens such a thing.
    """
    source = recipe.generator.source
    if source is None or not is_checkpoint(source) or not encoded(catalogue.find("modality", recipe.data.modality)):
        return recipe
    own = recipe.backbone
    able = _openers(source, catalogue)
    own = own if own is not None and own.name in able else None
    backbone = Named(**{"name": able[0] if own is None else own.name, **({} if own is None else own.options), "source": source})
    return recipe.model_copy(update={"generator": GeneratorSection(given=True), "backbone": backbone, "conditioner": ()})


def _openers(source: str, catalogue: Catalogue) -> list[str]:
    able = [row.name for row in catalogue.entries("backbones") if row.status == "ready" and OPENS in row.provides]
    if not able:
        known = [dist for dist, parts in catalogue.installable().items() if any(OPENS in part["provides"] for part in parts)]
        hint = f"pip install {known[0]}" if known else "scarce plugins list --role backbone"
        raise PluginError(f"generator.from: no installed backbone opens {source}, a pipeline of diffusers", hint=hint)
    return able


def encoded(modality: Row) -> bool:
    """Whether its records are encoded into a space, so that there is something to denoise."""
    return any(name.startswith("space:") for name in modality.provides)


def is_checkpoint(source: str) -> bool:
    """Whether it is a pipeline of diffusers, on the hub or in a folder."""
    kind, _, rest = source.partition(":")
    return kind == "hub" or (Path(rest if kind == "path" else source) / "model_index.json").is_file()


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
        if is_checkpoint(recipe.generator.source):
            return _viewing(recipe, catalogue)
        seen.append(recipe.generator.source)
        recipe, _ = read_recipe(children(parent_folder(recipe.generator.source, catalogue))[0])
    return recipe


def _viewing(recipe: Recipe, catalogue: Catalogue) -> Recipe:
    """The recipe of a checkpoint alone, of the modality that its backbone needs; `generator.options` are those of that modality."""
    backbone = catalogue.find("backbone", _openers(recipe.generator.source or "", catalogue)[0])
    spaces = {need for need in backbone.requires if need.startswith("space:")}
    made = next(row.name for row in catalogue.entries("modalities") if row.status == "ready" and spaces <= set(row.provides))
    return Recipe(
        data=Data(modality=made, options=recipe.generator.options), generate=recipe.generate, generator=GeneratorSection(given=True),
        backbone=Named(**{"name": backbone.name, "source": recipe.generator.source}),
    )  # fmt: skip


def codec_parent(recipe: Recipe, catalogue: Catalogue) -> Path | None:
    """The folder whose codec a run must use: that of its parent, where both are of one modality."""
    if recipe.generator.source is None or origin(recipe, catalogue).data.modality != recipe.data.modality:
        return None
    return children(parent_folder(recipe.generator.source, catalogue))[0]
