"""Rounds of active learning on a table: budgets, a folder per round, resuming, modes, and what is refused before training."""

import json

import numpy as np
import pandas as pd
import pytest
import tomli_w
import torch

from scarce.catalogue import read_catalogue
from scarce.contract import Condition, Dataset, Predictions
from scarce.contract.plan import Plan
from scarce.errors import CapabilityError, DataError, RecipeError
from scarce.files import read_json
from scarce.runs import api, rounds
from scarce.runs.assembly import check_recipe
from scarce.runs.recipe import resolve

pytest.importorskip("scarce_tabular")
pytest.importorskip("scarce_galot")
RECIPE = {
    "data": {"modality": "tabular", "target": "group", "labelled": 0.3},
    "backbone": {"name": "mlp", "width": 32, "layers": 1},
    "conditioner": [{"name": "label"}],
    "diffusion": {"steps": 30, "target": "v"},
    "train": {"steps": 150, "batch": 64},
    "generate": {"count": 24, "sampler": "ddim", "steps": 4, "rounds": 2},
    "acquisition": {"name": "margin", "epsilon": 0.3, "steps": 2, "images": 4, "grad_steps": 4, "also": ["entropy"], "warmup": 0.0},
    "learner": {"name": "mlp", "steps": 60, "width": 16},
    "evaluator": [{"name": "rounds"}, {"name": "utility"}],
    "runtime": {"threads": 1, "precision": "fp32"},
}


def table(n=200, seed=0):
    rng = np.random.default_rng(seed)
    code = rng.integers(0, 3, n)
    values = rng.normal(0, 0.5, (n, 2)) + np.array([[-2, 0], [0, 2], [2, 0]])[code]
    return pd.DataFrame({"a": values[:, 0], "b": values[:, 1], "group": np.array(["low", "mid", "high"])[code]})


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("rounds")
    (home / "recipe.toml").write_text(tomli_w.dumps(RECIPE))
    table().to_csv(home / "table.csv", index=False)
    return home


def run(home, name, **sets):
    sets = {"data.target": "group", **{key.replace("__", "."): value for key, value in sets.items()}}
    return api.run(str(home / "recipe.toml"), data=str(home / "table.csv"), set=sets, out=home / name, quiet=True)


@pytest.fixture(scope="module")
def ascended(home):
    return run(home, "ascended")


def facts(run):
    return [read_json(path) for path in sorted((run.folder / "rounds").glob("*/round.json"))]


def test_each_round_has_its_folder_and_its_budget(ascended):
    """G6: round r makes r + 1 times `generate.count`, not added up; the labelled records are in every one."""
    said, labelled = facts(ascended), ascended.results.children[0].counts["labelled"]
    assert [f["budget_before"] for f in said] == [labelled, labelled + 24]
    assert [f["budget"] for f in said] == [labelled + 24, labelled + 48]
    for i, round_ in enumerate(said):
        rows = pd.read_parquet(ascended.folder / "rounds" / f"{i:02d}" / "synthetic.parquet")
        assert len(rows) == 24 * (i + 1)
        assert round_["gate"] == "open"
        assert round_["epsilon"] == pytest.approx(0.15 * (i + 1))
        assert 0 <= round_["moved"] <= round_["epsilon"] * 1.00001
        assert round_["accuracy"] > 0.5
        assert 0 < round_["also_entropy"] < np.log(3)
    assert said[1]["accuracy_before"] == said[0]["accuracy"]
    whole = pd.read_parquet(ascended.folder / "samples" / "synthetic.parquet")
    pd.testing.assert_frame_equal(whole, rows)
    known = table()["group"].value_counts(normalize=True)
    assert (whole["group"].value_counts(normalize=True) - known).abs().max() < 0.1


