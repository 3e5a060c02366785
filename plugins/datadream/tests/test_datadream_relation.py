"""Distance against accuracy over runs: known correlations, what is left out, and intervals that cover."""

import numpy as np
import pandas as pd
import pytest

from scarce.cli import app
from scarce.errors import RunError
from scarce.files import write_json
from scarce_datadream.relation import Point, correlation, main, points_of, relation


def points(n, rho, seed, seeds=5):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    y = rho * x + np.sqrt(1 - rho**2) * rng.normal(size=n)
    return [Point(run="r", arm="ab"[i % 2], seed=i % seeds, distance=float(x[i]), accuracy=float(y[i])) for i in range(n)]


def test_intervals_cover_the_truth_and_ranks_do_not_see_the_scale():
    found = [relation(points(30, -0.7, seed, seeds=30)) for seed in range(12)]
    assert np.mean([f[0].value for f in found]) == pytest.approx(-0.7, abs=0.1)
    assert np.mean([f[0].low <= -0.7 <= f[0].high for f in found]) >= 0.75
    line = [Point(run="r", arm="a", seed=i, distance=float(i), accuracy=float(np.exp(-i))) for i in range(8)]
    pearson, spearman = relation(line)
    assert spearman.value == pytest.approx(-1)
    assert -1 < pearson.value < -0.5
    assert np.isnan(correlation(np.ones(5), np.arange(5.0)))


def test_seeds_are_drawn_as_a_whole():
    """Ten copies of each of five points are no more evidence than five points."""
    five = points(5, -0.5, 3)
    many = [p for p in five for _ in range(10)]
    width = [m.high - m.low for m in (relation(five)[0], relation(many)[0])]
    assert width[1] > 0.9 * width[0]
    with pytest.raises(RunError, match="needs 4 arms and seeds"):
        relation(five[:3])


def test_run_folders_are_read_and_printed(tmp_path, capsys):
    for seed in range(5):
        metrics = [
            {"name": name, "value": value, "source": source, "error": ""}
            for source in ("synthetic", "both")
            for name, value in (("frechet_distance", 1.0 + seed), ("accuracy", 0.9 - 0.1 * seed))
        ]  # fmt: skip
        failed = [{"name": "kernel_distance", "value": float("nan"), "source": "synthetic", "error": "too few"}]
        write_json(tmp_path / "run" / "arms" / f"a{seed}" / "metrics.json", {"arm": "a", "seed": seed, "metrics": metrics + failed})
    read = points_of([tmp_path / "run"], "frechet_distance", "accuracy", "synthetic")
    assert [(p.seed, p.distance) for p in read] == [(i, 1.0 + i) for i in range(5)]
    assert points_of([tmp_path / "run"], "kernel_distance", "accuracy", "synthetic") == []
    assert app.main(["relation", str(tmp_path / "run"), "--out", str(tmp_path / "points.csv")]) == 0
    shown = capsys.readouterr().out
    assert "frechet_distance and accuracy of synthetic, 5 points: pearson -1.00" in shown
    assert "kernel" not in shown
    points = pd.read_csv(tmp_path / "points.csv")
    assert len(points) == 10
    assert list(points[points["accuracy of"] == "both"]["accuracy"]) == pytest.approx([0.9, 0.8, 0.7, 0.6, 0.5])
    with pytest.raises(RunError, match=r"no frechet_distance or kernel_distance beside auroc in 4 arms and seeds"):
        main([str(tmp_path / "run"), "--accuracy", "auroc"])
