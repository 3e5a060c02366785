"""Reading a recipe: TOML, a preset, overrides, then its own shape (the first of two passes)."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from scarce.catalogue.catalogue import Catalogue
from scarce.errors import RecipeError
from scarce.host.loading import explain
from scarce.runs.sections import Recipe, Sweep

COMPONENTS = ("backbone", "conditioner", "strategy", "acquisition", "learner", "evaluator", "lifecycle")
PLURAL = ("arm", "conditioner", "strategy", "evaluator", "lifecycle")


def find_recipe(name: str, catalogue: Catalogue) -> tuple[str, dict[str, Any]]:
    """Short name and raw content of a recipe: an existing file, or an installed name such as "tabular/churn"."""
    path = Path(name)
    if path.suffix == ".toml" and not path.is_file():
        raise RecipeError(f"recipe file {name} does not exist", hint="scarce recipes")
    if not path.is_file():
        path = catalogue.recipe_path(name)
    return (path.stem if str(path) == name else name), read_toml(path)


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file; what is not TOML is a RecipeError naming file and line."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} is not valid TOML: {error}", hint="scarce recipes") from None


def parse_set(text: str) -> tuple[str, Any]:
    """`key=value` of a `--set`: the value is TOML where it reads as TOML, else a string."""
    key, mark, value = text.partition("=")
    if not mark or not key.strip():
        raise RecipeError(f"--set {text}: expected KEY=VALUE", hint="--set train.steps=2000")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()


def show_value(value: Any) -> str:
    """A value as `--set` reads it back."""
    text = json.dumps(value, ensure_ascii=False)
    return value if isinstance(value, str) and parse_set(f"k={value}")[1] == value else text


def override(raw: dict[str, Any], key: str, value: Any) -> None:
    """Set one recipe path in place; an index just past the end, or a plain value on a list, appends.

    Naming another plugin drops the options of the one before.
    """
    parts = key.split(".")
    node: Any = raw
    for i, part in enumerate(parts[:-1]):
        empty: Any = [] if part in PLURAL and i == 0 else {}
        node = _item(node, part, key) if isinstance(node, list) else node.setdefault(part, empty)
        if not isinstance(node, dict | list):
            raise RecipeError(f"{key}: '{part}' is a value, not a table", hint="scarce plan RECIPE --json")
    last = parts[-1]
    if isinstance(node, list):
        raise RecipeError(f"{key}: name an option of item {last}, such as {key}.name", hint=f"--set {key}.name=…")
    if last == "name" and parts[0] in COMPONENTS and node.get("name", value) != value:
        if len(parts) == 2 and parts[0] == "acquisition":  # the rest are the core's options, not the score's
            node.pop("options", None)
        else:
            node.clear()
    if last in PLURAL and len(parts) == 1 and not isinstance(value, list):
        node[last] = [*node.get(last, []), {"name": value} if isinstance(value, str) else value]
    elif isinstance(node.get(last), list) and not isinstance(value, list):
        node[last] = [*node[last], value]
    else:
        node[last] = value


def _item(items: list[Any], part: str, key: str) -> Any:
    if not part.isdigit() or int(part) > len(items):
        raise RecipeError(f"{key}: '{part}' is not an item; there are {len(items)}", hint=f"use an index from 0 to {len(items)} (appends)")
    if int(part) == len(items):
        items.append({})
    return items[int(part)]


def data_overrides(data: str | Path | None) -> list[tuple[str, Any]]:
    """What `--data` sets: the source, a file by its full path, and no target but the one that is asked for beside it."""
    if data is None:
        return []
    return [("data.source", str(Path(data).resolve()) if Path(data).exists() else str(data)), ("data.target", None)]


def resolve(raw: Mapping[str, Any], *, preset: str | None = None, overrides: Sequence[tuple[str, Any]] = ()) -> Recipe:
    """The recipe after preset, the default levels of its sweep, and overrides.

    Every mistake is a RecipeError that starts with its recipe path.
    """
    data = deepcopy(dict(raw))
    presets = data.pop("preset", {})
    if preset and preset not in presets and preset != "quick":
        raise RecipeError(f"preset '{preset}' is not one of {', '.join(presets) or 'none'}", hint="scarce recipes")
    chosen = flatten(presets.get(preset or "quick", {}))
    sweep = read_sweep(data, [*chosen, *overrides])
    for key, value in [*chosen, *flatten(sweep.overrides(sweep.settle({}))), *overrides]:
        override(data, key, value)
    try:
        return Recipe.model_validate(data)
    except ValidationError as error:
        raise RecipeError(explain(error, Recipe, data, ""), hint="scarce recipes, or docs/recipes.md for every key") from None


def read_sweep(raw: Mapping[str, Any], overrides: Sequence[tuple[str, Any]] = ()) -> Sweep:
    """The section [sweep] alone, under those of the overrides that mean it."""
    data = {"sweep": deepcopy(raw.get("sweep", {}))}
    for key, value in overrides:
        if key.partition(".")[0] == "sweep":
            override(data, key, value)
    try:
        return Sweep.model_validate(data["sweep"])
    except ValidationError as error:
        raise RecipeError(explain(error, Sweep, data["sweep"], "sweep"), hint="docs/comparing.md") from None


def flatten(table: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Dotted paths and values of a nested table."""
    out: list[tuple[str, Any]] = []
    for key, value in table.items():
        path = f"{prefix}{key}"
        out += flatten(value, f"{path}.") if isinstance(value, dict) else [(path, value)]
    return out


def with_arm(recipe: Recipe, overrides: Mapping[str, Any]) -> Recipe:
    """The recipe of one arm: its overrides applied, no arms left."""
    data = recipe.model_dump(mode="json", by_alias=True, exclude={"sweep"})
    data["arm"] = []
    return resolve(data, overrides=flatten(dict(overrides)))


def difference(old: Any, new: Any, path: str = "") -> list[str]:
    """`path: old -> new` for every value that differs between two plain structures."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = sorted(set(old) | set(new))
        return [line for k in keys for line in difference(old.get(k), new.get(k), f"{path}.{k}" if path else k)]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [line for i, (a, b) in enumerate(zip(old, new, strict=True)) for line in difference(a, b, f"{path}.{i}")]
    return [] if old == new else [f"{path}: {old!r} -> {new!r}"]
