"""`scarce sweep`: points as arms times seeds in one folder, each fully checked before anything runs."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scarce.catalogue.catalogue import Catalogue, read_catalogue
from scarce.errors import RecipeError, RunError, stoppable
from scarce.files import read_json, write_bytes, write_json
from scarce.runs.experiment import SWEEP_FILE, Experiment, carry_out, prepare
from scarce.runs.folder import carried_as, children, new_folder, read_recipe, refuse_changes
from scarce.runs.parents import settled
from scarce.runs.provenance import command
from scarce.runs.recipe import data_overrides, find_recipe, flatten, read_sweep, read_toml, resolve
from scarce.runs.sections import Arm, Factor, Recipe, Sweep
from scarce.runtime.progress import Progress
from scarce.tools.points import Point, check_sweep, factor_over, points, restrict, show_over
from scarce.tools.sweep_page import page
from scarce.tools.sweep_results import Result, results, tidy

__all__ = ["Point", "Result", "plan_sweep", "points", "results", "resume_sweep", "run_sweep"]

COST = "train_cpu_seconds"
Sets = Sequence[tuple[str, Any]]


def plan_sweep(
    raw: Mapping[str, Any],
    catalogue: Catalogue,
    *,
    over: Mapping[str, Sequence[Any]] | None = None,
    only: Sequence[str] = (),
    one_at_a_time: bool = False,
    preset: str | None = None,
    overrides: Sets = (),
) -> tuple[Recipe, Sweep]:
    """The recipe without its sweep, and the sweep with what the command line adds and leaves out; raises RecipeError.

    over: recipe path -> values. Arms of the recipe are a factor of their own.
    """
    sweep = read_sweep(raw, [*flatten(raw.get("preset", {}).get(preset or "quick", {})), *overrides])
    plain = {key: value for key, value in raw.items() if key != "sweep"}
    base = resolve(plain, preset=preset, overrides=[(k, v) for k, v in overrides if k.partition(".")[0] != "sweep"])
    around = sweep.one_at_a_time or one_at_a_time
    arms = [Factor(name="arm", level=base.arm)] if base.arm else []
    added = [factor_over(key, values, base, catalogue, around=around) for key, values in (over or {}).items()]
    sweep = sweep.model_copy(update={"one_at_a_time": around, "factor": (*arms, *sweep.factor, *added)})
    check_sweep(sweep)
    sweep = restrict(sweep, only)
    for key, value in overrides:
        hides = next((f.name for f in sweep.factor for level in f.level if key in dict(flatten(level.overrides))), None)
        if hides is not None and value is not None:
            raise RecipeError(f"{key}: set to {value!r}, but factor '{hides}' of the sweep sets it too", hint=f"--only {hides}=LEVEL")
    return base, sweep


def run_sweep(
    recipe: str,
    *,
    over: Mapping[str, Sequence[Any]] | None = None,
    only: Sequence[str] = (),
    one_at_a_time: bool = False,
    data: str | None = None,
    set: Mapping[str, Any] | None = None,
    preset: str | None = None,
    out: Path | None = None,
    quiet: bool = False,
    metric: str = "",
    cost: str = COST,
) -> Path:
    """Run a recipe at every point of its own [sweep] and of `over` (recipe path -> values); the folder with all results.

    Repeated with the same `out` it continues; more levels or seeds add to what is finished there. A point that fails is
    a row with its reason. Raises ScarceError before anything runs when any point is wrong.
    """
    catalogue = read_catalogue()
    name, raw = find_recipe(recipe, catalogue)
    sets = list((set or {}).items())
    overrides = [*(loaded := data_overrides(data)), *sets]
    base, sweep = plan_sweep(raw, catalogue, over=over, only=only, one_at_a_time=one_at_a_time, preset=preset, overrides=overrides)
    found = points(sweep)
    made = base.model_copy(update={"arm": tuple(Arm(name=p.name, **p.overrides) for p in found)})
    again = [command(recipe, sets, preset, dict(loaded).get("data.source")).replace(" run ", " sweep ", 1)]
    again += ["--over " + shlex.quote(show_over(key, values)) for key, values in (over or {}).items()]
    again += ["--only " + shlex.quote(text) for text in only] + ["--one-at-a-time"] * one_at_a_time
    again += [f"--metric {shlex.quote(metric)}"] * bool(metric) + [f"--cost {shlex.quote(cost)}"] * (cost != COST)
    continued = out is not None and (out / SWEEP_FILE).is_file()
    folder = out if out is not None and continued else new_folder(name, out)
    facts = {
        "name": name, "command": " ".join(again), "metric": metric, "cost": cost, "seeds": [*range(made.seed, made.seed + made.seeds)],
        "factors": {f.name: [level.name for level in f.level] for f in sweep.factor}, "when": {f.name: [*f.when] for f in sweep.factor},
        "points": [{"name": p.name, "levels": p.levels} for p in found],
    }  # fmt: skip
    experiment = Experiment(name, made, folder, catalogue, " ".join(again), progress=Progress(quiet=quiet), sweep=facts)
    lost = [home for home in children(folder) if home not in {folder, *(job.folder for job in experiment.jobs())}] if continued else []
    if lost:
        raise RunError(f"{folder} holds {lost[0].relative_to(folder)}, which this sweep does not have", hint="choose another --out")
    prepare(experiment)
    return _finish(experiment)


def resume_sweep(folder: Path, overrides: Sets = (), *, progress: Progress | None = None) -> Path:
    """Carry out what is not finished of a sweep, failed points too; under a changed recipe it is refused (RunError)."""
    (recipe, facts), catalogue = read_recipe(folder), read_catalogue()
    asked = settled(resolve(read_toml(folder / "recipe.toml"), overrides=overrides), catalogue)
    refuse_changes(folder, recipe, asked)
    recipe = carried_as(recipe, asked)
    shown = progress or Progress(quiet=True)
    return _finish(
        Experiment(facts["name"], recipe, folder, catalogue, facts["command"], progress=shown, sweep=read_json(folder / SWEEP_FILE))
    )


def _finish(experiment: Experiment) -> Path:
    """Carry out, then write sweep.json (with a row per point and seed), sweep.csv and sweep.html."""
    with stoppable(experiment.folder):
        carry_out(experiment)
    folder = experiment.folder
    facts, found = read_json(folder / SWEEP_FILE), results(folder)
    write_json(folder / SWEEP_FILE, {**facts, "rows": [r.to_json() for r in found]})
    write_bytes(folder / "sweep.csv", tidy(found, facts).encode())
    write_bytes(folder / "sweep.html", page(found, facts).encode())
    return folder
