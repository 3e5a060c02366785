"""Reading a distribution's `plugin.toml` without importing the distribution."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from scarce.catalogue.glossary import GLOSSARY, is_known
from scarce.catalogue.roles import API, ROLES
from scarce.errors import did_you_mean

NAME = re.compile(r"[a-z0-9]+([.-][a-z0-9]+)*")
"""Names of components: lower case with dashes; a dot for a later version (`lora.v2`)."""

TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


class Malformed(ValueError):
    """A manifest, or what an entry point names, is not what it must be; the message says how."""


@dataclass(frozen=True, kw_only=True)
class Component:
    """One `[[component]]` of a manifest; config is "module:Class" of its options."""

    role: str
    name: str
    summary: str = ""
    provides: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    config: str = ""
    cite: str = ""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A manifest: the contract it was made for, and its components (none are read when the contract differs)."""

    api: tuple[int, int]
    components: tuple[Component, ...] = ()


def resource(value: str) -> Path:
    """The file an entry point such as `scarce_tabular.recipes:churn.toml` names, found without importing anything.

    Only the top-level package is looked up, which imports nothing; a submodule's spec would import its parents.
    Works for wheels and for every kind of editable install. Raises Malformed.
    """
    module, colon, file = value.partition(":")
    top, *folders = module.strip().split(".")
    if not (colon and file and top):
        raise Malformed(f"'{value}' must look like 'package:file.toml'")
    try:
        spec = find_spec(top)
    except (ImportError, ValueError, AttributeError) as err:
        raise Malformed(f"package '{top}' can't be located: {err}") from err
    for place in (spec and spec.submodule_search_locations) or ():
        path = Path(place, *folders, file.strip())
        if path.is_file():
            return path
    raise Malformed(f"'{value}': package '{top}' is not there" if spec is None else f"'{value}': no such file in package '{top}'")


def is_compatible(api: tuple[int, int]) -> bool:
    """Whether a plugin made for `api` runs on this core."""
    return api[0] == API[0] and api[1] <= API[1]


def read_manifest(path: Path) -> Manifest:
    """Parse and check a manifest; raises Malformed with the reason."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as err:
        raise Malformed(f"{path.name} can't be read: {err}") from err
    api = raw.get("api")
    if not isinstance(api, str) or not re.fullmatch(r"\d+\.\d+", api):
        raise Malformed(f'{path.name}: api must be text like "{API[0]}.{API[1]}" (got {api!r})')
    major, minor = (int(part) for part in api.split("."))
    if not is_compatible((major, minor)):  # a later contract may have keys and capabilities unknown here
        return Manifest(api=(major, minor))
    _refuse_unknown(raw, ("api", "component"), path.name)
    tables = raw.get("component", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise Malformed(f"{path.name}: components are written as [[component]] tables")
    found = tuple(_component(table, f"{path.name}: component {i}") for i, table in enumerate(tables))
    keys = [(part.role, part.name) for part in found]
    for key in keys:
        if keys.count(key) > 1:
            raise Malformed(f"{path.name}: {key[0]} '{key[1]}' is described twice")
    return Manifest(api=(major, minor), components=found)


def _component(table: Mapping[str, Any], where: str) -> Component:
    _refuse_unknown(table, [f.name for f in fields(Component)], where)
    values: dict[str, Any] = {}
    for key in ("role", "name", "summary", "config", "cite"):
        values[key] = table.get(key, "")
        if not isinstance(values[key], str):
            raise Malformed(f"{where}: {key} must be text")
    role, name = values["role"], values["name"]
    if role not in ROLES:
        raise Malformed(f"{where}: unknown role '{role}'{did_you_mean(role, ROLES)}")
    if not name or (ROLES[role].declared and not NAME.fullmatch(name)):
        raise Malformed(f"{where}: name '{name}' must be lower case with dashes")
    if values["config"] and not TARGET.fullmatch(values["config"]):
        raise Malformed(f"{where} ({name}): config '{values['config']}' must look like 'module:Class'")
    for key in ("provides", "requires"):
        values[key] = _capabilities(table.get(key, []), f"{where} ({name}): {key}")
    return Component(**values)


def _capabilities(given: object, where: str) -> tuple[str, ...]:
    if not isinstance(given, list) or not all(isinstance(entry, str) for entry in given):
        raise Malformed(f"{where} must be a list of capabilities")
    for entry in given:
        if not is_known(entry):
            raise Malformed(f"{where}: unknown capability '{entry}'{did_you_mean(entry, GLOSSARY)}; prefix your own: 'acme.{entry}'")
    return tuple(given)


def _refuse_unknown(table: Mapping[str, Any], allowed: list[str] | tuple[str, ...], where: str) -> None:
    for key in table:
        if key not in allowed:
            raise Malformed(f"{where}: unknown key '{key}'{did_you_mean(key, allowed)}")
