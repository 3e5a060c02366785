"""What is installed: one immutable row per component, read from entry points and manifests; imports no plugin."""

from __future__ import annotations

import json
import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from scarce.catalogue.manifest import TARGET, Component, Malformed, Manifest, is_compatible, read_manifest, resource
from scarce.catalogue.roles import API, GROUPS, MANIFESTS, ROLES
from scarce.errors import PluginError, did_you_mean

Status = Literal["ready", "blocked", "conflicting", "incompatible", "malformed"]
CORE = "scarce"


@dataclass(frozen=True, kw_only=True)
class Row(Component):
    """One component of one distribution; `reason` says why it is not ready, `entry` is what loading imports."""

    distribution: str
    version: str
    target: str = ""
    status: Status = "ready"
    reason: str = ""
    entry: metadata.EntryPoint | None = field(default=None, repr=False, compare=False)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {key: value for key, value in vars(self).items() if key != "entry"}


@dataclass(frozen=True)
class Catalogue:
    """All rows, sorted by distribution, role and name."""

    rows: tuple[Row, ...]

    def find(self, role: str, name: str) -> Row:
        """The one ready row; raises PluginError saying why there is none and what to do."""
        claims = [row for row in self.rows if (row.role, row.name) == (role, name)]
        ready = [row for row in claims if row.status == "ready"]
        if ready:
            return ready[0]
        if claims:
            raise PluginError(f"{role} '{name}' can't be used: {claims[0].reason}", hint=_remedy(claims))
        names = {row.name for row in self.rows if row.role == role and row.status == "ready"}
        known = {p["name"]: dist for dist, parts in self.installable().items() for p in parts if p["role"] == role}
        brings = known.get(name)
        if role == "recipe" and f"{CORE}-{name.partition('/')[0]}" in self.installable():
            brings = f"{CORE}-{name.partition('/')[0]}"
        asked = f"{role} '{name}' is not installed"
        if brings:
            raise PluginError(f"{asked}; {brings} offers it", hint=f"pip install {brings}")
        found = f"; installed: {', '.join(sorted(names)) or 'none'}"
        verb = "scarce recipes" if role == "recipe" else f"scarce plugins list --role {role}"
        raise PluginError(asked + did_you_mean(name, names | set(known)) + found, hint=verb)

    def entries(self, group: str) -> tuple[Row, ...]:
        """All rows of one group, ready or not: "datasets", "recipes", "modalities", …"""
        role = GROUPS[f"scarce.{group}"].name
        return tuple(row for row in self.rows if row.role == role)

    def recipe_path(self, name: str) -> Path:
        """Where the packaged recipe's TOML file is; raises PluginError when there is none."""
        return self._file("recipe", name)

    def generator_path(self, name: str) -> Path:
        """The folder of a packaged generator, laid out as a run's; raises PluginError when there is none."""
        return self._file("generator", name).parent

    def _file(self, role: str, name: str) -> Path:
        row = self.find(role, name)
        try:
            return resource(row.target)
        except Malformed as err:
            hint = f"pip install --force-reinstall {row.distribution}"
            raise PluginError(f"{role} '{name}' of {row.distribution} {row.version}: {err}", hint=hint) from err

    def installable(self) -> Mapping[str, list[dict[str, Any]]]:
        """Known distributions that are not installed -> their parts (role, name, provides), from an index inside the core."""
        present = {normal(row.distribution) for row in self.rows}
        return {dist: parts for dist, parts in known_plugins().items() if dist not in present}


@cache
def known_plugins() -> dict[str, list[dict[str, Any]]]:
    """The offline index: distribution -> parts (role, name, provides)."""
    index = json.loads(Path(__file__).with_name("known.json").read_text(encoding="utf-8"))
    return {dist: [{"role": role, "name": name, "provides": provides} for role, name, provides in parts] for dist, parts in index.items()}


