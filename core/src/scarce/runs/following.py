"""A run in the processes that `accelerate launch` or `torchrun` started: the first one acts, the others follow its orders."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import TypeVar

from scarce.errors import ScarceError
from scarce.runs.pieces import train_along
from scarce.runtime.processes import Processes, launched

T = TypeVar("T")

GRACE = 10.0  # seconds for the first process to say itself what went wrong


def together(act: Callable[[], T]) -> T | None:
    """What `act` gives in the first process, None in the others once it is over; alone, just `act`."""
    processes = launched()
    if processes.rank:
        follow(processes)
        return None
    try:
        out = act()
    except ScarceError:  # the others may be in the midst of something, and then hear nothing; the launcher ends them
        ending = threading.Thread(target=processes.tell, daemon=True)
        ending.start()
        ending.join(GRACE)
        raise
    processes.tell()
    return out


def follow(processes: Processes) -> None:
    """Carry out what the first process orders, until it orders nothing."""
    while (order := processes.tell()) is not None:
        kind, *what = order
        try:
            if kind == "phase":
                train_along(what[0], what[1], what[2], processes)
            else:
                processes.divide(*what)
        except ScarceError as error:  # the first process has the same and says so; where it has not, all must end
            timer = threading.Timer(GRACE, _give_up, (f"process {processes.rank}: {error}",))
            timer.daemon = True
            timer.start()


def _give_up(said: str) -> None:
    print(said, file=sys.stderr, flush=True)
    os._exit(2)
