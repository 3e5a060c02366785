"""What modalities that read tables share: finding a column that was named, and cells as plain values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from scarce.errors import DataError, did_you_mean


def find_column(columns: Iterable[Any], wanted: Any, name: str, setting: str) -> Any:
    """The column called `wanted` in the data `name`; DataError with the columns there are and the setting to change."""
    known = list(columns)
    found = [column for column in known if str(column) == str(wanted)]
    if not found:
        shown = ", ".join(str(column) for column in known[:20])
        what = f"{name} has no column '{wanted}'{did_you_mean(str(wanted), map(str, known))}; it has {shown}"
        raise DataError(what, hint=f"--set {setting}=COLUMN")
    return found[0]


def plain(value: Any) -> Any:
    """A cell as JSON can hold it: a Python value of a numpy one, None for a missing one, an int for a whole float, else its text."""
    value = value.item() if isinstance(value, np.generic) else value
    if value is None or (isinstance(value, float) and value != value) or str(value) in ("<NA>", "NaT"):
        return None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, str | bool | int | float) else str(value)
