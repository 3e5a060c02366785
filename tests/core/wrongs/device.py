"""A score that names a device."""

from __future__ import annotations

import torch
from torch import Tensor

from scarce.contract import AcquisitionSpec, ScoreContext, hookimpl


class Named(AcquisitionSpec):
    @hookimpl
    def acquisition_score(self, ctx: ScoreContext) -> Tensor:
        device = torch.device("cuda") if torch.cuda.is_available() else ctx.logits.device
        return ctx.logits.to(device)[:, 0]
