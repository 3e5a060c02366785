"""`scarce plugins list`, `scarce plugins info NAME` and `scarce plugins new ROLE NAME`."""

from __future__ import annotations

import inspect
from pathlib import Path
from textwrap import indent
from typing import Any

from scarce.catalogue import GLOSSARY, ROLES, Catalogue, Row, read_catalogue
from scarce.cli.common import parser, show, table
from scarce.errors import PluginError, ScarceError, did_you_mean

SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<", "min_length": "length ≥", "max_length": "length ≤"}


def main(argv: list[str]) -> None:
    """Run `plugins list [--role ROLE] [--json]` (the default), `plugins info NAME` or `plugins new ROLE NAME [--out DIR]`."""
    arguments = parser("plugins", "What is installed, ready or not, and a new plugin to begin with.", "--json")
    arguments.add_argument("action", nargs="?", choices=("list", "info", "new"), default="list")
    arguments.add_argument("name", nargs="*", help="info: a component or a distribution; new: a role and a name")
    arguments.add_argument("--role", choices=ROLES, help="only this role")
    arguments.add_argument("--out", type=Path, metavar="DIR", help="new: the folder to write, ./NAME without")
    asked = arguments.parse_args(argv)
    wanted = {"list": "no NAME", "info": "one NAME", "new": "a ROLE and a NAME"}
    if len(asked.name) != list(wanted).index(asked.action):
        arguments.error(f"{asked.action} takes {wanted[asked.action]}")
    catalogue = read_catalogue()
    rows = [row for row in catalogue.rows if asked.role in (None, row.role)]
    if asked.action == "new":
        role, name = asked.name
        _new(role, name, asked.out, catalogue, asked.json)
    elif asked.action == "info":
        facts = [{**row.to_json(), **_options(row)} for row in named(catalogue, rows, asked.name[0])]
        show(facts, "\n\n".join(map(_text, facts)), as_json=asked.json)
    else:
        ordered = sorted(rows, key=lambda row: [*ROLES, row.role].index(row.role))
        cells = [(r.role, r.name, r.distribution, r.version, r.status, r.reason or r.summary) for r in ordered]
        text = table(("role", "name", "distribution", "version", "status", "summary"), cells)
        show([row.to_json() for row in rows], text, as_json=asked.json)


def _new(role: str, name: str, out: Path | None, catalogue: Catalogue, as_json: bool) -> None:
    from scarce.tools.new import new_plugin

    folder = new_plugin(role, name, out, catalogue)
    files = sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())
    steps = [f"pip install -e '{folder}[test]'", f"scarce plugins info {name}", f"scarce doctor {name}", f"pytest {folder}"]
    lines = [f"wrote {folder}:", *(f"  {file}" for file in files), "next:", *(f"  {step}" for step in steps)]
    show({"folder": folder, "files": files, "next": steps}, "\n".join(lines), as_json=as_json)


def named(catalogue: Catalogue, rows: list[Row], name: str) -> list[Row]:
    """The rows of a component or distribution; PluginError saying what is near, or which distribution offers it."""
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
