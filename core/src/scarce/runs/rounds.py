"""Rounds of active learning: acquire, generate, learn, measure - each with a fresh learner, each kept when it is done."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from scarce.contract.condition import Condition, Prompt
from scarce.contract.contexts import LearnerContext, WriteContext
from scarce.contract.dataset import Dataset, concat, take
from scarce.contract.protocols import Codec, TrainingPart
from scarce.errors import DataError, RunError
from scarce.files import read_json, read_tensors, write_json, write_tensors
from scarce.runs.acquire import Ascent, Search, ascend, auto_epsilon, query, select
from scarce.runs.assembly import Assembly
from scarce.runs.generating import class_counts, generate
from scarce.runs.generator import TrainedGenerator
from scarce.runs.judging import as_part
from scarce.runs.scoring import Scorer
from scarce.runs.sections import Acquisition, Recipe
from scarce.runtime.runtime import SharedRuntime
from scarce.runtime.seeds import derive

TRIAL = 32  # samples of each class that the oracle labels at every radius of the search


@dataclass
class Loop:
    """What every round needs; `facts` holds what each finished round has to say."""

    recipe: Recipe
    folder: Path
    dataset: Dataset
    codec: Codec
    generator: TrainedGenerator
    assembly: Assembly
    runtime: SharedRuntime
    facts: list[dict[str, Any]] = field(default_factory=list)
    oracle: Any = None

    @property
    def section(self) -> Acquisition:
        """`[acquisition]`; a loop without one only generates at random, round by round."""
        return self.recipe.acquisition or Acquisition(name="", epsilon=0)


def play(loop: Loop) -> tuple[Dataset, TrainingPart]:
    """All rounds; the data set with the labels that were asked for, and the samples of the last round."""
    _refuse(loop)
    learner, synthetic = _learner(loop, _labelled(loop), -1), TrainingPart(records=[], target=np.zeros(0))
    for number in range(loop.recipe.generate.rounds):
        home = loop.folder / "rounds" / f"{number:02d}"
        done = read_json(home / "round.json") if (home / "round.json").is_file() else None
        began, facts = time.monotonic(), dict[str, Any]()
        if loop.recipe.generate.pool != "generated":
            facts |= _asked(loop, learner, number, done)
        if loop.recipe.generate.pool != "classic":
            synthetic, more = _made(loop, learner, number, home, done is None)
            facts |= more
        parts = _labelled(loop) + ([synthetic] if len(synthetic.records) else [])
        learner = _learner(loop, parts, number)
        facts |= {"round": number, "budget": sum(len(p.records) for p in parts), **_accuracy(loop, learner)}
        facts["seconds"] = round(time.monotonic() - began, 3)
        loop.facts.append(done or facts)
        if done is None:
            write_json(home / "round.json", facts)
    if len(synthetic.records):
        path = loop.folder / "samples" / "synthetic.parquet"
        loop.assembly.scope.modality_write(WriteContext(records=synthetic.records, path=path, schema=loop.dataset.schema))
    return loop.dataset, synthetic


def _refuse(loop: Loop) -> None:
    if loop.dataset.task != "classification" or "learner" not in loop.assembly.loaded:
        what = "rounds need classes and a learner: what is informative is what a classifier is unsure of"
        raise DataError(what, hint="--set generate.rounds=1 without [acquisition], or name data.target and [learner]")
    if "{}" not in loop.recipe.generate.prompt:
        what = f"generate.prompt: '{loop.recipe.generate.prompt}' is a caption style; rounds generate class by class"
        raise DataError(what, hint="--set 'generate.prompt=a {}'")
    pool = np.flatnonzero((loop.dataset.split == "train") & ~loop.dataset.labelled)
    if loop.recipe.generate.pool != "generated" and len(pool) < _batch(loop):
        what = f"the pool has {len(pool)} unlabelled training records; a round asks for {_batch(loop)}"
        raise DataError(what, hint="--set generate.count=…, or data.labelled to a smaller share")


def _batch(loop: Loop) -> int:
    return loop.recipe.generate.count or max(1, round(loop.recipe.generate.ratio * len(loop.dataset.rows("train"))))


def _labelled(loop: Loop) -> list[TrainingPart]:
    rows = loop.dataset.rows("train")
    rows = rows[loop.dataset.labelled[rows]]
    target = loop.dataset.target
    return [TrainingPart(records=take(loop.dataset.records, rows), target=target[rows])] if len(rows) and target is not None else []


def _fit(loop: Loop, path: str, parts: Sequence[TrainingPart], purpose: str) -> Any:
    ctx = LearnerContext(
        dataset=loop.dataset, codec=loop.codec, runtime=loop.runtime, seed=loop.runtime.derive(purpose) % 2**31,
        generator=loop.generator, parts=loop.assembly.parts_of(path),
    )  # fmt: skip
    learner = loop.assembly.scope.learner_build(path, ctx)
    learner.fit(parts)
    return learner


def _learner(loop: Loop, parts: list[TrainingPart], number: int) -> Any:
    """A fresh learner on this round's data; None before there are two classes to tell apart."""
    if len({str(v) for part in parts for v in part.target}) < 2:
        return None
    return _fit(loop, "learner", parts, f"learner/round {number}")


