"""`scarce sweep`: a recipe at many points, compared."""

from __future__ import annotations

from pathlib import Path

from scarce.cli.common import overrides, parser, show, table
from scarce.errors import RecipeError


def main(argv: list[str]) -> int:
    """Run `sweep RECIPE [--over PATH=A,B …] [--only FACTOR[=LEVEL,…] …] [--one-at-a-time] …`; 1 when a point failed."""
    text = "Run a recipe at every point of its [sweep] and of --over, and compare. Repeat it with the same --out to continue."
    arguments = parser("sweep", text, "recipe", "--data", "--set", "--preset", "--workers", "--quiet", "--json")
    arguments.add_argument("--over", metavar="PATH=A,B", action="append", default=[], help="vary one recipe value")
    arguments.add_argument("--only", metavar="FACTOR[=A,B]", action="append", default=[], help="some levels of a factor, or some factors")
    arguments.add_argument("--one-at-a-time", action="store_true", help="vary one factor at a time, not all combinations")
    arguments.add_argument("--seeds", type=int, help="seeds of every point")
    arguments.add_argument("--out", metavar="DIR", type=Path, help="folder of the sweep (default: runs/NAME-N)")
    arguments.add_argument("--metric", default="", help="the score (default: the task's main metric)")
    arguments.add_argument("--cost", default="train_cpu_seconds", help="what it is set against, from a run's cost")
    asked = arguments.parse_args(argv)
    from scarce.tools.points import parse_over
    from scarce.tools.sweep import run_sweep

    over = [parse_over(text) for text in asked.over]
    if len(dict(over)) < len(over):
        raise RecipeError("--over names one path twice", hint="--over train.steps=400,800")
    sets = overrides(asked) | ({} if asked.seeds is None else {"seeds": asked.seeds})
    folder = run_sweep(
        asked.recipe, over=dict(over), only=asked.only, one_at_a_time=asked.one_at_a_time, data=asked.data, set=sets,
        preset=asked.preset, out=asked.out, quiet=asked.quiet, metric=asked.metric, cost=asked.cost,
    )  # fmt: skip
    return tell(folder, as_json=asked.json)


def tell(folder: Path, *, as_json: bool = False) -> int:
    """Print what a sweep found; 1 when a point is not finished."""
    from scarce.files import read_json
    from scarce.tools.sweep import results
    from scarce.tools.sweep_page import blocks

    facts, found = read_json(folder / "sweep.json"), results(folder)
    parts = [f"{b.title}\n{table(b.head, b.rows)}" + (f"\n{b.note}" if b.note else "") if b.head else b.note for b in blocks(found, facts)]
    show(facts, "\n\n".join([*parts, f"page: {folder / 'sweep.html'}"]), as_json=as_json)
    return int(any(r.status != "done" for r in found))
