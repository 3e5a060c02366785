"""Arms and seeds: child runs on one mechanism, one paired report over all of them."""

from __future__ import annotations

import gc
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

from scarce.catalogue.catalogue import Catalogue, read_catalogue
from scarce.contract.plan import Phase
from scarce.contract.results import Figure
from scarce.errors import RunError, ScarceError, stoppable
from scarce.files import booked, read_json, write_json
from scarce.host.loading import load_target
from scarce.host.trace import tracing
from scarce.report.results import Results
from scarce.report.statistics import Child
from scarce.report.write import write_report
from scarce.runs.assembly import check_recipe
from scarce.runs.folder import children, read_recipe, refuse_changes, write_recipe
from scarce.runs.mending import BOOKED, mend
from scarce.runs.parents import settled
from scarce.runs.pieces import kept_records, spread_branches
from scarce.runs.provenance import seal_report, write_card
from scarce.runs.recipe import with_arm
from scarce.runs.run import Job, execute
from scarce.runs.sections import Recipe
from scarce.runtime.executor import Executor, LocalExecutor, RankExecutor, close, leaves, make_executor
from scarce.runtime.processes import Processes, launched
from scarce.runtime.progress import Progress
from scarce.runtime.trackers import check_trackers

SWEEP_FILE, ERROR_FILE, TRACE_FILE = "sweep.json", "error.json", "trace.jsonl"
GENERATOR_SECTIONS = ("seed", "data", "backbone", "conditioner", "diffusion", "generator")


@dataclass
class Experiment:
    """A whole run as a person asked for it: one recipe, its arms and seeds, one folder.

    sweep: what sweep.json says when the arms are points of a sweep: each has a folder of its own, and one that fails is noted
    there and left behind. trace: every hook call goes to trace.jsonl in the folder of its child.
    """

    name: str
    recipe: Recipe
    folder: Path
    catalogue: Catalogue
    command: str = ""
    memory: Any = None
    progress: Progress = field(default_factory=lambda: Progress(quiet=True))
    judge_again: bool = False
    sweep: Mapping[str, Any] | None = None
    trace: bool = False

    def __post_init__(self) -> None:
        self.recipe = settled(self.recipe, self.catalogue)

    def jobs(self) -> list[Job]:
        """One job per arm and seed; a single one lives in the folder itself."""
        arms: list[tuple[str, Mapping[str, Any]]] = [(arm.name, arm.overrides) for arm in self.recipe.arm] or [("main", {})]
        single = len(arms) * self.recipe.seeds == 1 and not self.sweep
        out = []
        for name, overrides in arms:
            for seed in range(self.recipe.seed, self.recipe.seed + self.recipe.seeds):
                recipe = settled(with_arm(self.recipe, {**overrides, "seed": seed, "seeds": 1}), self.catalogue)
                folder = self.folder if single else self.folder / "arms" / name / str(seed)
                shared = self._shared(recipe) if len(arms) > 1 else None
                job = Job(recipe, folder, self.catalogue, name, self.memory, self.progress, shared, self.judge_again)
                out.append(job)
        return out

    def _shared(self, recipe: Recipe) -> Callable[[Phase], Path]:
        """Where arms of one seed share a phase: named by everything that decides its weights."""
        data = recipe.model_dump(mode="json", by_alias=True)
        decides = {k: data[k] for k in GENERATOR_SECTIONS} | {"prompt": data["generate"]["prompt"]}
        strategies = data["strategy"]

        def place(phase: Phase) -> Path:
            mine = {**decides, "phase": repr(phase), "strategy": strategies if phase.start != "base" or phase.adapters else []}
            digest = hashlib.sha256(json.dumps(mine, sort_keys=True, default=str).encode()).hexdigest()[:16]
            return self.folder / "shared" / digest

        return place


def start(experiment: Experiment) -> Results:
    """Check the recipe, write it, carry out every child, and write the one report."""
    prepare(experiment)
    return proceed(experiment)


def prepare(experiment: Experiment) -> None:
    """Check the recipe of every child before anything is written, then write them all; a child begun under another is a RunError."""
    for job in experiment.jobs():
        check_recipe(job.recipe, experiment.catalogue)
        check_trackers(job.recipe.runtime.trackers)
        experiment.catalogue.find("executor", job.recipe.runtime.executor)
        if job.folder != experiment.folder and (job.folder / "recipe.resolved.json").is_file():
            refuse_changes(job.folder, read_recipe(job.folder)[0], job.recipe)
    facts = {"name": experiment.name, "command": experiment.command, "version": metadata.version("scarce")}
    if experiment.sweep is not None:  # first, so that what is killed from here on is known to be a sweep
        write_json(experiment.folder / SWEEP_FILE, experiment.sweep)
    recipes = {job.folder: job.recipe for job in experiment.jobs()} | {experiment.folder: experiment.recipe}
    for folder, recipe in recipes.items():
        with booked(folder, BOOKED):
            write_recipe(folder, recipe, facts)


def proceed(experiment: Experiment) -> Results:
    """Carry out the children that are not finished, then report; what `start` and `resume` share."""
    if (experiment.folder / SWEEP_FILE).is_file():
        what = f"{experiment.folder} is a sweep, whose points are runs of their own"
        raise RunError(what, hint=f"scarce resume {experiment.folder}, or name one of {experiment.folder}/arms/*/*")
    with stoppable(experiment.folder):
        carry_out(experiment)
        return report(experiment.folder)


