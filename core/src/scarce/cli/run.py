"""`scarce run`, `resume`, `sample` and `evaluate`: doing the work."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from scarce.errors import RecipeError


def main(argv: list[str]) -> None:
    """Run `run RECIPE [--data FILE] [--set KEY=VALUE …] [--preset NAME] [--out DIR]`."""
    parser = argparse.ArgumentParser(prog="scarce run", description="Run a recipe: load, train, generate, learn, evaluate, report.")
    parser.add_argument("recipe", help="installed name (scarce recipes) or a .toml file")
    parser.add_argument("--data", metavar="FILE", help="your data: path, or builtin:NAME")
    parser.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="override one recipe value")
    parser.add_argument("--preset", help="test, quick (default) or full")
    parser.add_argument("--out", metavar="DIR", type=Path, help="run folder (default: runs/NAME-N)")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    asked = parser.parse_args(argv)
    from scarce.runs import api
    from scarce.runs.recipe import parse_set

    overrides = dict(parse_set(text) for text in asked.set)
    done = api.run(asked.recipe, data=asked.data, set=overrides, preset=asked.preset, out=asked.out, quiet=asked.quiet)
    _show(done)


def resume(argv: list[str]) -> None:
    """Run `resume RUN`."""
    asked = _folder_parser("resume", "Continue an interrupted run where it stopped.", overrides=True).parse_args(argv)
    from scarce.runs import api
    from scarce.runs.recipe import parse_set
    from scarce.runtime.progress import Progress

    _show(api.resume(asked.run, [parse_set(text) for text in asked.set], progress=Progress(quiet=asked.quiet)))


def evaluate(argv: list[str]) -> None:
    """Run `evaluate RUN`."""
    asked = _folder_parser("evaluate", "Judge the stored samples of a run again.").parse_args(argv)
    from scarce.runs import api
    from scarce.runtime.progress import Progress

    _show(api.resume(asked.run, judge_again=True, progress=Progress(quiet=asked.quiet)))


def sample(argv: list[str]) -> None:
    """Run `sample RUN -n N [--where COND …] [--prompt TEXT] [--seed N] [-o FILE]`."""
    parser = _folder_parser("sample", "Draw new samples from a run's generator.")
    parser.add_argument("-n", type=int, default=10, help="how many (default 10)")
    parser.add_argument("--where", metavar="COND", action="append", default=[], help="'left=yes', 'city in {Ulm,Bonn}', '30<age<40'")
    parser.add_argument("--prompt", help="text prompt, for text-conditioned generators")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same samples")
    parser.add_argument("-o", "--out", metavar="FILE", type=Path, help="write here; the suffix chooses the format")
    asked = parser.parse_args(argv)
    if asked.out is not None and asked.out.exists() and asked.out.is_dir():
        raise RecipeError(f"{asked.out} is a folder", hint="-o FILE.csv")
    from scarce.runs import api

    opened = api.load(asked.run)
    records = opened.sample(asked.n, where=asked.where, prompt=asked.prompt, seed=asked.seed, quiet=asked.quiet)
    if asked.out is not None:
        print(opened.write(records, asked.out))
    else:
        print(records.to_string() if hasattr(records, "to_string") else "\n".join(map(str, records)))


def _folder_parser(verb: str, text: str, *, overrides: bool = False) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"scarce {verb}", description=text)
    parser.add_argument("run", type=Path, help="run folder")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    if overrides:
        parser.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="must equal the run's own recipe")
    return parser


def _show(run: object) -> None:
    from rich.console import Console

    from scarce.report.text import terminal_summary

    console = Console()
    console.print(terminal_summary(run.results))  # type: ignore[attr-defined]
    console.print(f"report: {run.report}", soft_wrap=True, highlight=False)  # type: ignore[attr-defined]


def as_json(data: object) -> None:
    """Print JSON for programs."""
    print(json.dumps(data, indent=2, ensure_ascii=False, default=str))
