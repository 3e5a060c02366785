"""Executor `ray`: pieces of a run as Ray tasks."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import ray
from ray.exceptions import RayTaskError

from scarce.errors import RunError, ScarceError

T = TypeVar("T")
R = TypeVar("R")

RETRIES = 5  # times that a piece is begun again after its worker or node was lost
PATIENCE = 10.0  # seconds for a cluster to answer
STORE = 128 * 1024**2  # bytes of a cluster that is started here; pieces and results are small, samples go to the run folder


class RayExecutor:
    """Pieces as tasks of the cluster that RAY_ADDRESS names; without one, of a cluster on this machine that ends with the run.

    workers: at most that many pieces at once (0: as the cluster has room); threads: CPUs that each has (0: one); a run whose
    device is not "cpu" gets a GPU for each piece where the cluster has any. A piece whose worker or node is lost is begun again
    elsewhere, up to 5 times; what was finished stays. Every node must see the run folder under the same path.
    """

    remote = True

    def __init__(self, *, workers: int = 0, threads: int = 0, device: str = "auto", say: Callable[[str], None] = lambda _: None) -> None:
        self.workers, self.threads, self.device, self.say = workers, threads or 1, device, say
        self._joined = False

    def map(self, function: Callable[[T], R], pieces: Iterable[T]) -> list[R]:
        """The result of each piece, in order; a piece's ScarceError is raised as it is, RunError where the cluster can't go on."""
        asked = list(pieces)
        self._joined |= _connect(self.workers * self.threads)
        gpus = int(self.device != "cpu" and ray.cluster_resources().get("GPU", 0) > 0)
        task = ray.remote(function_of).options(num_cpus=self.threads, num_gpus=gpus, max_retries=RETRIES, name="scarce piece")
        running: dict[Any, int] = {}
        try:
            return self._collected(task, function, asked, running)
        except BaseException:
            for reference in running:
                ray.cancel(reference)
            raise

    def close(self) -> None:
        """End the cluster that `map` started, or leave the one that it joined, which goes on; one joined before `map` is left alone."""
        if self._joined:
            self._joined = False
            ray.shutdown()

    def _collected(self, task: Any, function: Callable[[T], R], asked: Sequence[T], running: dict[Any, int]) -> list[R]:
        """Keep as many tasks running as may be, and take their results as they come."""
        done: dict[int, R] = {}
        waiting = list(enumerate(asked))[::-1]
        while waiting or running:
            while waiting and len(running) < (self.workers or len(asked)):
                index, piece = waiting.pop()
                running[task.remote(function, piece)] = index
            for reference in ray.wait(list(running), num_returns=1)[0]:
                index = running.pop(reference)
                done[index] = _result(reference)
                self.say(f"{len(done)} of {len(asked)} pieces done")
        return [done[index] for index in range(len(asked))]


def function_of(function: Callable[[T], R], piece: T) -> R:
    """What a task does."""
    return function(piece)


def _result(reference: Any) -> Any:
    try:
        return ray.get(reference)
    except RayTaskError as error:
        raise (error.cause if isinstance(error.cause, ScarceError) else error) from None
    except ray.exceptions.RayError as error:
        what = f"the cluster gave a piece up after {RETRIES} tries: {str(error).splitlines()[0]}"
        raise RunError(what, hint="ray status; then scarce resume RUN: what is finished stays") from error


def _connect(cpus: int) -> bool:
    """Join the cluster of RAY_ADDRESS, or start one here of that many CPUs (0: all); False where this process is in one already.

    Nothing is reported to anyone.
    """
    if ray.is_initialized():
        return False
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    address = os.environ.get("RAY_ADDRESS", "")
    host, _, port = address.rpartition(":")
    # "local": without it Ray would join any cluster that it finds on this machine, which nobody named.
    own = {} if address else {"address": "local", "num_cpus": cpus or None, "object_store_memory": STORE, "include_dashboard": False}
    try:
        if port.isdigit() and "/" not in host:  # Ray itself would try for minutes
            socket.create_connection((host, int(port)), PATIENCE).close()
        ray.init(logging_level="warning", **own)
        return True
    except OSError as error:
        what = f"no Ray cluster at RAY_ADDRESS={address}: {str(error).splitlines()[0]}"
        raise RunError(what, hint="ray start --head there, or unset RAY_ADDRESS for a cluster on this machine") from None
