"""One run, readable top to bottom: load, plan, train each phase, generate, learn, evaluate.

Every stage keeps what it finished in the run folder and reads it back, so `resume` is the same function again.
"""

from __future__ import annotations

import resource
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from scarce.catalogue.catalogue import Catalogue
from scarce.contract.contexts import EvaluatorContext, Event, WriteContext
from scarce.contract.dataset import Dataset, View, take
from scarce.contract.plan import Phase, Plan
from scarce.contract.protocols import Codec, TrainingPart
from scarce.diffusion.process import Process
from scarce.errors import RunError, ScarceError
from scarce.files import booked, read_json, read_lines, write_json
from scarce.runs.assembly import Assembly, assemble
from scarce.runs.building import build_model, continued, keep_base, restore_base
from scarce.runs.estimating import needs, refuse_large, refuse_unfit, roomy
from scarce.runs.generating import asked_prompts, generate, shots
from scarce.runs.generator import TrainedGenerator
from scarce.runs.judging import as_part, baselines, draw_records, evaluate, fresh_learner, learn, learns, subsets
from scarce.runs.loading import describer, load_data, make_codec, record_prompts, training_prompts, view_prompts, viewed_rows
from scarce.runs.mending import BOOKED, Digests, changed, hold, mend
from scarce.runs.model import Model, parameter_count
from scarce.runs.naming import check_classes
from scarce.runs.opening import parent_generator
from scarce.runs.parents import codec_parent
from scarce.runs.planning import make_plan
from scarce.runs.provenance import lock, record_data, seal
from scarce.runs.reuse import after, reused
from scarce.runs.rounds import Loop, check_rounds, play
from scarce.runs.sections import Recipe
from scarce.runs.streaming import PLACE, Stream
from scarce.runs.training import Material, material, train_plan
from scarce.runtime.executor import Executor, LocalExecutor, leaves
from scarce.runtime.processes import ALONE, Processes
from scarce.runtime.progress import Progress
from scarce.runtime.runtime import SharedRuntime


@dataclass
class Job:
    """One child run: a fully resolved recipe for one arm and one seed, and its folder.

    executor: what its shards and branches go through; spread: has branches of a plan trained by it. processes: those that train
    each phase together.
    """

    recipe: Recipe
    folder: Path
    catalogue: Catalogue
    arm: str = "main"
    memory: Any = None
    progress: Progress = field(default_factory=lambda: Progress(quiet=True))
    shared: Callable[[Phase], Path] | None = None
    judge_again: bool = False
    executor: Executor = field(default_factory=LocalExecutor)
    processes: Processes = ALONE
    spread: Callable[[Path, Plan, Executor], None] | None = None


def execute(job: Job) -> dict[str, Any]:
    """Carry out one run in its folder and return its results (also in metrics.json).

    Raises ScarceError; finished stages stay, and calling again continues after them.
    """
    folder, results = job.folder, job.folder / "metrics.json"
    folder.mkdir(parents=True, exist_ok=True)
    with booked(folder, BOOKED):
        before = _looked_over(job)
        if results.is_file() and not job.judge_again:
            if not (folder / "hashes.json").is_file():  # killed just before
                seal(folder)
            return dict(read_json(results))
        out = _carried_out(job, before)
    for name in hold(folder, before):
        job.progress.say(f"note: {folder / name}, made again, is not what it was before")
    seal(folder)
    return out


def _looked_over(job: Job) -> Digests:
    """Mend what an unfinished run has of damage, and say what a finished one has; the hashes of what is made again."""
    folder = job.folder
    if not all((folder / name).is_file() for name in ("metrics.json", "hashes.json")):
        return mend(folder, job.progress.say)
    if wrong := changed(folder):
        how = f"scarce verify {folder} says more; rm {folder}/metrics.json, then scarce resume makes it again"
        job.progress.say(f"note: {', '.join(wrong[:5])}: not as the run left it; {how}")
    return {}


def _same(folder: Path, before: Digests, name: str, what: str) -> None:
    """Raise RunError where a record of what the run is made from was lost and is now another one."""
    if hold(folder, before, [name]):
        raise RunError(f"{what} of {folder} have changed since the run began", hint="start a new run: scarce run RECIPE --data FILE")


