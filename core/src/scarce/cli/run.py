"""`scarce run`, `resume`, `sample` and `evaluate`: doing the work."""

from __future__ import annotations

from pathlib import Path

from scarce.cli.common import parser
from scarce.errors import RecipeError


def main(argv: list[str]) -> None:
    """Run `run RECIPE [--data FILE] [--set KEY=VALUE …] [--preset NAME] [--out DIR]`."""
    text = "Run a recipe: load, train, generate, learn, evaluate, report."
    arguments = parser("run", text, "recipe", "--data", "--set", "--preset", "--quiet")
    arguments.add_argument("--out", metavar="DIR", type=Path, help="run folder (default: runs/NAME-N)")
    asked = arguments.parse_args(argv)
    from scarce.runs import api
    from scarce.runs.recipe import parse_set

    overrides = dict(parse_set(text) for text in asked.set)
    _show(api.run(asked.recipe, data=asked.data, set=overrides, preset=asked.preset, out=asked.out, quiet=asked.quiet))


def resume(argv: list[str]) -> None:
    """Run `resume RUN`."""
    text = "Continue an interrupted run where it stopped; --set must equal the run's own recipe."
    asked = parser("resume", text, "run", "--set", "--quiet").parse_args(argv)
    from scarce.runs import api
    from scarce.runs.recipe import parse_set
    from scarce.runtime.progress import Progress

    _show(api.resume(asked.run, [parse_set(text) for text in asked.set], progress=Progress(quiet=asked.quiet)))


def evaluate(argv: list[str]) -> None:
    """Run `evaluate RUN`."""
    asked = parser("evaluate", "Judge the stored samples of a run again.", "run", "--quiet").parse_args(argv)
    from scarce.runs import api
    from scarce.runtime.progress import Progress

    _show(api.resume(asked.run, judge_again=True, progress=Progress(quiet=asked.quiet)))


def sample(argv: list[str]) -> None:
    """Run `sample RUN -n N [--where COND …] [--prompt TEXT] [--seed N] [-o FILE]`."""
    arguments = parser("sample", "Draw new samples from a run's generator.", "run", "--quiet")
    arguments.add_argument("-n", type=int, default=10, help="how many (default 10)")
    arguments.add_argument("--where", metavar="COND", action="append", default=[], help="'left=yes', 'city in {Ulm,Bonn}', '30<age<40'")
    arguments.add_argument("--prompt", help="text prompt, for text-conditioned generators")
    arguments.add_argument("--seed", type=int, default=0, help="same seed, same samples")
    arguments.add_argument("-o", "--out", metavar="FILE", type=Path, help="write here; the suffix chooses the format")
    asked = arguments.parse_args(argv)
    if asked.out is not None and asked.out.is_dir():
        raise RecipeError(f"{asked.out} is a folder", hint="-o FILE.csv")
    from scarce.runs import api

    opened = api.load(asked.run)
    records = opened.sample(asked.n, where=asked.where, prompt=asked.prompt, seed=asked.seed, quiet=asked.quiet)
    if asked.out is not None:
        print(opened.write(records, asked.out))
    else:
        print(records.to_string() if hasattr(records, "to_string") else "\n".join(map(str, records)))


def _show(run: object) -> None:
    from rich.console import Console

    from scarce.report.text import terminal_summary

    console = Console()
    console.print(terminal_summary(run.results))  # type: ignore[attr-defined]
    console.print(f"report: {run.report}", soft_wrap=True, highlight=False)  # type: ignore[attr-defined]
