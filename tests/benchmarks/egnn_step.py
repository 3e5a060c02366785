"""Cost of a training step of the equivariant network over its matrix products, and over messages of ordered pairs, on one thread.

The floor is every linear layer's products of forward and backward, those of cross-attention to one token among them,
in fp32. Molecules have 16 atoms, a batch 64 of them; CPU time, taken in turn.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from train_step import interleaved

from scarce.contract.condition import Condition
from scarce.contract.space import Block, Space, State
from scarce.diffusion.options import DiffusionOptions
from scarce.diffusion.process import Process
from scarce_molecules.backbone import EgnnNetwork
from scarce_molecules.config import Egnn

BATCH, ATOMS, ELEMENTS = 64, 16, 7
SPACE = Space(
    layout="set", shape=(ATOMS,), variable=True,
    blocks=(Block(name="xyz", kind="coordinates", size=3), Block(name="elements", kind="continuous", size=ELEMENTS)),
)  # fmt: skip


def network() -> EgnnNetwork:
    """The network at its defaults."""
    return EgnnNetwork(space=SPACE, condition_width=64, steps=1000, options=Egnn())


def heard() -> Condition:
    """One token per sample."""
    return Condition(torch.randn(BATCH, 1, 64), torch.ones(BATCH, 1, dtype=torch.bool), torch.randn(BATCH, 64))


def training_step() -> Callable[[], None]:
    """Loss, gradients and one step of the optimizer."""
    net, generator, condition = network(), torch.Generator().manual_seed(0), heard()
    mask = torch.ones(BATCH, ATOMS, dtype=torch.bool)
    x0 = State(torch.randn(BATCH, ATOMS, 3 + ELEMENTS), torch.zeros(BATCH, ATOMS, 0, dtype=torch.int64), mask)
    process = Process.fit(SPACE, DiffusionOptions(prior="standard"), x0)
    optimizer = torch.optim.AdamW(net.parameters(), 1e-4, fused=True)

    def step() -> None:
        process.loss(lambda x, t: net(x, t, condition), x0, generator).mean().backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def operands(net: nn.Module, ordered: bool) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Input, weight and output gradient of each linear layer as it is called; ordered: messages of all ordered pairs."""
    found: list[tuple[Tensor, Tensor, Tensor]] = []

    def seen(layer: nn.Linear, given: tuple[Tensor, ...], out: Tensor) -> None:
        rows = out.numel() // layer.out_features
        rows = BATCH * ATOMS * ATOMS if ordered and rows == BATCH * ATOMS * (ATOMS - 1) // 2 else rows
        found.append((torch.randn(rows, layer.in_features), layer.weight.detach(), torch.randn(rows, layer.out_features)))

    handles = [layer.register_forward_hook(seen) for layer in net.modules() if isinstance(layer, nn.Linear)]
    state = State(
        torch.randn(BATCH, ATOMS, 3 + ELEMENTS), torch.zeros(BATCH, ATOMS, 0, dtype=torch.int64), torch.ones(BATCH, ATOMS, dtype=torch.bool)
    )
    with torch.no_grad():
        net(state, torch.zeros(BATCH, dtype=torch.int64), heard())
    for handle in handles:
        handle.remove()
    return found


def products(ordered: bool) -> Callable[[], None]:
    """The three products of every linear layer."""
    taken = operands(network(), ordered)

    def run() -> None:
        for x, weight, gradient in taken:
            torch.mm(x, weight.T)
            torch.mm(gradient.T, x)
            torch.mm(gradient, weight)

    return run


def run(repeats: int = 20) -> list[dict[str, Any]]:
    """Rows {name, ms, over floor}; there is no bound."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        calls = {"products": products(False), "step": training_step(), "products, ordered pairs": products(True)}
        seconds = interleaved(calls, repeats)
    finally:
        torch.set_num_threads(threads)
    floor = seconds["products"]
    return [{"name": name, "ms": 1e3 * value, "over floor": value / floor} for name, value in seconds.items()]
