"""GALOT at equal budget: rounds that move embeddings by margin and by entropy, beside a random direction and random generation.

Runs are kept under a cache folder, so an interrupted benchmark continues. Radius, steps and rate are the recipe's; nothing was chosen
on these seeds. The last row is what one ascent step costs with one differentiated network call.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import cached

from scarce.catalogue import read_catalogue
from scarce.contract import LearnerContext, Prompt, TrainingPart, take
from scarce.report.statistics import find, paired, summarise
from scarce.runs import api
from scarce.runs.acquire import Embedding, mean_scores
from scarce.runs.loading import load_data
from scarce.runs.opening import open_generator
from scarce.runs.scoring import Scorer

SEEDS, MOST_RATIO = 5, 1.5
ARMS: dict[str, dict[str, Any]] = {
    "random": {"acquisition.epsilon": 0}, "margin": {}, "entropy": {"acquisition.name": "entropy"},
    "random-direction": {"acquisition.direction": "random"}, "apart": {"acquisition.embeddings": 4, "acquisition.repulsion": 0.5},
    "select": {"acquisition.mode": "select"},
}  # fmt: skip
ON_TABLES, ON_SHAPES = ("random", "margin", "entropy", "random-direction"), ("random", "margin", "entropy", "apart", "select")
METRICS = {"aubc": ("aubc", "synthetic"), "gain": ("acquisition_gain", "round 3"), "labels": ("label_accuracy", "round 3")}
METRICS |= {"labels before": ("label_accuracy_before", "round 3"), "accuracy": ("round_accuracy", "round 3")}


def settings(arm: str) -> dict[str, Any]:
    """What the benchmark sets of a recipe for one arm: seeds, the evaluator of rounds alone."""
    named = {"seeds": SEEDS, "arm": [{"name": arm}], "acquisition.also": [], "evaluator": [{"name": "rounds"}], "runtime.threads": 1}
    return {**named, **ARMS[arm]}


def played(data: str, arm: str) -> api.Run:
    """The finished run of one arm, all seeds."""
    return cached(f"galot/{data}", f"galot/{data}-{arm}", settings(arm))


def measure(data: str, arms: Sequence[str] = ON_TABLES) -> list[dict[str, Any]]:
    """One row per arm of a recipe, each paired with random generation."""
    runs = {arm: played(data, arm) for arm in arms}
    children = [child for run in runs.values() for child in run.results.children]
    rows, out = summarise(children), []
    for arm in arms:
        row: dict[str, Any] = {"data": data, "arm": arm, "seeds": SEEDS}
        for short, (name, source) in METRICS.items():
            found = find(rows, name, source, arm)
            if found is not None:
                row |= {short: found.value, f"{short} low": found.low, f"{short} high": found.high}
        gap = paired(children, (arm, "synthetic"), ("random", "synthetic"), "aubc")
        row |= {"minus random": gap.mean, "minus low": gap.low, "minus high": gap.high, "verdict": gap.verdict if arm != "random" else ""}
        out.append({**row, "ok": None})
    return [*out, {"data": data, "arm": "cost of a step", "seeds": 1, **cost(child(runs["margin"], "margin", 0))}]


def child(run: api.Run, arm: str, seed: int) -> Path:
    """The folder of one seed of an arm."""
    return run.folder / "arms" / arm / str(seed)


def cost(folder: Any) -> dict[str, Any]:
    """Seconds of an ascent step with one differentiated call, over those of one sampling pass and one forward and backward of a call."""
    catalogue = read_catalogue()
    generator, assembly, recipe = open_generator(folder, catalogue)
    data, codec = load_data(recipe, assembly, catalogue), generator.codec
    learner = assembly.scope.learner_build("learner", LearnerContext(dataset=data, codec=codec, runtime=generator.runtime, seed=0))
    rows = np.flatnonzero(data.labelled & (data.split == "train"))
    learner.fit([TrainingPart(records=take(data.records, rows), target=data.target[rows])])
    scorer = Scorer(assembly.scope, "acquisition", learner, codec, codec, generator.runtime, len(data.classes))
    assert recipe.acquisition is not None
    options = recipe.acquisition.model_copy(update={"grad_steps": 1})
    start = generator.encode_condition([Prompt(label=v, text=recipe.generate.prompt.format(v)) for v in data.classes])
    embedding = Embedding(start)
    last = generator.options.model_copy(update={"steps": 1})
    many = options.steps

    def step() -> None:
        parts = [p.clone().requires_grad_() for p in embedding.parts]
        means = mean_scores(generator, embedding.condition(parts), scorer.of_state, options, 0, grad=True)
        torch.autograd.grad(means.sum(), parts, allow_unused=True)

    def once() -> None:
        generator.options, whole = last, generator.options
        step()
        generator.options = whole

    def sampled() -> None:
        with torch.no_grad():
            generator.draw(start[torch.arange(len(start)).repeat_interleave(options.images)], seed=0)

    spent = {name: min(_seconds(do, many) for _ in range(3)) for name, do in (("step", step), ("call", once), ("pass", sampled))}
    ratio = spent["step"] / (spent["call"] + spent["pass"])
    return {"ratio": ratio, **{f"{name} ms": 1000 * s for name, s in spent.items()}, "ok": ratio <= MOST_RATIO}


def _seconds(do: Any, times: int) -> float:
    began = time.process_time()
    for _ in range(times):
        do()
    return (time.process_time() - began) / times


def run(data: str = "table") -> list[dict[str, Any]]:
    """The table, or drawn shapes."""
    return measure(data, ON_SHAPES if data == "shapes" else ON_TABLES)
