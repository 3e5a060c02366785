"""The one training loop: diffusion, learners, teachers and students all train here.

Every draw of a step is derived from (seed, phase, draw, step), so a checkpoint needs no random state: whatever was
killed, a resumed fit repeats the same steps and ends in the same bytes (CPU, equal threads and versions).

Several processes work on one batch: each on its rows with the draws they have in the whole, and the gradients are added up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor

from scarce.contract.contexts import UpdateContext
from scarce.contract.plan import Budget, Term
from scarce.contract.protocols import Draw, Fitting
from scarce.errors import TrainingError
from scarce.runtime.checkpoint import last_checkpoint, save_checkpoint
from scarce.runtime.order import RowOrder
from scarce.runtime.placing import placed
from scarce.runtime.processes import ALONE, Processes
from scarce.runtime.room import out_of_memory
from scarce.runtime.seeds import generator
from scarce.runtime.weights import Weights

GUARD = 20  # steps between looks at the losses: finite ones are kept as the last good state
ROLLBACKS = 6


def rate_at(budget: Budget, step: int) -> float:
    """The learning rate of one step: linear warm-up, then the budget's decay."""
    warm = min(1.0, (step + 1) / max(budget.warmup, 1))
    done = step / max(budget.steps, 1)
    shape = {"cosine": 0.5 * (1 + math.cos(math.pi * done)), "linear": 1 - done, "constant": 1.0}[budget.decay]
    return budget.rate * warm * shape


