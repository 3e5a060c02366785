"""`scarce plugins list` and `scarce plugins info NAME`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from textwrap import indent
from typing import Any

from scarce.catalogue import GLOSSARY, ROLES, Catalogue, Row, read_catalogue
from scarce.errors import PluginError, ScarceError, did_you_mean

SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<", "min_length": "length ≥", "max_length": "length ≤"}


def main(argv: list[str]) -> None:
    """Run `plugins list [--role ROLE] [--json]` (the default) or `plugins info NAME [--role ROLE] [--json]`."""
    parser = argparse.ArgumentParser(prog="scarce plugins", description="What is installed, ready or not.")
    parser.add_argument("action", nargs="?", choices=("list", "info"), default="list")
    parser.add_argument("name", nargs="?", help="info: a component or a distribution")
    parser.add_argument("--role", choices=ROLES, help="only this role")
    parser.add_argument("--json", action="store_true", help="print JSON")
    asked = parser.parse_args(argv)
    if (asked.name is None) == (asked.action == "info"):
        parser.error("info needs one NAME" if asked.name is None else "list takes no NAME")
    catalogue = read_catalogue()
    rows = [row for row in catalogue.rows if asked.role in (None, row.role)]
    if asked.action == "info":
        _info(_named(catalogue, rows, asked.name), as_json=asked.json)
    elif asked.json:
        print(json.dumps([row.to_json() for row in rows], indent=2, ensure_ascii=False))
    else:
        rows.sort(key=lambda row: [*ROLES, row.role].index(row.role))
        cells = [(r.role, r.name, r.distribution, r.version, r.status, r.reason or r.summary) for r in rows]
        print(table(("role", "name", "distribution", "version", "status", "summary"), cells))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Left-aligned columns under a ruled head."""
    lines = [tuple(head), *(tuple(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    lines.insert(1, tuple("-" * width for width in widths))
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines)


def _named(catalogue: Catalogue, rows: list[Row], name: str) -> list[Row]:
    found = [row for row in rows if name in (row.name, row.distribution)]
    if found:
        return found
    for distribution, parts in catalogue.installable().items():
        if name == distribution or any(name == part["name"] for part in parts):
            raise PluginError(f"'{name}' is not installed; {distribution} offers it", hint=f"pip install {distribution}")
    known = [text for row in rows for text in (row.name, row.distribution)]
    raise PluginError(f"nothing installed is called '{name}'{did_you_mean(name, known)}", hint="scarce plugins list")


def _info(rows: list[Row], *, as_json: bool) -> None:
    facts = [{**row.to_json(), "options": _options(row)} for row in rows]
    print(json.dumps(facts, indent=2, ensure_ascii=False) if as_json else "\n\n".join(map(_text, facts)))


def _options(row: Row) -> list[dict[str, str]] | str:
    """Name, type, default and meaning of each option; why not, when they can't be read."""
    if row.status != "ready" or not row.config:
        return []
    from scarce.host.loading import load_config

    try:
        config = load_config(row)
    except ScarceError as err:
        return str(err)
    return [_option(name, info) for name, info in (config.model_fields if config else {}).items()]


def _option(name: str, info: Any) -> dict[str, str]:
    kind = info.annotation.__name__ if type(info.annotation) is type else str(info.annotation).replace("typing.", "")
    limits = [f"{SIGNS[key]} {value}" for mark in info.metadata for key, value in _limits(mark) if key in SIGNS]
    default = "required" if info.is_required() else repr(info.get_default(call_default_factory=True))
    return {"name": name, "type": " ".join([kind, *limits]), "default": default, "summary": info.description or ""}


def _limits(mark: Any) -> Iterable[tuple[str, Any]]:
    return asdict(mark).items() if hasattr(mark, "__dataclass_fields__") else ()


def _text(facts: dict[str, Any]) -> str:
    lines = [f"{facts['role']} {facts['name']}"]
    for key in ("summary", "status", "reason", "distribution", "version", "target", "config", "cite"):
        if facts[key]:
            lines.append(f"  {key:<13}{facts[key]}")
    for key in ("provides", "requires"):
        lines += [f"  {key:<13}{name}: {GLOSSARY.get(name, 'its own')}" for name in facts[key]]
    options = facts["options"]
    if isinstance(options, str):
        return "\n".join([*lines, f"  options      {options}"])
    if options:
        cells = [(o["name"], o["type"], o["default"], o["summary"]) for o in options]
        lines += ["  options", indent(table(("name", "type", "default", "meaning"), cells), "    ")]
    return "\n".join(lines)
