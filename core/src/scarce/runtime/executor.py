"""How independent pieces of a run are carried out; other executors come as plugins."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Executor(Protocol):
    """Carries out independent pieces and returns their results in the order asked."""

    def map(self, function: Callable[[T], R], pieces: Iterable[T]) -> list[R]:
        """The result of each piece."""


class LocalExecutor:
    """One piece after another in this process."""

    def map(self, function: Callable[[T], R], pieces: Iterable[T]) -> list[R]:
        """The result of each piece, in order."""
        return [function(piece) for piece in pieces]