def test_an_interrupted_run_goes_on_to_the_same_bytes(ascended, home, monkeypatch):
    """Killed after the embeddings of the second round were moved, before anything was made of them."""

    def killed(loop, learner, number, folder, start, whole=rounds._climbed):
        out = whole(loop, learner, number, folder, start)
        if number == 1:
            raise KeyboardInterrupt
        return out

    with monkeypatch.context() as patch:
        patch.setattr(rounds, "_climbed", killed)
        with pytest.raises(KeyboardInterrupt):
            run(home, "killed")
    again = api.resume(home / "killed")
    kept = [{k: v for k, v in f.items() if k != "seconds"} for f in facts(again)]
    assert kept == [{k: v for k, v in f.items() if k != "seconds"} for f in facts(ascended)]
    for name in ("samples/synthetic.parquet", "rounds/01/conditions.safetensors"):
        assert (again.folder / name).read_bytes() == (ascended.folder / name).read_bytes()


def test_a_radius_of_nothing_is_generation_at_random(home):
    """Whether a radius is searched for otherwise or not: that of the arm `random` is nothing."""
    still = run(home, "still", acquisition__epsilon=0, generate__rounds=1)
    arm = run(home, "arm", acquisition__epsilon=0, acquisition__auto_epsilon=True, acquisition__grid=[0.2], generate__rounds=1)
    two = run(home, "two", acquisition=None)
    for said in (facts(still)[0], facts(arm)[0]):
        assert (said["gain"], said["epsilon"], said["moved"]) == (0, 0, 0)
        assert "search" not in said
    first, *others = (pd.read_parquet(r.folder / "rounds/00/synthetic.parquet") for r in (still, arm, two))
    for other in others:
        pd.testing.assert_frame_equal(first, other)


def test_a_search_writes_what_it_tried(home):
    """What it finds is the radius of the round, whatever the schedule makes of `epsilon`."""
    found = run(home, "searched", acquisition__auto_epsilon=True, acquisition__grid=[0.05, 3.0])
    for said in facts(found):
        search = said["search"]
        assert [t["epsilon"] for t in search["tried"]] in ([0.05], [0.05, 3.0])
        assert said["epsilon"] == search["epsilon"]
        assert search["epsilon"] < 3
        assert (said["grad_calls"], said["calls"]) == (4, 4)
    assert facts(found)[0]["epsilon"] == 0.05
    text = found.report.read_text(encoding="utf-8")
    assert "Gain and label accuracy" in text
    assert "Accuracy against budget" in text


def test_selected_samples_score_higher_than_all(home):
    for learner in ({"name": "mlp", "steps": 40}, {"name": "catboost", "iterations": 20, "threads": 1}):
        found = run(home, f"selected-{learner['name']}", acquisition__mode="select", learner=learner, generate__rounds=1)
        said = facts(found)[0]
        assert said["gain"] > 0
        assert said["budget"] - said["budget_before"] == 24
        assert len(pd.read_parquet(found.folder / "samples" / "synthetic.parquet")) == 24


@pytest.mark.parametrize("pool", ["classic", "both"])
def test_labels_are_asked_for_what_the_learner_is_unsure_of(home, pool):
    found = run(home, f"queried-{pool}", acquisition__mode="query", generate__pool=pool, generate__count=10)
    said, data = facts(found), read_json(found.folder / "data.json")
    asked = [i for f in said for i in f["asked"]]
    assert len(set(asked)) == 20
    assert set(asked) <= set(data["splits"]["train"])
    start = said[0]["budget_before"]
    assert [f["budget"] for f in said] == [start + 10 + 10 * (pool == "both"), start + 20 + 20 * (pool == "both")]
    assert found.results.children[0].counts["labelled"] == start + 20
    metrics = {m["name"] for m in found.metrics if not m["error"]}
    assert {"aubc", "round_accuracy"} <= metrics
    if pool == "classic":
        by_chance = run(home, "chance", acquisition__name="random", acquisition__mode="query", generate__pool=pool, generate__count=10)
        assert [f["asked"] for f in facts(by_chance)] != [f["asked"] for f in said]


def test_the_gate_closes_on_a_learner_that_knows_nothing(home):
    found = run(home, "gated", acquisition__warmup=0.9, generate__rounds=1)
    said = facts(found)[0]
    assert said["gate"].startswith("closed: validation accuracy")
    assert "epsilon" not in said
    note = next(m["note"] for m in found.metrics if m["name"] == "aubc")
    assert "warm-up limits it" in note


