"""Options; no torch here."""

from __future__ import annotations

from pydantic import Field

from scarce.contract.options import Component, Options


class NetOptions(Options):
    """Width of the hidden layer."""

    width: int = Field(16, ge=2, description="hidden width")


class EverythingOptions(Options):
    """Weight of the second term, and size of the adapter's start."""

    weight: float = Field(0.5, gt=0)
    start: float = 0.01


class LinearOptions(Options):
    """Budget."""

    steps: int = Field(40, ge=1)


class CentresOptions(Options):
    """judge: a learner that is only handed over."""

    judge: Component["learner"] | None = None  # noqa: F821, UP037 - a role, no forward reference
