"""Series as they are read, before anything is cut: one object per long or whole series."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class RawSeries:
    """One series: values [t, c] with NaN where missing, and what is known of it.

    labels: [t] or [1] class values, None where unknown; times: [t] numbers or datetime64, None where steps are all there is.
    """

    name: str
    values: Floats
    labels: Array | None = None
    times: Array | None = None
    caption: str | None = None
    group: str | None = None
    start: Any = None


@dataclass(frozen=True, kw_only=True)
class Raw:
    """All series of one source with their channels, the name of the target ("" for none) and notes for a person.

    named: whether the names of series mean something, so that records keep them.
    """

    name: str
    series: list[RawSeries]
    channels: tuple[str, ...]
    target: str = ""
    named: bool = False
    notes: tuple[str, ...] = field(default=())


def objects(values: Iterable[Any]) -> Array:
    """[n] plain Python values as an object array; whatever is missing becomes None."""
    listed = [plain(v) for v in values]
    out = np.empty(len(listed), dtype=object)
    out[:] = listed
    return out


def plain(value: Any) -> Any:
    """A Python value of a numpy one; a missing value is None, a whole float an int."""
    value = value.item() if isinstance(value, np.generic) else value
    if value is None or value != value or str(value) in ("<NA>", "NaT"):
        return None
    return int(value) if isinstance(value, float) and value.is_integer() else value
