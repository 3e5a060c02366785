"""`scarce compare`: later runs or arms against the first, paired over seeds, on the same records in the same splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scarce.contract.frozen import Frozen
from scarce.errors import RunError, did_you_mean
from scarce.files import read_json
from scarce.report.statistics import MAIN_METRIC, Child, Comparison, adjusted, by_seed, number, paired
from scarce.runs.folder import children, read_recipe

MARGIN = 0.02
"""Differences below it are called equivalent unless told otherwise, in a metric's own unit: two points of a score from 0 to 1."""
BESIDE = ("correlation_distance", "holdout_share")


class Side(Frozen):
    """One run or arm: its finished children, and where each seed lies."""

    name: str
    task: str
    children: Sequence[Child]
    homes: Mapping[int, Path]


class Line(Frozen):
    """One side against the first on one metric: the values of the paired seeds, and what they say."""

    run: str
    metric: str
    values: Sequence[float]
    reference: Sequence[float]
    comparison: Comparison

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        facts = super().to_json()
        return {**facts, **facts.pop("comparison")}


def sides(runs: Sequence[str]) -> list[Side]:
    """The sides that FOLDER or FOLDER:ARM name; a folder alone gives each of its arms. Raises RunError."""
    out = []
    for text in runs:
        folder, arm = (text, "") if Path(text).exists() else text.rpartition(":")[::2] if ":" in text else (text, "")
        read_recipe(Path(folder))
        done = [home for home in children(Path(folder)) if (home / "metrics.json").is_file()]
        found: dict[str, list[tuple[Path, Any]]] = {}
        for home in done:
            results = read_json(home / "metrics.json")
            found.setdefault(results["arm"], []).append((home, results))
        if arm and arm not in found:
            known = f"there are {', '.join(found)}" if found else "none is finished"
            raise RunError(f"{folder} has no finished arm '{arm}'{did_you_mean(arm, found)}; {known}", hint=f"scarce resume {folder}")
        if not found:
            raise RunError(f"{folder} has nothing finished to compare", hint=f"scarce resume {folder}")
        for name in [arm] if arm else found:
            shown = f"{folder}:{name}" if len(found) > 1 or arm else folder
            kids = [Child(arm=shown, seed=r["seed"], metrics=r["metrics"], cost=r["cost"], counts=r["counts"]) for _, r in found[name]]
            homes = {r["seed"]: home for home, r in found[name]}
            out.append(Side(name=shown, task=found[name][0][1]["task"], children=kids, homes=homes))
    if len(out) < 2:
        raise RunError(f"{', '.join(runs)}: there is nothing to compare it with", hint="scarce compare RUN RUN, or one run with arms")
    if len({side.name for side in out}) < len(out):
        raise RunError("one run is named twice", hint="scarce compare RUN RUN")
    return out


def refuse_other_data(first: Side, other: Side) -> None:
    """Raise RunError, naming seed and difference, unless every shared seed had the same records in the same splits."""
    for seed in sorted(first.homes.keys() & other.homes.keys()):
        a, b = (read_json(side.homes[seed] / "data.json") for side in (first, other))
        differs = [f"split '{name}' ({len(a['splits'][name])} and {len(b['splits'][name])} records)" for name in a["splits"]
                   if a["splits"][name] != b["splits"].get(name)]  # fmt: skip
        if a["sha256"] != b["sha256"] and not differs:
            differs = [f"the target or which records are labelled ({a['target']} and {b['target']})"]
        if differs:
            what = f"seed {seed}: {first.name} ({a['name']}) and {other.name} ({b['name']}) can't be paired, they differ in "
            raise RunError(what + ", ".join(differs), hint="run both on the same data with the same seeds")


def default_metrics(first: Side) -> list[str]:
    """The task's main metric, correlation distance and hold-out share, as far as they were measured."""
    measured = {m["name"] for child in first.children for m in child.metrics}
    return [name for name in (MAIN_METRIC.get(first.task, ""), *BESIDE) if name in measured]


def compare(runs: Sequence[str], *, metrics: Sequence[str] = (), source: str = "synthetic", margin: float = MARGIN) -> list[Line]:
    """Every side after the first against it, per metric, on what was measured of `source`; verdicts hold together after Holm.

    Raises RunError for what is no finished run, for runs on other data or splits, and for a metric nobody measured.
    """
    if not margin > 0:
        raise RunError(f"--margin {margin}: must be > 0", hint=f"--margin {MARGIN}")
    first, *others = sides(runs)
    for other in others:
        refuse_other_data(first, other)
    known = sorted({m["name"] for child in first.children for m in child.metrics if m.get("source") == source})
    chosen = list(metrics) or default_metrics(first)
    for name in [m for m in chosen if m not in known] or ([] if chosen else [""]):
        said = f"'{name}' was not measured on {source} rows of {first.name}{did_you_mean(name, known)}" if name else "no metric to compare"
        raise RunError(said, hint=f"--metric {known[0]}" if known else "--source real")
    made = [_line(first, other, name, source, margin) for other in others for name in chosen]
    return [line.with_(comparison=c) for line, c in zip(made, adjusted([line.comparison for line in made]), strict=True)]


def _line(first: Side, other: Side, metric: str, source: str, margin: float) -> Line:
    made = paired([*first.children, *other.children], (other.name, source), (first.name, source), metric, margin)
    values = {side.name: by_seed(side.children, (side.name, source), metric) for side in (other, first)}
    shown = [[number(values[side.name][seed]["value"]) for seed in made.seeds] for side in (other, first)]
    return Line(run=other.name, metric=metric, values=shown[0], reference=shown[1], comparison=made)
