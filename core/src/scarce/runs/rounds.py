"""Rounds of active learning: acquire, generate, learn, measure - each with a fresh learner, each kept when it is done."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from scarce.contract.condition import Condition, Prompt
from scarce.contract.contexts import WriteContext
from scarce.contract.dataset import Dataset, concat, take
from scarce.contract.protocols import Codec, TrainingPart
from scarce.errors import DataError, RunError
from scarce.files import read_json, read_tensors, write_json, write_tensors
from scarce.runs.acquire import Ascent, Embedding, Search, ascend, auto_epsilon, query, select, together
from scarce.runs.assembly import Assembly
from scarce.runs.generating import class_counts, generate, train_counts
from scarce.runs.generator import TrainedGenerator
from scarce.runs.judging import as_part, fresh_learner
from scarce.runs.naming import class_prompts, refuse_alike, routed
from scarce.runs.reuse import after
from scarce.runs.scoring import Scorer
from scarce.runs.sections import Acquisition, Recipe
from scarce.runtime.runtime import SharedRuntime
from scarce.runtime.seeds import derive

TRIAL, FEWEST = 128, 8  # samples that the oracle labels at every radius of the search; at least so many per class
BEFORE = ("label_accuracy_before", "diversity_before")  # facts of samples of unmoved conditions


@dataclass
class Loop:
    """What every round needs; `facts` holds what each finished round has to say. reused: other runs' samples, which every learner sees."""

    recipe: Recipe
    folder: Path
    dataset: Dataset
    codec: Codec
    generator: TrainedGenerator
    assembly: Assembly
    runtime: SharedRuntime
    reused: TrainingPart | None = None
    facts: list[dict[str, Any]] = field(default_factory=list)
    oracle: Any = None
    shares: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self.shares = train_counts(self.dataset)

    @property
    def section(self) -> Acquisition:
        """`[acquisition]`; a loop without one only generates at random, round by round."""
        return self.recipe.acquisition or Acquisition(name="", epsilon=0)


def play(loop: Loop) -> tuple[Dataset, TrainingPart]:
    """All rounds; the data set with the labels that were asked for, and the samples of the last round."""
    parts, synthetic = _labelled(loop), TrainingPart(records=[], target=np.zeros(0))
    learner = _learner(loop, parts, -1)
    for number in range(loop.recipe.generate.rounds):
        home = loop.folder / "rounds" / f"{number:02d}"
        done = read_json(home / "round.json") if (home / "round.json").is_file() else None
        began, facts = time.monotonic(), {"round": number, **_standing(loop, learner, parts, "_before")}
        if loop.recipe.generate.pool != "generated":
            facts |= _asked(loop, learner, number, done)
        if loop.recipe.generate.pool != "classic":
            synthetic, more = _made(loop, learner, number, home, done is None)
            facts |= more
        parts = _labelled(loop) + ([synthetic] if len(synthetic.records) else [])
        learner = _learner(loop, parts, number)
        facts |= {**_standing(loop, learner, parts), "seconds": round(time.monotonic() - began, 3)}
        loop.facts.append(done or facts)
        if done is None:
            write_json(home / "round.json", facts)
    if len(synthetic.records):
        path = loop.folder / "samples" / "synthetic.parquet"
        loop.assembly.scope.modality_write(WriteContext(records=synthetic.records, path=path, schema=loop.dataset.schema))
    return loop.dataset, synthetic


def check_rounds(recipe: Recipe, dataset: Dataset) -> None:
    """Refuse, before anything is trained, data and settings that no round can be played with; raises DataError."""
    if dataset.task != "classification" or recipe.learner is None:
        what = "rounds need classes and a learner: what is informative is what a classifier is unsure of"
        raise DataError(what, hint="--set generate.rounds=1 without [acquisition], or name data.target and [learner]")
    if "{}" not in recipe.generate.prompt:
        what = f"generate.prompt: '{recipe.generate.prompt}' is a caption style; rounds generate class by class"
        raise DataError(what, hint="--set 'generate.prompt=a {}'")
    if recipe.generate.init != "noise":
        raise DataError("generate.init: rounds begin at noise, not at shots", hint="--set generate.init=noise")
    pool = _pool(dataset)
    if recipe.generate.pool != "generated" and len(pool) < (asked := _batch(recipe, dataset)) * recipe.generate.rounds:
        what = f"the pool has {len(pool)} unlabelled training records; {recipe.generate.rounds} rounds ask for {asked} each"
        raise DataError(what, hint="--set generate.count=…, or data.labelled to a smaller share")


