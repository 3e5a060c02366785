"""Samples of finished runs as training data of another run, with and without a generator of its own."""

import numpy as np
import pandas as pd
import pytest
import tomli_w

from scarce.errors import DataError, RecipeError, RunError
from scarce.files import read_json
from scarce.runs import api

pytest.importorskip("scarce_tabular")
MADE = {
    "data": {"modality": "tabular", "target": "group"},
    "backbone": {"name": "mlp", "width": 32, "layers": 1},
    "conditioner": [{"name": "label"}],
    "train": {"steps": 100, "batch": 64},
    "generate": {"count": 90, "steps": 5},
    "runtime": {"threads": 1},
}
LEARN = {
    "data": {"modality": "tabular", "target": "group"},
    "learner": {"name": "catboost", "iterations": 20, "threads": 1},
    "evaluator": [{"name": "utility"}],
    "runtime": {"threads": 1},
}


def table(names, n=200):
    code = np.random.default_rng(0).integers(0, 2, n)
    values = np.random.default_rng(1).normal(0, 0.5, (n, 2)) + np.array([[-1, 0], [1, 0]])[code]
    return pd.DataFrame({"a": values[:, 0], "b": values[:, 1], "group": np.array(names)[code]})


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("reuse")
    for name, recipe in (("made", MADE), ("learn", LEARN)):
        (home / f"{name}.toml").write_text(tomli_w.dumps(recipe))
    table([0, 1]).to_csv(home / "table.csv", index=False)
    run(home, "made", "parent")
    return home


def run(home, recipe, name, data="table.csv", **sets):
    sets = {"data.target": "group", **{key.replace("__", "."): value for key, value in sets.items()}}
    return api.run(str(home / f"{recipe}.toml"), data=str(home / data), set=sets, out=home / name, quiet=True)


def shared(found, other):
    """Whether the samples of two runs have a row in common."""
    frames = (pd.read_parquet(folder / "samples" / "synthetic.parquet") for folder in (found.folder, other))
    first, second = (set(map(tuple, frame[["a", "b"]].to_numpy())) for frame in frames)
    return bool(first & second)


def test_a_learner_on_the_samples_of_another_run_without_a_generator(home):
    found = run(home, "learn", "learned", data__synthetic=[f"run:{home}/parent"])
    scores = {m["source"]: m["value"] for m in found.metrics if m["name"] == "accuracy"}
    assert {"real", "synthetic", "both"} <= set(scores)
    assert scores["synthetic"] > 0.7
    assert found.results.children[0].counts["synthetic"] == 90
    parents = read_json(found.folder / "parents.json")
    assert list(parents) == [f"run:{home}/parent"]
    assert not (found.folder / "model" / "phases").exists()
    assert found.report.is_file()
    twice = run(home, "learn", "twice", data__synthetic=[f"run:{home}/parent"] * 1 + [str(home / "parent")])
    assert twice.results.children[0].counts["synthetic"] == 180
    with pytest.raises(RunError, match="no finished generator"):
        found.sample(2)


def test_reused_samples_stand_beside_new_ones(home):
    learner = {"learner": LEARN["learner"], "evaluator": [{"name": "utility"}]}
    found = run(home, "made", "beside", data__synthetic=[f"run:{home}/parent"], **learner)
    sources = {m["source"] for m in found.metrics if m["name"] == "accuracy"}
    assert {"real", "synthetic", "both", "reused", "real+reused"} <= sources
    assert not shared(found, home / "parent")  # the same seed, and yet not the same rows once more


def test_learners_of_rounds_see_reused_samples(home):
    sets = {"generate": {**MADE["generate"], "rounds": 2}, "learner": LEARN["learner"], "evaluator": [{"name": "utility"}]}
    alone = run(home, "made", "rounds-alone", **sets)
    beside = run(home, "made", "rounds-beside", data__synthetic=[f"run:{home}/parent"], **sets)
    first, second = (read_json(found.folder / "rounds" / "00" / "round.json") for found in (alone, beside))
    assert second["budget_before"] - first["budget_before"] == 90
    assert second["budget"] - first["budget"] == 90
    assert not shared(beside, alone.folder)
    assert shared(run(home, "made", "rounds-again", **sets), alone.folder)


def test_samples_that_changed_are_noticed(home):
    first = run(home, "made", "changing")
    found = run(home, "learn", "child", data__synthetic=[f"run:{home}/changing"])
    samples = first.folder / "samples" / "synthetic.parquet"
    pd.read_parquet(samples).iloc[::-1].to_parquet(samples)
    with pytest.raises(RunError, match="have changed since this run began"):
        api.resume(found.folder, judge_again=True)


def test_one_of_several_arms_or_seeds_must_be_named(home):
    arms = [{"name": "short"}, {"name": "long", "train.steps": 6}]
    run(home, "made", "many", arm=arms, seeds=2, train__steps=5, generate__count=9)
    with pytest.raises(RunError, match="many holds 4 runs, one for each arm and seed") as error:
        run(home, "learn", "of-many", data__synthetic=[f"run:{home}/many"])
    there = [f"run:{home}/many/arms/{arm}/{seed}" for arm in ("long", "short") for seed in (0, 1)]
    assert all(name in error.value.message for name in there)
    assert f"""'data.synthetic=["{there[0]}"]'""" in error.value.hint
    found = run(home, "learn", "of-one", data__synthetic=[there[3]])
    assert read_json(found.folder / "parents.json")[there[3]]["samples"]
    assert found.results.children[0].counts["synthetic"] == 9
    run(home, "made", "only", arm=arms[:1], train__steps=5, generate__count=8)
    assert run(home, "learn", "of-only", data__synthetic=[f"run:{home}/only"]).results.children[0].counts["synthetic"] == 8


def test_what_cannot_be_reused_is_said(home):
    with pytest.raises(RunError, match="not a run folder"):
        run(home, "learn", "x1", data__synthetic=["run:nowhere"])
    table(["no", "yes"]).to_csv(home / "other.csv", index=False)
    with pytest.raises(DataError, match="have a class '0' that the data do not know"):
        run(home, "learn", "x2", "other.csv", data__synthetic=[f"run:{home}/parent"])
    with pytest.raises(RecipeError, match="a recipe needs"):
        run(home, "learn", "x3")
    with pytest.raises(RecipeError, match=r"a recipe with \[strategy\] needs"):
        run(home, "learn", "x4", data__synthetic=[f"run:{home}/parent"], strategy=[{"name": "lora"}])
