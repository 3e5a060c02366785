"""Parts of a run that another process can carry out from the run folder alone: branches of a plan, and a phase together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from scarce.catalogue.catalogue import read_catalogue
from scarce.contract.plan import BASE, Plan
from scarce.errors import RunError
from scarce.files import booked
from scarce.runs.assembly import assemble
from scarce.runs.folder import read_recipe
from scarce.runs.loading import load_data, make_codec
from scarce.runs.mending import BOOKED
from scarce.runs.parents import codec_parent
from scarce.runs.run import Job, Prepared, prepare
from scarce.runs.sections import Recipe
from scarce.runs.training import train_phase, train_plan
from scarce.runtime.executor import Executor
from scarce.runtime.processes import Processes
from scarce.runtime.runtime import SharedRuntime


def kept_records(folder: Path, recipe: Recipe) -> Any:
    """Records that were given from Python, as the run keeps them; None where the recipe names its data."""
    if recipe.data.source != "memory":
        return None
    import pandas as pd

    return pd.read_parquet(folder / "input.parquet")


def spread_branches(folder: Path, plan: Plan, executor: Executor) -> None:
    """Have phases that don't build on one another trained by an executor, as long as there are several at a time."""
    while len(ready := _ready(folder, plan)) > 1:
        executor.map(train_branch, [(str(folder.resolve()), name) for name in ready])
        if lost := set(ready) & set(_ready(folder, plan)):
            what = f"workers trained {', '.join(sorted(lost))}, but {folder} does not show it"
            raise RunError(what, hint="workers must see the run folder under the same path: --out on a shared disk")


def train_branch(piece: tuple[str, str]) -> None:
    """Train one phase of a run folder (folder, name), unless it is finished."""
    folder, name = Path(piece[0]), piece[1]
    with booked(folder, BOOKED):
        opened = _opened(piece[0], True)
        made, recipe = opened.made, opened.job.recipe
        train_plan(made.model, made.process, made.rows, opened.runtime, folder, recipe.generate, only=name)


def train_along(folder: str, name: str, weights: str, processes: Processes) -> None:
    """Do this process's part of a phase that the first one trains and writes; weights: what of them each holds (`runtime.weights`)."""
    opened = _opened(folder, False)
    made = opened.made
    opened.runtime.options = opened.runtime.options.model_copy(update={"weights": weights})
    train_plan(made.model, made.process, made.rows, opened.runtime, Path(folder), opened.job.recipe.generate, only="")
    phase = next(p for p in made.model.plan.phases if p.name == name)
    train_phase(made.model, made.process, made.rows, phase, opened.runtime, None, opened.job.recipe.generate, processes)


@dataclass(frozen=True)
class _Opened:
    job: Job
    runtime: SharedRuntime
    made: Prepared


@lru_cache(maxsize=1)
def _opened(home: str, writes: bool) -> _Opened:
    """A run folder, ready to train what it has not trained; writes: whether what is trained is logged there."""
    folder, catalogue = Path(home), read_catalogue()
    recipe, _ = read_recipe(folder)
    root = folder.parents[2] if folder.parent.parent.name == "arms" else folder
    job = Job(recipe, folder, catalogue, memory=kept_records(root, recipe))
    assembly = assemble(recipe, catalogue, name="data")
    runtime = SharedRuntime(seed=recipe.seed, options=recipe.runtime.model_copy(update={"trackers": ()}), folder=folder if writes else None)
    dataset = load_data(recipe, assembly, catalogue, memory=job.memory)
    codec = make_codec(dataset, assembly, recipe, folder, codec_parent(recipe, catalogue))
    return _Opened(job, runtime, prepare(job, dataset, codec, assembly, runtime))


def _ready(folder: Path, plan: Plan) -> Sequence[str]:
    """Phases that are not finished, and whose start is."""

    def done(name: str) -> bool:
        return name == BASE or (folder / "model" / "phases" / f"{name}.json").is_file()

    return [phase.name for phase in plan.phases if not done(phase.name) and done(phase.start)]
