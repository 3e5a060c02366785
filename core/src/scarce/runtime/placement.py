"""Where the trained weights of a fit are: whole in every process, or cut over all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import NoReturn, Protocol

import torch
from torch import Tensor

from scarce.errors import TrainingError
from scarce.runtime.processes import Processes

Gradients = list[Tensor | None]
Bag = dict[str, Tensor]


class Placement(Protocol):
    """What the training loop asks of its weights.

    tensors: name -> what this process holds of a weight, its values and its gradient; cut: whether that is only a part.
    """

    tensors: dict[str, torch.nn.Parameter]
    cut: bool

    def take(self) -> Gradients:
        """The gradients since the last call, one per weight, which are forgotten here."""

    def add(self, gradients: Sequence[Tensor | None]) -> Gradients:
        """What was taken, added up over all processes, as an update rule sees it; None where no process has one."""

    def ruling(self) -> AbstractContextManager[object]:
        """An update rule works inside."""

    def settle(self, gradients: Sequence[Tensor | None]) -> None:
        """Make gradients, as `add` gives them, those of `tensors`."""

    def clip(self, limit: float) -> None:
        """Scale the gradients down to that norm of all of them."""

    def agreed(self, wanted: bool) -> bool:
        """What the first process wants, where all must do the same."""

    def whole(self, bag: Mapping[str, Tensor]) -> Bag:
        """A bag of `Weights` with whole tensors; all processes call it, and the first one has them."""

    def own(self, bag: Mapping[str, Tensor]) -> Bag:
        """What this process holds of a bag with whole tensors."""

    def end(self) -> None:
        """Leave the weights in the model, whole."""


class Whole:
    """Weights that every process holds; their gradients are added up."""

    cut = False

    def __init__(self, named: Mapping[str, torch.nn.Parameter], processes: Processes) -> None:
        self.tensors, self.processes = dict(named), processes

    def take(self) -> Gradients:
        """Gradients of this process's rows."""
        found = [p.grad for p in self.tensors.values()]
        for p in self.tensors.values():
            p.grad = None
        return found

    def add(self, gradients: Sequence[Tensor | None]) -> Gradients:
        """Their sums."""
        return self.processes.add(gradients, list(self.tensors.values()))

    def ruling(self) -> AbstractContextManager[object]:
        """Nothing is special."""
        return nullcontext()

    def settle(self, gradients: Sequence[Tensor | None]) -> None:
        """Put them in place."""
        for p, gradient in zip(self.tensors.values(), gradients, strict=True):
            p.grad = gradient

    def clip(self, limit: float) -> None:
        """By torch's own rule."""
        torch.nn.utils.clip_grad_norm_(self.tensors.values(), limit, foreach=True)

    def agreed(self, wanted: bool) -> bool:
        """What this process wants."""
        return wanted

    def whole(self, bag: Mapping[str, Tensor]) -> Bag:
        """The bag."""
        return dict(bag)

    def own(self, bag: Mapping[str, Tensor]) -> Bag:
        """The bag."""
        return dict(bag)

    def end(self) -> None:
        """They are there."""


class Unreadable(Mapping[str, torch.nn.Parameter]):
    """Parameters that a loss may not look at beside the network's call, for no process has them whole."""

    def __init__(self, phase: str, term: str, named: Mapping[str, torch.nn.Parameter]) -> None:
        self.phase, self.term, self.named = phase, term, named

    def __getitem__(self, name: str) -> NoReturn:
        what = f"phase '{self.phase}': term '{self.term}' reads the weight {name} itself, and weights are sharded"
        raise TrainingError(what, hint="--set runtime.weights=whole; scarce resume RUN takes it too")

    def __iter__(self) -> Iterator[str]:
        return iter(self.named)

    def __len__(self) -> int:
        return len(self.named)
