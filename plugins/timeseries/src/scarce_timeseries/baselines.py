"""What generated series must beat: plain copies, averages of neighbours, and distorted copies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from scarce.contract import BaselineContext, State, take
from scarce_timeseries.codec import SeriesCodec
from scarce_timeseries.signals import Floats, resampled
from scarce_timeseries.warping import padded, radius_of, tslearn_module

NEIGHBOURS = 3
ITERATIONS = 2  # of barycentre averaging: it starts at a real series and is meant to stay near it
NOISE, SCALE, WARP = 0.05, 0.1, 0.2  # standard deviations: of a step, of the amplitude, of the speed of time
Rows = npt.NDArray[np.int64]


def series_baselines(ctx: BaselineContext) -> Mapping[str, Any]:
    """ "barycentre", "jitter" and "bootstrap": n series each, with the training series' share of classes."""
    rows = ctx.dataset.rows("train")
    rows = rows[ctx.dataset.labelled[rows]] if ctx.dataset.labelled[rows].any() else rows
    frame = take(ctx.dataset.records, rows)
    codes = ctx.dataset.codes()[rows]
    rng = np.random.default_rng(ctx.seed)
    chosen = rng.integers(len(frame), size=ctx.n)
    assert isinstance(ctx.codec, SeriesCodec)
    state = ctx.codec.encode(frame)
    num = state.num.double().numpy()
    series = list(num) if state.mask is None else [v[m] for v, m in zip(num, state.mask.numpy(), strict=True)]
    labels = [ctx.dataset.classes[codes[i]] if codes[i] >= 0 else None for i in chosen] if ctx.dataset.classes else None
    averaged = barycentres(series, codes, chosen, ctx.codec, rng)
    jittered = [distorted(series[i], rng) for i in chosen]
    return {
        "barycentre": decoded(averaged, labels, ctx.codec, ctx.seed),
        "jitter": decoded(jittered, labels, ctx.codec, ctx.seed),
        "bootstrap": take(frame, chosen),
    }


def decoded(series: list[Floats], labels: list[Any] | None, codec: SeriesCodec, seed: int) -> pd.DataFrame:
    """Records of encoded series."""
    num = np.nan_to_num(padded(series, codec.length))
    mask = torch.arange(codec.length) < torch.tensor([len(v) for v in series])[:, None]
    empty = torch.zeros(len(series), codec.length, 0, dtype=torch.int64)
    return codec.decode(State(torch.from_numpy(num), empty, mask if codec.variable else None), labels, seed)


def barycentres(series: list[Floats], codes: Rows, chosen: Rows, codec: SeriesCodec, rng: np.random.Generator) -> list[Floats]:
    """DTW barycentres (Petitjean 2011), randomly weighted, of each chosen series and its nearest of the same class.

    As in Forestier 2017 the chosen series is where averaging begins, and gives the length.
    """
    average = tslearn_module("barycenters").dtw_barycenter_averaging
    band = {"global_constraint": "sakoe_chiba", "sakoe_chiba_radius": radius_of(0.1, codec.length)}
    near = neighbours(np.array([resampled(v, codec.length).ravel() for v in series]), codes)
    out = []
    for i in chosen:
        mine = [i, *near[i]]
        weights = rng.dirichlet(np.ones(len(mine)))
        if len(mine) == 1:
            out.append(series[i])
            continue
        group = padded([series[j] for j in mine])
        made = average(group, weights=weights, init_barycenter=series[i].copy(), max_iter=ITERATIONS, metric_params=band)
        out.append(np.asarray(made, dtype=np.float64))
    return out


def neighbours(vectors: Floats, codes: Rows) -> list[list[int]]:
    """Of each row the few nearest others of its class by Euclidean distance."""
    out: list[list[int]] = [[] for _ in codes]
    for code in np.unique(codes):
        mine = np.flatnonzero(codes == code)
        points = vectors[mine]
        k = min(NEIGHBOURS, len(mine) - 1)
        for row, point in zip(mine, points, strict=True):
            distance = ((points - point) ** 2).sum(1)
            order = [int(mine[j]) for j in np.argsort(distance, kind="stable") if mine[j] != row]
            out[row] = order[:k]
    return out


def distorted(values: Floats, rng: np.random.Generator) -> Floats:
    """A series [t, c] scaled about its mean, warped in time and made noisy (Um 2017)."""
    n, centre = len(values), values.mean(0)
    speed = np.interp(np.linspace(0, 3, n), range(4), np.exp(rng.normal(0, WARP, 4)))
    at = np.cumsum(speed) - speed[0]
    at = at / (at[-1] or 1.0) * (n - 1)
    moved = np.stack([np.interp(at, np.arange(n), values[:, c]) for c in range(values.shape[1])], 1)
    return np.asarray(centre + (moved - centre) * rng.normal(1, SCALE, values.shape[1]) + rng.normal(0, NOISE, values.shape))
