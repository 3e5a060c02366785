"""Rows in words: each caption with the numbers it speaks of."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from scarce.contract import Caption, CaptionContext
from scarce.errors import RecipeError
from scarce_tabular.fields import Number

SHARES = (0.2, 0.4, 0.6, 0.8)
BINS = ("very low", "low", "medium", "high", "very high")


def captions(ctx: CaptionContext) -> list[Caption]:
    """ "exact" ("age is 31, left is yes") or "binned" ("age is high"), by the codec's quintiles, without one by those of the records."""
    if ctx.style not in ("exact", "binned"):
        raise RecipeError(
            f"generate.prompt: tables have the caption styles exact and binned, not '{ctx.style}'", hint="--set generate.prompt=exact"
        )
    frame: pd.DataFrame = ctx.records
    edges = {f.column.name: f.ranks.value(np.array(SHARES)) for f in getattr(ctx.codec, "fields", ()) if isinstance(f, Number)}
    words = [_words(frame[c], ctx.style, edges.get(c)) for c in frame.columns]
    numbers = {str(c): frame[c].to_numpy(dtype=np.float64, na_value=np.nan) for c in frame.columns if _numeric(frame[c])}
    out = []
    for i in range(len(frame)):
        text = ", ".join(f"{c} is {column[i]}" for c, column in zip(frame.columns, words, strict=True) if column[i])
        out.append(Caption(text=text, props={c: float(v[i]) for c, v in numbers.items() if not np.isnan(v[i])}))
    return out


def _numeric(series: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(series) and not pd.api.types.is_bool_dtype(series)


def _words(series: pd.Series, style: str, edges: npt.NDArray[np.float64] | None) -> list[str]:
    if style == "exact" or not _numeric(series) or series.isna().all():
        return ["" if gone else str(v) for v, gone in zip(series.tolist(), series.isna(), strict=True)]
    values = series.to_numpy(dtype=np.float64, na_value=np.nan)
    places = np.searchsorted(np.nanquantile(values, SHARES) if edges is None else edges, values, side="right")
    return ["" if np.isnan(v) else BINS[i] for v, i in zip(values, places, strict=True)]
