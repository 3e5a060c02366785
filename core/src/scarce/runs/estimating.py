"""What a run will take: time, memory and disk, before it starts; and refusing what can't fit."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from scarce.contract.dataset import Dataset
from scarce.contract.plan import Plan
from scarce.contract.space import Space
from scarce.errors import RunError
from scarce.runs.earlier import PARTS
from scarce.runs.model import Model
from scarce.runs.sections import Data, Recipe
from scarce.runtime.checkpoint import KEEP
from scarce.runtime.room import disk_free, memory_free, out_of_memory, shown

FLOAT = 4
STATE = 8  # numbers in memory per trained one: gradient, two moments, average, and the last good state of all but the gradient
BAG = 4  # numbers in a checkpoint per trained one
REPORT = 6_000_000  # bytes of a report, its figures and the small files


@dataclass(frozen=True)
class Needs:
    """Bytes of one child run: of memory beside what is loaded already, and of disk; streamed: encoded rows, while training lasts."""

    training: int
    samples: int
    weights: int
    checkpoints: int
    shards: int
    streamed: int = 0

    @property
    def memory(self) -> int:
        """At once: training and samples take turns."""
        return max(self.training, self.samples)

    @property
    def disk(self) -> int:
        """When the run is finished; checkpoints have gone by then."""
        return self.weights + 2 * self.shards + REPORT

    def to_json(self) -> dict[str, int]:
        """Every number."""
        return {**asdict(self), "memory": self.memory, "disk": self.disk}


def asked_rows(recipe: Recipe, dataset: Dataset) -> int:
    """Samples that one run draws; of round r there are r + 1 times as many as of the first."""
    section = recipe.generate
    first = section.count or max(1, round(section.ratio * len(dataset.rows("train"))))
    first = section.per_class * len(dataset.classes) if section.per_class is not None else first
    factor = recipe.acquisition.factor if recipe.acquisition and recipe.acquisition.mode == "select" else 1
    rounds = section.rounds if recipe.acquisition is not None or section.rounds > 1 else 1
    return 0 if rounds > 1 and section.pool == "classic" else math.ceil(first * factor * rounds * (rounds + 1) / 2)


def row_bytes(space: Space) -> int:
    """Bytes of one encoded sample at its longest."""
    places = math.prod(space.shape)
    return places * (space.width * FLOAT + len(space.levels) * 8 + bool(space.shape))


def needs(recipe: Recipe, dataset: Dataset, model: Model, space: Space, streamed: int = 0, parts: int = 1) -> Needs:
    """What is known for certain before the first step: activations of a step and what learners hold come on top.

    streamed: bytes of the rows that are not held; parts: processes that the state of training is cut over.
    """
    trained = [_trained(model, model.plan, phase.name) for phase in model.plan.phases]
    most, rows = max(trained, default=0), asked_rows(recipe, dataset)
    kept = sum(p.numel() for n, p in model.base.items() if n not in model.checkpoint) if recipe.generator.source is None else 0
    shards = rows * row_bytes(space)
    return Needs(
        training=(STATE // parts + BAG) * FLOAT * most, samples=2 * shards, weights=FLOAT * (kept + sum(trained)),
        checkpoints=(KEEP + 1) * BAG * FLOAT * most, shards=shards,
        streamed=streamed,
    )  # fmt: skip


def _trained(model: Model, plan: Plan, name: str) -> int:
    """Numbers that a phase trains; adapters are a small part of what they sit on, and are left out."""
    phase = next(p for p in plan.phases if p.name == name)
    names = {n for path in phase.trainable for n in model.of_target(path)}
    return sum(model.base[n].numel() for n in names)


def refuse_unfit(found: Needs, folder: Path, device: torch.device, *, runs: int = 1, there: int = 0) -> None:
    """Raise RunError where memory or disk is certain not to suffice, with what to change; there: bytes that are written already."""
    free = memory_free(device)
    if found.memory > free:
        where = "of the accelerator's memory" if device.type == "cuda" else "of memory"
        what = f"training and samples need {shown(found.memory)} {where} beside the data and the network, {shown(free)} is free"
        fewer = "--set generate.count=…" if found.samples > found.training else "a smaller network (--set backbone.…), or a strategy 'lora'"
        raise RunError(what, hint=f"{fewer}; scarce plan RECIPE shows what needs how much")
    free, wanted = disk_free(folder), (found.weights + found.shards) * runs + found.checkpoints + found.streamed
    if wanted - there > free:
        what = f"the run writes {shown(wanted)}, {shown(free)} is free where {folder} is"
        raise RunError(what, hint="--out DIR on another disk, --set generate.count=…, or scarce runs clean")


@contextmanager
def roomy(what: str) -> Iterator[None]:
    """Memory that is used up while something is built is a RunError that says what to change."""
    try:
        yield
    except Exception as error:  # a plugin may have said it
        if not out_of_memory(error):
            raise
        said = f"{what} does not fit into memory, of which {shown(memory_free(torch.device('cpu')))} is free"
        raise RunError(said, hint="a smaller network (--set backbone.…), fewer rows, or a machine with more memory") from None


def refuse_large(data: Data) -> None:
    """Raise RunError for a data file that is larger than the memory where its rows are held there."""
    path = Path((data.source or "").removeprefix("path:"))
    if not data.source or not path.is_file() or data.hold is not None:
        return
    size, free = path.stat().st_size, memory_free(torch.device("cpu"))
    if size > free:
        what = f"data.source: {path} has {shown(size)}, {shown(free)} of memory is free, and all rows would be held"
        raise RunError(what, hint="--set data.hold=200000 holds that many rows and streams the others into training")


def stages(facts: dict[str, Any]) -> dict[str, float]:
    """Seconds of one run by what they go to; rounds draw their samples themselves."""
    before = facts["earlier"] or {}
    out = {"training": facts["train_seconds"]} | ({} if "round_seconds" in before else {"generation": facts["sample_seconds"]})
    return out | {name: before[key] for key, name in PARTS.items() if key in before}


def lines(found: Needs, facts: dict[str, Any]) -> list[str]:
    """The estimate for people; facts: what `scarce.runs.calibrating` found, and what is free here."""
    runs, how, before = facts["runs"], facts["how"], facts["earlier"]
    parts = ", ".join(f"{name} {_clock(seconds)}" for name, seconds in stages(facts).items())
    how += "" if before is None else f"; {', '.join(n for k, n in PARTS.items() if k in before)} as in {before['folder']}"
    which = f"each of {runs} run(s)" + (f", of which {facts['trained']} train" if facts["trained"] < runs else "")
    said = f"time: {parts} in {which}, {_clock(facts['seconds'])} in all ({how})"
    said += "" if before else "; learners and evaluators come on top, and are known when a run that asks the same of them is finished"
    memory = f"{shown(facts['used'])} loaded, {shown(found.training)} to train, {shown(found.samples)} of samples"
    memory += f", {shown(facts['step'])} of a step" if facts["step"] else ""
    disk = f"{shown(found.weights)} of weights, {shown(2 * found.shards)} of samples; {shown(found.checkpoints)} of checkpoints"
    disk += f" and {shown(found.streamed)} of encoded rows come and go" if found.streamed else " come and go"
    return [
        said,
        f"memory: about {shown(facts['used'] + found.memory + facts['step'])} ({memory}), {shown(facts['memory_free'])} free",
        f"disk: about {shown(found.disk * runs)} ({disk}), {shown(facts['disk_free'])} free",
    ]


def _clock(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
