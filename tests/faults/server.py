"""Real `scarce` processes in a second each: a process that has imported everything once forks one per command."""

from __future__ import annotations

import importlib
import os
import pkgutil
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import plotly.graph_objects  # noqa: F401
import torch

import scarce
from scarce.catalogue import read_catalogue
from scarce.cli.app import main
from scarce.errors import ScarceError
from scarce.host.loading import load_target

Child = tuple[int, int]


def warm(*distributions: str) -> None:
    """Import the core and these distributions (none named: all), so that no child has to.

    Nothing is computed here, for a process with threads must not fork.
    """
    torch.set_num_threads(1)
    for module in pkgutil.walk_packages(scarce.__path__, "scarce."):
        if ".testing" not in module.name and ".templates" not in module.name and "__main__" not in module.name:
            importlib.import_module(module.name)
    for row in read_catalogue().rows:
        if row.target and (not distributions or row.distribution in distributions) and row.role not in ("recipe", "generator"):
            try:
                load_target(row)
            except (ScarceError, ImportError):
                continue


def fork(arguments: list[str], log: Path, prepare: Callable[[], None] = lambda: None) -> int:
    """Start `scarce ARGUMENTS` with its output in `log`, and return its process id; prepare: what the child does first."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(out, 1)
        os.dup2(out, 2)
        prepare()
        code = main(arguments)
    except BaseException as error:  # a traceback is what these tests look for
        os.write(2, f"Traceback: {type(error).__name__}: {error}\n".encode())
    finally:
        os._exit(code)


def wait(pid: int, seconds: float = 300) -> int:
    """The exit code of a child (negative: the signal that killed it)."""
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def run(arguments: list[str], log: Path, prepare: Callable[[], None] = lambda: None) -> int:
    """Carry a command out to its end; its exit code."""
    return wait(fork(arguments, log, prepare))


def cpu_seconds() -> float:
    """Of this process and all children that have ended."""
    found = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in found)


def running(pid: int) -> bool:
    """Whether a child has not ended; it stays to be waited for."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None


def until(pid: int, true: Callable[[], bool], seconds: float = 120) -> bool:
    """Wait until something is true of a running child; False when it ended before."""
    deadline = time.monotonic() + seconds
    while running(pid) and time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.002)
    return False
