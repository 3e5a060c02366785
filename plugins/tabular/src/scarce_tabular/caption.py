"""Rows in words: each caption with the numbers it speaks of."""

from __future__ import annotations

import numpy as np
import pandas as pd

from scarce.contract import Caption, CaptionContext
from scarce.errors import RecipeError

BINS = ("very low", "low", "medium", "high", "very high")


def captions(ctx: CaptionContext) -> list[Caption]:
    """ "exact" ("age is 31, left is yes") or "binned" ("age is high"), by quintiles of the given records."""
    if ctx.style not in ("exact", "binned"):
        raise RecipeError(
            f"generate.prompt: tables have the caption styles exact and binned, not '{ctx.style}'", hint="--set generate.prompt=exact"
        )
    frame: pd.DataFrame = ctx.records
    words = {c: _words(frame[c], ctx.style) for c in frame.columns}
    numeric = [c for c in frame.columns if pd.api.types.is_numeric_dtype(frame[c]) and not pd.api.types.is_bool_dtype(frame[c])]
    out = []
    for i in range(len(frame)):
        text = ", ".join(f"{c} is {words[c][i]}" for c in frame.columns if words[c][i])
        props = {str(c): float(frame[c].iloc[i]) for c in numeric if not pd.isna(frame[c].iloc[i])}
        out.append(Caption(text=text, props=props))
    return out


def _words(series: pd.Series, style: str) -> list[str]:
    if style == "exact" or not pd.api.types.is_numeric_dtype(series) or pd.api.types.is_bool_dtype(series):
        return ["" if pd.isna(v) else str(v) for v in series]
    values = series.to_numpy(dtype=np.float64, na_value=np.nan)
    edges = np.nanquantile(values, (0.2, 0.4, 0.6, 0.8))
    return ["" if np.isnan(v) else BINS[int(np.searchsorted(edges, v, side="right"))] for v in values]
