"""Several models share one accelerator: the least recently used leave when the byte budget is full."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def model_bytes(module: torch.nn.Module) -> int:
    """Bytes of parameters and buffers."""
    return sum(t.numel() * t.element_size() for t in [*module.parameters(), *module.buffers()])


class Residency:
    """Keeps modules on `device` under `budget` bytes (None: unbounded); evicted ones go to the CPU."""

    def __init__(self, device: torch.device, budget: int | None) -> None:
        self.device = device
        self.budget = budget
        self._inside: OrderedDict[int, torch.nn.Module] = OrderedDict()
        self._pins: dict[int, int] = {}

    @property
    def used(self) -> int:
        """Bytes of the modules inside."""
        return sum(model_bytes(m) for m in self._inside.values())

    @contextmanager
    def resident(self, *modules: torch.nn.Module) -> Iterator[None]:
        """Modules on the device inside; nested use is counted, exceptions are safe."""
        for module in modules:
            self._pins[id(module)] = self._pins.get(id(module), 0) + 1
        try:
            for module in modules:
                self._enter(module)
            yield
        finally:
            for module in modules:
                self._pins[id(module)] -= 1

    def _enter(self, module: torch.nn.Module) -> None:
        key = id(module)
        if key not in self._inside:
            self._make_room(model_bytes(module))
            module.to(self.device)
        self._inside[key] = module
        self._inside.move_to_end(key)

    def _make_room(self, wanted: int) -> None:
        for key in list(self._inside):
            if self.budget is None or self.used + wanted <= self.budget:
                return
            if not self._pins.get(key):
                self._inside.pop(key).to("cpu")