def _carried_out(job: Job, before: Digests) -> dict[str, Any]:
    recipe, folder = job.recipe, job.folder
    assembly = assemble(recipe, job.catalogue, name="data")
    used, locked = lock(assembly.rows()), folder / "plugins.lock.json"
    if locked.is_file() and read_json(locked)["parts"] != used["parts"]:
        job.progress.say(f"note: plugins have changed since {folder} began; what is computed now may differ from then")
    write_json(locked, used)

    def notify(event: str, step: int, facts: Mapping[str, Any]) -> None:
        assembly.scope.broadcast(event, Event(folder=folder, step=step, facts=facts))

    runtime = SharedRuntime(seed=recipe.seed, options=recipe.runtime, folder=folder, progress=job.progress, notify=notify)
    runtime.executor, runtime.processes = job.executor, job.processes
    cost: dict[str, Any] = {"precision": runtime.precision, "device": str(runtime.device), "threads": runtime.threads}
    try:
        refuse_large(recipe.data)
        dataset = load_data(recipe, assembly, job.catalogue, memory=job.memory)
        if recipe.plays:
            check_rounds(recipe, dataset)
        record_data(folder, dataset)
        _same(folder, before, "data.json", "the data")
        codec = make_codec(dataset, assembly, recipe, folder, codec_parent(recipe, job.catalogue))
        if learns(dataset, assembly):  # what none can be built from is said before anything is trained
            fresh_learner(dataset, codec, assembly, runtime, None)
        notify("run_started", 0, {"rows": len(dataset)})
        generator, facts = None, list[dict[str, Any]]()
        others = reused(recipe, folder, dataset, assembly, job.catalogue)
        if not recipe.generates:
            samples, others = others or TrainingPart(records=[], target=np.zeros(0)), None
            write_json(folder / "plan.json", [])
        else:
            generator = obtain_generator(job, dataset, codec, assembly, runtime, cost)
            _same(folder, before, "parents.json", "the parents")
            if recipe.plays:
                loop, began = Loop(recipe, folder, dataset, codec, generator, assembly, runtime, others), time.monotonic()
                (dataset, samples), facts = play(loop), loop.facts
                cost["round_seconds"] = round(time.monotonic() - began, 3)
            else:
                dataset, samples = make_samples(job, dataset, codec, generator, assembly, cost)
        notify("samples_ready", 0, {"samples": len(samples.records)})
        out = judge(job, dataset, codec, generator, samples, assembly, runtime, cost, facts, others)
        for said in facts or [{"round": 0}]:
            notify("round_finished", said["round"], said)
        notify("run_finished", 0, {"metrics": len(out["metrics"])})
    except ScarceError as error:
        notify("run_failed", 0, {"message": error.message})
        runtime.finish(())
        raise
    runtime.finish(out["metrics"])
    return out


def obtain_generator(
    job: Job, dataset: Dataset, codec: Codec, assembly: Assembly, runtime: SharedRuntime, cost: dict[str, Any]
) -> TrainedGenerator:
    """Train this run's generator phase by phase, from scratch or from the parent's that `generator.from` names; or open that one."""
    recipe, folder = job.recipe, job.folder
    if recipe.generator.source is not None and not recipe.strategy:
        parent = parent_generator(recipe, folder, job.catalogue, runtime, codec)
        parent.home = folder
        _refuse(job, dataset, parent.model, parent.codec, runtime)
        write_json(folder / "plan.json", parent.model.plan.to_json())
        return parent
    began = time.monotonic()
    with roomy("the network with its data"):
        made = prepare(job, dataset, codec, assembly, runtime)
    model = made.model
    _refuse(job, dataset, model, made.codec, runtime, made.rows)
    if recipe.plays:
        check_classes(model, recipe, dataset)
    keep_base(folder, model, made.process, parent=recipe.generator.source is not None)
    if job.spread is not None and job.shared is None and leaves(job.executor) and job.processes.size == 1:
        made.rows.ready(model.plan.phases)
        job.spread(folder, model.plan, job.executor)
    facts = train_plan(model, made.process, made.rows, runtime, folder, recipe.generate, job.shared)
    shutil.rmtree(folder / PLACE, ignore_errors=True)
    write_json(folder / "plan.json", model.plan.to_json())
    trained = {n for p in model.plan.phases for n in model.results[p.name]}
    cost |= {
        "train_seconds": round(sum(f["seconds"] for f in facts.values()), 3),
        "train_cpu_seconds": round(sum(f["cpu_seconds"] for f in facts.values()), 3),
        "phase_cpu_seconds": {name: round(f["cpu_seconds"], 3) for name, f in facts.items()},
        "prepare_seconds": round(time.monotonic() - began - sum(f["seconds"] for f in facts.values()), 3),
        "parameters": parameter_count(model.base),
        "trainable": sum(model.base[n].numel() for n in trained) + sum(parameter_count(h.parameters()) for h in model.handles.values()),
        "events": [e for f in facts.values() for e in f["events"]],
    }
    generator = TrainedGenerator(model=model, process=made.process, codec=made.codec, options=recipe.generate, runtime=runtime)
    generator.modality, generator.home = recipe.data.modality, folder
    return generator


