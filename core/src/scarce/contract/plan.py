"""The plan: a small graph of training phases, as plain data that can be printed before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, field
from typing import Any

from scarce.contract.frozen import Frozen

BASE = "base"


class Term(Frozen):
    """One term of the loss, with its own rows and condition.

    rows: "all" | "labelled" | "unlabelled"; condition: "given", "null", or the probability of NULL per row;
    loss: "denoise" or "PATH:NAME", a loss of the strategy at that recipe path; same_draw_as: the term whose
    rows, t and noise this one shares.
    """

    name: str
    rows: str = "all"
    condition: str | float = "given"
    loss: str = "denoise"
    weight: float = 1.0
    same_draw_as: str | None = None


class Adapter(Frozen):
    """A small trainable addition to `target` ("backbone", "conditioner.0"), made by the strategy at `owner`."""

    name: str
    target: str
    owner: str
    options: Mapping[str, Any] = field(default_factory=dict)


class Measure(Frozen):
    """Something measured once on the start weights and kept: "PATH:NAME", answered by that strategy."""

    name: str
    owner: str


class Budget(Frozen):
    """How long and how fast: steps, rows per step, learning rate, its decay, weight decay, EMA decay, clipping."""

    steps: int = 800
    batch: int = 512
    rate: float = 3e-3
    decay: str = "cosine"
    warmup: int = 20
    weight_decay: float = 0.0
    ema: float = 0.99
    clip: float = 1.0


class Phase(Frozen):
    """One training phase.

    start: the phase (or "base") whose weights it begins from; classes: labels whose rows it sees (empty: all);
    trainable: recipe paths whose own weights train ("backbone", "conditioner.0"); with ":PART" those of one part of the module,
    with ":fresh" those that no checkpoint brought (`protocols.Backbone.fresh`); update: "sum" or the recipe path of the
    strategy whose `strategy_update` combines per-term gradients; serves: "*" or the label whose conditions it answers at sampling.
    """

    name: str
    start: str = BASE
    classes: tuple[Any, ...] = ()
    adapters: tuple[Adapter, ...] = ()
    trainable: tuple[str, ...] = ()
    terms: tuple[Term, ...] = (Term(name="denoise"),)
    update: str = "sum"
    before: tuple[Measure, ...] = ()
    budget: Budget = Budget()
    serves: Any = "*"


class Plan(Frozen):
    """All phases, each after the one it starts from."""

    phases: tuple[Phase, ...]

    def leaves(self) -> tuple[Phase, ...]:
        """The phases no other starts from: the ones that answer at sampling."""
        starts = {p.start for p in self.phases}
        return tuple(p for p in self.phases if p.name not in starts)

    def lineage(self, name: str) -> tuple[Phase, ...]:
        """The phases from base to `name`, in training order."""
        found = {p.name: p for p in self.phases}
        chain = []
        while name != BASE:
            chain.append(found[name])
            name = found[name].start
        return tuple(reversed(chain))

    def replace(self, name: str, **changes: Any) -> Plan:
        """The plan with fields of one phase replaced."""
        return Plan(phases=tuple(p.with_(**changes) if p.name == name else p for p in self.phases))

    def to_json(self) -> list[dict[str, Any]]:
        """Plain data, for printing and for the run folder."""
        return [asdict(p) for p in self.phases]
