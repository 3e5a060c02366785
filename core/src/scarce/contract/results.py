"""What evaluators return: metrics that carry direction and reference lines, and figures as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any, Literal

from scarce.contract.frozen import Frozen

Direction = Literal["higher", "lower", "target", "none"]


class Metric(Frozen):
    """One number of one source of data.

    source: "synthetic", "real", "both", or a baseline's name; direction says which way is better ("target": near
    `target`); low, high: an interval when the evaluator has one; floor: what perfect data would score (the noise
    floor), ceiling: what useless data would; n: samples it rests on; error: why it could not be computed
    (value is then NaN); over: of a difference between two sources of one run, what the lesser one is called - the report
    then judges it over seeds.
    """

    name: str
    value: float
    source: str = "synthetic"
    direction: Direction = "none"
    target: float | None = None
    low: float | None = None
    high: float | None = None
    floor: float | None = None
    ceiling: float | None = None
    n: int = 0
    unit: str = ""
    note: str = ""
    error: str = ""
    evaluator: str = ""
    over: str = ""


class Figure(Frozen):
    """A picture of the report: a plotly figure as plain data (`traces`, `layout`), or ready HTML without scripts."""

    name: str
    title: str
    caption: str = ""
    traces: Sequence[Mapping[str, Any]] = ()
    layout: Mapping[str, Any] = field(default_factory=dict)
    html: str = ""
    section: str = ""