def _pool(dataset: Dataset) -> npt.NDArray[np.int64]:
    """Positions of training records whose class is hidden, but there to be told when it is asked for."""
    known = np.isin(np.asarray(dataset.target).astype(str), [str(value) for value in dataset.classes])
    return np.flatnonzero((dataset.split == "train") & ~dataset.labelled & known).astype(np.int64)


def _batch(recipe: Recipe, dataset: Dataset) -> int:
    """Records per round: labels that are asked for; of generated ones, of which round r makes r + 1 times as many."""
    section = recipe.generate
    if section.per_class is not None:
        return section.per_class * len(dataset.classes)
    return section.count or max(1, round(section.ratio * len(dataset.rows("train"))))


def _labelled(loop: Loop) -> list[TrainingPart]:
    rows = loop.dataset.rows("train")
    rows = rows[loop.dataset.labelled[rows]]
    target = loop.dataset.target
    real = [TrainingPart(records=take(loop.dataset.records, rows), target=target[rows])] if len(rows) and target is not None else []
    return real + ([] if loop.reused is None else [loop.reused])


def _fit(loop: Loop, path: str, parts: Sequence[TrainingPart], purpose: str) -> Any:
    learner = fresh_learner(loop.dataset, loop.codec, loop.assembly, loop.runtime, loop.generator, path, purpose)
    learner.fit(parts)
    return learner


def _learner(loop: Loop, parts: list[TrainingPart], number: int) -> Any:
    """A fresh learner on this round's data; None before there are two classes to tell apart."""
    if len({str(v) for part in parts for v in part.target}) < 2:
        return None
    return _fit(loop, "learner", parts, f"learner/round {number}")


def _standing(loop: Loop, learner: Any, parts: Sequence[TrainingPart], when: str = "") -> dict[str, Any]:
    """Records the learner was trained on, and its accuracy on test and validation records."""
    right = {"accuracy": _right(loop, learner, "test"), "validation": _right(loop, learner, "validation")}
    return {f"{key}{when}": value for key, value in {"budget": sum(len(p.records) for p in parts), **right}.items()}


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
        pool = _pool(loop.dataset)
        scores = np.random.default_rng(loop.runtime.derive("pool", number)).random(len(pool))
        if learner is not None and loop.section.name:
            scores = _scorer(loop, learner, number).of_records(take(loop.dataset.records, pool), np.full(len(pool), -1))
        rows = pool[query(scores, _batch(loop.recipe, loop.dataset))]
    mask = loop.dataset.labelled.copy()
    mask[rows] = True
    loop.dataset = replace(loop.dataset, labelled=mask)
    return {"asked": loop.dataset.ids[rows].tolist()}


def _made(loop: Loop, learner: Any, number: int, home: Path, fresh: bool) -> tuple[TrainingPart, dict[str, Any]]:
    """The samples of one round, `number` + 1 times as many as of the first, and what was done to choose them."""
    wanted, section = _batch(loop.recipe, loop.dataset) * (number + 1), loop.section
    facts: dict[str, Any] = {"gate": _gate(loop, learner)}
    acts = facts["gate"] == "open" and section.mode != "query" and bool(section.name)
    condition = _starts(loop)
    if acts and section.mode == "ascend":
        condition, climbed = _climbed(loop, learner, number, home, condition)
        facts |= climbed
    over = section.factor if acts and section.mode == "select" else 1.0
    prompts, rows = _prompts(loop, _counts(loop, round(wanted * over)))
    seed = loop.runtime.derive(f"round{after(loop.recipe, loop.folder)}", number)
    records = generate(loop.generator, prompts, seed=seed, shards=home / "shards", conditions=condition[rows])
    if over > 1:
        codes = _codes(loop, prompts)
        scores = _scorer(loop, learner, number).of_records(records, codes)
        keep = select(scores, loop.codec.vectors(records), codes, _counts(loop, wanted))
        facts |= {"score_before": float(scores.mean()), "score_after": float(scores[keep].mean())}
        facts |= {"gain": facts["score_after"] - facts["score_before"]}
        facts |= _before(loop, prompts, records) if fresh else {}
        records, prompts = take(records, keep), [prompts[i] for i in keep]
    if fresh:
        facts |= _looked_at(loop, learner, number, prompts, records)
    loop.assembly.scope.modality_write(WriteContext(records=records, path=home / "synthetic.parquet", schema=loop.dataset.schema))
    return as_part(records, loop.dataset, "synthetic"), facts


