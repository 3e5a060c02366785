"""Evaluator `text-accuracy`: is the learner right, in rare classes too, and does it know how sure it may be?"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import accuracy_score, f1_score

from scarce.contract import EvaluatorContext, EvaluatorSpec, Figure, Metric, hookimpl
from scarce_text.config import TextAccuracy as TextAccuracyOptions

Codes = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
NAN, SHOWN = float("nan"), 6  # most sources in the figure
BETTER: dict[str, Any] = {"accuracy": "higher", "macro_f1": "higher", "calibration_error": "lower"}


class TextAccuracy(EvaluatorSpec):
    """Scores on real test texts of the learner fitted on each source, and of each arm it brings."""

    def __init__(self, options: TextAccuracyOptions) -> None:
        self.options = options

    @hookimpl
    def evaluator_measure(self, ctx: EvaluatorContext) -> list[Metric]:
        """`accuracy`, `macro_f1` and `calibration_error`; floor: the model trained on real texts, ceiling: the most frequent class.

        Calibration error: mean over test texts of |accuracy - confidence| of the bin that their confidence lies in (Guo et al.,
        arXiv 1706.04599); it has neither, for always naming one class as surely as that is frequent is well calibrated.
        """
        truth, why = self._truth(ctx)
        if why:
            return [Metric(name="accuracy", value=NAN, source=source, error=why) for source in ctx.predictions]
        data = ctx.dataset
        train = data.codes()[data.rows("train")]
        most = int(np.bincount(train[train >= 0], minlength=len(data.classes)).argmax())
        useless = self._scores(truth, np.full(len(truth), most), None)
        found = {s: self._scores(truth, data.codes_of(p.values), p.probabilities) for s, p in ctx.predictions.items()}
        usual, n = found.get("real", {}), int((truth >= 0).sum())
        notes = {"calibration_error": f"{self.options.bins} bins of equal width"}
        floor = {name: usual.get(name) for name in useless}
        return [
            Metric(
                name=name, value=value, source=source, direction=BETTER[name], floor=floor.get(name), ceiling=useless.get(name), n=n,
                note=notes.get(name, ""),
            )
            for source, scores in found.items() for name, value in scores.items()
        ]  # fmt: skip

    @hookimpl
    def evaluator_draw(self, ctx: EvaluatorContext) -> list[Figure]:
        """Accuracy against confidence, bin by bin, of the model trained on real texts and of other sources."""
        truth, why = self._truth(ctx)
        sources = [s for s, p in ctx.predictions.items() if p.probabilities is not None and "/" not in s][:SHOWN]
        if why or not sources:
            return []
        traces: list[dict[str, Any]] = [{"type": "scatter", "mode": "lines", "x": [0, 1], "y": [0, 1], "name": "calibrated"}]
        for source in sources:
            said = ctx.predictions[source]
            assert said.probabilities is not None
            sure, right = confidences(truth, ctx.dataset.codes_of(said.values), said.probabilities)
            n, accuracy, confidence = binned(sure, right, self.options.bins)
            x, y = confidence[n > 0].round(4).tolist(), accuracy[n > 0].round(4).tolist()
            traces.append({"type": "scatter", "mode": "lines+markers", "x": x, "y": y, "name": source})
        layout = {"xaxis": {"title": {"text": "confidence"}}, "yaxis": {"title": {"text": "share right"}}}
        caption = "Test texts by how sure the classifier is of its answer: mean confidence of each bin, and the share that is right."
        return [Figure(name="calibration", title="Calibration", section="utility", caption=caption, traces=traces, layout=layout)]

    def _truth(self, ctx: EvaluatorContext) -> tuple[Codes, str]:
        data = ctx.dataset
        if data.task != "classification" or data.target is None:
            return np.zeros(0, dtype=np.int64), "the data set has no classes"
        truth = data.codes_of(data.target)[data.rows("test")]
        return truth, "" if (truth >= 0).any() else "no test text has a known class"

    def _scores(self, truth: Codes, said: Codes, probabilities: Any) -> dict[str, float]:
        y, p = truth[truth >= 0], said[truth >= 0]
        out = {"accuracy": float(accuracy_score(y, p)), "macro_f1": float(f1_score(y, p, average="macro", zero_division=0))}
        if probabilities is not None:
            out["calibration_error"] = calibration_error(*confidences(truth, said, probabilities), self.options.bins)
        return out


def confidences(truth: Codes, said: Codes, probabilities: Floats) -> tuple[Floats, Floats]:
    """Of rows with a known class [m]: the probability of the answer, and 1 where it is right, else 0."""
    known = truth >= 0
    return np.asarray(probabilities)[known, said[known]], (said[known] == truth[known]).astype(np.float64)


def binned(sure: Floats, right: Floats, bins: int) -> tuple[Floats, Floats, Floats]:
    """[bins] rows, share right and mean confidence in bins of equal width over 0 to 1; 0 in empty ones."""
    place = np.minimum((sure * bins).astype(np.int64), bins - 1)
    n = np.bincount(place, minlength=bins).astype(np.float64)
    share, mean = (np.bincount(place, weights=values, minlength=bins) / np.maximum(n, 1) for values in (right, sure))
    return n, share, mean


def calibration_error(sure: Floats, right: Floats, bins: int) -> float:
    """Expected calibration error: sum over bins of their share of rows times |share right - mean confidence|."""
    n, share, mean = binned(sure, right, bins)
    return float((n / n.sum()) @ np.abs(share - mean))
