"""Evaluator `forgetting`: what fine-tuning did to the loss without condition, and to the weights."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from scarce.contract import Condition, EvaluatorContext, EvaluatorSpec, Figure, Generator, Metric, Phase, Prompt, State, hookimpl, take
from scarce.contract.plan import BASE
from scarce_text2data.config import Forgetting as ForgettingOptions

Values = npt.NDArray[np.float64]
QUANTILES = 60


class Forgetting(EvaluatorSpec):
    """Held-out unconditional loss after the last phase over that after the phase it started from: 1 forgets nothing."""

    def __init__(self, options: ForgettingOptions) -> None:
        self.options = options
        self._losses: Values = np.zeros(0)

    @hookimpl
    def evaluator_measure(self, ctx: EvaluatorContext) -> list[Metric]:
        """`forgetting_ratio`, `unconditional_loss`, `weight_distance`, `loss_kurtosis`, `gradient_evaluations`.

        The kurtosis is the excess one of per-record losses: a sub-Gaussian loss, which the published bound supposes, has
        none above 0. Where every leaf answers one class only, none answers a prompt without one: each is then measured on
        held-out records of its class under the class's prompt, as its own conditioners embed it, and a note says so.
        """
        generator = ctx.generator
        if generator is None:
            return [Metric(name="forgetting_ratio", value=math.nan, error="this run has no generator of its own")]
        leaves = generator.plan.leaves()
        null = any(leaf.serves == "*" for leaf in leaves)
        asked = {leaf.name: found for leaf in leaves if (found := self._asked(ctx, generator, leaf, null))}
        if not asked:
            return [Metric(name="forgetting_ratio", value=math.nan, error="no held-out record has a class that a leaf answers")]
        losses = {name: self._losses_of(ctx, generator, state, condition, name) for name, (state, condition) in asked.items()}
        self._losses = np.concatenate([found.mean(0) for found in losses.values()])
        note = "" if null else "under the prompt of each record's class: no leaf of this plan answers a prompt without one"
        counts = [int(found.shape[1]) for found in losses.values()]
        n = counts[0] if null else sum(counts)
        evaluations = sum(phase.budget.steps * len(phase.terms) for phase in generator.plan.phases)  # one backward pass per term
        out = [
            Metric(name="loss_kurtosis", value=float(stats.kurtosis(self._losses)), direction="none", n=len(self._losses), note=note),
            Metric(name="gradient_evaluations", value=float(evaluations), direction="lower"),
        ]
        if null:
            after = float(np.mean([found.mean() for found in losses.values()]))
            out.insert(0, Metric(name="unconditional_loss", value=after, direction="lower", n=n))
        started = [leaf for leaf in leaves if leaf.name in losses and (leaf.start != BASE or leaf.adapters)]
        if not started:
            return out
        ratios = [losses[leaf.name].mean() / self._losses_of(ctx, generator, *asked[leaf.name], leaf.start).mean() for leaf in started]
        moved = float(np.mean([_distance(generator, leaf) for leaf in started]))
        return [
            Metric(name="forgetting_ratio", value=float(np.mean(ratios)), direction="lower", floor=1.0, n=n, note=note),
            Metric(name="weight_distance", value=moved, direction="lower", floor=0.0, note="share of the start's, without adapters"),
            *out,
        ]  # fmt: skip

    @hookimpl
    def evaluator_draw(self, ctx: EvaluatorContext) -> list[Figure]:
        """Quantiles of per-record losses against a normal law, and the multiplier over the steps where one was logged."""
        return [*_quantiles(self._losses), *_multipliers(ctx.log)]

    def _asked(self, ctx: EvaluatorContext, generator: Generator, leaf: Phase, null: bool) -> tuple[State, Condition] | None:
        """Held-out records and what is asked for them: nothing, or their class where the leaf answers that alone; None without any."""
        data = ctx.dataset
        rows = data.rows("validation", "test")
        rows = np.sort(np.random.default_rng([ctx.seed, 6]).permutation(rows)[: self.options.rows])
        prompts = [Prompt()] * len(rows)
        if not null:
            assert data.target is not None
            rows = rows[[str(value) == str(leaf.serves) for value in data.target[rows]]]
            prompts = [Prompt(label=value) for value in data.target[rows]] if ctx.prompts is None else ctx.prompts(rows)
        if len(rows) == 0:
            return None
        return generator.codec.encode(take(data.records, rows)), generator.encode_condition(prompts)

    def _losses_of(self, ctx: EvaluatorContext, generator: Generator, state: State, condition: Condition, phase: str) -> Values:
        """[draws, n] losses after a phase, under draws that are the same for every phase."""
        seeds = [ctx.runtime.derive("forgetting", i) for i in range(self.options.draws)]
        return np.stack([generator.losses(state, condition, phase=phase, seed=seed).double().numpy() for seed in seeds])


def _distance(generator: Generator, leaf: Phase) -> float:
    start, end = generator.weights(leaf.start), generator.weights(leaf.name)
    moved = math.sqrt(sum(float(((end[name] - start[name]).double() ** 2).sum()) for name in start))
    return moved / math.sqrt(sum(float((w.double() ** 2).sum()) for w in start.values()))


def _quantiles(losses: Values) -> list[Figure]:
    if len(losses) < 10 or losses.std() == 0:
        return []
    shares = (np.arange(QUANTILES) + 0.5) / QUANTILES
    x, y = stats.norm.ppf(shares), np.quantile((losses - losses.mean()) / losses.std(), shares)
    line = {"type": "scatter", "mode": "lines", "x": [-2.5, 2.5], "y": [-2.5, 2.5], "line": {"color": "#999"}}
    dots = {"type": "scatter", "mode": "markers", "x": x.tolist(), "y": y.tolist(), "marker": {"color": "#2f6fb0", "size": 5}}
    axes = {"xaxis": {"title": {"text": "normal quantile"}}, "yaxis": {"title": {"text": "loss, standardised"}}}
    caption = "The published bound supposes sub-Gaussian losses: dots above the line at the right end speak against it."
    title = "Losses of held-out records against a normal law"
    layout = {**axes, "height": 320, "showlegend": False}
    return [Figure(name="loss quantiles", title=title, caption=caption, traces=[line, dots], layout=layout, section="control")]


def _multipliers(log: Sequence[Mapping[str, Any]]) -> list[Figure]:
    found = [line for line in log if "lambda" in line]
    if not found:
        return []
    steps = [line["step"] for line in found]
    trace = {"type": "scatter", "mode": "lines+markers", "x": steps, "y": [line["lambda"] for line in found], "name": "lambda"}
    share = float(found[-1]["active"])
    caption = f"The constraint pulled in {100 * share:.0f} % of the steps (lambda above 0)."
    layout = {"xaxis": {"title": {"text": "step"}}, "yaxis": {"title": {"text": "lambda"}}, "height": 320}
    return [Figure(name="lambda", title="Multiplier of the constraint", caption=caption, traces=[trace], layout=layout, section="control")]
