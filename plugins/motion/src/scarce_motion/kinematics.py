"""Forward kinematics of encoded frames in torch, and the losses on joints that are built on it (MDM, arXiv 2209.14916)."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scarce_motion.skeleton import Skeleton


class Moved(NamedTuple):
    """positions: [b, l, j, 3] in the heading's frame above the root's ground point; steps: [b, l - 1, j, 3] movement over the ground."""

    positions: Tensor
    steps: Tensor


class Kinematics(nn.Module):
    """Joints of raw features [b, l, c] (see `features`), differentiable; it has buffers only."""

    offsets: Tensor

    def __init__(self, skeleton: Skeleton, fps: float) -> None:
        super().__init__()
        self.skeleton, self.fps, self.free = skeleton, fps, skeleton.kinds[0] == "free"
        self.place = {joint: k for k, joint in enumerate(skeleton.turning)}
        self.feet = list(skeleton.feet)
        self.register_buffer("offsets", torch.from_numpy(skeleton.rest).float(), persistent=False)

    def forward(self, features: Tensor) -> Moved:
        """Positions and steps of all joints."""
        start = 4 if self.free else 3
        turns = len(self.skeleton.turning)
        six = features[..., start : start + 6 * turns].reshape(*features.shape[:-1], turns, 6)
        matrices = rotation_matrices(six) if turns else None
        root = F.pad(features[..., :1], (1, 1))
        out, world = [root], [None if matrices is None else matrices[..., 0, :, :]]
        for joint in range(1, len(self.skeleton.names)):
            parent = self.skeleton.parents[joint]
            above, offset = world[parent], self.offsets[joint]
            out.append(out[parent] + (offset if above is None else above @ offset))
            own = matrices[..., self.place[joint], :, :] if matrices is not None and joint in self.place else None
            world.append(above if own is None else own if above is None else above @ own)
        positions = torch.stack(out, -2)
        return Moved(positions, self._steps(features, positions))

    def _steps(self, features: Tensor, positions: Tensor) -> Tensor:
        """Where each joint is in the next frame, seen from this one, less where it is now."""
        after = positions[:, 1:]
        if self.free:
            angle = features[:, :-1, 3, None] / self.fps
            x, y, z = after.unbind(-1)
            after = torch.stack([angle.cos() * x + angle.sin() * z, y, angle.cos() * z - angle.sin() * x], -1)
        move = features[:, :-1, 1:3] / self.fps
        move = torch.stack([move[..., 0], torch.zeros_like(move[..., 0]), move[..., 1]], -1)
        return after + move.unsqueeze(-2) - positions[:, :-1]


def rotation_matrices(six: Tensor) -> Tensor:
    """[..., 3, 3] of two columns each, by Gram and Schmidt (arXiv 1812.07035)."""
    x = F.normalize(six[..., :3], dim=-1, eps=1e-4)
    y = F.normalize(six[..., 3:] - (x * six[..., 3:]).sum(-1, keepdim=True) * x, dim=-1, eps=1e-4)
    return torch.stack([x, y, torch.linalg.cross(x, y)], -1)
