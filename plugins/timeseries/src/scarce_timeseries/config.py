"""Options of the time-series components; importing this brings no network code."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from scarce.contract.options import Options


class Timeseries(Options):
    """Modality `timeseries`: how a file is laid out, how long series are cut, and what is done to their values.

    layout: "long" has one row per time step, "wide" one per series; "auto" is long when `time` or `series` is given.
    window, stride: steps per window (None: whole series) and between window starts (None: a quarter of a window).
    time, series, caption: names of columns. channels: names of numeric columns (long), or what columns such as x1, y1,
    x2, y2 begin with (wide). transform: "percent" is 100 log(x / first x) inside a window. max_missing: windows with a
    larger share of missing values are left out.
    """

    layout: Literal["auto", "long", "wide"] = "auto"
    window: int | None = Field(None, ge=2)
    stride: int | None = Field(None, ge=1)
    time: str | None = None
    series: str | None = None
    channels: tuple[str, ...] = ()
    caption: str | None = None
    transform: Literal["none", "diff", "log-return", "percent"] = "none"
    max_missing: float = Field(0.5, ge=0, lt=1)


class Dilated(Options):
    """Backbone `dilated`: channels and layers of dilated convolutions; every so many layers look at the condition's tokens."""

    channels: int = Field(64, ge=2)
    layers: int = Field(8, ge=1)
    heads: int = Field(4, ge=1)
    attention_every: int = Field(2, ge=1)
    dropout: float = Field(0.0, ge=0, lt=1)


class Transformer(Options):
    """Backbone `transformer`: width and number of layers, heads of each attention."""

    width: int = Field(96, ge=2)
    layers: int = Field(4, ge=1)
    heads: int = Field(4, ge=1)
    dropout: float = Field(0.0, ge=0, lt=1)


class Tslearn(Options):
    """Learner `tslearn`: nearest neighbours by dynamic time warping inside a band, or by Euclidean distance.

    radius: half width of the Sakoe-Chiba band as a share of the length.
    """

    neighbours: int = Field(1, ge=1)
    metric: Literal["dtw", "euclidean"] = "dtw"
    radius: float = Field(0.1, ge=0, le=1)


class ConvLearner(Options):
    """Learner `conv`: channels and layers of a convolutional network, and how long it trains."""

    channels: int = Field(48, ge=1)
    layers: int = Field(3, ge=1)
    kernel: int = Field(5, ge=1)
    dropout: float = Field(0.1, ge=0, lt=1)
    steps: int = Field(250, ge=1)
    batch: int = Field(64, ge=1)
    rate: float = Field(3e-3, gt=0)
    weight_decay: float = Field(1e-2, ge=0)


class Accuracy(Options):
    """Evaluator `accuracy`: no options."""


class Discriminative(Options):
    """Evaluator `discriminative`: most series per side, folds, and optimizer steps of each fold's classifier."""

    rows: int = Field(400, ge=10)
    folds: int = Field(2, ge=2)
    steps: int = Field(120, ge=1)
    channels: int = Field(24, ge=1)


class Predictive(Options):
    """Evaluator `predictive`: steps the forecast looks back, most series it learns from, and its ridge penalty."""

    lags: int = Field(8, ge=1)
    rows: int = Field(2000, ge=10)
    ridge: float = Field(1.0, gt=0)


class Autocorrelation(Options):
    """Evaluator `autocorrelation`: most series per source, and the largest lag (at most half the length)."""

    rows: int = Field(2000, ge=2)
    lags: int = Field(32, ge=1)


class Spectrum(Options):
    """Evaluator `spectrum`: most series per source."""

    rows: int = Field(2000, ge=2)


class DtwPrivacy(Options):
    """Evaluator `dtw-privacy`: most series whose neighbours are sought, Euclidean candidates of each, and the band.

    radius: half width of the Sakoe-Chiba band as a share of the length.
    """

    rows: int = Field(200, ge=10)
    candidates: int = Field(10, ge=1)
    radius: float = Field(0.1, ge=0, le=1)


class Answers(Options):
    """Evaluator `answers`: how many captions of test series are shown, and series drawn for each."""

    captions: int = Field(6, ge=1)
    samples: int = Field(5, ge=1)