class Loop:
    """The state of one fit, and what a step does to it."""

    def __init__(
        self, fitting: Fitting, *, seed: int, autocast: Callable[[], AbstractContextManager[Any]], processes: Processes = ALONE,
        network: torch.nn.Module | None = None,
    ) -> None:  # fmt: skip
        phase, self.processes = fitting.phase, processes
        self.fitting, self.phase, self.budget, self.seed, self.autocast = fitting, phase, phase.budget, seed, autocast
        named = fitting.parameters or {n: p for n, p in fitting.model.named_parameters() if p.requires_grad}
        if not named:
            raise TrainingError(f"phase '{phase.name}' trains nothing: no parameter is trainable", hint="scarce plan RECIPE")
        self.place = placed(named, processes, network, self.budget.batch)
        self.weights = Weights(self.place.tensors, dict(fitting.model.named_buffers()), self.budget)
        self.orders = {term.name: self._order(term) for term in phase.terms}
        self.step, self.good_step, self.attempt, self.factor, self.micro = 0, 0, 0, 1.0, self.budget.batch
        self.state = dict(fitting.state)
        self.events: list[dict[str, Any]] = []
        self.losses: dict[str, float] = {}
        self.sums: dict[str, Tensor] = {}
        self.best, self.stale, self.best_bag = math.inf, 0, dict[str, Tensor]()
        self.good, self.good_state = self.weights.copy(), dict(self.state)
        self.log: dict[str, float] = {}

    def _draw_name(self, term: Term) -> str:
        return f"{self.fitting.label or self.phase.name}/{term.same_draw_as or term.name}"

    def _order(self, term: Term) -> RowOrder:
        shared = next((t for t in self.phase.terms if t.name == term.same_draw_as), term)
        pool = self.fitting.pools[shared.rows]
        if len(pool) == 0:
            which = f"phase '{self.phase.name}', term '{term.name}'"
            raise TrainingError(f"{which}: there are no {shared.rows} rows", hint="scarce data inspect FILE")
        return RowOrder(pool, seed=self.seed, purpose=self._draw_name(term), batch=self.budget.batch)

    def losses_of(self, term: Term) -> Iterator[Tensor]:
        """One scalar loss per micro-batch, already divided so that they add up to the batch's mean over all processes."""
        rows = self.orders[term.name].rows(self.step)
        draw = generator(self.seed, f"draw{self.attempt}/{self._draw_name(term)}", self.step)
        begin, end = self.processes.share(len(rows))
        for start in range(begin, end, self.micro):
            part = rows[start : min(start + self.micro, end)]
            with self.autocast():
                loss = self.fitting.losses[term.name](Draw(rows=part, generator=draw, step=self.step, start=start, of=len(rows)))
            loss = loss.float().mean() * (len(part) / len(rows))
            self.sums[term.name] = self.sums.get(term.name, 0.0) + loss.detach()
            yield loss

    def backward(self) -> dict[str, tuple[float, list[Tensor | None]]]:
        """Loss and gradients of this process's rows: of each term for an update rule, else of their weighted sum, called ""."""
        if self.fitting.update is None:
            for term in self.phase.terms:
                for loss in self.losses_of(term):
                    (term.weight * loss).backward()  # type: ignore[no-untyped-call]
            return {"": (0.0, self.place.take())}
        found: dict[str, tuple[float, list[Tensor | None]]] = {}
        for term in self.phase.terms:
            value = 0.0
            for loss in self.losses_of(term):
                value += float(loss.detach())
                loss.backward()  # type: ignore[no-untyped-call]
            found[term.name] = value, self.place.take()
        return found

    def combine(self, found: dict[str, tuple[float, list[Tensor | None]]]) -> None:
        """Fill the gradients of one step with those of all processes, or with what the update rule makes of each term's."""
        summed = {name: tuple(self.place.add(parts)) for name, (_, parts) in found.items()}
        gradients = summed.get("", ())
        if self.fitting.update is not None:
            ctx = UpdateContext(
                losses=dict(zip(found, self.processes.total([value for value, _ in found.values()]), strict=True)),
                weights={t.name: t.weight for t in self.phase.terms}, gradients=summed,
                names=tuple(self.weights.parameters), state=self.state, measures=self.fitting.state, step=self.step,
            )  # fmt: skip
            with self.place.ruling():
                result = self.fitting.update(ctx)
            self.state.update(result.state)
            self.log, gradients = dict(result.log), result.gradients
        self.place.settle(gradients)
        if self.budget.clip:
            self.place.clip(self.budget.clip)

    def _reseed(self, seed: int) -> None:
        """The global random numbers of a step; on a CPU without torch's call to every accelerator, which costs more than a small step."""
        if self.weights.tensors[0].device.type == "cpu":
            torch.default_generator.manual_seed(seed)
        else:
            torch.manual_seed(seed)

    def advance(self) -> None:
        """One optimizer step; out of memory halves the micro-batch and repeats the step."""
        kept, found = dict(self.sums), None
        while found is None:
            self._reseed(self._step_seed())
            try:
                found = self.backward()
            except Exception as error:  # a plugin may have said it
                if not out_of_memory(error):
                    raise
                self._refuse_halving()
                self.sums, self.micro = dict(kept), max(1, self.micro // 2)
                self.events.append({"step": self.step, "event": "halved micro-batch", "micro": self.micro})
                self.weights.optimizer.zero_grad(set_to_none=True)
        self.combine(found)
        self.weights.step(self.factor * rate_at(self.budget, self.step), self.step)
        self.step += 1

    def _refuse_halving(self) -> None:
        """Raise TrainingError where half a micro-batch can't help."""
        if self.place.cut:  # the others stand in the midst of the same step
            what = f"phase '{self.phase.name}' runs out of memory with sharded weights"
            raise TrainingError(what, hint=f"start more processes, or --set train.batch={max(self.processes.size, self.budget.batch // 2)}")
        if self.micro == 1:
            raise TrainingError(f"phase '{self.phase.name}' runs out of memory with one row", hint="--set runtime.device=cpu")

    def _step_seed(self) -> int:
        """Of the global random numbers of a step, which no two processes share: their rows are others."""
        other = f"/{self.processes.rank}" if self.processes.rank else ""
        return generator(self.seed, f"global{self.attempt}/{self.fitting.label}/{self.phase.name}{other}", self.step).initial_seed()

    def guard(self) -> bool:
        """Keep a good state, or go back to the last one at half the rate; True when all is well."""
        since = max(1, self.step - self.good_step)
        norms = torch._foreach_norm([p.detach() for p in self.weights.tensors])
        wrong, *totals = self.processes.total([float(not all(math.isfinite(float(v)) for v in norms)), *self.sums.values()])
        means = {name: total / since for name, total in zip(self.sums, totals, strict=True)}
        self.sums = {}
        if not wrong and all(map(math.isfinite, means.values())):
            self.losses = means
            self.good, self.good_state = self.weights.copy(), dict(self.state)
            self.good_step = self.step
            return True
        if self.attempt >= ROLLBACKS:
            said = f"phase '{self.phase.name}': the loss is not finite at step {self.step}, {ROLLBACKS} times in a row"
            raise TrainingError(said, hint=f"--set train.rate={self.budget.rate / 10:g} or --set runtime.precision=fp32")
        event = "loss not finite: back to the last good step at half the rate"
        self.events.append({"step": self.step, "event": event, "to": self.good_step})
        self.weights.load(self.good)
        self.state = dict(self.good_state)
        self.step, self.attempt, self.factor = self.good_step, self.attempt + 1, self.factor / 2
        return False

    def watch(self) -> bool:
        """Validate on the running average; True when patience is over."""
        assert self.fitting.validate is not None
        self.weights.swap()
        value = self.fitting.validate()
        if value < self.best:
            self.best, self.stale = value, 0
            self.best_bag = {name: p.detach().clone() for name, p in self.weights.parameters.items()}
        else:
            self.stale += 1
        self.weights.swap()
        return 0 < self.fitting.patience <= self.stale

    def snapshot(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Everything that moves: tensors by name, whole in the first process, and facts."""
        best = {f"best/{k}": v for k, v in self.best_bag.items()}
        tensors = self.place.whole(self.weights.bag() | best) | {f"s/{k}": v for k, v in self.state.items()}
        return tensors, {k: getattr(self, k) for k in ("step", "attempt", "factor", "micro", "events", "losses", "stale", "best")}

    def adopt(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Go on from a snapshot."""
        tensors = self.place.own(tensors)
        self.weights.load(tensors)
        self.state = {k[2:]: v for k, v in tensors.items() if k.startswith("s/")}
        self.best_bag = {k[5:]: v for k, v in tensors.items() if k.startswith("best/")}
        vars(self).update(facts)
        self.good, self.good_state, self.good_step = self.weights.copy(), dict(self.state), self.step

    def save(self) -> None:
        """Write a checkpoint of everything that moves; it says nothing of how many processes there were, and which held what."""
        tensors, facts = self.snapshot()
        if self.fitting.checkpoints is not None:
            save_checkpoint(self.fitting.checkpoints, self.step, tensors, facts)

    def restore(self) -> None:
        """Continue from the newest checkpoint, if there is one; every process begins where the first one stands."""
        found = last_checkpoint(self.fitting.checkpoints) if self.fitting.checkpoints else None
        if self.processes.size > 1 and (found := self.processes.tell(found)) is None:
            tensors, facts = self.snapshot()
            found = self.processes.tell(({name: t.cpu() for name, t in tensors.items()}, facts))
        if found is not None:
            self.adopt(*found)

    def finish(self) -> None:
        """Leave the best weights, or the running average, in the model."""
        with torch.no_grad():
            if self.best_bag:
                for name, p in self.weights.parameters.items():
                    p.copy_(self.best_bag[name])
            elif self.weights.average:
                self.weights.swap()
            self.place.end()
