"""Checks of downstream learners, on a few records whose classes differ clearly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scarce.contract import CodecContext, Dataset, Guidance, LearnerContext, Predictions, TrainingPart, take
from scarce.testing.bench import Bench
from scarce.testing.general import Check, Worked, of_work
from scarce.testing.prints import fingerprint, largest_difference
from scarce.testing.report import Fatal, Flaw, Skip


def context(bench: Bench, dataset: Dataset) -> LearnerContext:
    """A learner's context on a data set, with a codec of its own."""
    codec = bench.codec if dataset is bench.dataset else bench.modal.scope.modality_codec(CodecContext(dataset=dataset, seed=0))
    return LearnerContext(dataset=dataset, codec=codec, runtime=bench.runtime(), seed=0)


def build(bench: Bench, dataset: Dataset) -> Any:
    """A fresh learner; its owner is gone."""
    made = bench.built()
    ctx = context(bench, dataset).with_(parts=made.parts_of(bench.path))
    return made.scope.learner_build(bench.path, ctx)


def real(dataset: Dataset) -> TrainingPart:
    """The training records."""
    rows = dataset.rows("train")
    assert dataset.target is not None
    return TrainingPart(records=take(dataset.records, rows), target=dataset.target[rows], ids=dataset.ids[rows])


def fitted(bench: Bench, dataset: Dataset, parts: Sequence[TrainingPart] | None = None) -> Any:
    """A learner after `fit`."""
    learner = build(bench, dataset)
    learner.fit(parts or [real(dataset)])
    return learner


def judge(dataset: Dataset, predictions: Predictions, n: int) -> None:
    """Raise Flaw unless predictions are n classes with probabilities, or n finite numbers."""
    if len(predictions.values) != n:
        raise Flaw(f"{n} records have {len(predictions.values)} predictions")
    if dataset.task == "regression":
        if not np.isfinite(np.asarray(predictions.values, dtype=float)).all():
            raise Flaw("a predicted number is not finite")
        return
    if strange := set(np.asarray(predictions.values, dtype=object).tolist()) - set(dataset.classes):
        raise Flaw(f"it predicts {sorted(map(str, strange))[0]!r}, which is no class")
    if predictions.probabilities is not None:
        p = np.asarray(predictions.probabilities, dtype=float)
        shape = (n, len(dataset.classes))
        if p.shape != shape or p.min() < 0 or np.abs(p.sum(1) - 1).max() > 1e-4:
            raise Flaw(f"probabilities must be {list(shape)}, not below 0, and sum to 1")


def answers(bench: Bench) -> None:
    """It fits on ten records and predicts the others, without looking at their target."""
    data = bench.few()
    rest = data.rows("validation", "test")
    try:
        learner = fitted(bench, data)
        said = learner.predict(take(data.records, rest))
        judge(data, said, len(rest))
    except Exception as error:
        raise Fatal(f"ten records: {error}") from error
    assert data.target is not None
    other = take(data.records, rest)
    if hasattr(other, "columns") and data.target_name in other.columns:
        other = other.assign(**{data.target_name: other[data.target_name].to_numpy()[::-1]})
        if fingerprint(learner.predict(other).values) != fingerprint(said.values):
            raise Flaw("predictions change with the target of the records they are for")


def zero_weight(bench: Bench) -> None:
    """A part of weight 0 changes nothing."""
    data = bench.few()
    noise = bench.noise(6)
    extra = TrainingPart(records=noise, target=real(data).target[::-1], origin="synthetic", weight=0.0)
    test = take(data.records, data.rows("test"))
    alone, both = (fitted(bench, data, parts).predict(test) for parts in ([real(data)], [real(data), extra]))
    said = [torch.from_numpy(np.asarray(p.probabilities if p.probabilities is not None else p.values)) for p in (alone, both)]
    if largest_difference(*said) > 1e-6:
        raise Flaw("synthetic records of weight 0 change the predictions")


def classification(bench: Bench) -> None:
    """Classes of unseen records are told better than by chance."""
    data, truth = bench.dataset, bench.dataset.target
    if data.task != "classification" or truth is None:
        raise Skip("the data have no classes")
    rows = data.rows("validation", "test")
    said = fitted(bench, data).predict(take(data.records, rows))
    judge(data, said, len(rows))
    hits = float(np.mean([a == b for a, b in zip(said.values, truth[rows], strict=True)]))
    usual = max(np.bincount(data.codes()[rows])) / len(rows)
    if hits <= usual:
        raise Flaw(f"{hits:.2f} of unseen records are told right, and {usual:.2f} by always saying the same")


def regression(bench: Bench) -> None:
    """Numbers of unseen records are told better than by their mean."""
    plain = bench.dataset
    if not hasattr(plain.records, "columns") or plain.task != "classification":
        raise Skip("there is no number to learn in these records")
    number = next((n for n in plain.records.columns if plain.records[n].dtype.kind == "f"), None)
    if number is None:
        raise Skip("there is no number to learn in these records")
    target = plain.records[number].to_numpy(dtype=float)
    data = replace(plain, task="regression", target=target, target_name=number, classes=())
    rows = data.rows("validation", "test")
    said = fitted(bench, data).predict(take(data.records, rows))
    judge(data, said, len(rows))
    error, spread = np.mean((said.values - target[rows]) ** 2), np.mean((target[data.rows("train")].mean() - target[rows]) ** 2)
    if error >= spread:
        raise Flaw(f"squared error {error:.3g} of unseen records, and {spread:.3g} for the mean of the training records")


