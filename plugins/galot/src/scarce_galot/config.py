"""Options of acquisition scores and of their evaluator; importing this brings no network code."""

from __future__ import annotations

from pydantic import Field

from scarce.contract.options import Options


class KCentre(Options):
    """Acquisition `k-centre`: how many records are put in order; the rest keep their distance to the nearest of them."""

    order: int = Field(1000, ge=1)


class Badge(Options):
    """Acquisition `badge`: how many records are drawn in order; the rest keep their distance to the nearest of them."""

    order: int = Field(1000, ge=1)
