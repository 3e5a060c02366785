"""Evaluator `controllability`: captions of unseen records are asked, and the samples measured as captions measure records."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import cdist

from scarce.contract import EvaluatorContext, EvaluatorSpec, Figure, Metric, Prompt, hookimpl, take
from scarce_text2data.config import Controllability as ControllabilityOptions

Values = npt.NDArray[np.float64]
MOST_FIGURES = 12


class Controllability(EvaluatorSpec):
    """Mean absolute error and correlation of every property, asked against measured.

    Beside the samples stands `retrieval`: the labelled training record whose properties lie nearest to what is asked. It
    copies, so it is no generator, but a generator that it beats by far controls little.
    """

    def __init__(self, options: ControllabilityOptions) -> None:
        self.options = options
        self._seen: dict[str, tuple[Values, Values]] = {}

    @hookimpl
    def evaluator_measure(self, ctx: EvaluatorContext) -> list[Metric]:
        """Per source and property its MAE; over properties the mean of MAE / MAE of shuffled answers, and mean correlation.

        A sample without the property (or with one that is no number) counts as one that answered at random; `control_answered` is
        the share of answers that are numbers.
        """
        if ctx.describe is None or ctx.generator is None:
            reason = "prompts are no captions: set generate.prompt to a caption style of the modality"
            return [Metric(name="control_error", value=math.nan, error=reason)]
        asked, names, measured = self._ask(ctx)
        if not names:
            return [Metric(name="control_error", value=math.nan, error="captions speak of no number that differs between test records")]
        rng = np.random.default_rng(ctx.seed)
        present = {name: asked[name][np.isfinite(asked[name])] for name in names}
        shuffled = {name: _mae(values, rng.permutation(values)) for name, values in present.items()}
        out = []
        for source, got in measured.items():
            made = partial(Metric, source=source, n=len(next(iter(asked.values()))))
            errors = {name: _mae(asked[name], got[name], shuffled[name]) for name in names}
            ratios = [errors[n] / shuffled[n] for n in names if shuffled[n] > 0]
            together = [_correlation(asked[n], got[n]) for n in names if shuffled[n] > 0]
            if ratios:
                out.append(made(name="control_error", value=float(np.mean(ratios)), direction="lower", floor=0.0, ceiling=1.0))
                out.append(made(name="control_correlation", value=float(np.mean(together)), direction="higher", floor=1.0, ceiling=0.0))
            else:
                out.append(made(name="control_error", value=math.nan, error="too few test records: shuffled they answer as before"))
            answered = float(np.mean([np.isfinite(got[n][np.isfinite(asked[n])]).mean() for n in names]))
            out.append(made(name="control_answered", value=answered, direction="none"))
            out += [made(name=f"mae_{n}", value=errors[n], direction="lower", floor=0.0, ceiling=shuffled[n]) for n in names]
        self._seen = {n: (asked[n], measured["synthetic"][n]) for n in names}
        return out

    @hookimpl
    def evaluator_draw(self, ctx: EvaluatorContext) -> list[Figure]:
        """Asked against measured, one picture per property."""
        figures = []
        for name, (asked, got) in list(self._seen.items())[:MOST_FIGURES]:
            low, high = float(np.nanmin(asked)), float(np.nanmax(asked))
            line = {"type": "scatter", "mode": "lines", "x": [low, high], "y": [low, high], "line": {"color": "#999"}, "name": "as asked"}
            dots = {"type": "scatter", "mode": "markers", "x": asked.tolist(), "y": [v if math.isfinite(v) else None for v in got.tolist()]}
            traces = [line, {**dots, "marker": {"color": "#d9622b", "size": 5, "opacity": 0.6}, "name": "one sample"}]
            layout = {"xaxis": {"title": {"text": "asked"}}, "yaxis": {"title": {"text": "measured"}}, "height": 320, "showlegend": False}
            title = f"{name.replace('_', ' ')}: asked and measured"
            figures.append(Figure(name=f"control {name}", title=title, traces=traces, layout=layout, section="control"))
        return figures

    def _ask(self, ctx: EvaluatorContext) -> tuple[dict[str, Values], list[str], dict[str, dict[str, Values]]]:
        """What is asked by property, the properties, and what each source's answers have of them."""
        assert ctx.describe is not None
        assert ctx.generator is not None
        data, rng = ctx.dataset, np.random.default_rng([ctx.seed, 5])
        rows = data.rows("test")
        rows = np.sort(rng.permutation(rows)[: self.options.rows])
        captions = ctx.describe(take(data.records, rows))
        labels: Sequence[Any] = [None] * len(rows)
        if data.task == "classification" and data.target is not None:
            labels = data.target[rows].tolist()
        prompts = [Prompt(label=v, text=c.text, props=c.props) for v, c in zip(labels, captions, strict=True)]
        samples = ctx.generator.sample(prompts, seed=ctx.runtime.derive("controllability"))
        known = data.rows("train")
        known = known[data.labelled[known]]
        library = [c.props for c in ctx.describe(take(data.records, known))]
        asked_props, got = [c.props for c in captions], [c.props for c in ctx.describe(samples)]
        told = data.target_name if data.task == "classification" else None  # a sample's class is what was asked, by construction
        names = [n for n in dict.fromkeys(n for p in asked_props for n in p) if n != told and np.nanstd(_column(asked_props, n)) > 0]
        if not names:
            return {}, [], {}
        asked = {n: _column(asked_props, n) for n in names}
        nearest = [library[i] for i in _nearest(asked, {n: _column(library, n) for n in names})]
        measured = {"synthetic": got, "retrieval": nearest}
        return asked, names, {source: {n: _column(props, n) for n in names} for source, props in measured.items()}


def _column(props: Sequence[Mapping[str, float]], name: str) -> Values:
    return np.array([float(p.get(name, math.nan)) for p in props])


def _mae(asked: Values, got: Values, failed: float = math.nan) -> float:
    """Mean absolute error over what was asked; an answer that is no number has the error `failed`."""
    error = np.where(np.isfinite(got), np.abs(asked - got), failed)
    return float(np.mean(error[np.isfinite(asked)]))


def _correlation(asked: Values, got: Values) -> float:
    """Pearson; answers that are no numbers are the mean, constant answers correlate with nothing."""
    keep = np.isfinite(asked)
    if not np.isfinite(got[keep]).any():
        return 0.0
    filled = np.where(np.isfinite(got), got, np.nanmean(got))[keep]
    return float(np.corrcoef(asked[keep], filled)[0, 1]) if filled.std() > 0 and asked[keep].std() > 0 else 0.0


def _nearest(asked: Mapping[str, Values], library: Mapping[str, Values]) -> npt.NDArray[np.int64]:
    """[n] the library's record nearest to each wish, properties in standard deviations of the library."""
    scales = {name: float(np.nanstd(have)) or 1.0 for name, have in library.items()}
    wishes, have = (np.stack([np.nan_to_num(values[n]) / scales[n] for n in asked], 1) for values in (asked, library))
    return np.asarray(cdist(wishes, have).argmin(1), dtype=np.int64)
