"""The one tree of errors: each says what was asked, what was found, and a command to try."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path


class ScarceError(Exception):
    """Any failure a person can act on; the command line prints it without a traceback.

    `message` says what was asked and what was found, `hint` one command or change to try.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  try: {self.hint}" if self.hint else self.message


class DataError(ScarceError):
    """The data can't be read or can't be used as asked."""


class RecipeError(ScarceError):
    """The recipe, or a value set on it, is wrong; the message starts with the recipe path."""


class PluginError(ScarceError):
    """A plugin is missing, blocked, broken, in conflict, or returned the wrong thing."""


class CapabilityError(ScarceError):
    """The chosen parts don't fit together: a required capability is not provided."""


class PlanError(ScarceError):
    """Strategies disagree about the plan, or the plan can't be carried out."""


class TrainingError(ScarceError):
    """Training can't go on: losses stay non-finite, or memory runs out at batch size one."""


class RunError(ScarceError):
    """A run folder is missing, damaged, from another version, or asked for something it lacks."""


class Stopped(KeyboardInterrupt):
    """A run was stopped by ctrl-C or SIGTERM: what is kept where, and `hint`, the command that goes on."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  to go on: {self.hint}"


@contextmanager
def stoppable(folder: Path) -> Iterator[None]:
    """A KeyboardInterrupt inside says where finished work is, and the command that goes on."""
    try:
        yield
    except KeyboardInterrupt:
        raise Stopped(f"what is finished stays in {folder}", hint=f"scarce resume {folder}") from None


def did_you_mean(asked: str, known: Iterable[str]) -> str:
    """ " (did you mean 'X'?)" for the known name nearest to what was asked, else nothing."""
    near = get_close_matches(asked, sorted(set(known)), n=1, cutoff=0.6)
    return f" (did you mean '{near[0]}'?)" if near else ""
