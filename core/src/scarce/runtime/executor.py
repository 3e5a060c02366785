"""How independent pieces of a run are carried out; other executors come as plugins.

A piece is a function of some module and plain data. What it makes it writes into the run folder, under a name that says what it
is; one that finds it there does nothing. So a piece may be carried out anywhere that sees the folder, and any number of times.
"""

from __future__ import annotations

import inspect
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import Any, Protocol, TypeVar

from scarce.errors import RunError
from scarce.runtime.device import cores
from scarce.runtime.processes import Processes

T = TypeVar("T")
R = TypeVar("R")

DEATHS = 3  # losses of a worker in a row, without a piece finished between, after which it is not tried again
WORKER, THREADS = "SCARCE_WORKER", "SCARCE_THREADS"


class Executor(Protocol):
    """Carries out independent pieces and returns their results in the order asked.

    One whose attribute `remote` is true does so in other processes: it is given functions and data that can be pickled, and its
    attribute `threads` says how many CPU threads a piece has (1 without one). It is made with those of these that it takes:
    workers (at once; 0: its own choice), threads (of each; 0: its own choice), device (of the run) and say (a line to a person).
    Where it has a method `close`, that is called when the run is over, also by an error, to end what it started.
    """

    def map(self, function: Callable[[T], R], pieces: Iterable[T]) -> list[R]:
        """The result of each piece."""


class LocalExecutor:
    """One piece after another in this process; with `workers` of 2 or more, in that many processes of this machine.

    A worker that dies costs the pieces that were being carried out, which are begun again.
    """

    def __init__(self, *, workers: int = 0, threads: int = 0, say: Callable[[str], None] = lambda _: None) -> None:
        self.workers, self.say = workers, say
        self.threads = threads or max(1, cores() // max(1, workers))
        self._pool: ProcessPoolExecutor | None = None

    @property
    def remote(self) -> bool:
        """Whether pieces leave this process."""
        return self.workers > 1

    def map(self, function: Callable[[T], R], pieces: Iterable[T]) -> list[R]:
        """The result of each piece, in order; RunError where workers die again and again."""
        asked = list(pieces)
        if not self.remote:
            return [function(piece) for piece in asked]
        done: dict[int, R] = {}
        deaths = 0
        while len(done) < len(asked):
            before = len(done)
            try:
                self._round(function, asked, done)
            except BrokenProcessPool:
                self._pool, deaths = None, deaths + 1 if len(done) == before else 1
                self.say(f"note: a worker died; {len(asked) - len(done)} of {len(asked)} pieces are left")
                if deaths >= DEATHS:
                    what = f"workers died {deaths} times in a row"
                    raise RunError(what, hint="fewer at once: --workers 1; dmesg says whether memory ran out") from None
            except BaseException:
                self.close()
                raise
        return [done[i] for i in range(len(asked))]

    def _round(self, function: Callable[[T], R], asked: Sequence[T], done: dict[int, R]) -> None:
        """Carry out what is not done yet."""
        if self._pool is None:
            self._pool = ProcessPoolExecutor(self.workers, multiprocessing.get_context("spawn"), _begin_worker)
        left = {self._pool.submit(function, piece): i for i, piece in enumerate(asked) if i not in done}
        for future in as_completed(left):
            done[left[future]] = future.result()
            self.say(f"{len(done)} of {len(asked)} pieces done")

    def close(self) -> None:
        """Leave no worker running."""
        if self._pool is not None:
            workers = list(self._pool._processes.values())
            self._pool.shutdown(wait=False, cancel_futures=True)
            for worker in workers:
                worker.terminate()
            self._pool = None


class RankExecutor:
    """Pieces divided over the processes of one training (see `scarce.runtime.processes`), the first one's share done by itself."""

    remote = True

    def __init__(self, processes: Processes) -> None:
        self.processes = processes

    def map(self, function: Callable[[T], R], pieces: Iterable[T]) -> list[R]:
        """The result of each piece, in order."""
        return self.processes.divide(function, self.processes.tell(("pieces", function, list(pieces)))[2])


def make_executor(target: Callable[..., Executor], offered: Mapping[str, Any]) -> Executor:
    """An executor with those of the offered arguments that it takes; in a worker the pieces of a piece are its own."""
    if os.environ.get(WORKER):
        return LocalExecutor()
    takes = inspect.signature(target).parameters
    made = target(**{name: value for name, value in offered.items() if name in takes})
    return Elsewhere(made) if leaves(made) else made


class Elsewhere:
    """A remote executor whose pieces find this process's folder, plugins and threads where they are carried out."""

    remote = True

    def __init__(self, executor: Executor) -> None:
        self.executor = executor

    def map(self, function: Callable[[T], R], pieces: Iterable[T]) -> list[R]:
        """The result of each piece, in order."""
        environment = {name: value for name, value in os.environ.items() if name.startswith("SCARCE_")}
        environment |= {WORKER: "1", THREADS: str(getattr(self.executor, "threads", 1))}
        return self.executor.map(partial(_carried, function, os.getcwd(), environment), pieces)

    def close(self) -> None:
        """End what the executor started."""
        close(self.executor)


def _carried(function: Callable[[T], R], place: str, environment: Mapping[str, str], piece: T) -> R:
    os.environ.update(environment)
    if os.path.isdir(place):
        os.chdir(place)
    return function(piece)


def leaves(executor: Executor) -> bool:
    """Whether an executor carries pieces out in other processes."""
    return bool(getattr(executor, "remote", False))


def close(executor: Executor) -> None:
    """Have an executor end what it started, where it has anything to end."""
    getattr(executor, "close", lambda: None)()


def _begin_worker() -> None:
    """End a worker when the process that it works for is gone."""
    threading.Thread(target=_outlived, daemon=True).start()


def _outlived() -> None:
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(1)
