"""Parts without hooks, right and wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scarce.contract import ExportContext
from scarce.testing.toys import vectors


def good_data() -> pd.DataFrame:
    return vectors(40, 1)


def other_data() -> pd.DataFrame:
    return vectors(40, int(np.random.default_rng().integers(1000)))


def global_data() -> pd.DataFrame:
    np.random.seed(0)
    return good_data()


def unread_data() -> pd.DataFrame:
    return good_data().drop(columns=["side"])


class Backwards:
    def map(self, function: Callable[[Any], Any], pieces: Iterable[Any]) -> list[Any]:
        return [function(piece) for piece in pieces][::-1]


class InOrder:
    def map(self, function: Callable[[Any], Any], pieces: Iterable[Any]) -> list[Any]:
        return [function(piece) for piece in pieces]


def good_export(ctx: ExportContext) -> Path:
    return ctx.out


def other_export(ctx: ExportContext, out: Path) -> Path:
    return out


def good_command(argv: list[str]) -> int:
    print("usage: scarce good-command")
    return 0


def mute_command(argv: list[str]) -> int:
    return 0


WRONG = {
    ("dataset", "good_data"): "", ("dataset", "other_data"): "dataset:answers", ("dataset", "global_data"): "dataset:global-random",
    ("dataset", "unread_data"): "dataset:loads", ("executor", "InOrder"): "", ("executor", "Backwards"): "executor:answers",
    ("exporter", "good_export"): "", ("exporter", "other_export"): "exporter:answers", ("command", "good_command"): "",
    ("command", "mute_command"): "command:answers",
}  # fmt: skip
