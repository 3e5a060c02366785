"""`scarce plan`: what a recipe will train, before anything is trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from scarce.cli.common import parser, show, table
from scarce.errors import RecipeError


def main(argv: list[str]) -> None:
    """Run `plan RECIPE [--data FILE] [--set KEY=VALUE …] [--preset NAME] [--calibrate] [--json]`."""
    text = "Show what a recipe will train, and about how long it takes, in how much memory and disk; a run that can't fit is refused."
    arguments = parser("plan", text, "recipe", "--data", "--set", "--preset", "--json")
    arguments.add_argument("--calibrate", action="store_true", help="measure the time: some real steps and samples, about 10 s")
    arguments.add_argument("--out", metavar="DIR", type=Path, default=Path("runs"), help="where the run would be, for its free disk")
    asked = arguments.parse_args(argv)
    from scarce.catalogue import read_catalogue
    from scarce.runs.assembly import assemble
    from scarce.runs.earlier import earlier
    from scarce.runs.estimating import lines as shown_needs
    from scarce.runs.estimating import needs, refuse_large, refuse_unfit, roomy, stages
    from scarce.runs.folder import plain
    from scarce.runs.loading import load_data, make_codec
    from scarce.runs.parents import codec_parent, settled
    from scarce.runs.planning import rows
    from scarce.runs.recipe import data_overrides, find_recipe, parse_set, resolve, with_arm
    from scarce.runs.run import Job, prepare
    from scarce.runtime.room import disk_free, memory_free
    from scarce.runtime.runtime import SharedRuntime

    catalogue = read_catalogue()
    _, raw = find_recipe(asked.recipe, catalogue)
    overrides = [*data_overrides(asked.data), *(parse_set(text) for text in asked.set)]
    recipe = settled(resolve(raw, preset=asked.preset, overrides=overrides), catalogue)
    assembly = assemble(recipe, catalogue, name="data")
    refuse_large(recipe.data)
    dataset = load_data(recipe, assembly, catalogue)
    runtime = SharedRuntime(seed=recipe.seed, options=recipe.runtime)
    if not recipe.generates:
        raise RecipeError("nothing is planned: the recipe has no generator, and only learns from its data", hint="scarce run RECIPE")
    with TemporaryDirectory() as folder:
        codec = make_codec(dataset, assembly, recipe, Path(folder), codec_parent(recipe, catalogue))
        if not _trains(recipe):
            raise RecipeError("nothing is trained: the generator is used as it is", hint="scarce run RECIPE")
        with roomy("the network with its data"):
            made = prepare(Job(recipe, Path(folder), catalogue), dataset, codec, assembly, runtime)
    plan, found = made.model.plan, needs(recipe, dataset, made.model, made.codec.space, made.rows.streamed)
    made = replace(made, rows=replace(made.rows, stream=None))  # a calibration trains on held rows
    arms = [with_arm(recipe, arm.overrides) for arm in recipe.arm] or [recipe]
    runs, trained = recipe.seeds * len(arms), recipe.seeds * sum(map(_trains, arms))
    refuse_unfit(found, asked.out, runtime.device, runs=runs)
    lines = _phases(dataset, recipe, rows(plan))
    cost = {
        "runs": runs, "trained": trained, "steps": sum(p.budget.steps for p in plan.phases),
        "rows": sum(p.budget.steps * p.budget.batch * len(p.terms) for p in plan.phases),
    }  # fmt: skip
    many = f"each of {runs}" if trained == runs else f"{trained} of {runs}"
    lines.append(f"cost: {cost['steps']} steps on {cost['rows']:,} rows drawn, in {many} run(s)")
    facts = _facts(asked.calibrate, made, dataset, recipe, assembly, runtime)
    facts |= {"runs": runs, "trained": trained, "earlier": earlier(recipe, asked.out)}
    facts["seconds"] = runs * sum(stages(facts).values()) - (runs - trained) * facts["train_seconds"]
    facts |= {"memory_free": memory_free(runtime.device), "disk_free": disk_free(asked.out)}
    lines += shown_needs(found, facts)
    out = {"recipe": plain(recipe), "plan": plan.to_json(), "cost": cost, "needs": found.to_json(), "estimate": facts}
    show(out, "\n".join(lines), as_json=asked.json)


def _trains(recipe: Any) -> bool:
    """Whether a run of it trains a generator; one that is given and not adapted is used as it is."""
    return bool(recipe.strategy) or not (recipe.generator.source is not None or recipe.generator.given)


def _phases(dataset: Any, recipe: Any, phases: list[dict[str, Any]]) -> list[str]:
    """The data, a table of phases, and the arms."""
    counts = ", ".join(f"{name} {len(dataset.rows(name))}" for name in ("train", "validation", "test"))
    counts += "" if dataset.rest is None else f"; {dataset.rest.rows:,} more stream into training"
    lines = [f"{dataset.name}: {len(dataset)} rows ({counts}), target {dataset.target_name or 'none'}, {recipe.seeds} seed(s)"]
    lines.append(table(tuple(phases[0]), [tuple(row.values()) for row in phases]))
    return [*lines, f"arms: {', '.join(arm.name for arm in recipe.arm)}"] if recipe.arm else lines


def _facts(calibrated: bool, made: Any, dataset: Any, recipe: Any, assembly: Any, runtime: Any) -> dict[str, Any]:
    """Seconds of training and generation, and bytes that are loaded already."""
    from scarce.runs.calibrating import calibrate, rough
    from scarce.runs.estimating import asked_rows
    from scarce.runs.generating import asked_prompts
    from scarce.runtime.room import memory_used

    used, asked = memory_used(), asked_rows(recipe, dataset)
    if calibrated:
        prompts = asked_prompts(dataset, recipe, assembly, made.codec)
        times = calibrate(made, prompts, asked, runtime, recipe.generate)
    else:
        times = rough(made, asked, runtime, recipe.generate)
    return {**vars(times), "used": used}
