"""`scarce relation RUN…`: does a smaller distance to real pictures go with a better classifier? Correlations over arms and seeds."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import rankdata

from scarce.contract import Metric
from scarce.contract.frozen import Frozen
from scarce.errors import RunError
from scarce.files import read_json, write_bytes

DRAWS, LEVEL = 1000, 0.95
FEWEST, DISTANCES = 4, ("frechet_distance", "kernel_distance")
Values = npt.NDArray[np.float64]


class Point(Frozen):
    """One arm and seed of a run: its distance (lower is nearer to real pictures) and its accuracy."""

    run: str
    arm: str
    seed: int
    distance: float
    accuracy: float


def points_of(folders: Sequence[Path], distance: str, accuracy: str, source: str) -> list[Point]:
    """The points of run folders; children that lack one of the two metrics for the source are left out."""
    return [point for folder in folders for point in _read(folder, distance, accuracy, source)]


def _read(folder: Path, distance: str, accuracy: str, source: str) -> Iterator[Point]:
    for file in sorted(folder.rglob("metrics.json")):
        said = read_json(file)
        values: dict[str, float] = {}
        for m in said["metrics"]:
            if m["source"] == source and not m["error"]:
                values.setdefault(m["name"], m["value"])  # of two spaces the first
        x, y = values.get(distance), values.get(accuracy)
        if x is not None and y is not None and np.isfinite([x, y]).all():
            yield Point(run=folder.name, arm=said["arm"], seed=said["seed"], distance=float(x), accuracy=float(y))


def correlation(x: Values, y: Values) -> float:
    """Pearson's correlation; NaN where one of the two does not vary."""
    x, y = x - x.mean(), y - y.mean()
    scale = float(np.sqrt((x**2).sum() * (y**2).sum()))
    return float((x * y).sum() / scale) if scale > 1e-12 else float("nan")


def relation(points: Sequence[Point], seed: int = 0) -> list[Metric]:
    """`pearson` and `spearman` of distance and accuracy over points, with percentile bootstrap intervals; RunError below 4 points.

    Points of one seed share their data, so seeds are drawn as a whole where there are at least 4 of them, else points are.
    """
    if len(points) < FEWEST:
        raise RunError(f"a correlation needs {FEWEST} arms and seeds with both numbers, found {len(points)}", hint="name more run folders")
    x, y = (np.array([getattr(p, name) for p in points]) for name in ("distance", "accuracy"))
    seeds = np.array([f"{p.run}/{p.seed}" for p in points])
    blocks = [np.flatnonzero(seeds == s) for s in np.unique(seeds)]
    blocks = blocks if len(blocks) >= FEWEST else [np.array([i]) for i in range(len(points))]
    rng = np.random.default_rng(seed)
    chosen = [np.concatenate([blocks[i] for i in rng.integers(len(blocks), size=len(blocks))]) for _ in range(DRAWS)]
    out = []
    for name, change in (("pearson", np.asarray), ("spearman", rankdata)):
        drawn = [v for rows in chosen if not np.isnan(v := correlation(change(x[rows]), change(y[rows])))]
        low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]) if drawn else (np.nan, np.nan)
        value = correlation(change(x), change(y))
        out.append(Metric(name=name, value=value, low=float(low), high=float(high), n=len(points)))
    return out


def main(argv: Sequence[str]) -> None:
    """Run `relation RUN… [--accuracy NAME] [--out points.csv]`: a line per distance and source that four arms and seeds or more have.

    Raises RunError where none has.
    """
    parser = argparse.ArgumentParser(prog="scarce relation", description="Whether a smaller distance goes with a better classifier.")
    parser.add_argument("run", type=Path, nargs="+", help="run folders; every arm and seed is a point")
    parser.add_argument("--accuracy", metavar="NAME", default="accuracy", help="the score of classifiers (default accuracy)")
    parser.add_argument("--out", metavar="FILE", type=Path, help="a CSV of the points")
    asked = parser.parse_args(list(argv))
    rows, lines = [], list[str]()
    for distance in DISTANCES:
        for source in ("synthetic", "both"):
            points = points_of(asked.run, distance, asked.accuracy, source)
            rows += [{"distance of": distance, "accuracy of": source, **p.to_json()} for p in points]
            if len(points) >= FEWEST:
                said = ", ".join(f"{m.name} {m.value:.2f} [{m.low:.2f}, {m.high:.2f}]" for m in relation(points))
                lines.append(f"{distance} and {asked.accuracy} of {source}, {len(points)} points: {said}")
    if not lines:
        what = f"no {' or '.join(DISTANCES)} beside {asked.accuracy} in {FEWEST} arms and seeds of {', '.join(map(str, asked.run))}"
        raise RunError(what, hint="name runs with more arms or seeds, and evaluators frechet and image-accuracy")
    print("\n".join(lines))
    if asked.out is not None:
        print(write_bytes(asked.out, pd.DataFrame(rows).to_csv(index=False).encode()))
