"""How long a run takes on this machine: from a few real steps and one call of the sampler, or roughly from arithmetic."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from torch.utils.flop_counter import FlopCounterMode

from scarce.contract.condition import Prompt
from scarce.contract.plan import Phase
from scarce.contract.protocols import Draw
from scarce.runs.generator import TrainedGenerator
from scarce.runs.run import Prepared
from scarce.runs.sections import Generate
from scarce.runs.training import Losses, train_phase
from scarce.runtime.progress import Advance, Progress
from scarce.runtime.room import memory_used
from scarce.runtime.runtime import SharedRuntime

SECONDS = 10.0  # that a calibration takes, about
FEWEST = 0.002  # seconds of a step however small the network is
ROWS = 8  # on which arithmetic is counted


@dataclass(frozen=True)
class Times:
    """Seconds of training and of drawing all samples in one run, and bytes that a step held on top of all else (0: not known)."""

    train_seconds: float
    sample_seconds: float
    step: int
    how: str


class _Enough(Exception):
    """The time for measuring is over."""


class _Clock(Progress):
    """Notes when each step of a fit was done, and ends it after so many seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__(quiet=True)
        self.seconds, self.at = seconds, list[float]()

    def track(self, what: str, total: int) -> AbstractContextManager[Advance]:
        """A phase of `total` steps."""
        return self._noting()

    @contextmanager
    def _noting(self) -> Iterator[Advance]:
        def advance(_: int) -> None:
            self.at.append(time.monotonic())
            if len(self.at) > 1 and self.at[-1] - self.at[0] > self.seconds:
                raise _Enough

        yield advance


def calibrate(made: Prepared, prompts: Sequence[Prompt], rows: int, runtime: SharedRuntime, options: Generate) -> Times:
    """Train each phase for its share of the time, draw some samples, and scale both; the model is of no use afterwards."""
    phases, quiet, before = made.model.plan.phases, runtime.progress, memory_used()
    end = time.monotonic() + 0.7 * SECONDS
    total, by_row = 0.0, list[float]()
    for i, phase in enumerate(phases):
        work = phase.budget.steps * phase.budget.batch * len(phase.terms)
        left = end - time.monotonic()
        if left > 0:
            first, step = _phase(made, phase, runtime, options, left / (len(phases) - i))
            if work:
                by_row.append(step * phase.budget.steps / work)
            total += first + step * phase.budget.steps
        else:
            made.model.results[phase.name] = {}
            total += work * sum(by_row) / max(1, len(by_row))
    runtime.progress, held = quiet, max(0, memory_used() - before)
    generator = TrainedGenerator(model=made.model, process=made.process, codec=made.codec, options=options, runtime=runtime)
    drawing = _samples(generator, prompts, rows, 0.3 * SECONDS) if prompts else 0.0
    return Times(total, drawing, held, "measured here")


def _phase(made: Prepared, phase: Phase, runtime: SharedRuntime, options: Generate, seconds: float) -> tuple[float, float]:
    """Seconds before the first step of a phase, and of a step."""
    clock, began = _Clock(seconds), time.monotonic()
    runtime.progress = clock
    try:
        train_phase(made.model, made.process, made.rows, phase, runtime, None, options)
    except _Enough:
        made.model.end(phase, {n: p for n, p in made.model.base.items() if p.requires_grad})
    at = clock.at if len(clock.at) < 4 else clock.at[1:]  # the first step allocates
    return clock.at[0] - began, (at[-1] - at[0]) / max(1, len(at) - 1)


def _samples(generator: TrainedGenerator, prompts: Sequence[Prompt], rows: int, seconds: float) -> float:
    """Seconds of all samples: a share per call and one per sample, from calls of growing size in 3 steps while there is time."""
    most, asked = min(len(prompts), generator.options.shard), min(4, len(prompts))
    steps = min(3, generator.options.steps)
    share, calls, end = generator.options.steps / steps, -(-rows // generator.options.shard), time.monotonic() + seconds
    generator.options = generator.options.model_copy(update={"steps": steps})
    generator.shard(prompts[:asked], seed=0)  # the first call allocates
    found: list[tuple[int, float]] = []
    while True:
        condition = generator.encode_condition(prompts[:asked])  # once, however many steps there are
        found.append((asked, _seconds(partial(generator.shard, prompts[:asked], seed=0, condition=condition))))
        if asked == most or time.monotonic() + 2 * found[-1][1] > end:
            break
        asked = min(most, 4 * asked)
    (n, first), (m, last) = found[-2] if len(found) > 1 else (0, 0.0), found[-1]
    each = max(0.0, last - first) / (m - n)
    return share * (calls * max(0.0, last - each * m) + rows * each)


def rough(made: Prepared, rows: int, runtime: SharedRuntime, options: Generate) -> Times:
    """The same from counted arithmetic of the first phase and the speed of a matrix product: often wrong by a factor of three."""
    phases, speed = made.model.plan.phases, _speed(runtime.device)
    per_row = _arithmetic(made, phases[0], runtime, options) / speed
    train = sum(p.budget.steps * max(FEWEST, per_row * p.budget.batch * len(p.terms)) for p in phases)
    calls = options.steps * (1 if options.guidance == 1 else 2)
    shards = -(-rows // options.shard)
    draw = max(shards * calls * FEWEST / 2, rows * calls * per_row / 3)
    return Times(train, draw, 0, "rough, from arithmetic; --calibrate measures")


def _arithmetic(made: Prepared, phase: Phase, runtime: SharedRuntime, options: Generate) -> float:
    """Operations of a training step per row of one term."""
    losses = Losses(made.model, made.process, made.rows, phase, runtime, options)
    losses.parameters = made.model.begin(phase)
    rows = made.rows.pools(phase, made.model.conditions.classes)[phase.terms[0].rows][:ROWS]
    term = next((t for t in phase.terms if t.loss == "denoise"), phase.terms[0])
    with FlopCounterMode(display=False) as counter, runtime.resident(made.model.module):
        losses.of_term(term)(Draw(rows=rows, generator=runtime.generator("rough"), step=0)).mean().backward()  # type: ignore[no-untyped-call]
    return float(counter.get_total_flops()) / max(1, len(rows))


def _speed(device: torch.device) -> float:
    """Operations per second of a matrix product, the better of two."""
    a = torch.ones(512, 512, device=device)
    return max(2 * 512**3 / _seconds(lambda: float((a @ a)[0, 0])) for _ in range(2))


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