def _accuracy(loop: Loop, learner: Any) -> dict[str, float | None]:
    return {"accuracy": _right(loop, learner, "test"), "validation": _right(loop, learner, "validation")}


def _right(loop: Loop, learner: Any, split: Any) -> float | None:
    """Share of a split's records whose class the learner names; the test split only ever reports."""
    rows = loop.dataset.rows(split)
    if learner is None or loop.dataset.target is None or not len(rows):
        return None
    said = learner.predict(take(loop.dataset.records, rows)).values
    return float(np.mean(np.asarray(said).astype(str) == loop.dataset.target[rows].astype(str)))


def _asked(loop: Loop, learner: Any, number: int, done: dict[str, Any] | None) -> dict[str, Any]:
    """Label the most informative records of the pool (at random before there is a learner); ids join the labelled set."""
    if done is not None:
        rows = np.flatnonzero(np.isin(loop.dataset.ids, done["asked"]))
    else:
        pool = np.flatnonzero((loop.dataset.split == "train") & ~loop.dataset.labelled)
        scores = np.random.default_rng(loop.runtime.derive("pool", number)).random(len(pool))
        if learner is not None and loop.section.name:
            scores = _scorer(loop, learner).of_records(take(loop.dataset.records, pool), np.full(len(pool), -1))
        rows = pool[query(scores, _batch(loop))]
    mask = loop.dataset.labelled.copy()
    mask[rows] = True
    loop.dataset = replace(loop.dataset, labelled=mask)
    return {"asked": loop.dataset.ids[rows].tolist()}


def _made(loop: Loop, learner: Any, number: int, home: Path, fresh: bool) -> tuple[TrainingPart, dict[str, Any]]:
    """The samples of one round, `number` + 1 times `generate.count` of them, and what was done to choose them."""
    wanted = _batch(loop) * (number + 1)
    section = loop.section
    facts: dict[str, Any] = {"gate": _gate(loop, learner)}
    acts = facts["gate"] == "open" and section.mode != "query" and bool(section.name)
    over = section.factor if acts and section.mode == "select" else 1.0
    counts = _counts(loop, round(wanted * over))
    start = _starts(loop)
    condition = start
    if acts and section.mode == "ascend":
        condition, climbed = _climbed(loop, learner, number, home, start)
        facts |= climbed
    prompts, rows = _prompts(loop, counts)
    seed = loop.runtime.derive("round", number)
    records = generate(loop.generator, prompts, seed=seed, shards=home / "shards", conditions=condition[rows])
    if fresh:
        facts |= _looked_at(loop, learner, prompts, records)
    if over > 1:
        labels = np.array([loop.dataset.classes.index(p.label) for p in prompts])
        scores = _scorer(loop, learner).of_records(records, labels)
        keep = select(scores, loop.codec.vectors(records), labels, _counts(loop, wanted))
        facts["score_all"], facts["score_kept"] = float(scores.mean()), float(scores[keep].mean())
        records = take(records, keep)
    loop.assembly.scope.modality_write(WriteContext(records=records, path=home / "synthetic.parquet", schema=loop.dataset.schema))
    return as_part(records, loop.dataset, "synthetic"), facts


def _gate(loop: Loop, learner: Any) -> str:
    """Whether the learner is good enough to be asked what it is unsure of."""
    chance, found = 1 / max(1, len(loop.dataset.classes)), _right(loop, learner, "validation")
    if found is None:
        return "closed: no learner yet"
    if found < chance + loop.section.warmup:
        return f"closed: validation accuracy {found:.3f} is below chance {chance:.3f} + {loop.section.warmup:g}"
    return "open"


def _counts(loop: Loop, total: int) -> list[int]:
    classes = len(loop.dataset.classes)
    return class_counts([1] * classes, total)


def _starts(loop: Loop) -> Condition:
    """The conditions of each class as often as it has embeddings, classes in order."""
    template = loop.recipe.generate.prompt
    many = [Prompt(label=v, text=template.format(v)) for v in loop.dataset.classes for _ in range(loop.section.embeddings)]
    return loop.generator.encode_condition(many)


def _prompts(loop: Loop, counts: Sequence[int]) -> tuple[list[Prompt], torch.Tensor]:
    """A prompt per sample, and which row of the conditions answers it: a class's embeddings in turn."""
    template, each = loop.recipe.generate.prompt, loop.section.embeddings
    pairs = [(k, i % each) for k, n in enumerate(counts) for i in range(n)]
    prompts = [Prompt(label=(v := loop.dataset.classes[k]), text=template.format(v)) for k, _ in pairs]
    return prompts, torch.tensor([k * each + j for k, j in pairs])


