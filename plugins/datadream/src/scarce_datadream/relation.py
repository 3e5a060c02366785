"""Does a smaller distance to real pictures go with a better classifier? Correlation over runs, with an interval: a table and a figure.

`python -m scarce_datadream.relation RUN…` prints it for run folders, each arm and seed of them a point.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from scarce.contract import Figure, Metric
from scarce.contract.frozen import Frozen
from scarce.errors import RunError
from scarce.files import read_json

DRAWS, LEVEL = 1000, 0.95
FEWEST = 4
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
        values = {m["name"]: m["value"] for m in said["metrics"] if m["source"] == source and not m["error"]}
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


def relation_figure(points: Sequence[Point]) -> Figure:
    """Accuracy over distance, a colour for each arm."""
    traces = []
    for arm in dict.fromkeys(p.arm for p in points):
        mine = [p for p in points if p.arm == arm]
        x, y = [p.distance for p in mine], [p.accuracy for p in mine]
        traces.append({"type": "scatter", "mode": "markers", "name": arm, "x": x, "y": y})
    layout = {"xaxis": {"title": {"text": "distance"}}, "yaxis": {"title": {"text": "accuracy"}}, "height": 360}
    said = "; ".join(f"{m.name} {m.value:.2f} [{m.low:.2f}, {m.high:.2f}]" for m in relation(points))
    title = "Distance to real pictures and accuracy"
    return Figure(name="relation", title=title, caption=said, traces=traces, layout=layout, section="utility")


def main(folders: Sequence[str]) -> None:
    """Print one line per distance and source of the run folders."""
    for distance in ("frechet_distance", "kernel_distance"):
        for source in ("synthetic", "both"):
            points = points_of([Path(f) for f in folders], distance, "accuracy", source)
            if len(points) >= FEWEST:
                said = ", ".join(f"{m.name} {m.value:.2f} [{m.low:.2f}, {m.high:.2f}]" for m in relation(points))
                print(f"{distance} and accuracy of {source}, {len(points)} points: {said}")


if __name__ == "__main__":
    main(sys.argv[1:])
