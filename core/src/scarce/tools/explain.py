"""`scarce explain`: who supplies what in a recipe, in which order, and why other installed components have no part in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from scarce.catalogue import ROLES, Catalogue, Row, missing
from scarce.contract.frozen import Frozen
from scarce.errors import RecipeError, ScarceError
from scarce.host.loading import load_options, nested
from scarce.runs.assembly import CORE_PROVIDES, PARENT_ROLES, Named, check_recipe, named_components, row_of
from scarce.runs.parents import origin
from scarce.runs.sections import Recipe

STAGES = {
    "dataset": "load", "modality": "load", "generator": "build", "conditioner": "build", "backbone": "build", "strategy": "train",
    "acquisition": "acquire", "learner": "learn", "evaluator": "evaluate", "lifecycle": "observe", "executor": "carry out",
}  # fmt: skip
"""Role -> the stage of a run in which it is called first, in the order of calling; what is named inside options goes with its owner."""
NAMED = "named in the recipe"


class Part(Frozen):
    """One component with a part in the run: when it is called, where the recipe names it, who brings it, and what can be called."""

    stage: str
    path: str
    role: str
    name: str
    distribution: str
    version: str
    why: str
    hooks: tuple[str, ...] = ()


class Supply(Frozen):
    """One capability that parts need, and the paths of those that provide it ("core": every generator has it); none: refused."""

    capability: str
    needed_by: tuple[str, ...]
    supplied_by: tuple[str, ...]


class Other(Frozen):
    """An installed component that has no part in the run; fits: it could, as far as capabilities tell."""

    role: str
    name: str
    distribution: str
    version: str
    fits: bool
    why: str


class Explanation(Frozen):
    """What `explain_recipe` found; refused, hint: why the recipe can't start and what to try, empty when it can."""

    parts: tuple[Part, ...]
    supplies: tuple[Supply, ...]
    others: tuple[Other, ...]
    refused: str = ""
    hint: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        lists = {name: [vars(item) for item in getattr(self, name)] for name in ("parts", "supplies", "others")}
        return {**lists, "refused": self.refused, "hint": self.hint}


@dataclass(frozen=True)
class _Cast:
    """Who takes part: rows by path, those named inside options by path, and those that a given generator brings.

    apart: the generator is of another modality, so that only what is named inside options may use what it provides.
    """

    rows: dict[str, Row]
    inner: dict[str, Row]
    given: dict[str, Row]
    apart: bool

    def lacking(self) -> list[tuple[str, Row]]:
        """What is needed and not provided, as the check of a recipe sees it."""
        alone, named = list(self.rows.values()), list(self.inner.values())
        found = missing([*alone, *named, *self.given.values()], CORE_PROVIDES)
        return missing(alone, CORE_PROVIDES) + [(n, r) for n, r in found if r not in alone] if self.apart else found

    def with_other(self, other: Row, inner: Mapping[str, Row]) -> _Cast:
        """The cast with a component (and what it names) in the place of that of its role, or beside those where there may be several."""
        path = other.role if other.role in self.rows or not ROLES[other.role].many else f"{other.role}.{len(self.rows)}"
        kept = {p: row for p, row in self.inner.items() if not p.startswith(f"{path}.")}
        return replace(self, rows={**self.rows, path: other}, inner={**kept, **inner})


def explain_recipe(recipe: Recipe, catalogue: Catalogue) -> Explanation:
    """Everything that manifests and options say of a settled recipe; options are imported where they matter, components never.

    A recipe that can't start is explained as far as its parts are known. Raises ScarceError where `generator.from` is not there.
    """
    source = origin(recipe, catalogue)
    parts, cast = _parts(recipe, source, catalogue)
    supplies = _supplies(cast)
    others = _others(recipe, cast, parts, catalogue)
    try:
        check_recipe(recipe, catalogue)
    except ScarceError as err:
        return Explanation(parts=parts, supplies=supplies, others=others, refused=err.message, hint=err.hint)
    return Explanation(parts=parts, supplies=supplies, others=others)


def _parts(recipe: Recipe, source: Recipe, catalogue: Catalogue) -> tuple[tuple[Part, ...], _Cast]:
    cast = _Cast({}, {}, {}, apart=source.data.modality != recipe.data.modality)
    parts: list[Part] = []
    for role, name in _sources(recipe):
        parts += _part(_ready(catalogue, role, name), role, name, role, NAMED)
    if source is not recipe:
        brought = [part for part in named_components(source) if part.role in PARENT_ROLES]
        if cast.apart:
            brought.append(Named("modality", "modality", source.data.modality, {}))
        for part in brought:
            path, there = f"generator.{part.path}", _ready(catalogue, part.role, part.name)
            parts += _part(there, part.role, part.name, path, f"brought by {recipe.generator.source}")
            cast.given.update({path: there} if there else {})
    executor = recipe.runtime.executor
    parts += _part(_ready(catalogue, "executor", executor), "executor", executor, "executor", "runtime.executor")
    waiting = [(part, NAMED) for part in named_components(recipe)]
    while waiting:
        part, why = waiting.pop(0)
        row: Row | None
        try:
            row = (cast.rows if why == NAMED else cast.inner)[part.path] = row_of(part, recipe, catalogue)
            inner = nested(load_options(catalogue, part.role, part.name, part.options, part.path))
        except ScarceError:  # what is wrong is said by the check of the whole recipe
            row, inner = _ready(catalogue, part.role, part.name), []
        parts += _part(row, part.role, part.name, part.path, why)
        waiting = [(Named(*found), f"named in the options of {part.path}") for found in inner] + waiting
    order = [*STAGES]
    return tuple(sorted(parts, key=lambda part: order.index(part.path.partition(".")[0]))), cast