def test_without_two_classes_there_is_nobody_to_ask(home):
    """One labelled record: the first round asks at random and moves nothing, the second has a learner."""
    sets = {"acquisition__mode": "select", "generate__pool": "both", "generate__count": 10, "data__labelled": 0.01, "train__steps": 5}
    said = facts(run(home, "cold", **sets))
    assert said[0]["accuracy_before"] is None
    assert said[0]["gate"] == "closed: no learner yet"
    assert "gain" not in said[0]
    assert len(said[0]["asked"]) == 10
    assert "no learner" not in said[1]["gate"]
    assert said[1]["accuracy_before"] is not None


def test_without_one_label_the_first_round_is_made_at_random_and_taught_from(home):
    found = run(home, "bare", data__labelled=0)
    said, values = facts(found), {(m["name"], m["source"]): m["value"] for m in found.metrics}
    assert said[0]["gate"] == "closed: no learner yet"
    assert [f["budget"] for f in said] == [24, 48]
    assert [f["diversity"] for f in said] == [None, None]
    assert found.results.children[0].counts["labelled"] == 0
    assert [m["error"] for m in found.metrics if m["error"]] == []
    assert 0 <= values["accuracy", "synthetic"] <= 1
    assert not {"real", "both", "bootstrap", "smote"} & {source for _, source in values}


def test_the_diversity_of_unmoved_samples_is_kept_beside_that_of_the_round(ascended):
    said, values = facts(ascended), {(m["name"], m["source"]): m["value"] for m in ascended.metrics}
    assert said[0]["diversity_before"] == said[1]["diversity_before"]
    assert 0.2 < said[0]["diversity_before"] < 3
    for i, facts_ in enumerate(said, 1):
        assert values["round_diversity_before", f"round {i}"] == facts_["diversity_before"]
        assert values["round_diversity", f"round {i}"] == facts_["diversity"] != facts_["diversity_before"]


class Always:
    """A learner that knows one class, or every second record's."""

    def __init__(self, *classes):
        self.classes = classes

    def predict(self, records):
        return Predictions(values=np.resize(np.array(self.classes, dtype=object), len(records)))


class Letters:
    """A generator that hears how often a prompt has the letter e, and nothing else."""

    plan = Plan(phases=())

    def encode_condition(self, prompts):
        return Condition(torch.tensor([[[1.0, p.text.count("e")]] for p in prompts]), torch.ones(len(prompts), 1, dtype=torch.bool))


def loop(classes, target, split, **sets):
    """A loop over n numbers with nothing but what is said here."""
    n, target = len(target), np.array(target, dtype=object)
    dataset = Dataset(
        name="n", ids=np.arange(n).astype(str), records=np.zeros((n, 1)), task="classification", target_name="c", target=target,
        classes=classes, labelled=np.ones(n, dtype=bool), split=np.array(split), groups=np.arange(n).astype(str),
    )  # fmt: skip
    recipe = resolve(RECIPE, overrides=list(sets.items()))
    return rounds.Loop(recipe, None, dataset, None, Letters(), None, None)


def test_the_gate_counts_every_class_alike():
    """Nine of ten validation records are of one class: naming it always is right in .9 of them, and in half of the classes."""
    asked = {"acquisition.warmup": 0.1}
    mine = loop(("a", "b"), ["b", "a"] + ["a"] * 9 + ["b"], ["train"] * 2 + ["validation"] * 10, **asked)
    closed = "closed: validation accuracy 0.500 (mean over classes) is below chance 0.500 + 0.1"
    assert rounds._gate(mine, Always("a")) == closed
    assert rounds._gate(mine, Always(*"aaaaaaaaab")) == "open"
    assert rounds._gate(mine, None) == "closed: no learner yet"
    unknown = "closed: no validation record has a known class to judge the learner by"
    assert rounds._gate(loop(("a", "b"), list("abab"), ["train"] * 4, **asked), Always("a")) == unknown
    assert rounds._gate(loop(("a", "b"), ["a", "b", None], ["train"] * 2 + ["validation"], **asked), Always("a")) == unknown


