"""What `varied` does to pictures [b, c, h, w] in [-1, 1]: mirrors and other colours."""

from __future__ import annotations

import torch
from torch import Tensor


def rgb(code: str) -> Tensor:
    """[3] in 0-1 of a colour like "#2699e6"."""
    return torch.tensor([int(code[i : i + 2], 16) / 255 for i in (1, 3, 5)], dtype=torch.float64)


def recolouring(source: Tensor, target: Tensor) -> Tensor:
    """[3, 3] M with M grey = grey and M source = target, colours [3] that are no greys.

    So what is drawn on a grey ground in one colour, its thin and soft edges too, looks as if drawn in the other. M turns and scales what is
    at right angles to both as much as the colour itself.
    """
    grey = torch.ones(3, dtype=torch.float64)
    before, after = (torch.stack([grey, colour, torch.linalg.cross(grey, colour)], 1) for colour in (source, target))
    out: Tensor = after @ torch.linalg.inv(before)
    return out


def recoloured(pictures: Tensor, maps: Tensor) -> Tensor:
    """[b, 3, h, w] in [-1, 1] through a map of colours each; maps [b, 3, 3] keep greys, so they act on -1 to 1 as on 0 to 1."""
    parts = maps.to(pictures)[..., None, None] * pictures[:, None]  # no matrix product, which autocast would round to 16 bits
    return parts.sum(2).clamp(-1, 1)


def mirrored(pictures: Tensor, turned: Tensor) -> Tensor:
    """[b, c, h, w] pictures, mirrored where `turned` [b]."""
    return torch.where(turned.to(pictures.device)[:, None, None, None], pictures.flip(-1), pictures)
