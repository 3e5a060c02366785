"""The processes of one training that `accelerate launch` or `torchrun` started, and what they tell each other.

The first process is the run: it loads, trains, learns, judges and writes. The others wait for its orders, train every phase
with it and draw their part of the shards (`scarce.runs.following`).

Gradients are added up here, after the backward pass, not by a DistributedDataParallel wrapper: that one averages inside one
backward pass of one module, and a step here may be several passes (micro-batches), several gradients kept apart (the update
rule of `barrier`), and a module whose trained parameters change from phase to phase.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from scarce.errors import ScarceError

T = TypeVar("T")
R = TypeVar("R")

CHUNK = 1 << 24  # numbers that are added up at once
PATIENCE = timedelta(days=7)  # the others wait while the first one fits learners


@dataclass(frozen=True)
class Processes:
    """This process and how many there are."""

    rank: int = 0
    size: int = 1

    def share(self, n: int) -> tuple[int, int]:
        """The rows of a batch of n that are this process's: from, to."""
        return n * self.rank // self.size, n * (self.rank + 1) // self.size

    def tell(self, thing: Any = None) -> Any:
        """What the first process says, in every process."""
        if self.size == 1:
            return thing
        box = [thing]
        dist.broadcast_object_list(box, src=0)
        return box[0]

    def gather(self, thing: Any) -> list[Any]:
        """What every process says, in their order."""
        if self.size == 1:
            return [thing]
        found: list[Any] = [None] * self.size
        dist.all_gather_object(found, thing)
        return found

    def divide(self, function: Callable[[T], R], pieces: Sequence[T]) -> list[R]:
        """The result of each piece, in order, where every process calls this with the same and does its part.

        A ScarceError of one is raised in all.
        """
        mine, error = list[R](), None
        try:
            mine += [function(piece) for piece in pieces[self.rank :: self.size]]
        except ScarceError as found:
            error = found
        parts = self.gather((mine, error))
        if wrong := next((found for _, found in parts if found is not None), None):
            raise wrong
        return [parts[i % self.size][0][i // self.size] for i in range(len(pieces))]

    def total(self, numbers: Sequence[Tensor | float]) -> list[float]:
        """Each number added up over all processes."""
        if self.size == 1 or not numbers:
            return [float(v) for v in numbers]
        summed = torch.tensor([float(v) for v in numbers], dtype=torch.float64)
        dist.all_reduce(summed)
        return [float(v) for v in summed]

    def add(self, gradients: Sequence[Tensor | None], parameters: Sequence[Tensor]) -> list[Tensor | None]:
        """Each gradient added up over all processes; None where no process has one."""
        if self.size == 1:
            return list(gradients)
        known = [torch.tensor([float(g is not None)]).to(p) for g, p in zip(gradients, parameters, strict=True)]
        summed = [torch.zeros_like(p) if g is None else g.contiguous() for g, p in zip(gradients, parameters, strict=True)]
        for group in _chunks([part for pair in zip(summed, known, strict=True) for part in pair]):
            flat = torch.cat([part.flatten() for part in group])
            dist.all_reduce(flat)
            for part, total in zip(group, torch.split(flat, [part.numel() for part in group]), strict=True):
                part.copy_(total.view_as(part))
        return [g if flag else None for g, flag in zip(summed, known, strict=True)]


ALONE = Processes()


def launched() -> Processes:
    """The processes that a launcher started (WORLD_SIZE and RANK, set by torchrun and accelerate), connected; or this one alone."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size < 2:
        return ALONE
    if not dist.is_initialized():
        dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo", timeout=PATIENCE)
    return Processes(dist.get_rank(), dist.get_world_size())


def _chunks(tensors: Sequence[Tensor]) -> list[list[Tensor]]:
    """Runs of tensors of one type, about CHUNK numbers each."""
    out: list[list[Tensor]] = []
    held = 0
    for tensor in tensors:
        if not out or held + tensor.numel() > CHUNK or tensor.dtype != out[-1][0].dtype:
            out.append([])
            held = 0
        out[-1].append(tensor)
        held += tensor.numel()
    return out
