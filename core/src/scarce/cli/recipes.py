"""`scarce recipes`: recipes that can be run by name."""

from __future__ import annotations

import argparse
import json
import tomllib
from typing import Any

from scarce.catalogue import Catalogue, Row, read_catalogue
from scarce.cli.plugins import table
from scarce.errors import PluginError


def main(argv: list[str]) -> None:
    """Run `recipes [--json]`."""
    parser = argparse.ArgumentParser(prog="scarce recipes", description="Recipes that can be run by name.")
    parser.add_argument("--json", action="store_true", help="print JSON")
    asked = parser.parse_args(argv)
    catalogue = read_catalogue()
    found = [_describe(catalogue, row) for row in catalogue.entries("recipes")]
    if asked.json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        cells = [(f["name"], f["distribution"], ", ".join(f["presets"]), f["reason"] or f["summary"]) for f in found]
        print(table(("recipe", "distribution", "presets", "summary"), cells))


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
