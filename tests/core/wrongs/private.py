"""A score that looks behind the contract."""

from __future__ import annotations

from torch import Tensor

from scarce.contract import AcquisitionSpec, ScoreContext, hookimpl
from scarce.runtime.seeds import derive


class Looks(AcquisitionSpec):
    @hookimpl
    def acquisition_score(self, ctx: ScoreContext) -> Tensor:
        return ctx.logits[:, 0] + derive(0, "nothing") * 0
