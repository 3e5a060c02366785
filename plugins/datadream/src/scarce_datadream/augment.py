"""Distortions of training pictures as tensors: a random crop and flip of each, CutMix or MixUp of a batch."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

RATIO = 4 / 3  # most extreme ratio of a crop's sides


def uniform(n: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    """[n] numbers between the bounds."""
    return low + (high - low) * torch.rand(n, generator=generator)


def crop_and_flip(x: Tensor, size: int, *, smallest: float, flip: bool, generator: torch.Generator) -> Tensor:
    """[n, c, size, size] random crops of pictures x, each resized, half of them mirrored if asked.

    smallest: least share of the area that a crop keeps; 1 keeps all of it.
    """
    n = len(x)
    if smallest >= 1 and not flip:
        return x
    area = uniform(n, smallest, 1.0, generator)
    ratio = torch.exp(uniform(n, -math.log(RATIO), math.log(RATIO), generator)) if smallest < 1 else torch.ones(n)
    width, height = (area * ratio).sqrt().clamp(max=1), (area / ratio).sqrt().clamp(max=1)
    left, top = (uniform(n, -1.0, 1.0, generator) * (1 - side) for side in (width, height))
    mirror = torch.where(torch.rand(n, generator=generator) < 0.5, -1.0, 1.0) if flip else torch.ones(n)
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0], theta[:, 0, 2], theta[:, 1, 1], theta[:, 1, 2] = width * mirror, left, height, top
    grid = F.affine_grid(theta, [n, x.shape[1], size, size], align_corners=False).to(x.device, x.dtype)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def mixed(x: Tensor, share: float, generator: torch.Generator) -> tuple[Tensor, Tensor, float]:
    """A batch, with a probability of `share` mixed with itself in another order: pictures, that order, and the first's part.

    Half of the time MixUp (arXiv 1710.09412), half CutMix (arXiv 1905.04899), both with a uniform part.
    """
    same = torch.arange(len(x))
    if float(torch.rand((), generator=generator)) >= share:
        return x, same, 1.0
    order = torch.randperm(len(x), generator=generator)
    part, cut = (float(v) for v in torch.rand(2, generator=generator))
    if cut >= 0.5:
        return part * x + (1 - part) * x[order], order, part
    height, width = x.shape[-2:]
    tall, wide = (round(side * math.sqrt(1 - part)) for side in (height, width))
    top, left = (int(torch.randint(side - held + 1, (), generator=generator)) for side, held in ((height, tall), (width, wide)))
    out = x.clone()
    out[..., top : top + tall, left : left + wide] = x[order][..., top : top + tall, left : left + wide]
    return out, order, 1 - tall * wide / (height * width)
