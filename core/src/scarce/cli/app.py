"""The command line: a table of verbs, each imported only when it is typed."""

from __future__ import annotations

import errno
import importlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from typing import cast

from scarce.errors import PluginError, ScarceError, did_you_mean

Verb = Callable[[list[str]], int | None]
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
VERBS: dict[str, tuple[str, str]] = {
    "run": ("scarce.cli.run:main", "run a recipe: load, train, generate, learn, evaluate, report"),
    "resume": ("scarce.cli.run:resume", "continue an interrupted run"),
    "sample": ("scarce.cli.run:sample", "draw new samples from a run"),
    "export": ("scarce.cli.export:main", "a run's generator in a format for other programs"),
    "evaluate": ("scarce.cli.run:evaluate", "judge the samples of a run again"),
    "sweep": ("scarce.cli.sweep:main", "run a recipe at many points, and compare them"),
    "compare": ("scarce.cli.compare:main", "later runs or arms against the first, paired over seeds"),
    "plan": ("scarce.cli.plan:main", "what a recipe will train"),
    "explain": ("scarce.cli.explain:main", "who supplies what in a recipe, and why others do not"),
    "runs": ("scarce.cli.runs:main", "run folders here, with state, size and main numbers; clean: free disk"),
    "verify": ("scarce.cli.verify:main", "is a run still what it was? files, plugins, data, a part computed again"),
    "doctor": ("scarce.cli.doctor:main", "what is installed and what is missing, here or for a recipe; is a plugin what it says?"),
    "schema": ("scarce.cli.schema:main", "JSON Schema of recipes, for editors"),
    "data": ("scarce.cli.data:main", "list built-in data, inspect a file"),
    "plugins": ("scarce.cli.plugins:main", "what is installed, ready or not: list, info NAME; new ROLE NAME"),
    "recipes": ("scarce.cli.recipes:main", "recipes that can be run by name"),
}
"""Verb -> ("module:function", help); the function takes the arguments after the verb, returns an exit code or None."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; 0 when done, 2 with a plain message for what a person can act on, 130 after ctrl-C, 143 after SIGTERM."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    stop = _Stop()
    try:
        with stop:
            code = _run(arguments)
        sys.stdout.flush()
        return code
    except ScarceError as err:
        print(f"error: {err}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as err:
        print(f"{'terminated' if stop.terminated else 'interrupted'}{f': {err}' if str(err) else ''}", file=sys.stderr)
        return 143 if stop.terminated else 130
    except BrokenPipeError:  # the reader (`| head`) has gone; keep the interpreter's last flush quiet
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as err:
        if err.errno not in FULL:
            raise
        print(f"error: {err}\n  try: df -h .; make room, then scarce resume RUN: what is finished stays", file=sys.stderr)
        return 2


class _Stop:
    """Inside, SIGTERM stops the program as ctrl-C does, so that files are closed and the way to go on is said."""

    def __init__(self) -> None:
        self.terminated = False

    def __enter__(self) -> None:
        self.before = signal.signal(signal.SIGTERM, self._terminate) if threading.current_thread() is threading.main_thread() else None

    def __exit__(self, *_: object) -> None:
        if self.before is not None:
            signal.signal(signal.SIGTERM, self.before)

    def _terminate(self, *_: object) -> None:
        self.terminated = True
        raise KeyboardInterrupt


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_help())
        return 0
    verb, rest = arguments[0], arguments[1:]
    if verb in ("--version", "-V"):
        from importlib.metadata import version

        print(f"scarce {version('scarce')}")
        return 0
    return _function(verb)(rest) or 0


def _function(verb: str) -> Verb:
    if verb in VERBS:
        module, _, name = VERBS[verb][0].partition(":")
        return cast(Verb, getattr(importlib.import_module(module), name))
    from scarce.catalogue import read_catalogue

    catalogue = read_catalogue()
    rows = catalogue.entries("commands")
    if not any(row.name == verb for row in rows):
        raise PluginError(f"there is no verb '{verb}'{did_you_mean(verb, [*VERBS, *(row.name for row in rows)])}", hint="scarce --help")
    row = catalogue.find("command", verb)
    from scarce.host.loading import load_target

    return cast(Verb, load_target(row))


def _help() -> str:
    from scarce.catalogue import read_catalogue

    lines = ["usage: scarce VERB … (scarce VERB --help says more)", ""]
    lines += [f"  {verb:<10} {text}" for verb, (_, text) in VERBS.items()]
    for row in read_catalogue().entries("commands"):
        if row.name not in VERBS:
            lines.append(f"  {row.name:<10} {row.summary or row.reason} ({row.distribution})")
    return "\n".join(lines)