def normal(name: str) -> str:
    """A distribution's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_catalogue(
    only: Collection[str] | None = None, block: Collection[str] | None = None, distributions: Iterable[metadata.Distribution] | None = None
) -> Catalogue:
    """Read what is installed; never raises for a bad plugin, which becomes a row with a reason.

    only, block: distribution names, by default from SCARCE_ONLY and SCARCE_BLOCK (comma separated; an empty
    SCARCE_ONLY means none); `scarce` itself is never blocked. distributions: by default those of sys.path, of which
    the first of a name counts, as for imports.
    """
    only = _names("SCARCE_ONLY") if only is None else {normal(name) for name in only}
    block = _names("SCARCE_BLOCK") or set() if block is None else {normal(name) for name in block}
    rows: list[Row] = []
    seen: set[str] = set()
    for dist in metadata.distributions() if distributions is None else distributions:
        entries, damage = [], ""
        try:
            entries = [e for e in dist.entry_points if e.group == MANIFESTS or e.group.startswith(f"{CORE}.")]
        except Exception as err:  # any damage to another distribution's files must stay a row
            damage = f"its entry points can't be read: {err}"
        if not entries and not damage:
            continue
        name, version = _identity(dist)
        if normal(name) in seen:
            continue
        seen.add(normal(name))
        rows += _rows(name, version, entries, damage, _blocked(normal(name), only, block))
    rows.sort(key=lambda row: (normal(row.distribution), row.role, row.name, row.target))
    return Catalogue(tuple(_conflicts(rows)))


def _names(variable: str) -> set[str] | None:
    value = os.environ.get(variable)
    return None if value is None else {normal(name.strip()) for name in value.split(",") if name.strip()}


def _identity(dist: metadata.Distribution) -> tuple[str, str]:
    try:
        return str(dist.metadata["Name"] or "unnamed"), str(dist.metadata["Version"] or "?")
    except Exception:
        return "unnamed", "?"


def _blocked(name: str, only: Collection[str] | None, block: Collection[str]) -> str:
    if name == CORE:
        return ""
    if name in block:
        return "blocked by SCARCE_BLOCK"
    return "" if only is None or name in only else "not in SCARCE_ONLY"


def _rows(name: str, version: str, entries: list[metadata.EntryPoint], damage: str, blocked: str) -> list[Row]:
    manifest, state, reason = _manifest([e.value for e in entries if e.group == MANIFESTS], damage, blocked)
    described = {(part.role, part.name): part for part in manifest.components}
    parts: list[tuple[str, str, metadata.EntryPoint | None, Component | None]] = []
    for entry in sorted((e for e in entries if e.group != MANIFESTS), key=lambda e: (e.group, e.name, e.value)):
        role = GROUPS[entry.group].name if entry.group in GROUPS else entry.group
        parts.append((role, entry.name, entry, described.get((role, entry.name))))
    claimed = {(role, label) for role, label, _, _ in parts}
    parts += [(*key, None, part) for key, part in described.items() if key not in claimed]
    if not parts and state != "ready":
        parts.append(("plugin", name, None, None))
    rows = []
    for role, label, source, part in parts:
        flaw = _flaw(role, label, source, part) if state == "ready" else reason
        status: Status = "malformed" if flaw and state == "ready" else state
        facts = vars(part or Component(role=role, name=label))
        because = f"{name} {version}: {flaw}" if flaw else ""
        target = source.value if source else ""
        rows.append(Row(**facts, distribution=name, version=version, target=target, status=status, reason=because, entry=source))
    return rows


def _manifest(values: list[str], damage: str, blocked: str) -> tuple[Manifest, Status, str]:
    manifest = Manifest(api=API)
    status: Status = "ready"
    reason = ""
    try:
        if damage or len(values) != 1:
            raise Malformed(damage or f"it must have one '{MANIFESTS}' entry point, not {len(values)}")
        manifest = read_manifest(resource(values[0]))
    except Malformed as err:
        status, reason = "malformed", str(err)
    if not is_compatible(manifest.api):
        wanted, ours = (".".join(map(str, api)) for api in (manifest.api, API))
        status, reason = "incompatible", f"it needs API {wanted}, core has {ours}"
    return (manifest, "blocked", blocked) if blocked else (manifest, status, reason)


def _flaw(role: str, name: str, entry: metadata.EntryPoint | None, part: Component | None) -> str:
    if role not in ROLES:
        return f"unknown entry-point group '{role}'{did_you_mean(role, GROUPS)}"
    if entry is None:
        return f"the manifest describes it, but no entry point '{name}' in group '{ROLES[role].group}' names its target"
    if ROLES[role].declared and part is None:
        return f"entry point '{name}' in group '{ROLES[role].group}' has no [[component]] in the manifest"
    if role not in ("recipe", "generator") and not TARGET.fullmatch(entry.value):
        return f"target '{entry.value}' must look like 'module:Name'"
    return ""


def _conflicts(rows: list[Row]) -> list[Row]:
    claims: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        if row.status == "ready":
            claims[row.role, row.name].append(row)
    out = []
    for row in rows:
        rivals = claims[row.role, row.name]
        if row.status == "ready" and len(rivals) > 1:
            who = " and by ".join(f"{rival.distribution} {rival.version}" for rival in rivals)
            row = replace(row, status="conflicting", reason=f"'{row.name}' is claimed by {who}")
        out.append(row)
    return out


def _remedy(claims: list[Row]) -> str:
    row = claims[0]
    if row.status == "blocked":
        return f"change SCARCE_BLOCK or SCARCE_ONLY so that it lets {row.distribution} in"
    if row.status == "conflicting":
        loser = next((claim for claim in claims[::-1] if normal(claim.distribution) != CORE), row)
        return f"SCARCE_BLOCK={loser.distribution} scarce …"
    if row.status == "incompatible":
        return f"pip install --upgrade {CORE} {row.distribution}"
    return f"pip install --upgrade {row.distribution}, or tell its author"
