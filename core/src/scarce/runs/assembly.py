"""From recipe to loaded parts: second validation pass, capability check before any import, registration."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from scarce.catalogue.capabilities import check
from scarce.catalogue.catalogue import Catalogue, Row
from scarce.contract.options import nested_parts
from scarce.errors import CapabilityError, PluginError, RecipeError
from scarce.host.hooks import Scope
from scarce.host.loading import Loaded, build, load_options, nested
from scarce.runs.parents import encoded, origin
from scarce.runs.sections import Recipe

PARENT_ROLES = ("backbone", "conditioner")
# What the core itself provides to every generator: a NULL condition and a pooled vector exist even without conditioner.
CORE_PROVIDES = frozenset({"cond:pooled", "cond:tokens", "cond:dropout"})
ASCENT = ("score:differentiable", "learner:differentiable", "codec:soft", "cond:differentiable")
"""What gradients pass on their way from a score to an embedding."""


@dataclass(frozen=True)
class Named:
    """One component the recipe names: where, what, and its raw options."""

    path: str
    role: str
    name: str
    options: Mapping[str, Any]


@dataclass
class Assembly:
    """The loaded parts of a run: one plugin manager, and the components nested inside options, by owner."""

    scope: Scope
    loaded: dict[str, Loaded] = field(default_factory=dict)

    def parts_of(self, path: str) -> Mapping[str, Any]:
        """Option name -> instance of the components nested in the options at `path`."""
        return self.loaded[path].parts

    def rows(self) -> list[Row]:
        """Catalogue rows of everything loaded, for the lock."""
        return [loaded.row for loaded in self.loaded.values()]


def named_components(recipe: Recipe) -> list[Named]:
    """Every component of a recipe in calling order, by recipe path; a given generator brings its backbone and conditioners."""
    given = PARENT_ROLES if recipe.generator.source is not None else ()
    out = [Named("modality", "modality", recipe.data.modality, recipe.data.options)]
    if (asked := recipe.acquisition) is not None:
        out.append(Named("acquisition", "acquisition", asked.name, asked.options))
        out += [Named(f"acquisition.also.{i}", "acquisition", name, {}) for i, name in enumerate(asked.also)]
        out += [Named("acquisition.oracle", "learner", asked.oracle.name, asked.oracle.options)] if asked.oracle else []
    singles = [("backbone", recipe.backbone), ("learner", recipe.learner)]
    out += [Named(role, role, part.name, part.options) for role, part in singles if part is not None]
    for role in ("conditioner", "strategy", "evaluator", "lifecycle"):
        out += [Named(f"{role}.{i}", role, part.name, part.options) for i, part in enumerate(getattr(recipe, role))]
    return [part for part in out if part.role not in given]


def install_lines(needs: Sequence[str]) -> list[str]:
    """The pip line of every distribution of `needs` that is not installed; those without flags share one line.

    An entry is a distribution, or pip flags and then a distribution: "--no-deps NAME". Only presence is checked, not a version.
    """
    from importlib import metadata

    plain, flagged = [], []
    for need in needs:
        *flags, asked = need.split() or [""]
        try:
            metadata.distribution(re.split(r"[^\w.-]", asked)[0])
        except (metadata.PackageNotFoundError, ValueError):
            if flags:
                flagged.append(shlex.join(["pip", "install", *flags, asked]))
            else:
                plain.append(asked)
    return ([shlex.join(["pip", "install", *plain])] if plain else []) + flagged


def check_needs(recipe: Recipe, catalogue: Catalogue) -> None:
    """Raise PluginError unless every distribution under `needs` is installed; says the lines that install all of them."""
    lines = install_lines(recipe.needs)
    if lines:
        missing = [need for need in recipe.needs if install_lines([need])]
        what = f"this recipe needs distributions that are not installed: {', '.join(missing)}"
        raise PluginError(what, hint=" && ".join(lines) + "; scarce doctor RECIPE shows everything that is missing")


def parent_rows(source: Recipe, catalogue: Catalogue) -> list[Row]:
    """What makes the network and its conditions in the recipe of a generator."""
    return [catalogue.find(part.role, part.name) for part in named_components(source) if part.role in PARENT_ROLES]


def check_recipe(recipe: Recipe, catalogue: Catalogue) -> list[Named]:
    """Names, options and capabilities of everything the recipe names, before any component is imported; returns them."""
    check_needs(recipe, catalogue)
    asks = [name for name in ("strategy", "conditioner", "acquisition") if getattr(recipe, name)]
    only_learns = recipe.data.synthetic or not encoded(catalogue.find("modality", recipe.data.modality))
    if not recipe.generates and (asks or recipe.generate.rounds > 1 or not only_learns):
        who = f"a recipe with [{asks[0]}]" if asks else "a recipe"
        raise RecipeError(f"backbone: {who} needs [backbone], or [generator] with from", hint="scarce plugins list")
    if recipe.diffusion.prior == "per-class" and recipe.generate.guidance != 1.0:
        what = "generate.guidance: it mixes predictions with and without a label, which need one diffusion.prior for both, not 'per-class'"
        raise RecipeError(what, hint="--set generate.guidance=1, or --set diffusion.prior=full")
    if recipe.acquisition is not None and recipe.acquisition.mode == "query" and recipe.generate.pool == "generated":
        what = "acquisition.mode: query ranks unlabelled records, and generate.pool = 'generated' asks for none"
        raise RecipeError(what, hint="--set generate.pool=classic, or both; --set acquisition.mode=select chooses among samples")
    components = named_components(recipe)
    rows = [row_of(part, recipe, catalogue) for part in components]
    if recipe.data.hold is not None:
        check([replace(rows[0], requires=("data:stream",))], CORE_PROVIDES, catalogue=catalogue)
    source = origin(recipe, catalogue)
    same = source.data.modality == recipe.data.modality
    given = [] if source is recipe else parent_rows(source, catalogue)
    if same:
        check([*given, *rows], CORE_PROVIDES, catalogue=catalogue)
    elif recipe.acquisition is not None or recipe.generate.rounds > 1:
        what = f"generator.from: a generator of {source.data.modality} can't make the {recipe.data.modality} of later rounds"
        raise RecipeError(what, hint=f"name a generator of {recipe.data.modality}, or --set generate.rounds=1 without [acquisition]")
    elif recipe.strategy:
        what = f"generator.from: a generator of {source.data.modality} can't be adapted to {recipe.data.modality}"
        raise RecipeError(what, hint="--set strategy=[] uses it as it is, one sample for each record")
    else:  # a generator of another modality gives views: parts named inside options may read those, all others read the data
        check(rows, CORE_PROVIDES, catalogue=catalogue)
        given = [*given, catalogue.find("modality", source.data.modality)]
    waiting = list(components)
    while waiting:
        part = waiting.pop()
        checked = load_options(catalogue, part.role, part.name, part.options, part.path)
        inner = [Named(*found) for found in nested(checked)]
        _check_inner(checked, inner, catalogue)
        waiting += inner
        rows += [catalogue.find(named.role, named.name) for named in inner]
    check([*given, *rows], CORE_PROVIDES, catalogue=catalogue)
    return components


def _check_inner(owner: Loaded, inner: Sequence[Named], catalogue: Catalogue) -> None:
    """CapabilityError where a component that an option names lacks what that option needs of it."""
    needs = {name: part.needs for name, part in nested_parts(type(owner.options)).items()} if owner.options else {}
    for named in inner:
        provided = frozenset(catalogue.find(named.role, named.name).provides)
        try:
            check([replace(owner.row, provides=(), requires=needs[named.path.rsplit(".", 1)[-1]])], provided, catalogue=catalogue)
        except CapabilityError as error:
            raise CapabilityError(f"{named.path} = '{named.name}': {error.message}", hint=error.hint) from None


def row_of(part: Named, recipe: Recipe, catalogue: Catalogue) -> Row:
    """The catalogue's row, with what `acquisition.mode` adds to it: what only watches or judges an ascent does not carry it."""
    row, asked = catalogue.find(part.role, part.name), recipe.acquisition
    if part.path == "acquisition" and asked is not None and asked.mode == "ascend" and recipe.generate.pool != "classic":
        return replace(row, requires=(*row.requires, *ASCENT))
    return replace(row, provides=()) if part.path.startswith("acquisition.") else row


def assemble(recipe: Recipe, catalogue: Catalogue, *, name: str) -> Assembly:
    """Load and register every component of a recipe under its path, those nested in options first."""
    components = check_recipe(recipe, catalogue)
    assembly = Assembly(Scope(name))
    for part in components:
        load_part(assembly, catalogue, part)
    assembly.scope.freeze()
    return assembly


def assemble_one(catalogue: Catalogue, role: str, name: str) -> Assembly:
    """One component at its default options, as the only one of its scope."""
    assembly = Assembly(Scope(role))
    load_part(assembly, catalogue, Named(role, role, name, {}))
    assembly.scope.freeze()
    return assembly


def load_part(assembly: Assembly, catalogue: Catalogue, part: Named) -> Any:
    """Load one component and those its options name, register them, and return its instance; raises ScarceError."""
    checked = load_options(catalogue, part.role, part.name, part.options, part.path)
    inner = {
        path.rsplit(".", 1)[-1]: load_part(assembly, catalogue, Named(path, role, name, raw)) for path, role, name, raw in nested(checked)
    }
    loaded = build(checked, inner)
    assembly.scope.register(part.path, loaded.instance, part.role, loaded.row)
    assembly.loaded[part.path] = loaded
    return loaded.instance
