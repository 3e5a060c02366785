"""Evaluator `answers`: for a few captions of unseen series, the real series and what the generator draws for its words."""

from __future__ import annotations

from typing import Any

import numpy as np

from scarce.contract import Caption, EvaluatorContext, EvaluatorSpec, Figure, Metric, Prompt, hookimpl, take
from scarce_timeseries import config
from scarce_timeseries.codec import SeriesCodec
from scarce_timeseries.figures import MOST_CHANNELS, line, panels
from scarce_timeseries.signals import as_series


class Answers(EvaluatorSpec):
    """A figure per caption; it measures nothing. Nothing is drawn where prompts are no captions of series."""

    def __init__(self, options: config.Answers) -> None:
        self.options = options

    @hookimpl
    def evaluator_measure(self, ctx: EvaluatorContext) -> list[Metric]:
        """No numbers: `controllability` has them."""
        return []

    @hookimpl
    def evaluator_draw(self, ctx: EvaluatorContext) -> list[Figure]:
        """The caption as title, the real series that has it, and several series drawn for it."""
        if ctx.describe is None or ctx.generator is None or not isinstance(ctx.generator.codec, SeriesCodec):
            return []
        data, k = ctx.dataset, self.options.samples
        rows = np.random.default_rng([ctx.seed, 9]).permutation(data.rows("test"))
        asked: dict[str, tuple[int, Caption]] = {}  # every text once
        for row, caption in zip(rows.tolist(), ctx.describe(take(data.records, rows)), strict=True):
            asked.setdefault(caption.text, (row, caption))
        chosen = [found for text, found in asked.items() if text][: self.options.captions]
        prompts = [Prompt(label=_label(ctx, row), text=c.text, props=c.props) for row, c in chosen for _ in range(k)]
        if not prompts:
            return []
        made = ctx.generator.sample(prompts, seed=ctx.runtime.derive("answers"))["series"].tolist()
        channels = ctx.generator.codec.channels[:MOST_CHANNELS]
        cells = data.records["series"]
        return [_figure(i, c, cells.iloc[row], made[i * k : (i + 1) * k], channels) for i, (row, c) in enumerate(chosen)]


def _label(ctx: EvaluatorContext, row: int) -> Any:
    data = ctx.dataset
    return data.target[row] if data.task == "classification" and data.target is not None else None


def _figure(place: int, caption: Caption, real: Any, made: list[Any], channels: tuple[str, ...]) -> Figure:
    """Thin lines of what was drawn, one thick line of the real series, a panel per channel."""
    traces: list[dict[str, Any]] = []
    for j, (who, cell) in enumerate([*(("synthetic", cell) for cell in made), ("real", real)]):
        values = as_series(cell)
        width = 2.2 if who == "real" else 1.1
        traces += [
            line(who, range(len(values)), values[:, c], place=c, legend=c == 0 and j in (0, len(made)), width=width)
            for c in range(len(channels))
        ]
    note = f"{len(made)} series drawn for this caption, beside the unseen real series it describes."
    return Figure(
        name=f"answer {place + 1}", title=f"“{caption.text}”", caption=note, traces=traces, layout=panels(channels, "step", 260),
        section="control",
    )  # fmt: skip