def _gate(loop: Loop, learner: Any) -> str:
    """Whether the learner is good enough to be asked what it is unsure of."""
    if learner is None:
        return "closed: no learner yet"
    rows, truth = loop.dataset.rows("validation"), loop.dataset.codes_of(loop.dataset.target)
    rows = rows[truth[rows] >= 0]
    if not len(rows):
        return "closed: no validation record has a known class to judge the learner by"
    said = loop.dataset.codes_of(learner.predict(take(loop.dataset.records, rows)).values)
    # The mean over classes: who always names the most frequent one is right no more often than chance.
    recalls = [float(np.mean(said[truth[rows] == code] == code)) for code in np.unique(truth[rows])]
    found, chance = float(np.mean(recalls)), 1 / len(recalls)
    if found < chance + loop.section.warmup:
        return f"closed: validation accuracy {found:.3f} (mean over classes) is below chance {chance:.3f} + {loop.section.warmup:g}"
    return "open"


def _counts(loop: Loop, total: int) -> list[int]:
    """Samples per class, in the proportions of the labelled training records the run began with; equal where it had none."""
    return class_counts(loop.shares if any(loop.shares) else [1] * len(loop.dataset.classes), total)


def _starts(loop: Loop) -> Condition:
    """The conditions of each class as often as it has embeddings, classes in order.

    Raises DataError for a class whose prompt says nothing, no more than the template, or the same as that of another.
    """
    prompts, apart = class_prompts(loop.recipe, loop.dataset), routed(loop.generator.plan)
    found = loop.generator.encode_condition(prompts[:-1] if apart else prompts)
    said = [torch.cat(parts).cpu().numpy().tobytes() for parts in zip(*Embedding(found).parts, strict=True)]
    refuse_alike(loop.recipe, loop.dataset, [*said, bytes(len(said[0]))], apart)
    return found[torch.arange(len(loop.dataset.classes)).repeat_interleave(loop.section.embeddings)]


def _codes(loop: Loop, prompts: Sequence[Prompt]) -> npt.NDArray[np.int64]:
    return np.array([loop.dataset.classes.index(p.label) for p in prompts], dtype=np.int64)


def _prompts(loop: Loop, counts: Sequence[int]) -> tuple[list[Prompt], torch.Tensor]:
    """A prompt per sample, and which row of the conditions answers it: a class's embeddings in turn."""
    template, each = loop.recipe.generate.prompt, loop.section.embeddings
    pairs = [(k, i % each) for k, n in enumerate(counts) for i in range(n)]
    prompts = [Prompt(label=(v := loop.dataset.classes[k]), text=template.format(v)) for k, _ in pairs]
    return prompts, torch.tensor([k * each + j for k, j in pairs])


def _scorer(loop: Loop, learner: Any, number: int, path: str = "acquisition") -> Scorer:
    known = [part.records for part in _labelled(loop)]
    return Scorer(
        scope=loop.assembly.scope, path=path, learner=learner, drawn=loop.generator.codec, codec=loop.codec, runtime=loop.runtime,
        classes=len(loop.dataset.classes), index=number, labelled=concat(known) if known else None,
    )  # fmt: skip


def _climbed(loop: Loop, learner: Any, number: int, home: Path, start: Condition) -> tuple[Condition, dict[str, Any]]:
    """Conditions moved uphill and how that went, kept in the round's folder and read back after an interruption."""
    path, facts = home / "conditions.safetensors", dict[str, Any]()
    if path.is_file():
        kept, facts = read_tensors(path)
        pooled = kept["pooled"].to(start.tokens) if "pooled" in kept else None
        return start.with_(tokens=kept["tokens"].to(start.tokens), pooled=pooled), facts
    section, scorer, seed = loop.section, _scorer(loop, learner, number), loop.runtime.derive("ascend", number)
    epsilon = section.epsilon * ((number + 1) / loop.recipe.generate.rounds if section.schedule == "linear" else 1.0)
    facts, steps = _plain(loop, start), loop.generator.options.steps
    if section.auto_epsilon and section.epsilon > 0:  # 0 is an arm without an ascent, not a radius to start from
        plain = facts["label_accuracy_before"]
        search = _searched(loop, scorer, start, plain, seed)
        epsilon = search.epsilon  # as it is: at a share of it no gain was looked for
        facts["search"] = {"plain": plain, "tried": [t.to_json() for t in search.tried], "epsilon": epsilon}
    found = _climb(loop, scorer, start, epsilon, seed)
    facts |= {
        "epsilon": epsilon, "gain": found.gain, "moved": float(found.moved[-1].mean()), "skipped": found.skipped, "calls": steps,
        "score_before": float(found.before.mean()), "score_after": float(found.after.mean()), "grad_calls": min(section.grad_steps, steps),
    }  # fmt: skip
    tensors = {"tokens": found.condition.tokens, "pooled": found.condition.pooled}
    write_tensors(path, {name: value for name, value in tensors.items() if value is not None}, facts)
    return found.condition, facts


