"""What evaluators compare: valid molecules of each source, and how many of those asked for they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from scarce.contract import EvaluatorContext, Metric, take
from scarce_molecules.bonds import valid

NAN = float("nan")
FEWEST = 4


def asked(ctx: EvaluatorContext, source: str) -> int:
    """How many records a source should have: missing samples are failures."""
    n = len(ctx.samples[source])
    return max(ctx.expected, n) if source == "synthetic" else n


def real_smiles(ctx: EvaluatorContext, *splits: Any) -> list[str]:
    """SMILES of the real molecules of the splits."""
    return [str(s) for s in take(ctx.dataset.records, ctx.dataset.rows(*splits))["smiles"]]


def valid_smiles(records: pd.DataFrame) -> list[str]:
    """SMILES of valid records."""
    return [s for s in records["smiles"] if valid(s)]


def some(n: int, most: int | None, seed: int) -> Any:
    """Positions of at most so many of n, in order."""
    return np.arange(n) if most is None or n <= most else np.sort(np.random.default_rng([seed, n]).choice(n, most, replace=False))


def chosen(texts: list[str], most: int, seed: int) -> list[str]:
    """At most so many of the texts."""
    return [texts[int(i)] for i in some(len(texts), most, seed)]


def failed(ctx: EvaluatorContext, name: str, why: str) -> list[Metric]:
    """One failed row per source."""
    return [Metric(name=name, value=NAN, source=source, error=why) for source in ctx.samples]


def wilson(share: float, n: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's 95 % interval of a share of n (1927)."""
    if n == 0:
        return 0.0, 1.0
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * float(np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)))
    return max(0.0, centre - half), min(1.0, centre + half)
