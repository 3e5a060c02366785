"""Checks of evaluators: does every number go the way it says, on real records and on useless ones?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np

from scarce.contract import Caption, CaptionContext, CodecContext, Dataset, EvaluatorContext, Figure, Metric, Predictions, Prompt, take
from scarce.contract.protocols import Array
from scarce.runs.generator import TrainedGenerator
from scarce.runs.judging import targets_of
from scarce.testing.bench import Bench
from scarce.testing.general import Check, Worked, of_work
from scarce.testing.prints import fingerprint
from scarce.testing.report import Fatal, Flaw, Skip

ROUNDS = ({"round": 0, "budget_before": 10, "accuracy_before": 0.4, "budget": 20, "accuracy": 0.6, "gain": 0.2, "label_accuracy": 0.9,
           "label_accuracy_before": 0.95, "diversity": 0.5, "diversity_before": 0.6},
          {"round": 1, "budget_before": 20, "accuracy_before": 0.6, "budget": 30, "accuracy": 0.9, "gain": 0.1, "label_accuracy": 0.9,
           "label_accuracy_before": 0.95, "diversity": 0.5, "diversity_before": 0.6})  # fmt: skip
WORSE = {"accuracy": 0.3, "accuracy_before": 0.3, "gain": -0.1, "label_accuracy": 0.3}


class Told(TrainedGenerator):
    """The toy generator, but its samples are records that are handed to it: those of the prompts, or any."""

    def __init__(self, inner: TrainedGenerator, records: Any, prompts: Sequence[Prompt] | None) -> None:
        super().__init__(model=inner.model, process=inner.process, codec=inner.codec, options=inner.options, runtime=inner.runtime)
        self.records = records
        self.places: dict[tuple[str, str], list[int]] = {}
        for i, prompt in enumerate(prompts or ()):
            self.places.setdefault(_key(prompt), []).append(i)

    def sample(self, prompts: Sequence[Prompt], *, seed: int, known: Any = None) -> Any:
        """One record per prompt, those of a prompt in turn."""
        turns = {key: cycle(rows) for key, rows in self.places.items()}
        rows = [next(turns[_key(p)]) if _key(p) in turns else i % len(self.records) for i, p in enumerate(prompts)]
        return take(self.records, rows)


def _key(prompt: Prompt) -> tuple[str, str]:
    return str(prompt.label), str(prompt.text)


def context(bench: Bench, dataset: Dataset, samples: Any, *, good: bool, seed: int = 0) -> EvaluatorContext:
    """What an evaluator is given in a run whose synthetic records are `samples`.

    good: whether the learner fitted on them is right nine times of ten, the generator answers its prompts, and rounds gained.
    """
    few = dataset is not bench.dataset
    codec = bench.modal.scope.modality_codec(CodecContext(dataset=dataset, seed=0)) if few else bench.codec
    test, bootstrap = dataset.rows("test"), take(dataset.records, np.resize(dataset.rows("train"), max(len(samples), 1)))
    truth = None if dataset.target is None else dataset.target[test]
    sources = {"synthetic": samples, "bootstrap": bootstrap}
    right = {"real": True, "synthetic": good, "both": good, "bootstrap": True}
    predictions = {} if truth is None else {name: _said(dataset, truth, ok) for name, ok in right.items()}

    def describe(records: Any) -> list[Caption]:
        ctx = CaptionContext(records=records, style=bench.data.style, seed=0, codec=codec)
        return bench.modal.scope.modality_caption(ctx)

    def prompts(rows: Array) -> list[Prompt]:
        labels = [None] * len(rows) if dataset.target is None else dataset.target[rows].tolist()
        texts = describe(take(dataset.records, rows)) if bench.data.style else [Caption(text=str(v)) for v in labels]
        return [Prompt(label=v, text=c.text, props=c.props) for v, c in zip(labels, texts, strict=True)]

    asked = prompts(np.arange(len(dataset)))
    told = Told(bench.generator, dataset.records if good else bench.noise(len(dataset), 3), asked if good else None)
    parent = Told(bench.generator, bench.noise(len(dataset), 4) if not good else dataset.records, asked if good else None)
    return EvaluatorContext(
        dataset=dataset, codec=codec, samples=sources, targets={k: targets_of(v, dataset) for k, v in sources.items()},
        predictions=predictions, runtime=bench.runtime(), seed=seed, expected=len(dataset.rows("train")), learner="kit-learner",
        generator=told, parent=parent, describe=describe if bench.data.style else None, prompts=prompts,
        log=[{"phase": "train", "step": 10 * i, "rate": 0.01, "loss": {"denoise": 1.0 / (i + 1)}} for i in range(3)],
        rounds=[{**r, **({} if good else WORSE)} for r in ROUNDS],
    )  # fmt: skip


def _said(dataset: Dataset, truth: Array, right: bool) -> Predictions:
    """Answers that are right nine times of ten, or about as often as chance."""
    rng = np.random.default_rng(11 if right else 12)
    if dataset.task == "regression":
        values = np.asarray(truth, dtype=float)
        return Predictions(values=values + rng.normal(0, 0.1, len(values)) if right else rng.permutation(values))
    codes, k = dataset.codes_of(truth), len(dataset.classes)
    wrong = rng.random(len(codes)) < (0.1 if right else 1 - 1 / max(k, 2))
    said = np.where(wrong, (codes + rng.integers(1, max(k, 2), len(codes))) % max(k, 1), codes)
    p = np.full((len(codes), k), 0.2 / max(k - 1, 1))
    p[np.arange(len(codes)), said] = 0.8
    values = np.empty(len(codes), dtype=object)
    values[:] = [dataset.classes[c] for c in said]
    return Predictions(values=values, probabilities=p / p.sum(1, keepdims=True))


def measure(bench: Bench, ctx: EvaluatorContext) -> tuple[list[Metric], list[Figure]]:
    """Metrics and figures of a fresh evaluator."""
    made = bench.built()
    ctx = ctx.with_(parts=made.parts_of(bench.path))
    return made.scope.evaluator_measure(bench.path, ctx), made.scope.evaluator_draw(bench.path, ctx)


def check_metrics(metrics: Sequence[Metric]) -> None:
    """Raise Flaw for a number that is neither finite nor explained, and for metrics that are told twice."""
    for m in metrics:
        if not math.isfinite(m.value) and not m.error:
            raise Flaw(f"{m.name} of {m.source} is {m.value} and no error says why")
        if m.direction == "target" and m.target is None:
            raise Flaw(f"{m.name} has the direction 'target' and no target")
    keys = [(m.name, m.source) for m in metrics]
    if twice := [key for key in keys if keys.count(key) > 1]:
        raise Flaw(f"{twice[0][0]} of {twice[0][1]} is measured twice")


def answers(bench: Bench) -> None:
    """Metrics, each finite or with an error that says why, and figures."""
    metrics, figures = measure(bench, context(bench, bench.dataset, bench.twin, good=True))
    if not metrics and not figures:
        raise Fatal("it measures nothing and draws nothing")
    try:
        check_metrics(metrics)
    except Flaw as flaw:
        raise Fatal(str(flaw)) from flaw
    if broken := [m for m in metrics if m.error and m.source == "synthetic"]:
        raise Fatal(f"{broken[0].name} can't be measured: {broken[0].error}")


def direction(bench: Bench) -> None:
    """Every metric of fresh real records is better, in its direction, than that of records that are useless for its purpose.

    Useless are copies of training records for privacy, a few records again and again for diversity, and noise for all else.
    """
    n, data = len(bench.twin), bench.dataset
    train, provides = data.rows("train"), bench.row.provides
    useless = {
        "eval:privacy": take(data.records, np.resize(train, n)),
        "eval:diversity": take(data.records, np.resize(train[:2], n)),
        "noise": bench.noise(n, 7),
    }
    purposes = [name for name in provides if name in useless]
    purposes += ["noise"] if not purposes or {"eval:fidelity", "eval:utility", "eval:controllability"} & set(provides) else []
    good = _directed(measure(bench, context(bench, data, bench.twin, good=True))[0])
    if not good:
        raise Skip("no metric of synthetic records has a direction")
    bad = {p: _directed(measure(bench, context(bench, data, useless[p], good=False))[0]) for p in purposes}
    for name, metric in good.items():
        seen = {p: found[name] for p, found in bad.items() if name in found}
        if not any(_loss(metric) < _loss(other) for other in seen.values()):
            shown = ", ".join(f"{other.value:.4g} for {p.removeprefix('eval:')}" for p, other in seen.items()) or "nothing"
            says = f"{metric.direction} {metric.target:g}" if metric.target is not None else metric.direction
            raise Flaw(f"{name} (direction {says}) is {metric.value:.4g} for fresh real records and {shown}: no better")


def _directed(metrics: Sequence[Metric]) -> Mapping[str, Metric]:
    return {m.name: m for m in metrics if m.source == "synthetic" and m.direction != "none" and math.isfinite(m.value)}


def _loss(metric: Metric) -> float:
    """Lower is better."""
    if metric.direction == "target":
        return abs(metric.value - (metric.target or 0.0))
    return -metric.value if metric.direction == "higher" else metric.value


def interval(bench: Bench) -> None:
    """An interval holds its own value, and that of the same measurement under another seed."""
    first, again = (
        {(m.name, m.source): m for m in measure(bench, context(bench, bench.dataset, bench.twin, good=True, seed=seed))[0]}
        for seed in (0, 1)
    )
    given = {key: (m, m.low, m.high) for key, m in first.items() if m.low is not None and m.high is not None and math.isfinite(m.value)}
    if not given:
        raise Skip("no metric has an interval")
    for (name, source), (metric, low, high) in given.items():
        other = again[name, source].value
        if not (low <= metric.value <= high and low <= other <= high):
            raise Flaw(f"{name} of {source} is {metric.value:.4g}, then {other:.4g}, and its interval is {low:.4g} to {high:.4g}")


def few_rows(bench: Bench) -> None:
    """Ten records are enough, or an error in the metric says why not."""
    data = bench.few()
    check_metrics(measure(bench, context(bench, data, take(bench.twin, np.arange(6)), good=True))[0])


def no_samples(bench: Bench) -> None:
    """A run in which no sample came has its metrics too, with an error where there is nothing to measure."""
    ctx = context(bench, bench.dataset, bench.twin, good=False)
    alone = {name: said for name, said in ctx.predictions.items() if name == "real"}
    check_metrics(measure(bench, ctx.with_(samples={}, targets={}, predictions=alone))[0])


def inputs_kept(bench: Bench) -> None:
    """Records and predictions of the context are as they were."""
    ctx = context(bench, bench.dataset, bench.twin, good=True)
    watched = [ctx.samples, ctx.targets, ctx.predictions, ctx.dataset.records, ctx.dataset.target]
    before = fingerprint(watched)
    measure(bench, ctx)
    if fingerprint(watched) != before:
        raise Flaw("records, targets or predictions of the context were changed in place")


def work(bench: Bench) -> Worked:
    """Metrics of fresh real records."""
    made = bench.built()
    ctx = context(bench, bench.dataset, bench.twin, good=True).with_(parts=made.parts_of(bench.path))
    return Worked(held=[made.loaded[bench.path].instance], result=made.scope.evaluator_measure(bench.path, ctx))


CHECKS: dict[str, Check] = {
    "answers": answers,
    "direction": direction,
    "interval": interval,
    "few-rows": few_rows,
    "no-samples": no_samples,
    "inputs-kept": inputs_kept,
    **of_work(work),
}
