"""Acquisition `acme-doubt`."""

from __future__ import annotations

from torch import Tensor

from scarce.contract import AcquisitionSpec, ScoreContext, hookimpl


class Doubt(AcquisitionSpec):
    @hookimpl
    def acquisition_score(self, ctx: ScoreContext) -> Tensor:
        return 1 - ctx.logits.softmax(1).amax(1)
