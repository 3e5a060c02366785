"""Learning and judging: a learner per source of training data, then every evaluator, each isolated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from scarce.contract.contexts import BaselineContext, DrawContext, EvaluatorContext, LearnerContext
from scarce.contract.dataset import Dataset, take
from scarce.contract.generator import Generator
from scarce.contract.protocols import Codec, ComparedLearner, Learner, Predictions, TrainingPart
from scarce.contract.results import Figure, Metric
from scarce.errors import ScarceError
from scarce.runs.assembly import Assembly
from scarce.runtime.runtime import SharedRuntime

PARTS = (16, 8, 4, 2)
FEWEST_ROWS = 20


def subsets(real: TrainingPart, codes: npt.NDArray[np.int64], seed: int) -> dict[str, TrainingPart]:
    """Nested random subsets of the real rows, "real/16" (a 16th of them) to "real/2", each class in its share.

    codes: [n] the class of each row; subsets of fewer than 20 rows are left out.
    """
    rng = np.random.default_rng(seed)
    places = np.zeros(len(codes))
    for code in np.unique(codes):
        mine = np.flatnonzero(codes == code)
        places[mine] = (rng.permutation(len(mine)) + 0.5) / len(mine)
    order = np.argsort(places, kind="stable")
    chosen = {f"real/{part}": np.sort(order[: len(codes) // part]) for part in PARTS if len(codes) // part >= FEWEST_ROWS}
    return {name: TrainingPart(records=take(real.records, rows), target=real.target[rows]) for name, rows in chosen.items()}


def targets_of(records: Any, dataset: Dataset) -> npt.NDArray[Any] | None:
    """The target of records that carry it as a column, else None."""
    if hasattr(records, "columns") and dataset.target_name in records.columns:
        return np.asarray(records[dataset.target_name])
    return None


def baselines(dataset: Dataset, codec: Codec, assembly: Assembly, n: int, seed: int) -> dict[str, TrainingPart]:
    """Non-diffusion data of n records by name, with their targets; none where no target is known that they could be of."""
    if dataset.target is not None and not dataset.labelled[dataset.rows("train")].any():
        return {}
    found = assembly.scope.modality_baselines(BaselineContext(dataset=dataset, codec=codec, n=n, seed=seed))
    return {name: as_part(records, dataset, name) for name, records in found.items()}


def as_part(records: Any, dataset: Dataset, origin: str) -> TrainingPart:
    """Records with the target they carry."""
    if isinstance(records, TrainingPart):
        return records
    target = targets_of(records, dataset)
    return TrainingPart(records=records, target=np.zeros(0) if target is None else target, origin=origin)


def learns(dataset: Dataset, assembly: Assembly) -> bool:
    """Whether there is a learner and something to learn."""
    return "learner" in assembly.loaded and dataset.target is not None


def fresh_learner(
    dataset: Dataset,
    codec: Codec,
    assembly: Assembly,
    runtime: SharedRuntime,
    generator: Generator | None,
    path: str = "learner",
    purpose: str = "learner",
) -> Learner:
    """An unfitted learner, whose seed is that of its purpose; raises what the plugin raises of options that can't be met."""
    ctx = LearnerContext(
        dataset=dataset, codec=codec, runtime=runtime, seed=runtime.derive(purpose) % 2**31, generator=generator,
        parts=assembly.parts_of(path),
    )  # fmt: skip
    built: Learner = assembly.scope.learner_build(path, ctx)
    return built


def learn(
    dataset: Dataset,
    codec: Codec,
    assembly: Assembly,
    sources: Mapping[str, Sequence[TrainingPart]],
    runtime: SharedRuntime,
    generator: Generator | None,
) -> tuple[dict[str, Predictions], dict[str, Mapping[str, Any]]]:
    """Predictions on the test records of one fresh learner per source of training data, and what learners say of their fit.

    The arms that a learner brings are sources too, called by their name for real data, and "source:name" for others.
    """
    if not learns(dataset, assembly):
        return {}, {}
    test = take(dataset.records, dataset.rows("test"))
    out, facts = dict[str, Predictions](), dict[str, Mapping[str, Any]]()
    with runtime.progress.track("learn", len(sources)) as advance:
        for source, parts in sources.items():
            learner = fresh_learner(dataset, codec, assembly, runtime, generator)
            learner.fit(parts)
            out[source] = learner.predict(test)
            if isinstance(learner, ComparedLearner):
                out |= {name if source == "real" else f"{source}:{name}": arm.predict(test) for name, arm in learner.arms().items()}
                facts[source] = learner.facts()
            advance(1)
    return out, facts


def evaluate(ctx: EvaluatorContext, assembly: Assembly, runtime: SharedRuntime) -> tuple[list[Metric], list[Figure]]:
    """What every evaluator of the recipe says; one that raises becomes a failed row and the rest is kept."""
    metrics: list[Metric] = []
    figures: list[Figure] = []
    scope = assembly.scope
    paths = [p for p in scope.paths("evaluator") if p.count(".") == 1]
    with runtime.progress.track("evaluate", len(paths)) as advance:
        for path in paths:
            mine = replace(ctx, parts=assembly.parts_of(path))
            try:
                metrics += [replace(m, evaluator=path) for m in scope.evaluator_measure(path, mine)]
                figures += scope.evaluator_draw(path, mine)
            except ScarceError as error:
                metrics.append(Metric(name=scope.row(path).name, value=float("nan"), error=error.message, evaluator=path))
            advance(1)
    return metrics, figures


def draw_records(ctx: EvaluatorContext, assembly: Assembly) -> list[Figure]:
    """The modality's own pictures of real beside synthetic; none when it has none."""
    if not assembly.scope.has("modality", "modality_draw"):
        return []
    real = take(ctx.dataset.records, ctx.dataset.rows("train"))
    synthetic = ctx.samples["synthetic"]
    return assembly.scope.modality_draw(DrawContext(real=real, synthetic=synthetic, dataset=ctx.dataset, codec=ctx.codec, seed=ctx.seed))
