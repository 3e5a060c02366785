"""Classifier-free guidance."""

from __future__ import annotations

from torch import Tensor

from scarce.contract.space import State
from scarce.diffusion.process import Network


def guided(conditional: Network, unconditional: Network, w: float) -> Network:
    """The network u + w (c - u) on predictions and logits; w = 1 is `conditional` itself (Ho & Salimans 2021)."""
    if w == 1.0:
        return conditional

    def network(x_t: State, t: Tensor) -> State:
        c, u = conditional(x_t, t), unconditional(x_t, t)
        return State(u.num.lerp(c.num, w), u.cat.lerp(c.cat, w), c.mask)

    return network
