"""Learned judges of series: telling two sources apart, and forecasting the next step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scarce.contract import Budget, Draw, Fitting, Phase, Runtime, Term
from scarce_timeseries.config import ConvLearner, Discriminative
from scarce_timeseries.learner import classifier
from scarce_timeseries.signals import Floats


def told_apart(first: Tensor, second: Tensor, runtime: Runtime, options: Discriminative) -> float:
    """Cross-fitted accuracy of telling features [n, l, d] of two equally large sources apart.

    Each fold is judged by a network trained on the others; both sources have their share in every fold.
    """
    n = len(first)
    x, y = torch.cat([first, second]).float(), torch.cat([torch.zeros(n), torch.ones(n)]).long()
    order = torch.randperm(n, generator=runtime.generator("evaluator.discriminative"))
    fold = torch.empty(n, dtype=torch.int64)
    fold[order] = torch.arange(n) % options.folds
    fold = torch.cat([fold, fold])
    right = 0
    for k in range(options.folds):
        network = trained(x[fold != k], y[fold != k], runtime, options, k)
        with torch.no_grad():
            said = network(x[fold == k].transpose(1, 2).to(runtime.device)).argmax(1).cpu()
        right += int((said == y[fold == k]).sum())
    return right / (2 * n)


def trained(x: Tensor, y: Tensor, runtime: Runtime, options: Discriminative, fold: int) -> nn.Module:
    """A small network fitted to labels y [n] of features x [n, l, d]."""
    shape = ConvLearner(channels=options.channels, layers=2, dropout=0.1)
    with runtime.seeded("evaluator.discriminative", fold):
        network = classifier(x.shape[-1], 2, shape).to(runtime.device)
    x, y = x.transpose(1, 2).to(runtime.device), y.to(runtime.device)

    def loss(draw: Draw) -> Tensor:
        return F.cross_entropy(network(x[draw.rows]), y[draw.rows], reduction="none")

    budget = Budget(steps=options.steps, batch=min(64, len(x)), rate=5e-3, weight_decay=1e-2, ema=0.95)
    phase = Phase(name="judge", terms=(Term(name="supervised", loss="supervised"),), budget=budget)
    pools = {"all": torch.arange(len(x))}
    runtime.fit(Fitting(phase=phase, model=network, losses={"supervised": loss}, pools=pools, label=f"evaluator.discriminative.{fold}"))
    return network.eval()


def lagged(series: Sequence[Floats], lags: int) -> tuple[Floats, Floats]:
    """[m, lags * c + 1] the steps before, and a constant; [m, c] the step that follows; of every series long enough."""
    width = series[0].shape[1] if series else 1
    before, after = [np.zeros((0, lags * width + 1))], [np.zeros((0, width))]
    for values in series:
        if len(values) > lags:
            seen = np.lib.stride_tricks.sliding_window_view(values, lags, axis=0)[:-1].reshape(len(values) - lags, -1)
            before.append(np.concatenate([seen, np.ones((len(seen), 1))], 1))
            after.append(values[lags:])
    return np.concatenate(before), np.concatenate(after)


def forecast_error(source: Sequence[Floats], test: Sequence[Floats], lags: int, ridge: float) -> float:
    """Mean absolute error on the test series of a linear forecast learned from a source; NaN where none is long enough."""
    x, y = lagged(source, lags)
    seen, truth = lagged(test, lags)
    if len(x) == 0 or len(seen) == 0:
        return float("nan")
    weights = np.linalg.solve(x.T @ x + ridge * np.eye(x.shape[1]), x.T @ y)
    return float(np.abs(seen @ weights - truth).mean())
