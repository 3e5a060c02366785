"""Accuracy against budget over arms and seeds: what is drawn of tiny real runs of rounds, and what is said of few seeds."""

import json
import re

import numpy as np
import pandas as pd
import pytest
import tomli_w
from scipy import stats

from scarce.files import read_json
from scarce.report.budgets import budget_figures
from scarce.report.statistics import Child
from scarce.runs import api

RECIPE = {
    "seeds": 2,
    "arm": [{"name": "one"}, {"name": "two", "generate.steps": 2}],
    "data": {"modality": "tabular", "target": "group", "labelled": 0.2},
    "backbone": {"name": "mlp", "width": 16, "layers": 1},
    "conditioner": [{"name": "label"}],
    "diffusion": {"steps": 20},
    "train": {"steps": 60, "batch": 64},
    "generate": {"count": 20, "sampler": "ddim", "steps": 3, "rounds": 2},
    "learner": {"name": "mlp", "steps": 60, "width": 8},
    "evaluator": [{"name": "rounds"}],
    "runtime": {"threads": 1, "precision": "fp32"},
}


@pytest.fixture(scope="module")
def four(tmp_path_factory):
    """Two arms, two seeds, two rounds."""
    pytest.importorskip("scarce_tabular")
    pytest.importorskip("scarce_galot")
    home, rng = tmp_path_factory.mktemp("budgets"), np.random.default_rng(0)
    code = rng.integers(0, 3, 200)
    values = rng.normal(0, 1.2, (200, 2)) + np.array([[-2, 0], [0, 2], [2, 0]])[code]
    pd.DataFrame({"a": values[:, 0], "b": values[:, 1], "group": np.array(["low", "mid", "high"])[code]}).to_csv(
        home / "t.csv", index=False
    )
    (home / "recipe.toml").write_text(tomli_w.dumps(RECIPE))
    return api.run(str(home / "recipe.toml"), data=str(home / "t.csv"), set={"data.target": "group"}, out=home / "run", quiet=True)


def test_a_line_per_arm_and_its_band_over_seeds(four):
    found = {}
    for arm in ("one", "two"):
        said = [[read_json(four.folder / f"arms/{arm}/{seed}/rounds/0{i}/round.json") for seed in (0, 1)] for i in (0, 1)]
        found[arm] = [(np.mean([f["budget"] for f in fs]), [f["accuracy"] for f in fs]) for fs in said]
    (figure,) = budget_figures(four.results.children)
    assert (figure.section, figure.title) == ("rounds", "Accuracy against budget, arm by arm")
    lines = {t["name"]: t for t in figure.traces if t["mode"] == "lines+markers"}
    bands = {t["name"]: t for t in figure.traces if t.get("fill")}
    assert list(lines) == list(found)
    for arm, points in found.items():
        assert lines[arm]["x"] == [budget for budget, _ in points]
        assert lines[arm]["y"] == pytest.approx([np.mean(values) for _, values in points])
        half = [stats.t.ppf(0.975, 1) * np.std(values, ddof=1) / np.sqrt(2) for _, values in points]
        high = bands[f"{arm}, 95 % interval"]["y"][:2]
        assert high == pytest.approx([np.mean(values) + h for (_, values), h in zip(points, half, strict=True)])
    assert lines["one"]["line"]["color"] != lines["two"]["line"]["color"]
    assert "means over 2 seeds" in figure.caption
    assert "2 of at least 5 seeds: too few runs to say" in figure.caption
    page = four.report.read_text(encoding="utf-8")
    plots = json.loads(re.search(r'id="plots">(.*?)</script>', page, re.S).group(1))
    assert [t["name"] for t in lines.values()] == [
        t["name"] for p in plots.values() for t in p["traces"] if t.get("name") in found and t["mode"] == "lines+markers"
    ]
    assert page.index("Accuracy against budget, arm by arm") > page.index('<section id="rounds">')


def child(arm, seed, accuracies, note="{} records; labels suffer"):
    said = [
        {"name": "round_accuracy", "source": f"round {i}", "value": a, "note": note.format(100 * i)} for i, a in enumerate(accuracies, 1)
    ]
    return Child(arm=arm, seed=seed, metrics=[*said, {"name": "gain", "source": "round 1", "value": 3.0}, {"name": "aubc", "value": 0.5}])


def test_what_few_seeds_cannot_say():
    single = budget_figures([child(arm, 0, (0.5, 0.6)) for arm in "ab"])[0]
    assert [t["mode"] for t in single.traces] == ["lines+markers"] * 2
    assert "1 of at least 5 seeds" in single.caption
    assert "from two seeds on" in single.caption
    five = budget_figures([child("a", seed, (0.5 + seed / 100, 0.6 + seed / 100, 0.7)) for seed in range(5)])[0]
    assert [t["name"] for t in five.traces] == ["mean over seeds, 95 % interval", "mean over seeds"]
    assert "at least" not in five.caption
    assert five.traces[1]["y"] == pytest.approx([0.52, 0.62, 0.7])
    assert five.layout["yaxis"]["range"] == pytest.approx([0.4, 0.8])
    uneven = budget_figures([child("a", 0, (0.5, 0.6)), child("a", 1, (0.52, 0.6)), child("b", 0, (0.5, float("nan")))])[0]
    assert [t["name"] for t in uneven.traces] == ["a, 95 % interval", "a"]  # one round is no line
    assert "leave the axis" in uneven.caption


def test_nothing_is_drawn_of_one_child_one_round_or_no_budget():
    assert budget_figures([]) == []
    assert budget_figures([child("a", 0, (0.5, 0.6))]) == []
    assert budget_figures([child("a", s, (0.5,)) for s in (0, 1)]) == []
    assert budget_figures([child("a", s, (0.5, 0.6), note="nothing") for s in (0, 1)]) == []
