"""Checks of conditioners: what prompts become, with and without an answer."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from scarce.contract import Embedded, Prompt
from scarce.testing.bench import Bench, Ready
from scarce.testing.general import Check, Worked, of_work
from scarce.testing.network import answer, called_linears, condition_of, noisy, prompts, ready, require_reached
from scarce.testing.prints import fingerprint, largest_difference
from scarce.testing.report import Fatal, Flaw, Skip


def part_of(made: Ready) -> nn.Module:
    """The conditioner that is checked: the component, or what a backbone brings."""
    parts = made.made.model.conditions.parts
    if not len(parts):
        raise Flaw("it claims to answer prompts and brings no conditioner")
    return parts[0]


def embed(part: nn.Module, asked: list[Prompt]) -> Embedded:
    """Tokens of prompts."""
    out: Embedded = part(part.prepare(asked))  # type: ignore[operator]
    return out


def answers(bench: Bench) -> None:
    """`prepare` gives one row per prompt; tokens [n, l, width], mask [n, l] bool and pooled [n, width]."""
    made = ready(bench)
    part, asked = part_of(made), prompts(made, bench)
    inputs = part.prepare(asked)  # type: ignore[operator]
    if not isinstance(inputs, torch.Tensor) or len(inputs) != len(asked) or inputs.device.type != "cpu":
        raise Fatal(f"prepare must give a CPU tensor of {len(asked)} rows for {len(asked)} prompts")
    said, width = part(inputs), part.width
    n, length = said.mask.shape
    shapes = [list(said.tokens.shape), list(said.pooled.shape)]
    if n != len(asked) or shapes != [[n, length, width], [n, width]] or said.mask.dtype != torch.bool:
        raise Fatal(f"{n} prompts have tokens {shapes[0]}, mask {[n, length]} {said.mask.dtype} and pooled {shapes[1]} at width {width}")
    if not all(bool(torch.isfinite(x).all()) for x in (said.tokens, said.pooled)):
        raise Fatal("tokens are not finite")


def rows_apart(bench: Bench) -> None:
    """A prompt means the same alone, in a batch, and in another order."""
    made = ready(bench)
    part, asked = part_of(made), prompts(made, bench)
    said, turned, alone = embed(part, asked), embed(part, asked[::-1]), embed(part, asked[1:2])
    if largest_difference(said.pooled, turned.pooled.flip(0)) > 1e-4 or largest_difference(said.pooled[1:2], alone.pooled) > 1e-4:
        raise Flaw("what a prompt becomes depends on the other prompts of its batch")


def empty_prompt(bench: Bench) -> None:
    """A prompt that asks for nothing has finite tokens."""
    made = ready(bench)
    said = condition_of(made.made.model, [Prompt(), *prompts(made, bench, 2)])
    if not bool(torch.isfinite(said.tokens).all()):
        raise Flaw("tokens of an empty prompt are not finite")


def gradients(bench: Bench) -> None:
    """Every trainable parameter gets a gradient."""
    made = ready(bench)
    part = part_of(made)
    asked = prompts(made, bench)

    def run() -> Tensor:
        said = embed(part, asked)
        return torch.cat([said.tokens.flatten(1), said.pooled], 1)

    require_reached(part, run)


def save_load(bench: Bench) -> None:
    """What was saved and opened again says the same."""
    made = ready(bench)
    made.train()
    made.made.model.activate(made.made.model.plan.leaves()[0].name)
    asked = prompts(made, bench)
    first = condition_of(made.made.model, asked)
    opened = bench.again(made).made.model
    opened.activate(opened.plan.leaves()[0].name)
    if fingerprint(condition_of(opened, asked).tokens) != fingerprint(first.tokens):
        raise Flaw("tokens differ after the generator was saved and opened again")


def of_label(bench: Bench) -> None:
    """Other labels have other tokens, whatever the text."""
    classes = bench.dataset.classes
    if len(classes) < 2:
        raise Skip("the data have no two classes")
    _differ(bench, [Prompt(label=label, text="the same") for label in classes[:2]], "label")


def of_text(bench: Bench) -> None:
    """Other texts have other tokens, whatever the label."""
    classes = bench.dataset.classes or ("one", "two")
    _differ(bench, [Prompt(label=None, text=f"a {value} one") for value in classes[:2]], "text")


def _differ(bench: Bench, asked: list[Prompt], what: str) -> None:
    said = embed(part_of(ready(bench)), asked)
    if said.tokens[0].shape == said.tokens[1].shape and largest_difference(said.tokens[0], said.tokens[1]) == 0:
        raise Flaw(f"two prompts that differ in their {what} have the same tokens")


def of_tokens(bench: Bench) -> None:
    """Tokens differ between prompts, and every prompt has one that counts."""
    made = ready(bench)
    said = embed(part_of(made), prompts(made, bench, 2))
    if largest_difference(said.tokens[0], said.tokens[1]) == 0 or not bool(said.mask.any(1).all()):
        raise Flaw("tokens are the same for different prompts, or all hidden")


def of_pooled(bench: Bench) -> None:
    """The pooled vector differs between prompts."""
    made = ready(bench)
    said = embed(part_of(made), prompts(made, bench, 2))
    if largest_difference(said.pooled[0], said.pooled[1]) == 0:
        raise Flaw("the pooled vector is the same for different prompts")


def dropout(bench: Bench) -> None:
    """A dropped prompt is NULL: the same for all, finite, and apart from the prompts that stay."""
    made = ready(bench)
    conditions, asked = made.made.model.conditions, prompts(made, bench, 3)
    with torch.no_grad():
        inputs = conditions.prepare(asked)
        given, dropped = conditions(inputs), conditions(inputs, torch.tensor([True, False, True]))
    if not bool(torch.isfinite(dropped.tokens).all()) or largest_difference(dropped.tokens[1], given.tokens[1]) > 1e-6:
        raise Flaw("NULL is not finite, or dropping one prompt changes another")
    if largest_difference(dropped.pooled[0], dropped.pooled[2]) > 1e-6:
        raise Flaw("two dropped prompts are not the same")
    nothing = getattr(part_of(made), "nothing", None)
    if nothing is not None and len(nothing) != 1:
        raise Flaw(f"its own NULL must have one row, not {len(nothing)}")


def of_gradient(bench: Bench) -> None:
    """Tokens and the pooled vector are numbers that can be moved, and the network hears it."""
    made = ready(bench)
    said = condition_of(made.made.model, prompts(made, bench))
    if not (said.tokens.is_floating_point() and said.pooled is not None and said.pooled.is_floating_point()):
        raise Flaw(f"tokens are {said.tokens.dtype}: a gradient can't move them")
    tokens, pooled = said.tokens.clone().requires_grad_(True), said.pooled.clone().requires_grad_(True)
    x, t = noisy(made)
    out = answer(made.made.model, x, t, replace(said, tokens=tokens, pooled=pooled))
    found = torch.autograd.grad(out.num.square().sum() + out.cat.square().sum(), [tokens, pooled], allow_unused=True)
    if not any(g is not None and bool(torch.isfinite(g).all()) and bool(g.abs().sum() > 0) for g in found):
        raise Flaw("no gradient reaches the condition through the network")


def linear(bench: Bench) -> None:
    """Linear layers take part in what prompts become."""
    made = ready(bench)
    part = part_of(made)
    if not called_linears(part, lambda: embed(part, prompts(made, bench, 2))):
        raise Flaw("no linear layer takes part in what it does")


def work(bench: Bench) -> Worked:
    """Tokens of prompts from a fresh generator."""
    made = ready(bench)
    said = condition_of(made.made.model, prompts(made, bench))
    return Worked(held=[made.assembly.loaded[bench.path].instance, part_of(made)], result=[said.tokens, said.pooled, said.mask])


CAPABILITIES: dict[str, Check] = {
    "cond:label": of_label,
    "cond:text": of_text,
    "cond:tokens": of_tokens,
    "cond:pooled": of_pooled,
    "cond:dropout": dropout,
    "cond:differentiable": of_gradient,
}

CHECKS: dict[str, Check] = {
    "answers": answers,
    "rows-apart": rows_apart,
    "empty-prompt": empty_prompt,
    "gradients": gradients,
    "save-load": save_load,
    **CAPABILITIES,
    "layers:linear": linear,
    **of_work(work),
}