def _climb(loop: Loop, scorer: Scorer, start: Condition, epsilon: float, seed: int) -> Ascent:
    """All embeddings moved, as many classes at once as `generate.shard` samples allow."""
    section, classes = loop.section, len(loop.dataset.classes)
    at_once = max(1, loop.recipe.generate.shard // (section.embeddings * section.images))
    parts = []
    for first in range(0, classes, at_once):
        rows = torch.arange(first * section.embeddings, min(classes, first + at_once) * section.embeddings)
        near = (rows // section.embeddings).to(start.tokens.device)
        part = derive(seed, "classes", first)
        parts.append(ascend(loop.generator, start[rows], scorer.of_state, section, epsilon=epsilon, seed=part, siblings=near))
    return together(parts)


def _searched(loop: Loop, scorer: Scorer, start: Condition, plain: float, seed: int) -> Search:
    def tried(epsilon: float) -> tuple[float, float]:
        found = _climb(loop, scorer, start, epsilon, seed)
        return found.gain, _label_accuracy(loop, *_trial(loop, found.condition))

    return auto_epsilon(tried, plain, loop.section)


def _plain(loop: Loop, start: Condition) -> dict[str, Any]:
    """Label accuracy and diversity of conditions that were not moved: the same in every round, so found once."""
    known = [facts for facts in loop.facts if "diversity_before" in facts]
    return {name: known[0][name] for name in BEFORE} if known else _before(loop, *_trial(loop, start))


def _before(loop: Loop, prompts: Sequence[Prompt], records: Any) -> dict[str, Any]:
    return dict(zip(BEFORE, (_label_accuracy(loop, prompts, records), _diversity(loop, _codes(loop, prompts), records)), strict=True))


def _trial(loop: Loop, condition: Condition) -> tuple[list[Prompt], Any]:
    """Fresh samples for the oracle, always of the same noise, and what they were asked for."""
    prompts, rows = _prompts(loop, _counts(loop, max(TRIAL, FEWEST * len(loop.dataset.classes))))
    return prompts, generate(loop.generator, prompts, seed=loop.runtime.derive("trial"), conditions=condition[rows])


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


def _looked_at(loop: Loop, learner: Any, number: int, prompts: Sequence[Prompt], records: Any) -> dict[str, Any]:
    """Label accuracy, diversity, and the mean of every score that is only watched."""
    codes = _codes(loop, prompts)
    out = {"label_accuracy": _label_accuracy(loop, prompts, records), "diversity": _diversity(loop, codes, records)}
    if learner is not None:
        for i, name in enumerate(loop.section.also):
            scorer = _scorer(loop, learner, number, f"acquisition.also.{i}")
            out[f"also_{name}"] = float(scorer.of_records(records, codes).mean())
    return out


def _diversity(loop: Loop, codes: npt.NDArray[np.int64], records: Any) -> float | None:
    """Mean distance of two samples of one class, over the same of labelled records; 1: as different as those are.

    None where no class has two labelled records.
    """
    real = loop.dataset.rows("train")
    real = real[loop.dataset.labelled[real]]
    if not len(real):
        return None
    known = _spread(loop.codec.vectors(take(loop.dataset.records, real)), loop.dataset.codes()[real])
    return _spread(loop.codec.vectors(records), codes) / known if known > 0 else None


def _spread(vectors: npt.NDArray[np.float64], codes: npt.NDArray[np.int64]) -> float:
    """Mean over classes of the mean distance of 200 random pairs of one class [n, d]; 0 where no class has two records."""
    rng = np.random.default_rng(derive(0, "diversity"))
    found = []
    for mine in (np.flatnonzero(codes == code) for code in np.unique(codes)):
        a, b = rng.choice(mine, 200), rng.choice(mine, 200)
        found += [np.linalg.norm(vectors[a] - vectors[b], axis=1)[a != b].mean()] if len(mine) > 1 else []
    return float(np.mean(found)) if found else 0.0
