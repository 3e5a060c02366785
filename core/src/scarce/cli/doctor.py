"""`scarce doctor`: what is installed and what is missing."""

from __future__ import annotations

from typing import Any

from scarce.cli.common import parser, show, table


def main(argv: list[str]) -> int:
    """Run `doctor [RECIPE] [--json]`; 1 when the recipe can't start, or without one when an installed plugin is broken."""
    text = "What is installed here, or with RECIPE what it still needs. Exit code 1 when something must be mended."
    arguments = parser("doctor", text, "--json")
    arguments.add_argument("recipe", nargs="?", help="installed name (scarce recipes) or a .toml file")
    asked = arguments.parse_args(argv)
    from scarce.catalogue import read_catalogue
    from scarce.tools.doctor import examine_recipe, installation

    catalogue = read_catalogue()
    if asked.recipe is None:
        facts = installation(catalogue)
        show(facts, _text(facts), as_json=asked.json)
        return int(any(row["status"] != "blocked" for row in facts["plugins"]))
    problems = [vars(problem) for problem in examine_recipe(asked.recipe, catalogue)]
    lines = [table(("problem", "try"), [(p["what"], p["hint"]) for p in problems]), ""] if problems else []
    lines.append(f"{asked.recipe} is not ready" if problems else f"{asked.recipe} is ready: scarce run {asked.recipe}")
    show({"recipe": asked.recipe, "ready": not problems, "problems": problems}, "\n".join(lines), as_json=asked.json)
    return int(bool(problems))


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