def _soft(bench: Bench) -> tuple[Any, Tensor, Dataset]:
    data = bench.few()
    codec = bench.modal.scope.modality_codec(CodecContext(dataset=data, seed=0))
    learner = fitted(bench, data)
    state = codec.encode(take(data.records, data.rows("validation", "test")))
    return learner, codec.soft(state).float(), data


def _passes_gradient(function: Any, features: Tensor, shape: tuple[int, ...], what: str) -> Tensor:
    leaf = features.clone().requires_grad_(True)
    out: Tensor = function(leaf)
    if out.ndim != len(shape) or any(a not in (b, -1) and b != -1 for a, b in zip(out.shape, shape, strict=True)):
        raise Flaw(f"{what} must be {list(shape)}, not {list(out.shape)}")
    if not out.requires_grad:
        raise Flaw(f"{what} have no gradient")
    (gradient,) = torch.autograd.grad(out.square().sum(), leaf, allow_unused=True)
    if gradient is None or not bool(torch.isfinite(gradient).all()) or not bool(gradient.abs().sum() > 0):
        raise Flaw(f"no finite gradient other than 0 reaches the features through {what}")
    return out.detach()


def differentiable(bench: Bench) -> None:
    """`logits` of soft features carries gradients, and says the same as `predict`."""
    learner, features, data = _soft(bench)
    out = _passes_gradient(learner.logits, features, (len(features), len(data.classes)), "logits")
    said = learner.predict(take(data.records, data.rows("validation", "test"))).probabilities
    if said is not None and largest_difference(out.softmax(1), torch.from_numpy(np.asarray(said))) > 1e-3:
        raise Flaw("softmax of logits and the probabilities of predict are not the same")


def features(bench: Bench) -> None:
    """`embed` gives one vector per record, with gradients."""
    learner, soft, _ = _soft(bench)
    _passes_gradient(learner.embed, soft, (len(soft), -1), "embeddings")


def stochastic(bench: Bench) -> None:
    """`passes` gives several different answers, the same ones for the same seed, with gradients."""
    learner, soft, data = _soft(bench)
    first = _passes_gradient(lambda x: learner.passes(x, 4, 3), soft, (4, len(soft), len(data.classes)), "passes")
    if largest_difference(first, learner.passes(soft, 4, 3)) > 1e-6:
        raise Flaw("passes with one seed differ")
    if largest_difference(first[0], first[1]) == 0 or largest_difference(first, learner.passes(soft, 4, 4)) == 0:
        raise Flaw("passes are all the same")


def guided(bench: Bench) -> None:
    """A teacher is believed in proportion to its weight, and one of weight 0 leaves no trace."""
    data = bench.few()
    part = real(data)
    opposite = np.roll(np.eye(len(data.classes))[data.codes_of(part.target)], 1, axis=1)
    test = take(data.records, data.rows("validation", "test"))

    def with_weight(alpha: float | None) -> Predictions:
        guide = None if alpha is None else Guidance(probabilities=opposite, alpha=alpha)
        said: Predictions = fitted(bench, data, [replace(part, guide=guide)]).predict(test)
        return said

    plain = with_weight(None)
    if fingerprint(with_weight(0.0)) != fingerprint(plain):
        raise Flaw("a teacher of weight 0 changes the predictions")
    if fingerprint(with_weight(50.0)) == fingerprint(plain):
        raise Flaw("a teacher of weight 50 changes nothing")


def tokens(bench: Bench) -> None:
    """Tokens can be read before `fit`: [n, l, d] with a mask and one pooled vector, without gradients."""
    data = bench.few()
    said = build(bench, data).tokens(data.records)
    n, length, width = said.tokens.shape
    if n != len(data) or said.mask.shape != (n, length) or said.pooled.shape != (n, width):
        raise Flaw(f"tokens {list(said.tokens.shape)}, mask {list(said.mask.shape)} and pooled {list(said.pooled.shape)} don't fit")
    if said.mask.dtype != torch.bool or said.tokens.requires_grad:
        raise Flaw("a mask is bool, and tokens carry no gradient")


def work(bench: Bench) -> Worked:
    """Predictions of a learner fitted on ten records."""
    made, data = bench.built(), bench.few()
    learner = made.scope.learner_build(bench.path, context(bench, data).with_(parts=made.parts_of(bench.path)))
    learner.fit([real(data)])
    return Worked(held=[made.loaded[bench.path].instance, learner], result=learner.predict(take(data.records, data.rows("test"))))


def inputs_kept(bench: Bench) -> None:
    """Records and targets are as they were after `fit` and `predict`."""
    data = bench.few()
    part = real(data)
    before = fingerprint([part.records, part.target, data.records])
    fitted(bench, data, [part]).predict(data.records)
    if fingerprint([part.records, part.target, data.records]) != before:
        raise Flaw("records or targets were changed in place")


CHECKS: dict[str, Check] = {
    "answers": answers,
    "zero-weight": zero_weight,
    "inputs-kept": inputs_kept,
    "learner:classification": classification,
    "learner:regression": regression,
    "learner:differentiable": differentiable,
    "learner:features": features,
    "learner:stochastic": stochastic,
    "learner:guided": guided,
    "learner:tokens": tokens,
    **of_work(work),
}