def _scorer(loop: Loop, learner: Any, path: str = "acquisition") -> Scorer:
    known = [part.records for part in _labelled(loop)]
    codec = loop.generator.codec if loop.section.mode == "ascend" else loop.codec
    return Scorer(loop.assembly.scope, path, learner, codec, loop.runtime, concat(known) if known else None)


def _climbed(loop: Loop, learner: Any, number: int, home: Path, start: Condition) -> tuple[Condition, dict[str, Any]]:
    """Conditions moved uphill and how that went, kept in the round's folder and read back after an interruption."""
    path, facts = home / "conditions.safetensors", dict[str, Any]()
    if path.is_file():
        kept, facts = read_tensors(path)
        pooled = kept["pooled"].to(start.tokens) if "pooled" in kept else None
        return start.with_(tokens=kept["tokens"].to(start.tokens), pooled=pooled), facts
    section, scorer = loop.section, _scorer(loop, learner)
    siblings = torch.arange(len(start)) // section.embeddings
    seed = loop.runtime.derive("ascend", number)

    def climb(epsilon: float) -> Ascent:
        return ascend(
            loop.generator, start, scorer.of_state, section, epsilon=epsilon, seed=seed, siblings=siblings.to(start.tokens.device)
        )

    share = (number + 1) / loop.recipe.generate.rounds if section.schedule == "linear" else 1.0
    most = section.epsilon
    if section.auto_epsilon:
        search = _searched(loop, climb, start)
        most = search.epsilon
        facts["search"] = {"plain": search.plain, "tried": [vars(t) for t in search.tried], "epsilon": search.epsilon}
    found = climb(share * most)
    facts |= {
        "epsilon": share * most, "gain": found.gain, "moved": float(found.moved.mean()), "skipped": found.skipped,
        "score_before": float(found.scores[0].mean()), "score_after": float(found.scores[-1].mean()),
        "label_accuracy_before": _agreed(loop, start, number),
    }  # fmt: skip
    tensors = {"tokens": found.condition.tokens, "pooled": found.condition.pooled}
    write_tensors(path, {name: value for name, value in tensors.items() if value is not None}, facts)
    return found.condition, facts


def _searched(loop: Loop, climb: Any, start: Condition) -> Search:
    def tried(epsilon: float) -> tuple[float, float]:
        found = climb(epsilon)
        return found.gain, _agreed(loop, found.condition, -1)

    return auto_epsilon(tried, _agreed(loop, start, -1), loop.section)


def _agreed(loop: Loop, condition: Condition, number: int) -> float:
    """Share of fresh samples of every class that the oracle gives their asked class."""
    prompts, rows = _prompts(loop, [TRIAL] * len(loop.dataset.classes))
    records = generate(loop.generator, prompts, seed=loop.runtime.derive("trial", number + 1), conditions=condition[rows])
    return _label_accuracy(loop, prompts, records)


def _label_accuracy(loop: Loop, prompts: Sequence[Prompt], records: Any) -> float:
    said = np.asarray(_oracle(loop).predict(records).values).astype(str)
    return float(np.mean(said == np.array([str(p.label) for p in prompts])))


def _oracle(loop: Loop) -> Any:
    """A learner that has seen validation records and the whole pool with its true classes; never a test record."""
    if loop.oracle is None:
        if loop.dataset.target is None:
            raise RunError("an oracle needs the classes of the data")
        rows = loop.dataset.rows("train", "validation")
        part = TrainingPart(records=take(loop.dataset.records, rows), target=loop.dataset.target[rows])
        path = "acquisition.oracle" if loop.section.oracle else "learner"
        loop.oracle = _fit(loop, path, [part], "oracle")
    return loop.oracle


def _looked_at(loop: Loop, learner: Any, prompts: Sequence[Prompt], records: Any) -> dict[str, Any]:
    """Label accuracy, diversity, and the mean of every score that is only watched."""
    vectors, labels = loop.codec.vectors(records), np.array([str(p.label) for p in prompts])
    rng = np.random.default_rng(derive(loop.recipe.seed, "diversity"))
    spread = []
    for label in np.unique(labels):
        mine = np.flatnonzero(labels == label)
        a, b = rng.choice(mine, 200), rng.choice(mine, 200)
        spread.append(np.linalg.norm(vectors[a] - vectors[b], axis=1)[a != b].mean() if len(mine) > 1 else 0.0)
    out: dict[str, Any] = {"label_accuracy": _label_accuracy(loop, prompts, records), "diversity": float(np.mean(spread))}
    if learner is not None:
        codes = np.array([loop.dataset.classes.index(p.label) for p in prompts])
        for i, name in enumerate(loop.section.also):
            out[f"also_{name}"] = float(_scorer(loop, learner, f"acquisition.also.{i}").of_records(records, codes).mean())
    return out
