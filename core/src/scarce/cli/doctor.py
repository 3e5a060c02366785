"""`scarce doctor`: what is installed and what is missing; is a plugin what it says it is?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from scarce.cli.common import parser, show, table

if TYPE_CHECKING:
    from scarce.catalogue import Catalogue
    from scarce.tools.doctor_plugin import Examined

SECONDS = 120


def main(argv: list[str]) -> int:
    """Run `doctor [RECIPE | PLUGIN] [--json]`; 1 when the recipe can't start, the plugin fails a check, or an installed one is broken."""
    text = "What is installed here; with RECIPE what it still needs; with PLUGIN whether it is what it says. Exit code 1 for a problem."
    arguments = parser("doctor", text, "--json")
    arguments.add_argument(
        "name", nargs="?", help="a recipe (scarce recipes, or a .toml file), or a distribution or component (scarce plugins)"
    )
    arguments.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="PLUGIN: an option of its component")
    arguments.add_argument("--seconds", type=float, default=SECONDS, help=f"PLUGIN: the most one import or component may take ({SECONDS})")
    asked = arguments.parse_args(argv)
    from scarce.catalogue import read_catalogue
    from scarce.tools.doctor import installation

    catalogue = read_catalogue()
    if asked.name is None:
        facts = installation(catalogue)
        show(facts, _text(facts), as_json=asked.json)
        return int(any(row["status"] != "blocked" for row in facts["plugins"]))
    if _is_recipe(asked.name):
        return _recipe(asked.name, catalogue, asked.json)
    return _plugin(asked.name, catalogue, asked.set, asked.seconds, asked.json)


def _is_recipe(name: str) -> bool:
    """Recipes are files, or have their method before a slash, which no distribution or component has."""
    return "/" in name or name.endswith(".toml") or Path(name).is_file()


def _recipe(name: str, catalogue: Catalogue, as_json: bool) -> int:
    from scarce.tools.doctor import examine_recipe

    problems = [vars(problem) for problem in examine_recipe(name, catalogue)]
    lines = [table(("problem", "try"), [(p["what"], p["hint"]) for p in problems]), ""] if problems else []
    lines.append(f"{name} is not ready" if problems else f"{name} is ready: scarce run {name}")
    show({"recipe": name, "ready": not problems, "problems": problems}, "\n".join(lines), as_json=as_json)
    return int(bool(problems))


def _plugin(name: str, catalogue: Catalogue, sets: list[str], seconds: float, as_json: bool) -> int:
    from scarce.cli.plugins import named
    from scarce.runs.recipe import parse_set
    from scarce.tools.doctor_plugin import examine_plugin, ordered

    rows = ordered(named(catalogue, list(catalogue.rows), name))
    found = examine_plugin(name, rows, seconds=seconds, options=dict(map(parse_set, sets)))
    healthy = all(examined.healthy for examined in found)
    facts = {"plugin": name, "healthy": healthy, "components": [examined.to_json() for examined in found]}
    show(facts, "\n".join([*_table(found), f"{name} is healthy" if healthy else f"{name} is not healthy"]), as_json=as_json)
    return int(not healthy)


def _table(found: list[Examined]) -> list[str]:
    """What became of every component, and below it what failed and what to do."""
    columns = list(found[0].aspects())
    rows, below = [], []
    for examined in found:
        row, cost = examined.row, examined.imported or {}
        spent = f"{cost['seconds']:.1f} s" + (f", {' '.join(cost['heavy'])}" if cost["heavy"] else "") if cost else ""
        rows.append((f"{row.role} {row.name}", *examined.aspects().values(), spent))
        outcomes = [] if examined.report is None else examined.report["outcomes"]
        below += [f"{row.role} {row.name}: {o['check']}: {o['said']}" for o in outcomes if o["result"] == "failed"]
        below += [f"{examined.problem}\n  try: {examined.hint}"] if examined.problem else []
    return [table(("component", *columns, "import cost"), rows), "", *below, *([""] if below else [])]


def _text(facts: dict[str, Any]) -> str:
    lines = [f"{name:<10}{version}" for name, version in facts["versions"].items()]
    lines += [f"{'device':<10}{d['device']}, computes in {d['precision']}" for d in facts["devices"]]
    lines.append(f"{'threads':<10}{facts['threads']}")
    lines += [f"{'disk':<10}{free} GB free at {place}" for place, free in facts["disk"].items()]
    lines.append(f"{'trackers':<10}{', '.join(facts['trackers']) or 'none'}")
    lines += [f"{'extra':<10}{e['extra']} lacks {', '.join(e['missing'])}; try: {e['hint']}" for e in facts["extras"]]
    lines.append(f"{'plugins':<10}{'not all are ready:' if facts['plugins'] else 'all are ready'}")
    rows = [(p["role"], p["name"], p["status"], p["reason"], p["hint"]) for p in facts["plugins"]]
    return "\n".join([*lines, table(("role", "name", "status", "reason", "try"), rows)] if rows else lines)
