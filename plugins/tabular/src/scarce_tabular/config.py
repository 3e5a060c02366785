"""Options of the tabular components; importing this brings no network code."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from scarce.contract.options import Options


class CatBoost(Options):
    """Learner `catboost`: one fixed configuration, so that scores differ by the data alone."""

    iterations: int = Field(300, ge=1)
    depth: int = Field(5, ge=1, le=12)
    learning_rate: float = Field(0.06, gt=0)
    l2_leaf_reg: float = Field(3.0, ge=0)
    subsample: float = Field(0.8, gt=0, le=1)
    threads: int = Field(2, ge=1)


class MlpLearner(Options):
    """Learner `mlp`: hidden layers of one width, and how long it trains."""

    width: int = Field(128, ge=1)
    depth: int = Field(2, ge=1)
    dropout: float = Field(0.1, ge=0, lt=1)
    steps: int = Field(400, ge=1)
    batch: int = Field(256, ge=1)
    rate: float = Field(3e-3, gt=0)
    weight_decay: float = Field(1e-2, ge=0)


class Utility(Options):
    """Evaluator `utility`: no options."""


class Correlation(Options):
    """Evaluator `correlation`: how two numeric columns are compared, and most rows per table."""

    numeric: Literal["spearman", "pearson"] = "spearman"
    rows: int = Field(20_000, ge=10)
    worst: int = Field(5, ge=1)


class Shape(Options):
    """Evaluator `shape`: most rows per table, and how many of the worst columns are named."""

    rows: int = Field(20_000, ge=10)
    worst: int = Field(5, ge=1)


class MlpDenoiser(Options):
    """Backbone `mlp`: residual layers of one width with dropout in each, and sines per number at its input."""

    width: int = Field(256, ge=1)
    layers: int = Field(3, ge=1)
    dropout: float = Field(0.0, ge=0, lt=1)
    frequencies: int = Field(3, ge=0, le=8)


class Tabular(Options):
    """Modality `tabular`.

    levels: whole numbers with at most so many distinct training values are generated as levels, which keeps their
    steps sharp; distances and judges still see numbers. constraints: what every generated row keeps.
    """

    levels: int = Field(2, ge=2, le=20)
    constraints: tuple[str, ...] = ()