def carry_out(experiment: Experiment) -> None:
    """Execute every child that is not finished; in a sweep a ScarceError goes into the child's error.json and the rest goes on."""
    jobs, shared = experiment.jobs(), experiment.folder / "shared"
    for place in {experiment.folder, shared} - {job.folder for job in jobs}:
        mend(place, experiment.progress.say)

    executor, processes = _executor(experiment), launched()
    if processes.size > 1 and experiment.sweep:
        what = "a sweep is not divided over the processes of a launcher, which train every step together"
        raise RunError(what, hint="start it alone, with --workers N for its points")
    if processes.rank:
        raise RunError("of the processes of a launcher the first one carries out a run", hint="start the command: torchrun … -m scarce run")
    if processes.size > 1:
        experiment.progress.say(f"{processes.size} processes train together and share the shards")
    try:
        _carry_all(experiment, jobs, executor, processes)
    finally:
        close(executor)


def _carry_all(experiment: Experiment, jobs: Sequence[Job], executor: Executor, processes: Processes) -> None:
    """Execute every child, in other processes where there are several and the executor has them."""
    if leaves(executor) and processes.size == 1 and len(jobs) > 1:
        quiet, folder = experiment.progress.quiet, str(experiment.folder.resolve())
        asked = [Piece(folder, number, experiment.judge_again, experiment.trace, quiet) for number in range(len(jobs))]
        executor.map(carry_piece, asked)
        return
    for job in jobs:
        job.executor, job.processes, job.spread = executor, processes, spread_branches
    serial = LocalExecutor() if leaves(executor) else executor
    serial.map(partial(_carry, experiment, jobs), range(len(jobs)))


def _executor(experiment: Experiment) -> Executor:
    """What the recipe names; among the processes of a launcher, those."""
    if (processes := launched()).size > 1:
        return RankExecutor(processes)
    asked, say = experiment.recipe.runtime, experiment.progress.say
    offered = {"workers": asked.workers, "threads": asked.threads, "device": asked.device, "say": say}
    return make_executor(load_target(experiment.catalogue.find("executor", asked.executor)), offered)


def _carry(experiment: Experiment, jobs: Sequence[Job], number: int) -> None:
    """Execute one child."""
    job = jobs[number]
    job.progress.prefix = f"[{number + 1}/{len(jobs)}] " if len(jobs) > 1 else ""
    failure, fresh = job.folder / ERROR_FILE, not (job.folder / "metrics.json").is_file()
    try:
        with booked(experiment.folder / "shared", BOOKED), tracing(job.folder / TRACE_FILE) if experiment.trace else nullcontext():
            execute(job)
        failure.unlink(missing_ok=True)
    except ScarceError as error:
        if not experiment.sweep:
            raise
        write_json(failure, {"error": error.message})
        job.progress.say(f"{job.progress.prefix}{job.arm}, seed {job.recipe.seed} failed: {error.message}")
    finally:
        if fresh:
            gc.collect()  # a model holds itself in cycles; children must not add up


@dataclass(frozen=True)
class Piece:
    """A child run for another process: the folder of the whole run, which of its jobs, and how."""

    folder: str
    number: int
    judge_again: bool = False
    trace: bool = False
    quiet: bool = True


def carry_piece(piece: Piece) -> None:
    """Execute a child run from the folder alone, unless it is finished."""
    folder = Path(piece.folder)
    recipe, facts = read_recipe(folder)
    sweep = read_json(folder / SWEEP_FILE) if (folder / SWEEP_FILE).is_file() else None
    experiment = Experiment(
        facts["name"], recipe, folder, read_catalogue(), facts["command"], kept_records(folder, recipe), Progress(quiet=piece.quiet),
        piece.judge_again, sweep, piece.trace,
    )  # fmt: skip
    _carry(experiment, experiment.jobs(), piece.number)


def collect(folder: Path) -> Results:
    """The results of every child of a finished run; an unfinished one is a RunError."""
    recipe, facts = read_recipe(folder)
    homes = children(folder)
    results = [read_json(home / "metrics.json") for home in homes]
    data = read_json(homes[0] / "data.json")
    kids = [Child(**{key: r.get(key, ()) for key in ("arm", "seed", "metrics", "cost", "counts", "curve")}) for r in results]
    return Results(
        name=facts["name"], summary=recipe.summary, children=kids, task=data["task"], command=facts["command"],
        data_card={k: data[k] for k in ("name", "rows", "task", "target", "classes", "notes", "sha256")},
        provenance=read_json(homes[0] / "plugins.lock.json"), cost=results[0]["cost"], plan=read_json(homes[0] / "plan.json"),
        figures=[Figure(**f) for f in read_json(homes[0] / "figures.json")],
    )  # fmt: skip


def report(folder: Path) -> Results:
    """Write the data card and the report of a finished run, and return what they show."""
    out = collect(folder)
    if children(folder) != [folder]:
        write_json(folder / "plugins.lock.json", out.provenance)
        write_json(folder / "metrics.json", {"children": [read_json(home / "metrics.json") for home in children(folder)]})
    samples = ", ".join(sorted({str(child.counts["synthetic"]) for child in out.children}))
    card = {**out.data_card, "name": out.name, "source": out.data_card["name"], "samples": samples, "command": out.command}
    write_card(folder, card, out.summary)
    write_report(folder, out)
    seal_report(folder)
    return out
