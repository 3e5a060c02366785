"""A small fit whose weights are cut or whole; by itself one process of it: python fitting.py FOLDER WIDTH STEPS WEIGHTS RULE.

It leaves FOLDER/RANK.json with the bytes of all tensors in memory between two steps, and FOLDER/RANK.safetensors with the trained
weights. RULE 1: an update rule with inner products of whole gradients, as that of `barrier`.
"""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path

import torch
from torch import nn

from scarce.contract import Budget, Fitting, Phase, State, Term, UpdateResult
from scarce.files import write_tensors
from scarce.runtime.options import RuntimeOptions
from scarce.runtime.processes import launched
from scarce.runtime.runtime import SharedRuntime

ROWS = 64


class Block(nn.Module):
    """Two layers; `scale` has no axis to cut along."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.wide, self.narrow, self.scale = nn.Linear(width, 4 * width), nn.Linear(4 * width, width), nn.Parameter(torch.tensor(0.5))

    def forward(self, h):
        return h + self.scale * self.narrow(torch.tanh(self.wide(h)))


class Network(nn.Module):
    """Blocks in a list, between layers of odd sizes; `same` is one weight in two places, `unused` never gets a gradient."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inward, self.blocks, self.outward = nn.Linear(5, width), nn.ModuleList(Block(width) for _ in range(4)), nn.Linear(width, 5)
        self.first, self.second, self.unused = nn.Linear(5, 5), nn.Linear(5, 5), nn.Linear(3, 1)
        self.second.weight = self.first.weight
        self.frozen = nn.Linear(5, 5).requires_grad_(False)

    def forward(self, x):
        h = self.inward(self.second(self.first(x)) + self.frozen(x))
        for block in self.blocks:
            h = block(h)
        return State(self.outward(h), x[:, :0])


def projected(ctx):
    """Gradient of `one`, without its part along that of `two` where they disagree."""
    a, b = ctx.gradients["one"], ctx.gradients["two"]

    def inner(x, y):
        return float(sum((p.double() * q.double()).sum() for p, q in zip(x, y, strict=True) if p is not None))

    share = min(0.0, inner(a, b)) / inner(b, b) - 0.5
    found = tuple(None if p is None else p - share * q for p, q in zip(a, b, strict=True))
    return UpdateResult(gradients=found, state={"share": torch.tensor(share)}, log={"share": share})


def held() -> int:
    """Bytes of all tensors in memory, those of one memory once."""
    gc.collect()
    found = [t for t in gc.get_objects() if issubclass(type(t), torch.Tensor) and type(t) in (torch.Tensor, nn.Parameter)]
    return sum({t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in found}.values())


class Stop(Exception):
    """The fit is left in the midst of a step."""


def trained(folder: Path, *, width: int, steps: int, weights: str, rule: bool = True, stop: int = 0, measure: bool = False) -> None:
    """Train, from the checkpoints in the folder if there are any; leave after step `stop` (0: not) with a checkpoint each 20 steps."""
    processes = launched()
    torch.manual_seed(0)
    network, x = Network(width), torch.randn(ROWS, 5)
    model = nn.ModuleDict({"network": network, "head": nn.Linear(5, 5)})
    sizes: list[int] = []

    def loss_of(goal):
        def loss(draw):
            if stop and draw.step == stop:
                raise Stop
            if measure and len(sizes) < 4 and draw.step > 20:
                sizes.append(held())
            return ((model["head"](network(x[draw.rows]).num) - goal(x[draw.rows])) ** 2).mean(1)

        return loss

    first = processes.rank == 0
    terms = (Term(name="one"), Term(name="two"))
    phase = Phase(name="p", terms=terms, budget=Budget(steps=steps, batch=9, rate=1e-3, clip=0.5, ema=0.99, weight_decay=0.1))
    options = RuntimeOptions(precision="fp32", threads=1, device="cpu", weights=weights, checkpoint_seconds=0 if stop else 1e9)
    runtime = SharedRuntime(seed=1, options=options, folder=folder if first else None)
    fitting = Fitting(
        phase=phase, model=model, losses={"one": loss_of(lambda x: x.flip(1)), "two": loss_of(torch.sin)},
        pools={"all": torch.arange(ROWS)}, update=projected if rule else None, checkpoints=folder / "checkpoints" if first else None,
    )  # fmt: skip
    fitted = runtime.fit(fitting, processes, network if runtime.cuts(processes) else None)
    facts = {"held": min(sizes, default=0), "step": fitted.cpu_seconds / steps, "weights": sum(p.numel() for p in model.parameters())}
    (folder / f"{processes.rank}.json").write_text(json.dumps(facts))
    write_tensors(folder / f"{processes.rank}.safetensors", {n: p.detach() for n, p in model.named_parameters()})


if __name__ == "__main__":
    place, width, steps, kind, rule = sys.argv[1:]
    trained(Path(place), width=int(width), steps=int(steps), weights=kind, rule=rule == "1", measure=True)
