"""What checks of networks and conditioners share: a built generator, its inputs, and weights that do something."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from scarce.contract import Condition, Prompt, State
from scarce.runs.model import Model
from scarce.testing.bench import GENERATE, Bench, Ready
from scarce.testing.prints import largest_difference
from scarce.testing.report import Flaw, Skip

ROWS = 6
TEMPLATE = {"generate": {**GENERATE, "prompt": "a {} one"}}


def ready(bench: Bench, seed: int = 0) -> Ready:
    """A generator with the component in it; prompts have a label and a text."""
    return bench.ready(seed, **({} if bench.data.style else TEMPLATE))


def shaken(module: nn.Module) -> None:
    """Every parameter moved a little, so that layers that begin at 0 do something."""
    random = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.is_floating_point():
                parameter.add_(0.05 * torch.randn(parameter.shape, generator=random).to(parameter))


def noisy(made: Ready, n: int = ROWS) -> tuple[State, Tensor]:
    """x_T of n samples, and a time for each."""
    process = made.made.process
    steps = process.options.steps
    return process.start(n, torch.Generator().manual_seed(4), "cpu"), torch.linspace(0, steps - 1, n).long()


def prompts(made: Ready, bench: Bench, n: int = ROWS) -> list[Prompt]:
    """n prompts, of classes in turn."""
    classes: Sequence[Any] = bench.dataset.classes or ("thing",)
    label = (lambda v: v) if bench.dataset.classes else (lambda v: None)
    return [Prompt(label=label(classes[i % len(classes)]), text=f"a {classes[i % len(classes)]} one") for i in range(n)]


def condition_of(model: Model, asked: Sequence[Prompt]) -> Condition:
    """What the network hears of prompts, without gradients."""
    with torch.no_grad():
        out: Condition = model.conditions(model.conditions.prepare(asked))
    return out


def answer(model: Model, x: State, t: Tensor, condition: Condition) -> State:
    """The network's prediction."""
    out: State = model.backbone(x, t, condition, x.mask)
    return out


def values(state: State) -> Tensor:
    """[b, ..] everything a prediction says."""
    return torch.cat([state.num.flatten(1).float(), state.cat.flatten(1).float()], 1)


def differ(a: State, b: State) -> bool:
    """Whether two predictions are not the same."""
    return largest_difference(values(a), values(b)) > 1e-7


def called_linears(module: nn.Module, run: Callable[[], object], within: str = "") -> list[str]:
    """Linear layers that are called while `run()` goes on, by name; within: only those below modules of such a class or name."""
    called: list[str] = []
    inside = [n for n, m in module.named_modules() if n and within in f"{type(m).__name__} {n}".lower()] if within else [""]
    handles = [
        part.register_forward_hook(lambda m, i, o, name=name: called.append(name))
        for name, part in module.named_modules()
        if isinstance(part, nn.Linear) and any(name.startswith(start) for start in inside)
    ]
    try:
        with torch.no_grad():
            run()
    finally:
        for handle in handles:
            handle.remove()
    return called


def require_reached(module: nn.Module, run: Callable[[], Tensor]) -> None:
    """Raise Flaw unless every parameter gets a finite gradient of `run()`; Skip for a module without any."""
    for parameter in module.parameters():
        parameter.requires_grad_(parameter.is_floating_point())
    named = {n: p for n, p in module.named_parameters() if p.requires_grad}
    if not named:
        raise Skip("it has no parameters")
    found = torch.autograd.grad(run().square().sum(), list(named.values()), allow_unused=True)
    missing = [name for name, g in zip(named, found, strict=True) if g is None or not bool(torch.isfinite(g).all())]
    if missing:
        raise Flaw(f"no finite gradient reaches {', '.join(missing[:5])}" + (f" and {len(missing) - 5} more" if len(missing) > 5 else ""))
