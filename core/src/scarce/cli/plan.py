"""`scarce plan`: what a recipe will train, before anything is trained."""

from __future__ import annotations

import argparse

from scarce.cli.plugins import table
from scarce.cli.run import as_json


def main(argv: list[str]) -> None:
    """Run `plan RECIPE [--data FILE] [--set KEY=VALUE …] [--preset NAME] [--json]`."""
    parser = argparse.ArgumentParser(prog="scarce plan", description="Show the phases a recipe will train; nothing is trained.")
    parser.add_argument("recipe")
    parser.add_argument("--data", metavar="FILE")
    parser.add_argument("--set", metavar="KEY=VALUE", action="append", default=[])
    parser.add_argument("--preset")
    parser.add_argument("--json", action="store_true", help="print JSON: the resolved recipe and the plan")
    asked = parser.parse_args(argv)
    from scarce.catalogue import read_catalogue
    from scarce.runs.assembly import assemble
    from scarce.runs.folder import plain
    from scarce.runs.loading import load_data
    from scarce.runs.planning import make_plan, rows
    from scarce.runs.recipe import find_recipe, parse_set, resolve

    catalogue = read_catalogue()
    _, raw = find_recipe(asked.recipe, catalogue)
    overrides = [parse_set(text) for text in asked.set]
    if asked.data:
        overrides = [("data.source", asked.data), ("data.target", None), *overrides]
    recipe = resolve(raw, preset=asked.preset, overrides=overrides)
    assembly = assemble(recipe, catalogue, name="data")
    dataset = load_data(recipe, assembly, catalogue)
    plan = make_plan(recipe, assembly, dataset)
    if asked.json:
        as_json({"recipe": plain(recipe), "plan": plan.to_json()})
        return
    counts = ", ".join(f"{name} {len(dataset.rows(name))}" for name in ("train", "validation", "test"))
    print(f"{dataset.name}: {len(dataset)} rows ({counts}), target {dataset.target_name or 'none'}, {recipe.seeds} seed(s)")
    found = rows(plan)
    print(table(tuple(found[0]), [tuple(row.values()) for row in found]))
    arms = [arm.name for arm in recipe.arm]
    if arms:
        print(f"arms: {', '.join(arms)}")
