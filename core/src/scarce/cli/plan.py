"""`scarce plan`: what a recipe will train, before anything is trained."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from scarce.cli.common import parser, show, table
from scarce.errors import RecipeError


def main(argv: list[str]) -> None:
    """Run `plan RECIPE [--data FILE] [--set KEY=VALUE …] [--preset NAME] [--json]`."""
    text = "Show the phases a recipe will train; nothing is trained. --json prints the resolved recipe and the plan."
    asked = parser("plan", text, "recipe", "--data", "--set", "--preset", "--json").parse_args(argv)
    from scarce.catalogue import read_catalogue
    from scarce.runs.assembly import assemble
    from scarce.runs.folder import plain
    from scarce.runs.loading import load_data, make_codec
    from scarce.runs.parents import codec_parent, settled
    from scarce.runs.planning import rows
    from scarce.runs.recipe import data_overrides, find_recipe, parse_set, resolve
    from scarce.runs.run import Job, prepare
    from scarce.runtime.runtime import SharedRuntime

    catalogue = read_catalogue()
    _, raw = find_recipe(asked.recipe, catalogue)
    overrides = [*data_overrides(asked.data), *(parse_set(text) for text in asked.set)]
    recipe = settled(resolve(raw, preset=asked.preset, overrides=overrides), catalogue)
    assembly = assemble(recipe, catalogue, name="data")
    dataset = load_data(recipe, assembly, catalogue)
    runtime = SharedRuntime(seed=recipe.seed, options=recipe.runtime)
    if not recipe.generates:
        raise RecipeError("nothing is planned: the recipe has no generator, and only learns from its data", hint="scarce run RECIPE")
    with TemporaryDirectory() as folder:
        codec = make_codec(dataset, assembly, recipe, Path(folder), codec_parent(recipe, catalogue))
        if (recipe.generator.source is not None or recipe.generator.given) and not recipe.strategy:
            raise RecipeError("nothing is trained: the generator is used as it is", hint="scarce run RECIPE")
        plan = prepare(Job(recipe, Path(folder), catalogue), dataset, codec, assembly, runtime).model.plan
    counts = ", ".join(f"{name} {len(dataset.rows(name))}" for name in ("train", "validation", "test"))
    found = rows(plan)
    lines = [f"{dataset.name}: {len(dataset)} rows ({counts}), target {dataset.target_name or 'none'}, {recipe.seeds} seed(s)"]
    lines.append(table(tuple(found[0]), [tuple(row.values()) for row in found]))
    lines += [f"arms: {', '.join(arm.name for arm in recipe.arm)}"] if recipe.arm else []
    cost = {
        "runs": recipe.seeds * max(1, len(recipe.arm)), "steps": sum(p.budget.steps for p in plan.phases),
        "rows": sum(p.budget.steps * p.budget.batch * len(p.terms) for p in plan.phases),
    }  # fmt: skip
    lines.append(f"cost: {cost['steps']} steps on {cost['rows']:,} rows drawn, in each of {cost['runs']} run(s)")
    show({"recipe": plain(recipe), "plan": plan.to_json(), "cost": cost}, "\n".join(lines), as_json=asked.json)
