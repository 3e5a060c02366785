"""Imposing known values while sampling: the prediction of x_0 is conditioned on them.

Every sampler step is linear in the predicted x_0 (with noise of covariance Sigma), so setting the known block of x_s
to its forward value and shifting the unknown block by Sigma_uk Sigma_kk^-1 (set - proposed) is the same as setting the
known block of the predicted x_0 and shifting its unknown block by Sigma_uk Sigma_kk^-1 (known - predicted).
"""

from __future__ import annotations

import torch
from torch import Tensor

from scarce.contract.frozen import Frozen
from scarce.contract.space import Known
from scarce.diffusion.process import Process


class Pin(Frozen, kw_only=False):
    """Known values ready to impose: rows and [w, w] gain of each mask pattern, one-hots and masks of each band.

    exact: whether the prior's covariance alone carries all that is known to all that is not.
    """

    num: Tensor
    mask: Tensor
    gains: tuple[tuple[Tensor, Tensor], ...]
    one_hots: tuple[Tensor, ...]
    cat_masks: tuple[Tensor, ...]
    exact: bool

    def condition(self, x0: Tensor, process: Process) -> Tensor:
        """Predicted x_0 in data coordinates, [b, .., w], given the known channels."""
        if self.gains:
            gap = torch.where(self.mask, self.num - x0, 0.0)
            shift = torch.zeros_like(x0)
            for rows, gain in self.gains:
                shift = shift.index_copy(0, rows, gap[rows] @ gain.T)
            x0 = process.clip(x0 + shift)
        return torch.where(self.mask, self.num, x0)

    def condition_categories(self, p: list[Tensor]) -> list[Tensor]:
        """Per band probabilities of x_0 given the known columns."""
        return [torch.where(m.unsqueeze(1), hot, q) for q, hot, m in zip(p, self.one_hots, self.cat_masks, strict=True)]


def pin(process: Process, known: Known, labels: Tensor | None = None) -> Pin:
    """Prepare known values (in data coordinates, as the codec encodes them) for a sampler; labels choose priors per class."""
    num = torch.where(known.num_mask, known.state.num, 0.0)
    full = process.prior.kind in ("full", "per-class")
    codes = torch.where(known.cat_mask, known.state.cat, 0).long()
    one_hots = process.categories.one_hots(codes) if process.space.levels else []
    masks = process.categories.split(known.cat_mask) if process.space.levels else []
    groups = process.prior.groups(len(num), labels) if full else []
    gains = [gain for rows, _, factor, _ in groups for gain in _gains(factor, known.num_mask, rows)]
    return Pin(num, known.num_mask, tuple(gains), tuple(one_hots), tuple(masks), full and not process.space.levels)


def _gains(factor: Tensor, mask: Tensor, rows: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Rows and gain matrix Sigma_:k Sigma_kk^-1 of each pattern of known channels among `rows`; mask: [b, w]."""
    covariance = factor.double() @ factor.double().T
    patterns, which = torch.unique(mask[rows], dim=0, return_inverse=True)
    found = []
    for i in range(len(patterns)):
        k = patterns[i].nonzero().flatten()
        if len(k):
            gain = torch.zeros_like(covariance)
            gain[:, k] = torch.linalg.solve(covariance[k][:, k], covariance[k]).T
            found.append((rows[which == i], gain.to(factor.dtype)))
    return found
