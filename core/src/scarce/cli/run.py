"""`scarce run`, `resume`, `sample` and `evaluate`: doing the work."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from scarce.cli.common import overrides, parser, show, table
from scarce.errors import RecipeError, Stopped, stoppable


def main(argv: list[str]) -> None:
    """Run `run RECIPE [--data FILE] [--set KEY=VALUE …] [--preset NAME] [--out DIR] [--trace] [--json]`."""
    text = "Run a recipe: load, train, generate, learn, evaluate, report."
    arguments = parser("run", text, "recipe", "--data", "--set", "--preset", "--workers", "--quiet", "--json")
    arguments.add_argument("--out", metavar="DIR", type=Path, help="run folder (default: runs/NAME-N)")
    arguments.add_argument("--trace", action="store_true", help="every hook call with plugin and time, in trace.jsonl and a table")
    asked = arguments.parse_args(argv)
    from scarce.runs import api
    from scarce.runs.following import together

    made = {"set": overrides(asked), "preset": asked.preset, "out": asked.out, "quiet": asked.quiet, "trace": asked.trace}
    if (run := together(lambda: api.run(asked.recipe, data=asked.data, **made))) is not None:
        _show(run, asked.json)


def resume(argv: list[str]) -> int:
    """Run `resume RUN [--json]`; 1 when a point of a sweep is not finished."""
    text = "Continue an interrupted run where it stopped; --set must equal the run's own recipe."
    asked = parser("resume", text, "run", "--set", "--workers", "--quiet", "--json").parse_args(argv)
    with stoppable(asked.run):
        return _resume(asked)


def _resume(asked: argparse.Namespace) -> int:
    from scarce.runs import api
    from scarce.runs.following import together
    from scarce.runtime.progress import Progress

    sets, progress = list(overrides(asked).items()), Progress(quiet=asked.quiet)
    if (asked.run / "sweep.json").is_file():
        from scarce.cli.sweep import tell
        from scarce.tools.sweep import resume_sweep

        return tell(resume_sweep(asked.run, sets, progress=progress), as_json=asked.json)
    if (run := together(lambda: api.resume(asked.run, sets, progress=progress))) is not None:
        _show(run, asked.json)
    return 0


def evaluate(argv: list[str]) -> None:
    """Run `evaluate RUN [--json]`."""
    asked = parser("evaluate", "Judge the stored samples of a run again.", "run", "--quiet", "--json").parse_args(argv)
    from scarce.runs import api
    from scarce.runtime.progress import Progress

    _show(api.resume(asked.run, judge_again=True, progress=Progress(quiet=asked.quiet)), asked.json)


def sample(argv: list[str]) -> None:
    """Run `sample RUN -n N [--where COND …] [--prompt TEXT | --prompts FILE] [--length L] [--seed N] [-o FILE [--parts]] [--json]`."""
    arguments = parser("sample", "Draw new samples from a run's generator.", "run", "--quiet", "--json")
    arguments.add_argument("-n", type=int, default=10, help="how many (default 10)")
    arguments.add_argument("--where", metavar="COND", action="append", default=[], help="'left=yes', 'city in {Ulm,Bonn}', '30<age<40'")
    texts = arguments.add_mutually_exclusive_group()
    texts.add_argument("--prompt", help="text prompt, for text-conditioned generators")
    texts.add_argument("--prompts", metavar="FILE", type=Path, help="one prompt per line, asked in turn")
    arguments.add_argument("--length", metavar="L", type=int, help="length of every sample, where lengths vary")
    arguments.add_argument("--seed", type=int, default=0, help="same seed, same samples")
    arguments.add_argument("-o", "--out", metavar="FILE", type=Path, help="write here; the suffix chooses the format")
    arguments.add_argument("--parts", action="store_true", help="FILE is a folder of files, one per shard, written as they are drawn")
    asked = arguments.parse_args(argv)
    if asked.parts and asked.out is None:
        raise RecipeError("--parts needs a folder to write to", hint="-o rows.parquet --parts")
    if asked.out is not None and asked.out.is_dir() and not asked.parts:
        raise RecipeError(f"{asked.out} is a folder", hint="-o FILE.csv")
    from scarce.runs import api

    opened, prompt = api.load(asked.run), asked.prompt
    if asked.prompts is not None:
        prompt = [line.strip() for line in _lines(asked.prompts) if line.strip()]
    how = {"where": asked.where, "prompt": prompt, "length": asked.length, "seed": asked.seed, "quiet": asked.quiet}
    if asked.parts:
        try:
            show({"folder": (made := opened.sample_parts(asked.n, asked.out, **how))}, str(made), as_json=asked.json)
        except KeyboardInterrupt:
            raise Stopped(f"what is drawn stays in {asked.out}", hint="the same command again") from None
        return
    records = opened.sample(asked.n, **how)
    if asked.out is not None:
        written = opened.write(records, asked.out)
        show({"file": written}, str(written), as_json=asked.json)
    else:
        text = records.to_string() if hasattr(records, "to_string") else "\n".join(map(str, records))
        show(_plain(records) if asked.json else None, text, as_json=asked.json)


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{file} can't be read: {error}", hint="--prompts FILE, a UTF-8 text with one prompt per line") from None


def _plain(records: Any) -> Any:
    """Records as JSON values: a table as one object per row."""
    return json.loads(records.to_json(orient="records", date_format="iso")) if hasattr(records, "to_json") else list(records)


def _show(run: Any, as_json: bool) -> None:
    from rich.console import Console

    from scarce.report.text import terminal_summary

    if as_json:
        results = run.results
        verdict = results.verdict()
        said = {"lights": dict(verdict.lights), "sentence": verdict.sentence, "reasons": dict(verdict.reasons)}
        facts = {"folder": run.folder, "report": run.report, "name": results.name, "task": results.task, "command": results.command}
        traced = {"trace": run.trace} if run.trace else {}
        show({**facts, "verdict": said, "metrics": run.metrics, "cost": results.cost, **traced}, "", as_json=True)
        return
    console = Console()
    console.print(terminal_summary(run.results))
    console.print(f"report: {run.report}", soft_wrap=True, highlight=False)
    if run.trace:
        print(f"\n{_calls(run.trace)}")


def _calls(rows: list[dict[str, Any]]) -> str:
    """Hook calls by plugin, the longest first, as a table."""
    whole = sum(row["seconds"] for row in rows)
    cells = [
        (row["hook"], f"{row['role']} '{row['name']}'", f"{row['distribution']} {row['version']}", row["path"], str(row["calls"]),
         f"{row['seconds']:.3f}", str(row["failed"] or ""))
        for row in rows
    ]  # fmt: skip
    head = ("hook", "plugin", "distribution", "path", "calls", f"seconds of {whole:.3f}", "failed")
    return table(head, cells)
