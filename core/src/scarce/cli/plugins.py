"""`scarce plugins list` and `scarce plugins info NAME`."""

from __future__ import annotations

import inspect
from textwrap import indent
from typing import Any

from scarce.catalogue import GLOSSARY, ROLES, Catalogue, Row, read_catalogue
from scarce.cli.common import parser, show, table
from scarce.errors import PluginError, ScarceError, did_you_mean

SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<", "min_length": "length ≥", "max_length": "length ≤"}


def main(argv: list[str]) -> None:
    """Run `plugins list [--role ROLE] [--json]` (the default) or `plugins info NAME [--role ROLE] [--json]`."""
    arguments = parser("plugins", "What is installed, ready or not.", "--json")
    arguments.add_argument("action", nargs="?", choices=("list", "info"), default="list")
    arguments.add_argument("name", nargs="?", help="info: a component or a distribution")
    arguments.add_argument("--role", choices=ROLES, help="only this role")
    asked = arguments.parse_args(argv)
    if (asked.name is None) == (asked.action == "info"):
        arguments.error("info needs one NAME" if asked.name is None else "list takes no NAME")
    catalogue = read_catalogue()
    rows = [row for row in catalogue.rows if asked.role in (None, row.role)]
    if asked.action == "info":
        facts = [{**row.to_json(), **_options(row)} for row in _named(catalogue, rows, asked.name)]
        show(facts, "\n\n".join(map(_text, facts)), as_json=asked.json)
    else:
        ordered = sorted(rows, key=lambda row: [*ROLES, row.role].index(row.role))
        cells = [(r.role, r.name, r.distribution, r.version, r.status, r.reason or r.summary) for r in ordered]
        text = table(("role", "name", "distribution", "version", "status", "summary"), cells)
        show([row.to_json() for row in rows], text, as_json=asked.json)


def _named(catalogue: Catalogue, rows: list[Row], name: str) -> list[Row]:
    found = [row for row in rows if name in (row.name, row.distribution)]
    if found:
        return found
    for distribution, parts in catalogue.installable().items():
        if name == distribution or any(name == part["name"] for part in parts):
            raise PluginError(f"'{name}' is not installed; {distribution} offers it", hint=f"pip install {distribution}")
    known = [text for row in rows for text in (row.name, row.distribution)]
    raise PluginError(f"nothing installed is called '{name}'{did_you_mean(name, known)}", hint="scarce plugins list")


def _options(row: Row) -> dict[str, Any]:
    """options: name, type, default and meaning of each, or why they can't be read; about: what their class says of them."""
    if row.status != "ready" or not row.config:
        return {"options": [], "about": ""}
    from scarce.host.loading import load_config

    try:
        config = load_config(row)
    except ScarceError as err:
        return {"options": str(err), "about": ""}
    about = inspect.cleandoc(vars(config).get("__doc__") or "")
    return {"options": [_option(name, info) for name, info in (config.model_fields if config else {}).items()], "about": about}


def _option(name: str, info: Any) -> dict[str, str]:
    kind = info.annotation.__name__ if type(info.annotation) is type else str(info.annotation).replace("typing.", "")
    limits = [f"{sign} {getattr(mark, key)}" for mark in info.metadata for key, sign in SIGNS.items() if hasattr(mark, key)]
    default = "required" if info.is_required() else repr(info.get_default(call_default_factory=True))
    return {"name": name, "type": " ".join([kind, *limits]), "default": default, "summary": info.description or ""}


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
    if facts["about"]:
        lines += ["", indent(facts["about"], "    ")]
    return "\n".join(lines)
