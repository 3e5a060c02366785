"""The .ts text format of sktime and aeon: one series per line, channels separated by colons, the class last."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from scarce.errors import DataError
from scarce_timeseries.raw import Floats, Raw, RawSeries, objects


def read_ts(path: Path, target: str | None) -> Raw:
    """Series of a .ts file, "?" for a missing value; DataError with the line of whatever can't be read."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not a text file: {error.reason}", hint="save it as UTF-8") from None
    facts, begin = _header(lines, path)
    labelled = facts.get("classlabel", "false").split()[0].lower() == "true"
    if facts.get("timestamps", "false").lower() == "true":
        raise DataError(f"{path}: time stamps inside .ts files are not supported", hint="write a CSV file with a time column")
    rows = [(n, line.strip()) for n, line in enumerate(lines[begin:], begin + 1) if line.strip() and not line.startswith("#")]
    if not rows:
        raise DataError(f"{path} has no series after @data", hint=f"tail {path}")
    values, labels = [], []
    for number, line in rows:
        parts = line.split(":")
        labels.append(parts.pop().strip() if labelled and len(parts) > 1 else None)
        values.append(_channels(parts, path, number))
        if values[-1].shape[1] != values[0].shape[1]:
            what = f"{path}, line {number}: {values[-1].shape[1]} channels where the first series has {values[0].shape[1]}"
            raise DataError(what, hint="give every series the same channels")
    wanted = target if target is not None else ("class" if labelled else "")
    if wanted not in ("", "class") or (wanted and not labelled):
        raise DataError(f"{path} has {'the one target class' if labelled else 'no target'}, not '{wanted}'", hint="--set data.target=class")
    named = [
        RawSeries(name=str(i), values=v, labels=objects([None if lab in ("?", "") else lab]) if wanted else None)
        for i, (v, lab) in enumerate(zip(values, labels, strict=True))
    ]
    count = values[0].shape[1]
    names = ("value",) if count == 1 else tuple(f"dim_{i}" for i in range(count))
    return Raw(name=facts.get("problemname") or path.stem, series=named, channels=names, target=wanted)


def _header(lines: list[str], path: Path) -> tuple[dict[str, str], int]:
    """Lower-case tag -> rest of its line, and where the data begin."""
    facts: dict[str, str] = {}
    for i, line in enumerate(lines):
        tag, _, rest = line.strip().partition(" ")
        if tag.lower() == "@data":
            return facts, i + 1
        if tag.startswith("@"):
            facts[tag[1:].lower()] = rest.strip()
        elif tag and not tag.startswith("#"):
            break
    raise DataError(f"{path} has no @data line", hint=f"head {path}")


def _channels(parts: list[str], path: Path, number: int) -> Floats:
    """[t, c] values of one line."""
    found: list[list[float]] = []
    for part in parts:
        cells = [c.strip() for c in part.split(",")]
        try:
            found.append([np.nan if c in ("?", "NaN", "") else float(c) for c in cells])
        except ValueError as error:
            raise DataError(f"{path}, line {number}: {error}", hint=f"sed -n {number}p {path}") from None
    if len({len(c) for c in found}) != 1:
        lengths = ", ".join(str(len(c)) for c in found)
        raise DataError(f"{path}, line {number}: channels of different lengths ({lengths})", hint=f"sed -n {number}p {path}")
    return np.array(found, dtype=np.float64).T
