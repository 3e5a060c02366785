"""The command line: a table of verbs, each imported only when it is typed."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import cast

from scarce.errors import PluginError, ScarceError, did_you_mean

Verb = Callable[[list[str]], int | None]
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
    "runs": ("scarce.cli.runs:main", "run folders here, with state and main numbers"),
    "verify": ("scarce.cli.verify:main", "is a run still what it was? files, plugins, data, a part computed again"),
    "doctor": ("scarce.cli.doctor:main", "what is installed and what is missing, here or for a recipe; is a plugin what it says?"),
    "schema": ("scarce.cli.schema:main", "JSON Schema of recipes, for editors"),
    "data": ("scarce.cli.data:main", "list built-in data, inspect a file"),
    "plugins": ("scarce.cli.plugins:main", "what is installed, ready or not: list, info NAME; new ROLE NAME"),
    "recipes": ("scarce.cli.recipes:main", "recipes that can be run by name"),
}
"""Verb -> ("module:function", help); the function takes the arguments after the verb, returns an exit code or None."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; 0 when done, 2 with a plain message for what a person can act on, 130 when interrupted."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        code = _run(arguments)
        sys.stdout.flush()
        return code
    except ScarceError as err:
        print(f"error: {err}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader (`| head`) has gone; keep the interpreter's last flush quiet
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


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
