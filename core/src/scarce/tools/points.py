"""Which points a sweep has: factors with named levels, as a grid or one at a time."""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from scarce.catalogue.catalogue import Catalogue
from scarce.contract.frozen import Frozen
from scarce.errors import RecipeError, ScarceError, did_you_mean
from scarce.host.loading import load_options
from scarce.runs.assembly import named_components
from scarce.runs.recipe import flatten, parse_set, show_value
from scarce.runs.sections import Arm, Factor, Recipe, Sweep

SEPARATOR = "+"
MOST_POINTS = 10_000


class Point(Frozen):
    """One point of a sweep: its name (what differs from the default), the level of each factor, and what these set."""

    name: str
    levels: Mapping[str, str]
    overrides: Mapping[str, Any]


def parse_over(text: str) -> tuple[str, list[Any]]:
    """`PATH=a,b,c` of an --over: values are TOML where they read as TOML, else text."""
    key, _ = parse_set(text)
    values = text.partition("=")[2]
    try:
        found: list[Any] = tomllib.loads(f"v = [{values}]")["v"]
    except tomllib.TOMLDecodeError:
        found = [parse_set(f"{key}={part}")[1] for part in values.split(",")]
    if not found or "" in found:
        raise RecipeError(f"--over {text}: expected PATH=VALUE,VALUE,…", hint="--over train.steps=400,800")
    return key, found


def show_over(key: str, values: Sequence[Any]) -> str:
    """The text of --over that `parse_over` reads as these values."""
    text = f"{key}={','.join(map(show_value, values))}"
    return text if parse_over(text)[1] == list(values) else f"{key}={','.join(json.dumps(v, ensure_ascii=False) for v in values)}"


def factor_over(key: str, values: Sequence[Any], base: Recipe, catalogue: Catalogue, *, around: bool) -> Factor:
    """A factor of one recipe path; the recipe's own value is its default, and with `around` a level even if it is not listed."""
    levels = {level_name(value): Arm(name=level_name(value), **{key: value}) for value in values}
    if len(levels) < len(values):
        raise RecipeError(f"--over {key}: two values read alike ({', '.join(map(str, values))})", hint=f"--over {key}=1,2")
    own = level_name(own_value(base, key, catalogue))
    if own in levels or around:
        levels = {own: levels.get(own, Arm(name=own)), **levels}
    return Factor(name=level_name(key), level=tuple(levels.values()))


def level_name(value: Any) -> str:
    """A value as the name of a level and of a folder; "own" for none."""
    text = "own" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return re.sub(r"[^\w.+-]+", "-", text).strip("-.") or "empty"


def own_value(recipe: Recipe, key: str, catalogue: Catalogue) -> Any:
    """What the recipe, or the default of the plugin it names, has at a path; None when it has nothing."""
    values = dict(flatten(recipe.model_dump(mode="json", by_alias=True)))
    for part in named_components(recipe):
        try:
            options = load_options(catalogue, part.role, part.name, part.options, part.path).options
        except ScarceError:  # a point may replace it; what is wrong with the points is said when they are checked
            continue
        values |= {f"{part.path}.{name}": value for name, value in (options.model_dump(mode="json") if options else {}).items()}
    return values.get(key)


def restrict(sweep: Sweep, only: Sequence[str]) -> Sweep:
    """The sweep with some levels of a factor (`factor=level,level`), or with some factors varying (`factor`, and those with levels)."""
    asked = {name: [v for v in values.split(",") if v] for name, _, values in (text.partition("=") for text in only)}
    known = {f.name: [level.name for level in f.level] for f in sweep.factor}
    for name, values in asked.items():
        wrong = [v for v in values if v not in known.get(name, ())]
        if name not in known or wrong:
            what, near = (f"no level '{wrong[0]}'", known[name]) if name in known else ("no factor of that name", list(known))
            asks = wrong[0] if name in known else name
            raise RecipeError(f"--only {name}: {what}{did_you_mean(asks, near)}", hint=f"one of {', '.join(near)}")
    some = [name for name, values in asked.items() if not values]
    kept = {name: asked.get(name) or (known[name][:1] if some and name not in some else known[name]) for name in known}
    chosen = [f.model_copy(update={"level": tuple(v for v in f.level if v.name in kept[f.name])}) for f in sweep.factor]
    return sweep.model_copy(update={"factor": tuple(chosen)})


def check_sweep(sweep: Sweep) -> None:
    """Raise RecipeError for a sweep that varies nothing, says a name twice, or names a factor or level that is not there."""
    if not sweep.factor:
        raise RecipeError("sweep: there is nothing to vary", hint="--over train.steps=400,800, or [[sweep.factor]] in the recipe")
    before: dict[str, list[str]] = {}
    for i, factor in enumerate(sweep.factor):
        names = [level.name for level in factor.level]
        if factor.name in before or len(set(names)) < len(names):
            raise RecipeError(f"sweep.factor.{i}: the name '{factor.name}', or one of its levels, is there twice", hint="rename one")
        for name, allowed in factor.when.items():
            wrong = [v for v in allowed if v not in before.get(name, ())]
            if name not in before or wrong:
                said = f"no earlier factor{did_you_mean(name, before)}" if name not in before else f"without level '{wrong[0]}'"
                raise RecipeError(f"sweep.factor.{i}.when: '{name}' is {said}", hint=f"earlier factors: {', '.join(before) or 'none'}")
        before[factor.name] = names
    for name in sweep.cross:
        if name not in before:
            raise RecipeError(f"sweep.cross: no factor is called '{name}'{did_you_mean(name, before)}", hint=f"one of {', '.join(before)}")


def points(sweep: Sweep) -> list[Point]:
    """Every point, the default first: the grid of all levels, or one factor moved at a time (times those under `cross`).

    One at a time, a factor with `when` is moved at each of the levels where it applies. Raises RecipeError when two points
    would have one name.
    """
    factors = {f.name: f for f in sweep.factor}
    levels = {name: [level.name for level in f.level] for name, f in factors.items()}
    found: dict[tuple[tuple[str, str], ...], None] = {tuple(sweep.settle({}).items()): None}
    for moved in [(), *((name,) for name in factors)] if sweep.one_at_a_time else [tuple(factors)]:
        free = {name: [v for v in levels[name] if v in allowed] for m in moved for name, allowed in factors[m].when.items()}
        free |= {name: levels[name] for name in (*sweep.cross, *moved)}
        axes = [free.get(name, levels[name][:1]) for name in factors]
        if (count := math.prod(map(len, axes))) > MOST_POINTS:
            raise RecipeError(f"sweep: {count:,} points; there may be {MOST_POINTS:,}", hint="--one-at-a-time, or --only FACTOR=LEVEL")
        found |= {tuple(sweep.settle(dict(zip(factors, chosen, strict=True))).items()): None for chosen in product(*axes)}
    last = [name.rpartition(".")[2] for name in factors]
    short = {name: tail if last.count(tail) == 1 else name for name, tail in zip(factors, last, strict=True)}
    out: dict[str, Point] = {}
    for items in found:
        name = SEPARATOR.join(f"{short[f]}-{level}" for f, level in items if level != levels[f][0]) or "default"
        if name in out:
            raise RecipeError(f"sweep: two points would be called '{name}'", hint="rename a factor or a level")
        out[name] = Point(name=name, levels=dict(items), overrides=sweep.overrides(dict(items)))
    return list(out.values())
