"""Losses of a predicted motion on its joints: where they are, how they move, and that feet which stand do not slide.

MDM, arXiv 2209.14916, equations 3 to 5, with positions seen from the heading's frame so that no error adds up along the path.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from scarce.contract import State
from scarce_motion.codec import MotionCodec
from scarce_motion.config import MotionTransformer as Options
from scarce_motion.features import parts_of
from scarce_motion.kinematics import Kinematics

REACH, STRIDE = 0.25, 0.05  # metres: what errors of positions and of movement per frame are measured in


class JointLosses(nn.Module):
    """It has buffers only; a motion without joints that turn has losses of its root alone."""

    mean: Tensor
    sd: Tensor
    places: Tensor

    def __init__(self, codec: MotionCodec, options: Options) -> None:
        super().__init__()
        self.options = options
        self.kinematics = Kinematics(codec.skeleton, codec.fps)
        self.register_buffer("mean", torch.tensor(codec.mean), persistent=False)
        self.register_buffer("sd", torch.tensor(codec.sd), persistent=False)
        self.register_buffer("places", torch.tensor(codec.kept), persistent=False)
        self.contact = sum(size for name, size in parts_of(codec.skeleton) if name != "contact")

    def forward(self, predicted: State, clean: State) -> Tensor:
        """[b] weighted squared errors per joint and frame; positions in 0.25 m, movement in 0.05 m per frame."""
        o, raw = self.options, self._raw(clean.num)
        mine, true = self.kinematics(self._raw(predicted.num)), self.kinematics(raw)
        exists = torch.ones_like(clean.num[..., 0]) if clean.mask is None else clean.mask.to(clean.num.dtype)
        follows = exists[:, 1:]
        out = o.positions * _mean((mine.positions - true.positions).square().mean((-1, -2)), exists) / REACH**2
        out = out + o.velocities * _mean((mine.steps - true.steps).square().mean((-1, -2)), follows) / STRIDE**2
        if self.kinematics.feet:
            stands = raw[:, :-1, self.contact :]
            slide = mine.steps[..., self.kinematics.feet, :].square().sum(-1)
            out = out + o.feet * _mean((stands * slide).mean(-1), follows) / STRIDE**2
        return out

    def _raw(self, num: Tensor) -> Tensor:
        return self.mean.expand(*num.shape[:-1], -1).index_add(-1, self.places, num * self.sd[self.places])


def _mean(values: Tensor, exists: Tensor) -> Tensor:
    """[b] mean over the frames that exist."""
    return (values * exists).sum(1) / exists.sum(1).clamp(min=1)
