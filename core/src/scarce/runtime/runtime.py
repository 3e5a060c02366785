"""The one runtime of a run, handed to every plugin through its context; plugins never name a device."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch

from scarce.contract.protocols import Fitted, Fitting
from scarce.files import append_line
from scarce.runtime import seeds
from scarce.runtime.checkpoint import set_aside_damaged
from scarce.runtime.device import pick_device, pick_precision, set_threads
from scarce.runtime.executor import Executor, LocalExecutor
from scarce.runtime.fit import GUARD, Loop, rate_at
from scarce.runtime.options import RuntimeOptions
from scarce.runtime.processes import ALONE, Processes
from scarce.runtime.progress import Advance, Progress
from scarce.runtime.residency import Residency
from scarce.runtime.trackers import Trackers

Notify = Callable[[str, int, Mapping[str, Any]], None]


class SharedRuntime:
    """Device, precision, named seeds, residency and the training loop of one run (see `contract.Runtime`)."""

    def __init__(
        self,
        *,
        seed: int,
        options: RuntimeOptions | None = None,
        folder: Path | None = None,
        progress: Progress | None = None,
        notify: Notify | None = None,
    ) -> None:
        self.options = options or RuntimeOptions()
        self.seed = seed
        self.folder = folder
        self.progress = progress or Progress(quiet=True)
        self._trackers = Trackers(self.options.trackers if folder else (), folder or Path(), self.progress.say)
        self.device = pick_device(self.options.device)
        self.precision = pick_precision(self.options.precision, self.device)
        self.threads = set_threads(self.options.threads)
        budget = None if self.options.memory_gb is None else int(self.options.memory_gb * 1e9)
        self._residency = Residency(self.device, budget)
        self._notify = notify or (lambda *_: None)
        self.executor: Executor = LocalExecutor()
        self.processes = ALONE

    def generator(self, purpose: str, index: int = 0) -> torch.Generator:
        """A CPU generator derived from (seed, purpose, index)."""
        return seeds.generator(self.seed, purpose, index)

    def derive(self, purpose: str, index: int = 0) -> int:
        """A 63-bit seed derived from (seed, purpose, index)."""
        return seeds.derive(self.seed, purpose, index)

    def seeded(self, purpose: str, index: int = 0) -> AbstractContextManager[None]:
        """Global random states forked and seeded inside, restored after."""
        return seeds.seeded(self.seed, purpose, index)

    def say(self, text: str) -> None:
        """One plain line where progress is shown."""
        self.progress.say(text)

    def autocast(self) -> AbstractContextManager[Any]:
        """bf16 autocast where the run computes in bf16, else nothing."""
        if self.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    def resident(self, *modules: torch.nn.Module) -> AbstractContextManager[None]:
        """Modules on the run's device inside, under the memory budget."""
        return self._residency.resident(*modules)

    @property
    def peak_bytes(self) -> int:
        """The most bytes of models that were resident at once."""
        return self._residency.peak

    def log(self, facts: Mapping[str, Any]) -> None:
        """One line of metrics.jsonl, to the trackers, and the `step_finished` event."""
        self._trackers.log(facts)
        if self.folder is not None:
            append_line(self.folder / "metrics.jsonl", dict(facts))
        self._notify("step_finished", int(facts.get("step", 0)), facts)

    def finish(self, metrics: Sequence[Mapping[str, Any]]) -> None:
        """The run is over: its metrics go to the trackers, which are closed."""
        self._trackers.finish(metrics)

    def cuts(self, processes: Processes) -> bool:
        """Whether these processes each hold a part of the weights that they train together."""
        return self.options.weights == "sharded" and processes.size > 1

    def fit(self, fitting: Fitting, processes: Processes = ALONE, network: torch.nn.Module | None = None) -> Fitted:
        """Train `fitting.model` in place for the phase's budget, on this run's device, and say how it went.

        processes: those that make this same call, each to work on its rows of every batch. network: the part of the model whose
        weights are cut over them while they train (None: each holds all).

        Raises TrainingError when nothing is trainable, rows are missing, or losses stay non-finite.
        """
        label = fitting.label or fitting.phase.name
        with self.resident(fitting.model):
            loop = Loop(fitting, seed=self.seed, autocast=self.autocast, processes=processes, network=network)
            if fitting.checkpoints:
                set_aside_damaged(fitting.checkpoints, self.say)
            loop.restore()
            began, cpu = time.monotonic(), time.process_time()
            fitting.model.train()
            with self.seeded(f"fit/{label}"), self.progress.track(label, loop.budget.steps) as advance:
                self._train(loop, label, advance)
            loop.finish()
            fitting.model.eval()
        seconds, cpu_seconds = time.monotonic() - began, time.process_time() - cpu
        events = tuple(loop.events)
        return Fitted(losses=loop.losses, steps=loop.step, seconds=seconds, cpu_seconds=cpu_seconds, events=events, state=loop.state)

    def _train(self, loop: Loop, label: str, advance: Advance) -> None:
        fitting, last_save = loop.fitting, time.monotonic()
        advance(loop.step)
        while (before := loop.step) < loop.budget.steps:
            loop.advance()
            if loop.step % GUARD == 0 or loop.step == loop.budget.steps:
                loop.guard()
                rate = loop.factor * rate_at(loop.budget, loop.step)
                self.log({"phase": label, "step": loop.step, "rate": rate, "loss": loop.losses, **loop.log})
                if fitting.validate and loop.step % max(fitting.validate_every, GUARD) == 0 and loop.watch():
                    break
                due = fitting.checkpoints is not None and time.monotonic() - last_save >= self.options.checkpoint_seconds
                if loop.place.agreed(due):
                    loop.save()
                    self._notify("checkpoint_saved", loop.step, {"phase": fitting.phase.name})
                    last_save = time.monotonic()
            advance(loop.step - before)
