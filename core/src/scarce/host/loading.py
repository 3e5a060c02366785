"""Giving the caller one plugin: its options checked first, then its target imported and built."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from importlib.metadata import EntryPoint
from typing import Any

from pydantic import BaseModel, ValidationError
from stevedore.driver import DriverManager

from scarce.catalogue import ROLES, Catalogue, Row
from scarce.contract.frozen import Frozen
from scarce.contract.options import nested_parts
from scarce.errors import PluginError, RecipeError, ScarceError, did_you_mean

SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


class Loaded(Frozen):
    """One component of a recipe: where it stands, what it is, its checked options, and its instance once built.

    parts: instances named inside its options, by option name.
    """

    path: str
    row: Row
    options: BaseModel | None = None
    instance: Any = None
    parts: Mapping[str, Any] = field(default_factory=dict)


class _OneDriver(DriverManager):  # type: ignore[misc]
    """stevedore's driver manager fed with one row, past its own cache (which loses the distribution)."""

    def __init__(self, row: Row, entry: EntryPoint) -> None:
        self._entry = entry
        super().__init__(namespace=ROLES[row.role].group, name=row.name, warn_on_missing_entrypoint=None)

    def list_entry_points(self) -> list[EntryPoint]:
        """The one entry point."""
        return [self._entry]


def load_target(row: Row) -> Any:
    """Import what a ready row names; raises PluginError naming distribution, version, target and cause."""
    if row.entry is None or row.status != "ready":
        raise PluginError(f"{row.role} '{row.name}' can't be loaded: {row.reason}", hint=f"scarce plugins info {row.name}")
    try:
        return _OneDriver(row, row.entry).driver
    except BaseException as err:  # a plugin may also raise SystemExit, KeyboardInterrupt or AssertionError at import
        raise _broken(row, row.target, err) from err


def load_config(row: Row) -> type[BaseModel] | None:
    """Import a row's config class, None when it takes no options; raises PluginError."""
    if not row.config:
        return None
    module, _, name = row.config.partition(":")
    try:
        config: object = importlib.import_module(module)
        for part in name.split("."):
            config = getattr(config, part)
    except BaseException as err:
        raise _broken(row, row.config, err) from err
    if not (isinstance(config, type) and issubclass(config, BaseModel)):
        raise _broken(row, row.config, TypeError("it is not a pydantic model"))
    if "name" in config.model_fields:
        raise _broken(row, row.config, TypeError("it has an option 'name', which in a recipe names the component itself"))
    return config


def load_options(catalogue: Catalogue, role: str, name: str, options: Mapping[str, Any], path: str) -> Loaded:
    """Find a component and check its options without importing or building it.

    path: where the recipe says it ("strategy.0"). Raises PluginError, or RecipeError with one line per wrong option.
    """
    row = catalogue.find(role, name)
    config = load_config(row)
    if config is None:
        if options:
            raise RecipeError(f"{path}: {role} '{name}' takes no options (got {', '.join(options)})", hint=f"remove them from [{path}]")
        return Loaded(path=path, row=row)
    try:
        return Loaded(path=path, row=row, options=config.model_validate(dict(options)))
    except ValidationError as err:
        raise RecipeError(explain(err, config, options, path), hint=f"scarce plugins info {name}") from err


def build(checked: Loaded, parts: Mapping[str, Any] | None = None) -> Loaded:
    """Import and build what `load_options` checked: `Target(options)`, or `Target()` when it takes none.

    A lifecycle target that is no class is the plugin itself. Raises PluginError.
    """
    row = checked.row
    target = load_target(row)
    if not isinstance(target, type) and (row.role == "lifecycle" or not callable(target)):
        if row.role != "lifecycle":
            raise _broken(row, row.target, TypeError("it is neither a class nor a function"))
        return replace(checked, instance=target, parts=dict(parts or {}))
    try:
        instance = target() if checked.options is None else target(checked.options)
    except ScarceError:
        raise
    except (Exception, SystemExit) as err:
        raise _broken(row, row.target, err, done="built") from err
    return replace(checked, instance=instance, parts=dict(parts or {}))


def nested(checked: Loaded, path: str | None = None) -> list[tuple[str, str, str, dict[str, Any]]]:
    """Components named inside its options, as (path, role, name, options) of each; `path`: its own unless told."""
    found = []
    for option, part in nested_parts(type(checked.options)).items() if checked.options else ():
        value = getattr(checked.options, option)
        if value is not None:
            found.append((f"{path or checked.path}.{option}", part.role, value.name, value.options))
    return found


def explain(err: ValidationError, model: type[BaseModel], given: Mapping[str, Any], path: str) -> str:
    """A pydantic error as one line per wrong option: "strategy.0.rank: must be ≥ 1 (got 0)"."""
    lines = []
    for detail in err.errors(include_url=False):
        kind, context = detail["type"], detail.get("ctx", {})
        where = _where(given, detail["loc"], kind)
        if kind == "extra_forbidden":
            said = f"unknown option{did_you_mean(str(where[-1]), _fields(model, where[:-1]))}"
        elif kind == "missing":
            said = "is required"
        elif limits := [f"{sign} {context[key]}" for key, sign in SIGNS.items() if key in context]:
            said = f"must be {limits[0]} (got {detail['input']!r})"
        elif kind == "value_error":
            said = f"{context['error']} (got {detail['input']!r})"
        else:
            message = detail["msg"].replace("Input should be", "must be", 1)
            said = f"{message[0].lower()}{message[1:]} (got {detail['input']!r})"
        lines.append(f"{'.'.join(map(str, [path, *where] if path else where))}: {said}")
    return "\n".join(dict.fromkeys(lines))


def _where(given: Any, loc: Sequence[int | str], kind: str) -> list[int | str]:
    """The part of pydantic's location that a person wrote: without the tags it adds for unions."""
    where: list[int | str] = []
    for part in loc:
        inside = isinstance(given, Mapping) and part in given
        if inside or (isinstance(given, list | tuple) and isinstance(part, int) and part < len(given)):
            where.append(part)
            given = given[part]
        elif kind == "missing" and part == loc[-1]:
            where.append(part)
    return where


def _fields(model: type[BaseModel], where: Sequence[int | str]) -> list[str]:
    for part in where:
        info = model.model_fields.get(str(part))
        inner = [a for a in (info.annotation, *getattr(info.annotation, "__args__", ())) if isinstance(a, type)] if info else []
        model = next((a for a in inner if issubclass(a, BaseModel)), model)
    return list(model.model_fields)


def _broken(row: Row, target: str, err: BaseException, done: str = "imported") -> PluginError:
    cause = f"{type(err).__name__}: {err}" if str(err) else type(err).__name__
    module, _, attribute = target.partition(":")
    hint = f'python -c "from {module} import {attribute.partition(".")[0]}" shows where; SCARCE_BLOCK={row.distribution} leaves it out'
    if isinstance(err, ModuleNotFoundError) and err.name and err.name.partition(".")[0] != module.partition(".")[0]:
        hint = f"pip install --upgrade {row.distribution}, which must bring '{err.name}'"
    return PluginError(f"{row.role} '{row.name}' of {row.distribution} {row.version} can't be {done} from {target}: {cause}", hint=hint)