def _refuse(job: Job, dataset: Dataset, model: Model, codec: Codec, runtime: SharedRuntime, rows: Material | None = None) -> None:
    """Raise RunError before the first step of what can't fit; what the folder holds already is not counted again."""
    there = sum(p.stat().st_size for p in job.folder.rglob("*") if p.is_file())
    streamed, parts = rows.streamed if rows else 0, job.processes.size if runtime.cuts(job.processes) else 1
    refuse_unfit(needs(job.recipe, dataset, model, codec.space, streamed, parts), job.folder, runtime.device, there=there)


@dataclass(frozen=True)
class Prepared:
    """What training needs: the model with its plan, the process, the codec of what is denoised, and all rows encoded."""

    model: Model
    process: Process
    codec: Codec
    rows: Material


def prepare(job: Job, dataset: Dataset, codec: Codec, assembly: Assembly, runtime: SharedRuntime) -> Prepared:
    """Everything before the first phase; weights and process come from the folder when it has them already."""
    recipe, folder = job.recipe, job.folder
    if recipe.generator.source is not None:
        parent = parent_generator(recipe, folder, job.catalogue, runtime, codec)
        model, codec = continued(parent.model, dataset.classes, assembly.scope, runtime), parent.codec
        x0, process = codec.encode(dataset.records), parent.process
    else:
        built = build_model(recipe, assembly, codec, dataset, runtime, {})
        model, codec = built.model, built.codec
        x0 = codec.encode(dataset.records)
        if (folder / "model" / "generator.json").is_file():
            process = restore_base(folder, model)
        else:
            rows = dataset.rows("train")
            labels = torch.from_numpy(dataset.codes()[rows])
            process = Process.fit(codec.space, built.diffusion, x0[torch.from_numpy(rows)], labels).to(runtime.device)
    as_it_is = recipe.generator.given and not recipe.strategy
    model.plan = Plan(phases=()) if as_it_is else make_plan(recipe, model, dataset, codec, x0)
    prompts = training_prompts(dataset, recipe, assembly, codec)
    inputs = model.conditions.prepare(prompts)
    stream = None
    if dataset.rest is not None:
        stream = Stream(
            dataset=dataset, share=recipe.data.labelled, seed=recipe.seed, codec=codec, conditions=model.conditions, folder=folder,
            prompts=lambda part: training_prompts(part, recipe, assembly, codec), shaped=(x0[:2], tuple(x[:2] for x in inputs)),
            progress=runtime.progress,
        )  # fmt: skip
    return Prepared(model, process, codec, material(dataset, x0, inputs, runtime.device, stream, prompts))


def make_samples(
    job: Job, dataset: Dataset, own: Codec, generator: TrainedGenerator, assembly: Assembly, cost: dict[str, Any]
) -> tuple[Dataset, TrainingPart]:
    """Synthetic records in the run folder; a generator of another modality makes one view per record instead.

    own: the codec of the run's data, by which their captions are written.
    """
    recipe, folder = job.recipe, job.folder
    began = time.monotonic(), time.process_time()
    same = not _makes_views(recipe, generator)
    codec, rows = generator.codec, viewed_rows(dataset)
    prompts = asked_prompts(dataset, recipe, assembly, codec) if same else view_prompts(dataset, recipe, assembly, own, rows)
    seed, init = generator.runtime.derive(f"generate{after(recipe, folder)}"), shots(dataset, recipe, codec, prompts) if same else None
    records = generate(generator, prompts, seed=seed, shards=folder / "samples" / "shards", init=init)
    scope = assembly.scope if generator.scope is None else generator.scope
    scope.modality_write(WriteContext(records=records, path=folder / "samples" / "synthetic.parquet", schema=dataset.schema))
    seconds, cpu = time.monotonic() - began[0], time.process_time() - began[1]
    cost |= {"sample_seconds": round(seconds, 3), "sample_cpu_seconds": round(cpu, 3), "samples": len(records)}
    cost["rows_per_cpu_second"] = round(len(records) / max(cpu, 1e-9), 1)
    if not same:
        view = View(ids=dataset.ids[rows], records=records)
        return replace(dataset, views={**dataset.views, "generated": view}), TrainingPart(records=[], target=np.zeros(0))
    return dataset, as_part(records, dataset, "synthetic")


def _logged(folder: Path) -> list[Mapping[str, Any]]:
    """What training logged, each step once: an interruption repeats some."""
    lines = read_lines(folder / "metrics.jsonl")
    return list({(line.get("phase"), line.get("step")): line for line in lines}.values())


def _makes_views(recipe: Recipe, generator: TrainedGenerator) -> bool:
    """Whether what it makes are views of the records, of another modality than theirs."""
    return recipe.generator.source is not None and generator.modality != recipe.data.modality