def _sources(recipe: Recipe) -> list[tuple[str, str]]:
    """Data and generator that the recipe takes by the name of something installed."""
    found = []
    for role, text, mark in (("dataset", recipe.data.source, "builtin"), ("generator", recipe.generator.source, "generator")):
        kind, _, name = (text or "").partition(":")
        found += [(role, name)] if kind == mark else []
    return found


def _ready(catalogue: Catalogue, role: str, name: str) -> Row | None:
    try:
        return catalogue.find(role, name)
    except ScarceError:
        return None


def _part(row: Row | None, role: str, name: str, path: str, why: str) -> list[Part]:
    who = (row.distribution, row.version) if row else ("not there", "")
    stage, hooks = STAGES[path.partition(".")[0]], ROLES[role].hooks
    return [Part(stage=stage, path=path, role=role, name=name, distribution=who[0], version=who[1], why=why, hooks=hooks)]


def _supplies(cast: _Cast) -> tuple[Supply, ...]:
    placed = {**cast.given, **cast.rows, **cast.inner}
    needs: dict[str, list[str]] = {}
    for path, row in placed.items():
        for need in row.requires:
            needs.setdefault(need, []).append(path)
    lacking = {(need, id(row)) for need, row in cast.lacking()}
    out = []
    for need, paths in needs.items():
        by = [path for path, row in placed.items() if need in row.provides] + (["core"] if need in CORE_PROVIDES else [])
        unmet = any((need, id(placed[path])) in lacking for path in paths)
        out.append(Supply(capability=need, needed_by=tuple(paths), supplied_by=() if unmet else tuple(by)))
    return tuple(out)


def _others(recipe: Recipe, cast: _Cast, parts: Sequence[Part], catalogue: Catalogue) -> tuple[Other, ...]:
    """Every installed component of a role with hooks that is not among the parts, in the order of roles."""
    there = {(part.role, part.name) for part in parts}
    roles = [role.name for role in ROLES.values() if role.spec]
    rows = [row for row in catalogue.rows if row.role in roles and (row.role, row.name) not in there]
    rows.sort(key=lambda row: roles.index(row.role))
    before = {(need, row.role, row.name) for need, row in cast.lacking()}
    out = []
    for row in rows:
        flaw = _flaw(row, recipe, cast, before, catalogue)
        why = flaw or ("fits; the recipe names another" if row.role in cast.rows else "fits; the recipe does not name it")
        facts = {"role": row.role, "name": row.name, "distribution": row.distribution, "version": row.version}
        out.append(Other(**facts, fits=not flaw, why=why))
    return tuple(out)


def _flaw(row: Row, recipe: Recipe, cast: _Cast, before: set[tuple[str, str, str]], catalogue: Catalogue) -> str:
    """Why a component could not take part, empty when it could."""
    if row.status != "ready":
        return row.reason
    if row.role in PARENT_ROLES and cast.given:
        return f"{recipe.generator.source} brings its own"
    if row.role == "acquisition" and recipe.acquisition is not None:
        row = row_of(Named("acquisition", row.role, row.name, {}), recipe, Catalogue((row,)))
    return _said(row, {}, cast, before) or _inner_flaw(row, cast, before, catalogue)


def _inner_flaw(row: Row, cast: _Cast, before: set[tuple[str, str, str]], catalogue: Catalogue) -> str:
    """The same of what its options name by default; options without a default can't be looked into."""
    try:
        inner = _inside(Named(row.role, row.role, row.name, {}), catalogue) if row.config else {}
    except RecipeError:
        return ""
    except ScarceError as err:
        return err.message
    return _said(row, inner, cast, before) if inner else ""


def _inside(part: Named, catalogue: Catalogue) -> dict[str, Row]:
    """Rows of everything named in the options of a part, and in theirs, by path."""
    out: dict[str, Row] = {}
    for found in nested(load_options(catalogue, part.role, part.name, part.options, part.path)):
        inner = Named(*found)
        out |= {inner.path: catalogue.find(inner.role, inner.name), **_inside(inner, catalogue)}
    return out


def _said(row: Row, inner: Mapping[str, Row], cast: _Cast, before: set[tuple[str, str, str]]) -> str:
    """What is lacking with a component in the cast that was not `before`, in words."""
    needs, spoilt = list[str](), dict[str, list[str]]()
    for need, who in cast.with_other(row, inner).lacking():
        if who is row:
            needs.append(need)
        elif who in inner.values():
            needs.append(f"{need} (for the {who.role} '{who.name}' in its options)")
        elif (need, who.role, who.name) not in before:
            spoilt.setdefault(need, []).append(f"{who.role} '{who.name}'")
    said = [f"needs {' and '.join(dict.fromkeys(needs))}, which no part provides"] if needs else []
    said += [f"does not provide {need} for {' and '.join(dict.fromkeys(whose))}" for need, whose in spoilt.items()]
    return "; ".join(said)
