"""What a person asks of single fields while sampling: `left=yes`, `city in {Ulm,Bonn}`, `30<age<40`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scarce.errors import DataError

NUMBER = r"\s*([-+]?[\d.]+(?:[eE][-+]?\d+)?|\d{4}-\d\d-\d\d[^<>]*?)\s*"


@dataclass(frozen=True)
class Equals:
    """The field has this value."""

    value: Any


@dataclass(frozen=True)
class OneOf:
    """The field has one of these values, drawn by their real frequencies."""

    values: tuple[Any, ...]


@dataclass(frozen=True)
class Between:
    """The field lies between the bounds (None: none), drawn from its real distribution there.

    closed: whether each bound itself is allowed.
    """

    low: Any
    high: Any
    closed: tuple[bool, bool] = (False, False)


Constraint = Equals | OneOf | Between


def parse_where(where: Mapping[str, Any] | Sequence[str]) -> dict[str, Constraint]:
    """Conditions by field, from command-line strings or from a mapping (value, list of values, or (low, high), both included).

    Raises DataError for a condition that can't be read or a field asked twice.
    """
    if isinstance(where, Mapping):
        return {str(k): _given(v) for k, v in where.items()}
    out: dict[str, Constraint] = {}
    for text in where:
        name, constraint = _parse(text)
        if name in out:
            raise DataError(f"--where: '{name}' is asked for twice", hint="one condition per column: --where '30<age<40'")
        out[name] = constraint
    return out


def _given(value: Any) -> Constraint:
    if isinstance(value, Equals | OneOf | Between):
        return value
    if isinstance(value, tuple) and len(value) == 2:
        return Between(*value, closed=(True, True))
    return OneOf(tuple(value)) if isinstance(value, list | set | frozenset) else Equals(value)


def _parse(text: str) -> tuple[str, Constraint]:
    if found := re.fullmatch(r"\s*(.+?)\s+in\s+\{(.*)\}\s*", text):
        return found[1], OneOf(tuple(v.strip() for v in found[2].split(",")))
    if found := re.fullmatch(rf"{NUMBER}<(=?)\s*(.+?)\s*<(=?){NUMBER}", text):
        return found[3], Between(found[1], found[5], (found[2] == "=", found[4] == "="))
    if found := re.fullmatch(rf"\s*([^<>=]+?)\s*<(=?){NUMBER}", text):
        return found[1], Between(None, found[3], (False, found[2] == "="))
    if found := re.fullmatch(rf"\s*([^<>=]+?)\s*>(=?){NUMBER}", text):
        return found[1], Between(found[3], None, (found[2] == "=", False))
    if found := re.fullmatch(r"\s*(.+?)\s*=\s*(.*?)\s*", text):
        return found[1], Equals(found[2])
    raise DataError(f"--where: can't read '{text}'", hint="--where 'left=yes', 'city in {Ulm,Bonn}', '30<age<40', 'age>30'")
