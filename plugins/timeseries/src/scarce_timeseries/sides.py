"""What evaluators compare: valid series of each source in encoded units, and how many of those asked for they are."""

from __future__ import annotations

from typing import Any

import numpy as np

from scarce.contract import EvaluatorContext, Metric, take
from scarce.contract.frozen import Frozen
from scarce_timeseries.signals import Floats

NAN = float("nan")
FEWEST = 4


class Side(Frozen):
    """Valid series [t, c] of one source, their records, and which share of the records asked for they are."""

    series: list[Floats]
    records: Any
    share: float = 1.0

    def penalised(self, value: float, ceiling: float) -> float:
        """The mean over all asked for, of which invalid and missing ones score what useless data would."""
        return self.share * value + (1 - self.share) * ceiling


def encoded(ctx: EvaluatorContext, records: Any) -> list[Floats]:
    """[t, c] encoded series, each as long as its mask says."""
    if len(records) == 0:
        return []
    state = ctx.codec.encode(records)
    num = state.num.double().numpy()
    return list(num) if state.mask is None else [v[m] for v, m in zip(num, state.mask.numpy(), strict=True)]


def real(ctx: EvaluatorContext, *splits: Any, most: int | None = None) -> Side:
    """Real series of the splits."""
    rows = ctx.dataset.rows(*splits)
    records = take(ctx.dataset.records, rows[some(len(rows), most, ctx.seed)])
    return Side(series=encoded(ctx, records), records=records)


def side(ctx: EvaluatorContext, source: str, most: int | None = None) -> Side:
    """Series of a sample; those with infinite values, or with more missing than any training series has, are failures."""
    records = ctx.samples[source]
    asked = max(ctx.expected, len(records)) if source == "synthetic" else len(records)
    if len(records) == 0:
        return Side(series=[], records=records, share=0.0)
    good = np.arange(len(records))
    if "series" in getattr(records, "columns", ()):
        train = take(ctx.dataset.records, ctx.dataset.rows("train"))
        allowed = max((missing(cell) for cell in train["series"]), default=0.0)
        good = np.flatnonzero([missing(cell) <= allowed for cell in records["series"]])
    share = len(good) / asked
    records = take(records, good[some(len(good), most, ctx.seed)])
    return Side(series=encoded(ctx, records), records=records, share=share)


def missing(cell: Any) -> float:
    """Share of a record's values that are missing; 2 for one without steps or with infinite values."""
    values = np.array([np.asarray(step, dtype=np.float64) for step in cell], dtype=np.float64)
    return 2.0 if values.size == 0 or np.isinf(values).any() else float(np.isnan(values).mean())


def some(n: int, most: int | None, seed: int) -> Any:
    """Positions of at most so many of n, in order."""
    return np.arange(n) if most is None or n <= most else np.sort(np.random.default_rng([seed, n]).choice(n, most, replace=False))


def failed(ctx: EvaluatorContext, name: str, why: str) -> list[Metric]:
    """One failed row per source."""
    return [Metric(name=name, value=NAN, source=source, error=why) for source in ctx.samples]


def few(train: Side, held: Side) -> str:
    """Why there are too few real series to compare with, or nothing."""
    short = min(len(train.series), len(held.series)) < FEWEST
    return f"needs {FEWEST} training and as many hold-out series, found {len(train.series)} and {len(held.series)}" if short else ""


def note_of(found: Side) -> str:
    """What a person should know of failures."""
    return (
        f"{100 * (1 - found.share):.3g} % of the series asked for are invalid or missing and count as failures" if found.share < 1 else ""
    )