def test_what_no_gradient_passes_is_refused_with_what_would_pass_it():
    catalogue = read_catalogue()

    def refusal(**changes):
        raw = json.loads(json.dumps(RECIPE)) | {"data": {**RECIPE["data"], "source": "builtin:iris"}}
        return resolve(raw, overrides=[(k.replace("__", "."), v) for k, v in changes.items()])

    check_recipe(refusal(), catalogue)
    with pytest.raises(CapabilityError, match=r"acquisition 'margin' .* needs learner:differentiable") as error:
        check_recipe(refusal(learner__name="catboost"), catalogue)
    assert "learner 'mlp' (scarce-tabular)" in error.value.hint
    with pytest.raises(CapabilityError, match="needs learner:differentiable"):
        check_recipe(refusal(learner__name="catboost", acquisition__oracle={"name": "mlp"}), catalogue)
    with pytest.raises(CapabilityError, match=r"acquisition 'random' .* needs score:differentiable") as error:
        check_recipe(refusal(acquisition={"name": "random", "also": ["margin"]}), catalogue)
    assert "acquisition 'margin' (scarce-galot)" in error.value.hint
    with pytest.raises(CapabilityError, match="needs cond:differentiable"):
        check_recipe(refusal(conditioner=[]), catalogue)
    with pytest.raises(CapabilityError, match=r"acquisition 'coreset' .* needs learner:features"):
        check_recipe(refusal(acquisition__name="coreset", learner__name="catboost", acquisition__mode="select"), catalogue)
    for mode in ("select", "query"):
        check_recipe(refusal(acquisition__mode=mode, learner__name="catboost", generate__pool="both"), catalogue)
    with pytest.raises(RecipeError, match="generated' asks for none"):
        check_recipe(refusal(acquisition__mode="query"), catalogue)


def test_what_no_round_can_be_played_with_is_refused_before_training(home):
    with pytest.raises(DataError, match=r"the pool has .* unlabelled training records; 2 rounds ask for 80 each"):
        run(home, "pool", acquisition__mode="query", generate__pool="classic", generate__count=80)
    with pytest.raises(DataError, match="rounds need classes and a learner"):
        run(home, "none", data__target="a")
    with pytest.raises(DataError, match="is a caption style"):
        run(home, "style", generate__prompt="exact")
    with pytest.raises(DataError, match="not at shots"):
        run(home, "shots", generate__init="shots")
    assert not any((home / name / "model").exists() for name in ("pool", "none", "style", "shots"))


def test_another_score_keeps_how_it_is_used():
    raw = {**RECIPE, "acquisition": {**RECIPE["acquisition"], "options": {"order": 3}}}
    asked = resolve(raw, overrides=[("acquisition.name", "entropy")]).acquisition
    assert (asked.name, asked.epsilon, asked.steps, asked.options) == ("entropy", 0.3, 2, {})


def test_classes_that_the_generator_cannot_tell_apart_are_named(home):
    with pytest.raises(DataError, match=r"class '.*' tells the generator the same as that of class"):
        run(home, "words", conditioner=[{"name": "words", "max_words": 1}], train__steps=1)
    alone = r"the prompt 'a .*' of class '.*' tells the generator no more than the template alone"
    with pytest.raises(DataError, match=alone) as error:
        run(home, "cut", conditioner=[{"name": "words", "max_length": 1}], generate__prompt="a {}")
    assert "rename the classes" in error.value.hint
    assert not any((home / name / "phases").exists() for name in ("words", "cut"))


def test_a_class_that_adds_nothing_to_the_template_is_named():
    """One such class is unlike every other, and says nothing all the same."""
    split = ["train"] * 3
    assert len(rounds._starts(loop(("be", "bee", "eerie"), ["be", "bee", "eerie"], split, **{"generate.prompt": "a {}"}))) == 3
    with pytest.raises(DataError, match="'a !' of class '!' tells the generator no more than the template alone"):
        rounds._starts(loop(("!", "be", "bee"), ["!", "be", "bee"], split, **{"generate.prompt": "a {}"}))
    with pytest.raises(DataError, match="class 'he' tells the generator the same as that of class 'be'"):
        rounds._starts(loop(("be", "bee", "he"), ["be", "bee", "he"], split, **{"generate.prompt": "a {}"}))
