"""Evaluators of series: useful, alike, and not copied. Values are in encoded units: standard deviations of a channel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import accuracy_score, f1_score

from scarce.contract import EvaluatorContext, EvaluatorSpec, Figure, Metric, hookimpl, take
from scarce_timeseries import config
from scarce_timeseries.figures import overlay
from scarce_timeseries.judges import forecast_error, told_apart
from scarce_timeseries.privacy import holdout_share, nearest, wilson
from scarce_timeseries.sides import FEWEST, NAN, Side, failed, few, note_of, real, side, some
from scarce_timeseries.signals import Floats, autocorrelation, log_spectrum
from scarce_timeseries.warping import radius_of

Array = npt.NDArray[Any]


class Accuracy(EvaluatorSpec):
    """Scores on real test series of the learner fitted on each source: train on synthetic, test on real."""

    def __init__(self, options: config.Accuracy) -> None:
        self.options = options

    @hookimpl
    def evaluator_measure(self, ctx: EvaluatorContext) -> list[Metric]:
        """`macro_f1` and `accuracy`; floor: the model trained on real series, ceiling: always the most frequent class."""
        data = ctx.dataset
        if data.task != "classification" or data.target is None:
            return [Metric(name="accuracy", value=NAN, source=s, error="the data set has no classes") for s in ctx.predictions]
        truth = data.codes_of(data.target)
        test, train = truth[data.rows("test")], truth[data.rows("train")]
        if not (test >= 0).any():
            return [Metric(name="accuracy", value=NAN, source=s, error="no test series has a known class") for s in ctx.predictions]
        found = {s: class_scores(test, data.codes_of(p.values)) for s, p in ctx.predictions.items()}
        counts = np.bincount(train[train >= 0], minlength=len(data.classes))
        useless, floor = class_scores(test, np.full(len(test), counts.argmax())), found.get("real", {})
        return [
            Metric(
                name=name, value=value, source=source, direction="higher", floor=floor.get(name), ceiling=useless[name],
                n=int((test >= 0).sum()),
            )
            for source, scores in found.items() for name, value in scores.items()
        ]  # fmt: skip

    @hookimpl
    def evaluator_draw(self, ctx: EvaluatorContext) -> list[Figure]:
        """No figures: the report draws the scores of all sources and seeds itself."""
        return []


def class_scores(truth: npt.NDArray[np.int64], said: npt.NDArray[np.int64]) -> dict[str, float]:
    """`macro_f1` and `accuracy` on rows with a known class."""
    y, p = truth[truth >= 0], said[truth >= 0]
    return {"macro_f1": float(f1_score(y, p, average="macro", zero_division=0)), "accuracy": float(accuracy_score(y, p))}


class Discriminative(EvaluatorSpec):
    """Can a small network tell a source from real hold-out series (TimeGAN's discriminative score)?"""

    def __init__(self, options: config.Discriminative) -> None:
        self.options = options

    @hookimpl
    def evaluator_measure(self, ctx: EvaluatorContext) -> list[Metric]:
        """`discriminative_score` |accuracy - 0.5| of every source, cross-fitted; floor: real training series."""
        train, held = real(ctx, "train"), real(ctx, "validation", "test")
        if why := few(train, held):
            return failed(ctx, "discriminative_score", why)
        floor = abs(self._accuracy(ctx, train, held)[0] - 0.5)
        return [self._metric(ctx, source, held, floor) for source in ctx.samples]

    @hookimpl
    def evaluator_draw(self, ctx: EvaluatorContext) -> list[Figure]:
        """No figures."""
        return []

    def _accuracy(self, ctx: EvaluatorContext, first: Side, second: Side) -> tuple[float, int]:
        n = min(len(first.series), len(second.series), self.options.rows)
        rows = (take(s.records, some(len(s.records), n, ctx.seed)) for s in (first, second))
        features = [ctx.codec.soft(ctx.codec.encode(records)) for records in rows]
        return told_apart(features[0], features[1], ctx.runtime, self.options), n

    def _metric(self, ctx: EvaluatorContext, source: str, held: Side, floor: float) -> Metric:
        found = side(ctx, source)
        if len(found.series) < FEWEST:
            return Metric(
                name="discriminative_score", value=NAN, source=source, error=f"needs {FEWEST} valid series, found {len(found.series)}"
            )
        accuracy, n = self._accuracy(ctx, found, held)
        low, high = (abs(bound - 0.5) for bound in wilson(accuracy, 2 * n))
        within = wilson(accuracy, 2 * n)[0] <= 0.5 <= wilson(accuracy, 2 * n)[1]
        bounds = (0.0 if within else min(low, high), max(low, high))
        return Metric(
            name="discriminative_score", value=found.penalised(abs(accuracy - 0.5), 0.5), source=source, direction="lower", floor=floor,
            low=found.penalised(bounds[0], 0.5), high=found.penalised(bounds[1], 0.5), ceiling=0.5, n=n, note=note_of(found),
        )  # fmt: skip


class Predictive(EvaluatorSpec):
    """Is a forecast learned from a source good on real test series (TimeGAN's predictive score, with a linear forecast)?"""

    def __init__(self, options: config.Predictive) -> None:
        self.options = options

    @hookimpl
    def evaluator_measure(self, ctx: EvaluatorContext) -> list[Metric]:
        """`forecast_mae` on real test series, of "real" and every source; floor: learned from real, ceiling: the mean."""
        o = self.options
        train, test = real(ctx, "train", most=o.rows), real(ctx, "test", most=o.rows)
        if why := few(train, test):
            return failed(ctx, "forecast_mae", why)
        lags = max(1, min(o.lags, min(len(v) for v in test.series) // 2))
        floor = forecast_error(train.series, test.series, lags, o.ridge)
        ceiling = float(np.mean(np.abs(np.concatenate([v[lags:] for v in test.series]))))
        out = [("real", train), *((source, side(ctx, source, o.rows)) for source in ctx.samples)]
        return [
            self._metric(source, s, forecast_error(s.series, test.series, lags, o.ridge), floor, ceiling, len(test.series))
            for source, s in out
        ]

    @hookimpl
    def evaluator_draw(self, ctx: EvaluatorContext) -> list[Figure]:
        """No figures."""
        return []

    def _metric(self, source: str, found: Side, value: float, floor: float, ceiling: float, n: int) -> Metric:
        value = found.penalised(value, ceiling)
        return Metric(
            name="forecast_mae", value=value, source=source, direction="lower", floor=floor, ceiling=ceiling, n=n, unit="sd",
            error="" if np.isfinite(value) else "no series is long enough to forecast from", note=note_of(found),
        )  # fmt: skip


Curve = Callable[[EvaluatorContext, list[Floats]], Floats]


def compared(ctx: EvaluatorContext, name: str, curve: Curve, distance: Callable[[Floats], float], most: int) -> list[Metric]:
    """Distance of each source's mean curve from that of training series.

    floor: real hold-out series; ceiling: training series whose steps are shuffled.
    """
    train, held = real(ctx, "train", most=most), real(ctx, "validation", "test", most=most)
    if why := few(train, held):
        return failed(ctx, name, why)
    truth = curve(ctx, train.series)
    rng = np.random.default_rng([ctx.seed, 5])
    floor = distance(curve(ctx, held.series) - truth)
    ceiling = distance(curve(ctx, [v[rng.permutation(len(v))] for v in train.series]) - truth)
    out = []
    for source in ctx.samples:
        found = side(ctx, source, most)
        if not found.series:
            out.append(Metric(name=name, value=NAN, source=source, error="no valid series"))
            continue
        value = found.penalised(distance(curve(ctx, found.series) - truth), ceiling)
        out.append(
            Metric(
                name=name, value=value, source=source, direction="lower", floor=floor, ceiling=ceiling, n=len(found.series),
                note=note_of(found),
            )
        )  # fmt: skip
    return out


def curves(ctx: EvaluatorContext, curve: Curve, most: int) -> dict[str, Floats]:
    """Curves of training, hold-out and synthetic series; none without synthetic ones."""
    if "synthetic" not in ctx.samples:
        return {}
    sides = {"real": real(ctx, "train", most=most), "real hold-out": real(ctx, "validation", "test", most=most)}
    sides["synthetic"] = side(ctx, "synthetic", most)
    return {name: curve(ctx, s.series) for name, s in sides.items()} if all(s.series for s in sides.values()) else {}


class Autocorrelation(EvaluatorSpec):
    """Do steps depend on earlier ones as in real series?"""

    def __init__(self, options: config.Autocorrelation) -> None:
        self.options = options

    @hookimpl
    def evaluator_measure(self, ctx: EvaluatorContext) -> list[Metric]:
        """`acf_distance`: mean over lags and channels of the difference of mean autocorrelations."""
        return compared(ctx, "acf_distance", self._curve, lambda d: float(np.abs(d).mean()), self.options.rows)

    @hookimpl
    def evaluator_draw(self, ctx: EvaluatorContext) -> list[Figure]:
        """Mean autocorrelation by lag of each channel."""
        found = curves(ctx, self._curve, self.options.rows)
        title, caption = "Autocorrelation", "Mean correlation of a step with the one so many steps before, by channel."
        return overlay("autocorrelation", title, caption, "lag (steps)", found, [b.name for b in ctx.codec.space.blocks], start=1)

    def _curve(self, ctx: EvaluatorContext, series: list[Floats]) -> Floats:
        return autocorrelation(series, max(1, min(self.options.lags, ctx.codec.space.shape[0] // 2)))


class Spectrum(EvaluatorSpec):
    """Is power spread over frequencies as in real series?"""

    def __init__(self, options: config.Spectrum) -> None:
        self.options = options

    @hookimpl
    def evaluator_measure(self, ctx: EvaluatorContext) -> list[Metric]:
        """`spectrum_distance`: root mean square difference of mean log10 power shares, in decades."""
        return compared(ctx, "spectrum_distance", self._curve, lambda d: float(np.sqrt(np.mean(d**2))), self.options.rows)

    @hookimpl
    def evaluator_draw(self, ctx: EvaluatorContext) -> list[Figure]:
        """Mean log10 share of power by frequency of each channel."""
        found = curves(ctx, self._curve, self.options.rows)
        title, caption = "Power spectrum", "Mean log10 share of power at each frequency, by channel."
        return overlay("spectrum", title, caption, "cycles per series", found, [b.name for b in ctx.codec.space.blocks], start=1)

    def _curve(self, ctx: EvaluatorContext, series: list[Floats]) -> Floats:
        return log_spectrum(series, ctx.codec.space.shape[0])


class DtwPrivacy(EvaluatorSpec):
    """Do series lie nearer to training series than unseen real ones do, whatever small shifts in time?"""

    def __init__(self, options: config.DtwPrivacy) -> None:
        self.options = options

    @hookimpl
    def evaluator_measure(self, ctx: EvaluatorContext) -> list[Metric]:
        """`dtw_nearest_ratio` and `dtw_holdout_share` of every source.

        Ratio: median distance to the nearest training series over that of hold-out series; share: series nearer to
        training than to as many hold-out series, with Wilson's interval. Invalid series copy nobody and are left out.
        """
        train, held = real(ctx, "train"), real(ctx, "validation", "test")
        if why := few(train, held):
            return failed(ctx, "dtw_nearest_ratio", why)
        unseen = [held.series[i] for i in some(len(held.series), self.options.rows, ctx.seed)]
        usual = float(np.median(self._nearest(ctx, unseen, train.series)))
        n = min(len(train.series), len(held.series))
        equal = [[s.series[i] for i in some(len(s.series), n, ctx.seed)] for s in (train, held)]
        return [m for source in ctx.samples for m in self._source(ctx, source, train.series, equal, usual)]

    @hookimpl
    def evaluator_draw(self, ctx: EvaluatorContext) -> list[Figure]:
        """No figures: the nearest pairs are those of `privacy`."""
        return []

    def _nearest(self, ctx: EvaluatorContext, rows: list[Floats], to: list[Floats]) -> Floats:
        length = ctx.codec.space.shape[0]
        radius = radius_of(self.options.radius, length)
        return nearest(rows, to, candidates=self.options.candidates, radius=radius, length=length)

    def _source(self, ctx: EvaluatorContext, source: str, train: list[Floats], equal: list[list[Floats]], usual: float) -> list[Metric]:
        rows = side(ctx, source, self.options.rows).series
        if not rows:
            return [Metric(name="dtw_nearest_ratio", value=NAN, source=source, error="no valid series")]
        near = float(np.median(self._nearest(ctx, rows, train)))
        share = holdout_share(*(self._nearest(ctx, rows, s) for s in equal))
        low, high = wilson(share, len(rows))
        used = f"against {len(equal[0])} training and as many hold-out series"
        return [
            Metric(
                name="dtw_nearest_ratio", value=near / usual if usual > 0 else NAN, source=source, direction="higher", floor=1.0,
                ceiling=0.0,
                n=len(rows), error="" if usual > 0 else "hold-out series equal training series",
            ),
            Metric(
                name="dtw_holdout_share", value=share, source=source, direction="target", target=0.5, low=low, high=high, floor=0.5,
                n=len(rows), note=used,
            ),
        ]  # fmt: skip
