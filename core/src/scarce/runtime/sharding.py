"""Trained weights of a network cut over the processes of one training, with their gradients and moments: FSDP2.

torch's `fully_shard` gathers the weights of one block at a time for its forward and backward pass, and gives every process its
part of the summed gradients (Zhao et al., "PyTorch FSDP", 2023). It works on a copy of the network's modules that shares all
tensors but those cut; until the phase is over, calls of the network go to the copy, and the cut weights of the network are empty.
"""

from __future__ import annotations

import copy
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Replicate, Shard
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import register_pytree_node, tree_map

from scarce.contract.space import State
from scarce.runtime.placement import Bag, Gradients
from scarce.runtime.processes import Processes

CUT = ("p", "exp_avg", "exp_avg_sq", "a", "best")  # of the names in a bag, those that are as large as the weight itself

# What a network returns must be known as a container of tensors: else the backward pass finds no weights in place.
register_pytree_node(State, lambda s: ([s.num, s.cat, s.mask], None), lambda parts, _: State(*parts))


class Sharded:
    """Weights of a network in parts, cut along their first axis; what trains outside of it stays whole."""

    cut = True

    def __init__(self, named: Mapping[str, nn.Parameter], processes: Processes, network: nn.Module) -> None:
        self.named, self.processes, self.network = dict(named), processes, network
        device = next(iter(named.values())).device
        self.mesh = init_device_mesh(device.type, (processes.size,))
        own = copy.deepcopy(network, {id(t): t for t in (*network.parameters(), *network.buffers())}).train()
        inside = _cuttable(network)
        chosen = {name: inside[id(p)] for name, p in named.items() if id(p) in inside}
        _shard(own, {id(self.named[name]) for name in chosen}, self.mesh)
        placed = dict(own.named_parameters())
        self.parts = {name: cast(DTensor, placed[place]) for name, place in chosen.items()}
        self.tensors = {name: nn.Parameter(self.parts[name].to_local().detach()) if name in self.parts else p for name, p in named.items()}
        for name in self.parts:
            named[name].data = named[name].new_empty(0)
        network.forward = lambda *args, **more: own(*args, **more)

    def take(self) -> Gradients:
        """Gradients: of a cut weight this process's part of the sum, of another that of this process's rows."""
        held: list[Any] = [self.parts.get(name, p) for name, p in self.named.items()]
        found = [p.grad for p in held]
        for p in held:
            p.grad = None
        return found

    def add(self, gradients: Sequence[Tensor | None]) -> Gradients:
        """Whole gradients as distributed tensors: sums and norms of them are those over all processes."""
        places = [i for i, name in enumerate(self.named) if name not in self.parts]
        out, whole = list(gradients), list(self.tensors.values())
        summed = self.processes.add([gradients[i] for i in places], [whole[i] for i in places])
        for i, g in zip(places, summed, strict=True):
            out[i] = None if g is None else DTensor.from_local(g, self.mesh, [Replicate()], run_check=False)
        return out

    def ruling(self) -> AbstractContextManager[object]:
        """A number that is read off a distributed tensor is that of all processes."""
        return _Numbers()  # type: ignore[no-untyped-call]

    def settle(self, gradients: Sequence[Tensor | None]) -> None:
        """Put this process's part of each in place."""
        for (name, p), g in zip(self.tensors.items(), gradients, strict=True):
            if isinstance(g, DTensor):
                g = g.redistribute(placements=[Shard(0) if name in self.parts else Replicate()]).to_local()
            p.grad = g

    def clip(self, limit: float) -> None:
        """By torch's own rule, with the norm over all parts."""
        cut, kept = ([p.grad for n, p in self.tensors.items() if p.grad is not None and (n in self.parts) == yes] for yes in (True, False))
        square = self.processes.total([float(get_total_norm(cut)) ** 2])[0] + float(get_total_norm(kept)) ** 2
        clip_grads_with_norm_(self.tensors.values(), limit, torch.tensor(math.sqrt(square)), foreach=True)

    def agreed(self, wanted: bool) -> bool:
        """What the first process wants."""
        return bool(self.processes.tell(wanted))

    def whole(self, bag: Mapping[str, Tensor]) -> Bag:
        """The bag joined, on the CPU of the first process; the others have what was whole before."""
        out = dict(bag)
        for key, tensor in bag.items():
            if (name := self._cut(key)) is not None:
                joined = self._join(name, tensor)
                out[key] = tensor if self.processes.rank else joined.cpu()
        return out

    def own(self, bag: Mapping[str, Tensor]) -> Bag:
        """Rows of every cut weight."""
        out = dict(bag)
        for key, tensor in bag.items():
            if (name := self._cut(key)) is not None:
                start = self.processes.rank * -(-len(tensor) // self.processes.size)
                out[key] = tensor[start : start + len(self.tensors[name])]
        return out

    def end(self) -> None:
        """Join every weight in every process, and have the network answer itself again."""
        for name in self.parts:
            self.named[name].data = self._join(name, self.tensors[name].detach())
        del self.network.forward

    def _cut(self, key: str) -> str | None:
        """The cut weight that a name in a bag is of."""
        kind, _, name = key.partition("/")
        return name if kind in CUT and name in self.parts else None

    def _join(self, name: str, tensor: Tensor) -> Tensor:
        part = self.parts[name]
        spread = DTensor.from_local(tensor, self.mesh, [Shard(0)], run_check=False, shape=part.shape, stride=part.stride())
        return spread.full_tensor()


class _Numbers(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """`float(t)` of a distributed tensor with a pending sum is that sum; torch alone gives this process's part of it."""

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default and isinstance(args[0], DTensor):
            args = (args[0].full_tensor(),)
        return func(*args, **(kwargs or {}))


def _cuttable(network: nn.Module) -> dict[int, str]:
    """Identity -> name of the parameters that can be cut: in one place, with an axis, in one piece of memory."""
    found = list(network.named_parameters(remove_duplicate=False))
    places = Counter(id(p) for _, p in found)
    return {id(p): name for name, p in found if places[id(p)] == 1 and p.ndim and p.is_contiguous()}


def _shard(network: nn.Module, chosen: set[int], mesh: Any) -> None:
    """Cut the chosen parameters, those of each block in a list of blocks as a group of their own."""
    lists = [part for part in network.modules() if isinstance(part, nn.ModuleList)]
    blocks = [block for part in reversed(lists) for block in part if list(block.children())]
    ignored = {p for p in network.parameters() if id(p) not in chosen}
    for block in (*blocks, network):
        if block is network or (_calls(block) and any(id(p) in chosen for p in block.parameters())):
            block.forward = _apart(block.forward)
            made = fully_shard(block, mesh=mesh, reshard_after_forward=True, ignored_params=ignored)
            made.set_gradient_divide_factor(1.0)
            made.set_force_sum_reduction_for_comms(True)


def _apart(answer: Callable[..., Any]) -> Callable[..., Any]:
    """Views that a block returns in memory of their own: what is done to a view in place would not reach the backward pass."""
    return lambda *args, **more: tree_map(lambda t: t.clone() if isinstance(t, Tensor) and t._is_view() else t, answer(*args, **more))


def _calls(block: nn.Module) -> bool:
    return type(block).forward is not nn.Module.forward and not isinstance(block, nn.ModuleList | nn.ModuleDict)
