"""Checks of acquisition scores, on a pool of twelve samples of three classes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from scarce.contract import ScoreContext
from scarce.host import Scope
from scarce.testing.bench import Bench
from scarce.testing.general import Check, Worked, of_work
from scarce.testing.prints import fingerprint, largest_difference
from scarce.testing.report import Fatal, Flaw, Skip

POOL, CLASSES, PASSES, WIDTH = 12, 3, 4, 5
NEEDS = {"passes": "learner:stochastic", "features": "learner:features", "labelled": "learner:features"}


def pool(bench: Bench, n: int = POOL, scale: float = 1.0) -> dict[str, Any]:
    """Tensors of a context of n samples; only what the manifest requires of a learner is there."""
    random = torch.Generator().manual_seed(5)
    facts = {
        "logits": scale * torch.randn(POOL, CLASSES, generator=random)[:n],
        "passes": scale * torch.randn(PASSES, POOL, CLASSES, generator=random)[:, :n],
        "features": torch.randn(POOL, WIDTH, generator=random)[:n],
        "labelled": torch.randn(3, WIDTH, generator=random),
        "y": torch.randint(CLASSES, (POOL,), generator=random)[:n],
    }
    return {name: value for name, value in facts.items() if NEEDS.get(name, "") in ("", *bench.row.requires)}


def score(scope: Scope, facts: dict[str, Any], seed: int = 9) -> Tensor:
    """The scores under a fixed generator."""
    return scope.acquisition_score("acquisition", ScoreContext(**facts, generator=torch.Generator().manual_seed(seed)))


def answers(bench: Bench) -> None:
    """[n] finite scores, from what the manifest requires of a learner and nothing else."""
    found = score(bench.scope(), pool(bench))
    if found.shape != (POOL,) or not found.is_floating_point():
        raise Fatal(f"{POOL} samples must have scores of shape [{POOL}] (floats), not {list(found.shape)} ({found.dtype})")
    if not bool(torch.isfinite(found).all()):
        raise Fatal(f"scores of ordinary samples are not finite: {found.tolist()}")


def permutation(bench: Bench) -> None:
    """Samples in another order have the same scores in that order."""
    if largest_difference(score(bench.scope(), pool(bench), 1), score(bench.scope(), pool(bench), 2)) > 0:
        raise Skip("it is drawn by chance from ctx.generator")
    facts, order = pool(bench), torch.randperm(POOL, generator=torch.Generator().manual_seed(1))
    turned = {k: v[:, order] if k == "passes" else v if k == "labelled" else v[order] for k, v in facts.items()}
    there, back = score(bench.scope(), facts)[order], score(bench.scope(), turned)
    if largest_difference(there, back) > 1e-5:
        raise Flaw("a sample's score depends on where it stands in the pool")


def small_pool(bench: Bench) -> None:
    """One sample, and fewer samples than classes, have finite scores too."""
    for n in (1, 2):
        found = score(bench.scope(), pool(bench, n))
        if found.shape != (n,) or not bool(torch.isfinite(found).all()):
            raise Flaw(f"a pool of {n} has scores {found.tolist()} of shape {list(found.shape)}")


def certain(bench: Bench) -> None:
    """Logits of a learner that is sure, or was never trained, have finite scores."""
    for scale in (200.0, 0.0):
        found = score(bench.scope(), pool(bench, scale=scale))
        if not bool(torch.isfinite(found).all()):
            raise Flaw(f"scores are not finite where logits are {'far apart' if scale else 'all equal'}: {found.tolist()}")


def no_gradient(bench: Bench) -> None:
    """Without a gradient in its inputs a score has none, and gradients are on as before."""
    found = score(bench.scope(), pool(bench))
    if found.requires_grad:
        raise Flaw("a score of inputs without gradients carries one: nothing of the score itself may train")
    if not torch.is_grad_enabled():
        torch.set_grad_enabled(True)
        raise Flaw("gradients are switched off afterwards; use `with torch.no_grad():`")


def inputs_kept(bench: Bench) -> None:
    """The tensors of the context are as they were."""
    facts = pool(bench)
    before = fingerprint(facts)
    score(bench.scope(), facts)
    if fingerprint(facts) != before:
        raise Flaw("a tensor of the context was changed in place")


def differentiable(bench: Bench) -> None:
    """Gradients reach the inputs, and are finite also where the learner is sure."""
    for scale in (1.0, 200.0):
        facts = pool(bench, scale=scale)
        inputs = [facts[k].requires_grad_(True) for k in ("logits", "passes", "features") if k in facts]
        found = score(bench.scope(), facts)
        if not found.requires_grad:
            raise Flaw("the score has no gradient")
        gradients = [g for g in torch.autograd.grad(found.sum(), inputs, allow_unused=True) if g is not None]
        if not all(bool(torch.isfinite(g).all()) for g in gradients):
            raise Flaw("a gradient is not finite")
        if scale == 1.0 and not any(bool(g.abs().sum() > 0) for g in gradients):
            raise Flaw("every gradient is 0")


def work(bench: Bench) -> Worked:
    """Scores of a pool in which every sample comes twice."""
    made, facts = bench.built(), pool(bench)
    twice = {k: v if k == "labelled" else torch.cat([v, v], 1 if k == "passes" else 0) for k, v in facts.items()}
    return Worked(held=[made.loaded[bench.path].instance], result=score(made.scope, twice))


CHECKS: dict[str, Check] = {
    "answers": answers,
    "permutation": permutation,
    "small-pool": small_pool,
    "certain": certain,
    "no-gradient": no_gradient,
    "inputs-kept": inputs_kept,
    "score:differentiable": differentiable,
    **of_work(work),
}