def _parent(recipe: Recipe, generator: TrainedGenerator | None) -> TrainedGenerator | None:
    """What was given to the run before it was adapted; None where all was trained here."""
    if generator is None or (recipe.generator.source is None and not generator.model.checkpoint):
        return None
    return generator if recipe.generator.source is not None and not recipe.strategy else generator.before()


def judge(
    job: Job,
    dataset: Dataset,
    codec: Codec,
    generator: TrainedGenerator | None,
    synthetic: TrainingPart,
    assembly: Assembly,
    runtime: SharedRuntime,
    cost: dict[str, Any],
    rounds: Sequence[Mapping[str, Any]] = (),
    extra: TrainingPart | None = None,
) -> dict[str, Any]:
    """Fit the learner on every source of data, evaluate, and write metrics.json."""
    drawn = codec if generator is None or _makes_views(job.recipe, generator) else generator.codec
    others: dict[str, TrainingPart] = {}
    if len(synthetic.records):
        others = baselines(dataset, codec, assembly, len(synthetic.records), runtime.derive("baselines") % 2**31)
    sources, shares = _taught(dataset, synthetic, others, extra, runtime)
    began = time.monotonic()
    predictions, facts = learn(dataset, codec, assembly, sources, runtime, generator)
    cost["learn_seconds"] = round(time.monotonic() - began, 3)
    parts = {"synthetic": synthetic, **others} if len(synthetic.records) else {}
    parts |= {"reused": extra} if extra is not None else {}
    ctx = EvaluatorContext(
        dataset=dataset, codec=codec, samples={k: p.records for k, p in parts.items()}, predictions=predictions,
        targets={k: p.target if len(p.target) else None for k, p in parts.items()}, runtime=runtime,
        seed=runtime.derive("evaluate") % 2**31, expected=len(synthetic.records), generator=generator,
        learner=job.recipe.learner.name if job.recipe.learner else "", describe=describer(job.recipe, assembly, drawn),
        log=_logged(job.folder), rounds=rounds, facts=facts,
        parent=_parent(job.recipe, generator),
        prompts=lambda rows: record_prompts(dataset, job.recipe, assembly, drawn, rows),
    )  # fmt: skip
    began = time.monotonic()
    metrics, figures = evaluate(ctx, assembly, runtime)
    cost["evaluate_seconds"] = round(time.monotonic() - began, 3)
    figures += draw_records(ctx, assembly) if len(synthetic.records) else []
    cost["peak_models_mb"] = round(runtime.peak_bytes / 1e6, 3)
    cost["peak_memory_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
    counts = {name: len(dataset.rows(name)) for name in ("train", "validation", "test")}
    labelled = int(dataset.labelled[dataset.rows("train")].sum())
    out = {
        "arm": job.arm, "seed": job.recipe.seed, "task": dataset.task, "cost": cost,
        "metrics": [m.to_json() for m in metrics if m.source not in shares],
        "curve": [{**m.to_json(), "rows": len(shares[m.source].records)} for m in metrics if m.source in shares],
        "counts": {**counts, "labelled": labelled, "synthetic": len(synthetic.records)},
    }  # fmt: skip
    write_json(job.folder / "figures.json", [figure.to_json() for figure in figures])
    write_json(job.folder / "metrics.json", out)
    return out


def _taught(
    dataset: Dataset, synthetic: TrainingPart, others: Mapping[str, TrainingPart], extra: TrainingPart | None, runtime: SharedRuntime
) -> tuple[dict[str, list[TrainingPart]], dict[str, TrainingPart]]:
    """What learners are taught from, by source, and the shares of the real records that are among it."""
    train = dataset.part(dataset.rows("train"))
    taught = train.codes() >= 0 if train.task == "classification" else train.labelled  # a record with a caption may have no class
    rows = np.flatnonzero(taught)
    target = np.zeros(0) if train.target is None else train.target[rows]
    real = TrainingPart(records=take(train.records, rows), target=target, ids=train.ids[rows])
    sources: dict[str, list[TrainingPart]] = {"real": [real]}
    shares: dict[str, TrainingPart] = {}
    if extra is not None:
        sources |= {"reused": [extra], "real+reused": [real, extra]}
    if len(synthetic.records):
        sources |= {"synthetic": [synthetic], "both": [real, synthetic], **{name: [part] for name, part in others.items()}}
        if dataset.target is not None:
            shares = subsets(real, train.codes()[rows], runtime.derive("curve") % 2**31)
            sources |= {name: [part] for name, part in shares.items()}
    if dataset.target is not None and not len(rows) and len(sources) > 1:  # nothing to learn from but samples
        sources = {name: parts for name, parts in sources.items() if parts[0] is not real}
    return sources, shares
