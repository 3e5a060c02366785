"""`scarce recipes`: recipes that can be run by name."""

from __future__ import annotations

import tomllib
from typing import Any

from scarce.catalogue import Catalogue, Row, read_catalogue
from scarce.cli.common import parser, show, table
from scarce.errors import PluginError


def main(argv: list[str]) -> None:
    """Run `recipes [--json]`."""
    asked = parser("recipes", "Recipes that can be run by name.", "--json").parse_args(argv)
    catalogue = read_catalogue()
    found = [_describe(catalogue, row) for row in catalogue.entries("recipes")]
    cells = [(f["name"], f["distribution"], ", ".join(f["presets"]), f["reason"] or f["summary"]) for f in found]
    show(found, table(("recipe", "distribution", "presets", "summary"), cells), as_json=asked.json)


def _describe(catalogue: Catalogue, row: Row) -> dict[str, Any]:
    """Name, distribution, version, summary (its `summary`, else the first comment line), presets; or the reason why not."""
    facts: dict[str, Any] = {"name": row.name, "distribution": row.distribution, "version": row.version}
    facts |= {"summary": "", "presets": [], "reason": row.reason}
    if row.status != "ready":
        return facts
    try:
        text = catalogue.recipe_path(row.name).read_text(encoding="utf-8")
        recipe = tomllib.loads(text)
    except (PluginError, OSError, ValueError, RecursionError) as err:
        return facts | {"reason": f"can't be read: {getattr(err, 'message', err)}"}
    comment = next((line.strip("# \t") for line in text.splitlines() if line.startswith("#") and line.strip("# \t")), "")
    presets = recipe.get("preset", {})
    return facts | {"summary": str(recipe.get("summary", comment)), "presets": list(presets) if isinstance(presets, dict) else []}
