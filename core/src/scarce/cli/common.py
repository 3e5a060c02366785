"""What verbs share: their arguments, tables and JSON."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

SHARED: dict[str, dict[str, Any]] = {
    "recipe": {"help": "installed name (scarce recipes) or a .toml file"},
    "run": {"type": Path, "help": "run folder"},
    "--data": {"metavar": "FILE", "help": "your data: path, or builtin:NAME"},
    "--set": {"metavar": "KEY=VALUE", "action": "append", "default": [], "help": "override one recipe value"},
    "--workers": {"metavar": "N", "type": int, "help": "processes for arms, seeds, branches and shards (default: this one)"},
    "--preset": {"help": "test, quick (default) or full"},
    "--quiet": {"action": "store_true", "help": "no progress"},
    "--json": {"action": "store_true", "help": "print JSON"},
}
"""Argument -> what argparse is told of it."""


def parser(verb: str, text: str, *shared: str) -> argparse.ArgumentParser:
    """The parser of one verb, with the shared arguments named."""
    made = argparse.ArgumentParser(prog=f"scarce {verb}", description=text)
    for name in shared:
        made.add_argument(name, **SHARED[name])
    return made


def overrides(asked: argparse.Namespace) -> dict[str, Any]:
    """The recipe values that --set and --workers override; RecipeError for one that can't be read."""
    from scarce.runs.recipe import parse_set

    out = dict(parse_set(text) for text in asked.set)
    return out if asked.workers is None else {**out, "runtime.workers": asked.workers}


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Left-aligned columns under a ruled head."""
    lines = [tuple(head), *(tuple(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    lines.insert(1, tuple("-" * width for width in widths))
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines)


def show(data: object, text: str, *, as_json: bool) -> None:
    """Print the data as JSON for programs (a number that is not finite becomes null), or the text for people."""
    print(json.dumps(_strict(data), indent=2, ensure_ascii=False, allow_nan=False) if as_json else text)


def _strict(value: Any) -> Any:
    """What JSON can hold: arrays and their numbers as lists and numbers, unknown objects as their text."""
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, Mapping):
        return {str(key): _strict(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | None) else str(value)
