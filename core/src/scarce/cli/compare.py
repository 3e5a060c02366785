"""`scarce compare`: is one run better than another, equivalent, or can nothing be said?"""

from __future__ import annotations

from typing import Any

from scarce.cli.common import parser, show, table


def main(argv: list[str]) -> None:
    """Run `compare RUN RUN … [--metric NAME …] [--source SOURCE] [--margin M] [--json]`."""
    arguments = parser("compare", "Later runs or arms against the first, paired over seeds.", "--json")
    arguments.add_argument("runs", nargs="+", metavar="RUN", help="run folder, or FOLDER:ARM; one folder alone: its arms")
    arguments.add_argument("--metric", action="append", default=[], help="default: main metric, correlation distance, hold-out share")
    arguments.add_argument("--source", default="synthetic", help="measured on: synthetic (default), real, both, or a baseline")
    arguments.add_argument("--margin", type=float, help="smaller differences are equivalent, in the metric's unit (default 0.02)")
    asked = arguments.parse_args(argv)
    from scarce.report.statistics import FEWEST_SEEDS
    from scarce.tools.compare import MARGIN, compare, sides

    margin = MARGIN if asked.margin is None else asked.margin
    lines = compare(asked.runs, metrics=asked.metric, source=asked.source, margin=margin)
    first = sides(asked.runs)[0].name
    tested = sum(line.comparison.n >= FEWEST_SEEDS for line in lines)
    head = ("run", "metric", "seeds", "mean difference", "95 % interval", "Wilcoxon p", f"TOST p ({margin:g})", "verdict")
    parts = [f"against {first}, {asked.source} rows", table(head, [_row(line) for line in lines])]
    parts += [f"{line.run}, {line.metric}: {_values(line.values)} against {_values(line.reference)}" for line in lines
              if 0 < line.comparison.n < FEWEST_SEEDS]  # fmt: skip
    parts.append(f"comparisons tested: {tested}; their verdicts hold for all together (Holm), p values are those of each alone")
    facts = {"reference": first, "source": asked.source, "margin": margin, "tested": tested}
    show({**facts, "comparisons": [line.to_json() for line in lines]}, "\n".join(parts), as_json=asked.json)


def _row(line: Any) -> tuple[str, ...]:
    from scarce.report.statistics import label

    c = line.comparison
    name = label(line.metric) + (" (distance to target)" if c.direction == "target" else "")
    span = "–" if c.low is None else f"[{c.low:+.4f}, {c.high:+.4f}]"
    tests = ("–" if p is None else f"{p:.3f}" for p in (c.wilcoxon, c.equivalent))
    return (line.run, name, str(c.n), f"{c.mean:+.4f}" if c.n else "–", span, *tests, c.verdict)


def _values(values: Any) -> str:
    return ", ".join(f"{v:.4f}" for v in values)
