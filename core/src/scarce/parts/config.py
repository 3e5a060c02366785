"""Options of the core's own components; importing this brings no network code."""

from __future__ import annotations

from typing import Generic, TypeVar

from pydantic import Field

from scarce.contract.options import Options

Mine = TypeVar("Mine", bound=Options)


class Configured(Generic[Mine]):
    """What is built with its options alone."""

    def __init__(self, options: Mine) -> None:
        self.options = options


class Label(Options):
    """Conditioner `label`: width of the learned token of each class."""

    width: int = Field(128, ge=1)


class Words(Options):
    """Conditioner `words`: token width, longest text in words, and how many different words are kept."""

    width: int = Field(128, ge=1)
    max_length: int = Field(64, ge=1)
    max_words: int = Field(4096, ge=1)


class Privacy(Options):
    """Evaluator `privacy`: most rows per side of a distance matrix, and how many nearest pairs are shown."""

    rows: int = Field(5000, ge=10)
    nearest: int = Field(5, ge=0)


class Detection(Options):
    """Evaluator `detection`: most rows per side, and cross-validation folds."""

    rows: int = Field(2000, ge=10)
    folds: int = Field(3, ge=2)


class Membership(Options):
    """Evaluator `membership`: most records of each kind, and which nearest reference record is the usual distance."""

    rows: int = Field(5000, ge=10)
    neighbours: int = Field(5, ge=1)


class Diversity(Options):
    """Evaluator `diversity`: most records per side, and which nearest real record bounds a neighbourhood."""

    rows: int = Field(5000, ge=10)
    neighbours: int = Field(5, ge=1)
