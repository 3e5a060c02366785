"""Checks of networks that denoise: shapes, time, condition, gradients, files, and what they claim of their layers."""

from __future__ import annotations

import torch

from scarce.contract import State
from scarce.testing.bench import Bench
from scarce.testing.conditioner import CAPABILITIES
from scarce.testing.general import Check, Worked, of_work
from scarce.testing.network import answer, called_linears, condition_of, differ, noisy, prompts, ready, require_reached, shaken, values
from scarce.testing.prints import fingerprint, largest_difference
from scarce.testing.report import Fatal, Flaw, Skip


def answers(bench: Bench) -> None:
    """A prediction has the shape of what it is of, and logits for every level of a category."""
    made = ready(bench)
    space, (x, t) = made.made.codec.space, noisy(made)
    out = answer(made.made.model, x, t, condition_of(made.made.model, prompts(made, bench)))
    logits = [len(x), *space.shape, sum(space.levels)]
    if out.num.shape != x.num.shape or list(out.cat.shape) != logits:
        raise Fatal(f"num must be {list(x.num.shape)} and cat {logits}, not {list(out.num.shape)} and {list(out.cat.shape)}")
    if not bool(torch.isfinite(values(out)).all()):
        raise Fatal("the prediction is not finite")


def batch_of_one(bench: Bench) -> None:
    """A sample alone has the prediction that it has in a batch."""
    made = ready(bench)
    model, (x, t) = made.made.model, noisy(made)
    shaken(model.backbone)
    model.backbone.eval()
    condition = condition_of(model, prompts(made, bench))
    with torch.no_grad():
        alone, together = answer(model, x[1:2], t[1:2], condition[1:2]), answer(model, x, t, condition)
    if largest_difference(values(alone), values(together)[1:2]) > 1e-3:
        raise Flaw("a sample's prediction depends on the other samples of its batch")


def time(bench: Bench) -> None:
    """Another time, another prediction."""
    made = ready(bench)
    model, (x, t) = made.made.model, noisy(made)
    shaken(model.backbone)
    condition = condition_of(model, prompts(made, bench))
    with torch.no_grad():
        first, last = (answer(model, x, torch.full_like(t, value), condition) for value in (0, int(t.max())))
    if not differ(first, last):
        raise Flaw("the prediction does not depend on the time")


def condition(bench: Bench) -> None:
    """What is asked changes the prediction, where the network requires a condition; NULL is heard too."""
    made = ready(bench)
    model, (x, t) = made.made.model, noisy(made)
    shaken(model.backbone)
    with torch.no_grad():
        given, null = condition_of(model, prompts(made, bench)), model.conditions.nothing(len(x))
        first, other = answer(model, x, t, given), answer(model, x, t, null)
    if not bool(torch.isfinite(values(other)).all()):
        raise Flaw("the prediction under NULL is not finite")
    wants = [name for name in (*bench.row.requires, *bench.row.provides) if name.startswith("cond:")]
    if wants and not differ(first, other):
        raise Flaw(f"it speaks of {', '.join(wants)}, and its prediction does not depend on the condition")


def gradients(bench: Bench) -> None:
    """Every trainable parameter gets a gradient."""
    made = ready(bench)
    model, (x, t) = made.made.model, noisy(made)
    shaken(model.backbone)
    heard = condition_of(model, prompts(made, bench))
    require_reached(model.backbone, lambda: values(answer(model, x, t, heard)))


def half(bench: Bench) -> None:
    """Under bfloat16 the prediction is finite."""
    made = ready(bench)
    model, (x, t) = made.made.model, noisy(made)
    shaken(model.backbone)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        out = answer(model, x, t, condition_of(model, prompts(made, bench)))
    if not bool(torch.isfinite(values(out)).all()):
        raise Flaw("the prediction is not finite in bfloat16")


def save_load(bench: Bench) -> None:
    """What was saved and opened again predicts the same."""
    made = ready(bench)
    made.train()
    model = made.made.model
    model.activate(model.plan.leaves()[0].name)
    (x, t), heard = noisy(made), condition_of(model, prompts(made, bench))
    opened = bench.again(made).made.model
    opened.activate(opened.plan.leaves()[0].name)
    model.backbone.eval()
    opened.backbone.eval()
    with torch.no_grad():
        if fingerprint(values(answer(model, x, t, heard))) != fingerprint(values(answer(opened, x, t, heard))):
            raise Flaw("predictions differ after the generator was saved and opened again")


def mask(bench: Bench) -> None:
    """What stands where no position exists changes nothing where one does."""
    made = ready(bench)
    model, (x, t) = made.made.model, noisy(made)
    if x.mask is None or bool(x.mask.all()):
        raise Skip("samples of this space have one length")
    shaken(model.backbone)
    model.backbone.eval()
    heard, hidden = condition_of(model, prompts(made, bench)), ~x.mask.unsqueeze(-1)
    with torch.no_grad():
        first, other = answer(model, x, t, heard), answer(model, State(x.num + 3.0 * hidden, x.cat, x.mask), t, heard)
    kept = x.mask.unsqueeze(-1)
    if largest_difference(first.num * kept, other.num * kept) > 1e-3:
        raise Flaw("positions that do not exist change the prediction at those that do")


def linear(bench: Bench) -> None:
    """Linear layers take part in the prediction, so an adapter on them does too."""
    _called(bench, "", "no linear layer takes part in the prediction")


def attention(bench: Bench) -> None:
    """Linear layers of an attention take part in the prediction."""
    _called(bench, "att", "no linear layer of a module called attention takes part in the prediction")


def _called(bench: Bench, within: str, said: str) -> None:
    made = ready(bench)
    model, (x, t) = made.made.model, noisy(made)
    heard = condition_of(model, prompts(made, bench))
    if not called_linears(model.backbone, lambda: answer(model, x, t, heard), within):
        raise Flaw(said)


def grad_input(bench: Bench) -> None:
    """Gradients reach the noisy sample."""
    made = ready(bench)
    model, (x, t) = made.made.model, noisy(made)
    shaken(model.backbone)
    leaf = x.num.clone().requires_grad_(True)
    out = values(answer(model, State(leaf, x.cat, x.mask), t, condition_of(model, prompts(made, bench))))
    found = torch.autograd.grad(out.square().sum(), leaf, allow_unused=True)[0] if out.requires_grad else None
    if found is None or not bool(torch.isfinite(found).all()) or not bool(found.abs().sum() > 0):
        raise Flaw("no finite gradient other than 0 reaches the sample")


def work(bench: Bench) -> Worked:
    """The prediction of a fresh network."""
    made = ready(bench)
    model, (x, t) = made.made.model, noisy(made)
    shaken(model.backbone)
    model.backbone.eval()
    with torch.no_grad():
        out = answer(model, x, t, condition_of(model, prompts(made, bench)))
    return Worked(held=[made.assembly.loaded[bench.path].instance, model.backbone], result=values(out))


CHECKS: dict[str, Check] = {
    "answers": answers,
    "batch-of-one": batch_of_one,
    "time": time,
    "condition": condition,
    "gradients": gradients,
    "bf16": half,
    "mask": mask,
    "save-load": save_load,
    "layers:linear": linear,
    "layers:attention": attention,
    "grad:input": grad_input,
    **CAPABILITIES,
    **of_work(work),
}
