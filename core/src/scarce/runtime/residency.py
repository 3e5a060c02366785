"""Several models share one accelerator: the least recently used leave when the byte budget is full."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from scarce.errors import TrainingError


def _tensors(modules: Iterable[torch.nn.Module]) -> dict[int, Tensor]:
    """Parameters and buffers, those that modules share once."""
    return {id(t): t for module in modules for t in (*module.parameters(), *module.buffers())}


def _own(part: torch.nn.Module) -> set[int]:
    """Tensors of a part without those of its own parts."""
    return {id(t) for t in (*part.parameters(recurse=False), *part.buffers(recurse=False))}


def model_bytes(*modules: torch.nn.Module) -> int:
    """Bytes of parameters and buffers, those that modules share once."""
    return sum(t.numel() * t.element_size() for t in _tensors(modules).values())


class Residency:
    """Keeps modules on `device` under `budget` bytes (None: unbounded); evicted ones go to the CPU.

    An evicted module comes back when it, or a part of it, is called, so that a learner may be used after its fit without more
    ado. Modules are known by weak references: one that nobody uses any more is no longer inside. `peak` is the most that was.
    """

    def __init__(self, device: torch.device, budget: int | None) -> None:
        self.device = device
        self.budget = budget
        self.peak = 0
        self._inside: dict[int, weakref.ref[torch.nn.Module]] = {}  # the least recently used first
        self._pins: dict[int, int] = {}
        self._hooks: dict[int, list[RemovableHandle]] = {}  # of evicted modules

    @property
    def inside(self) -> list[torch.nn.Module]:
        """The modules inside, the least recently used first."""
        return [module for module in (ref() for ref in self._inside.values()) if module is not None]

    @property
    def used(self) -> int:
        """Bytes of the modules inside."""
        return model_bytes(*self.inside)

    @contextmanager
    def resident(self, *modules: torch.nn.Module) -> Iterator[None]:
        """Modules on the device inside; nested use is counted, exceptions are safe.

        Raises TrainingError where what is needed at once is more than the budget.
        """
        for module in modules:
            self._pins[id(module)] = self._pins.get(id(module), 0) + 1
        try:
            for module in modules:
                self._enter(module)
            yield
        finally:
            for module in modules:
                self._pins[id(module)] -= 1
                if not self._pins[id(module)]:
                    del self._pins[id(module)]

    def _enter(self, module: torch.nn.Module) -> None:
        if any(other is module for other in self.inside):
            self._inside[id(module)] = self._inside.pop(id(module))
            return
        self._inside = {key: ref for key, ref in self._inside.items() if ref() is not None}
        self._make_room(module)
        try:
            module.to(self.device, non_blocking=True)
        except torch.OutOfMemoryError:  # others use the accelerator too: all that can leave does
            self._evict_until(lambda: False)
            module.to(self.device, non_blocking=True)
        for hook in self._hooks.pop(id(module), ()):
            hook.remove()
        self._inside[id(module)] = weakref.ref(module)
        self.peak = max(self.peak, self.used)

    def _make_room(self, module: torch.nn.Module) -> None:
        if self.budget is None:
            return
        budget = self.budget
        self._evict_until(lambda: model_bytes(module, *self.inside) <= budget)
        if (wanted := model_bytes(module, *self.inside)) > budget:
            what = f"models that are needed at once have {wanted / 1e9:.3g} GB, runtime.memory_gb allows {budget / 1e9:.3g}"
            raise TrainingError(what, hint=f"--set runtime.memory_gb={wanted / 1e9 * 1.01:.3g}, or runtime.device=cpu")

    def _evict_until(self, enough: Callable[[], bool]) -> None:
        """Move modules out, the least recently used first; a tensor that a module still inside uses stays."""
        for key, ref in list(self._inside.items()):
            if enough():
                return
            module = ref()
            if module is None:
                del self._inside[key]
            elif not self._pins.get(key):
                del self._inside[key]
                keep = set(_tensors(self.inside))
                leave(module, keep)
                parts = [module, *(part for part in module.modules() if part is not module and not _own(part) <= keep)]
                self._hooks[key] = [part.register_forward_pre_hook(self._back(ref)) for part in parts]

    def _back(self, ref: weakref.ref[torch.nn.Module]) -> Callable[..., None]:
        def enter(*_: object) -> None:
            if (module := ref()) is not None:
                self._enter(module)

        return enter


def leave(module: torch.nn.Module, keep: set[int]) -> None:
    """Move a module's tensors to the CPU but those with an id in `keep`.

    From CUDA they go into pinned memory, without waiting for each: one wait at the end makes them safe to read, and the way back
    need not wait at all, for what is computed next comes after it in the stream.
    """
    tensors = [t for key, t in _tensors([module]).items() if key not in keep]
    if not all(t.device.type == "cuda" and type(t) in (Tensor, torch.nn.Parameter) for t in tensors):
        if not keep & set(_tensors([module])):
            module.to("cpu")
        return
    for tensor in tensors:
        tensor.data = torch.empty_like(tensor.data, device="cpu", pin_memory=True).copy_(tensor.data, non_blocking=True)
        tensor.grad = None
    torch.cuda.current_stream().synchronize()
