"""Recipes: overrides, presets, errors with paths; splits; plans and their conflicts."""

import numpy as np
import pytest

from scarce.catalogue import read_catalogue
from scarce.contract import Dataset
from scarce.contract.plan import Adapter, Phase, Plan
from scarce.errors import DataError, PlanError, RecipeError
from scarce.runs.assembly import check_recipe
from scarce.runs.planning import _changes, check, default_plan
from scarce.runs.recipe import difference, parse_set, resolve, with_arm
from scarce.runs.sections import Train
from scarce.runs.split import hide_labels, split

RAW = {"data": {"modality": "tabular"}, "backbone": {"name": "mlp"}, "evaluator": [{"name": "utility"}], "needs": ["a"]}


def test_set_reads_toml_values_appends_to_lists_and_reaches_options():
    sets = ["seeds=3", "train.rate=1e-3", "backbone.width=64", "evaluator.1.name=shape", "needs=b", "data.target=left"]
    sets += ["strategy.0.name=lora"]
    recipe = resolve(RAW, overrides=[parse_set(s) for s in sets])
    assert (recipe.seeds, recipe.train.rate, recipe.data.target) == (3, 1e-3, "left")
    assert recipe.backbone.options == {"width": 64}
    assert [e.name for e in recipe.evaluator] == ["utility", "shape"]
    assert recipe.needs == ("a", "b")
    assert recipe.strategy[0].name == "lora"


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        (["train.stepz=3"], "train.stepz: unknown option (did you mean 'steps'?)"),
        (["train.steps=-1"], "train.steps: must be ≥ 0"),
        (["trian.steps=3"], "trian: unknown option (did you mean 'train'?)"),
        (["evaluator.5.name=x"], "'5' is not an item"),
        (["seeds"], "expected KEY=VALUE"),
        (["diffusion.target=noise"], "diffusion.target"),
        (["seed.x=1"], "is a value, not a table"),
    ],
)
def test_mistakes_name_their_path(sets, said):
    with pytest.raises(RecipeError) as caught:
        resolve({**RAW, "seed": 1}, overrides=[parse_set(s) for s in sets])
    assert said in str(caught.value)


def test_presets_and_arms_are_overrides_too():
    raw = {**RAW, "preset": {"test": {"train.steps": 5, "generate": {"steps": 2}}}}
    assert resolve(raw, preset="test").train.steps == 5
    assert resolve(raw, preset="test").generate.steps == 2
    assert resolve(raw).train.steps == Train().steps
    with pytest.raises(RecipeError, match="preset 'tset'"):
        resolve(raw, preset="tset")
    arm = with_arm(resolve({**raw, "arm": [{"name": "a", "train.steps": 7}]}), {"train.steps": 7})
    assert arm.train.steps == 7
    assert arm.arm == ()


def test_difference_lists_every_changed_value():
    old, new = resolve(RAW), resolve(RAW, overrides=[("train.steps", 9), ("backbone.width", 3)])
    lines = difference(old.model_dump(mode="json"), new.model_dump(mode="json"))
    assert lines == ["backbone.width: None -> 3", f"train.steps: {Train().steps} -> 9"]


def dataset(n=200, groups=None, seed=0):
    rng = np.random.default_rng(seed)
    target = rng.choice(["a", "b"], n, p=[0.8, 0.2]).astype(object)
    ids = np.array([f"r{i}" for i in range(n)])
    return Dataset(
        name="d", ids=ids, records=list(range(n)), task="classification", target_name="y", target=target, classes=("a", "b"),
        labelled=np.ones(n, bool), split=np.full(n, ""), groups=ids if groups is None else groups,
    )  # fmt: skip


def test_splits_are_stratified_exact_and_depend_on_the_seed_alone():
    data = dataset()
    out = split(data, 0)
    for value in "ab":
        mine = out.split[data.target == value]
        for name, share in (("train", 0.65), ("validation", 0.10), ("test", 0.25)):
            assert abs((mine == name).sum() - share * len(mine)) <= 1
    assert (split(data, 0).split == out.split).all()
    assert (split(data, 1).split != out.split).any()
    shuffled = np.random.default_rng(1).permutation(200)
    assert (split(data.part(shuffled), 0).split == out.split[shuffled]).all()


def test_groups_stay_together_and_given_splits_are_kept():
    groups = np.array([f"g{i // 5}" for i in range(200)])
    out = split(dataset(groups=groups), 0)
    assert all(len(set(out.split[groups == g])) == 1 for g in set(groups))
    given = out.part(np.arange(200))
    assert (split(given, 7).split == out.split).all()


def test_rows_without_a_label_teach_but_never_judge():
    from dataclasses import replace

    data = dataset()
    out = split(replace(data, labelled=np.arange(200) % 10 != 0), 0)
    assert set(out.split[::10]) == {"train"}


def test_too_few_rows_are_said():
    with pytest.raises(DataError, match="too few to split"):
        split(dataset(3), 0)


def test_labels_are_hidden_on_training_rows_only():
    data = split(dataset(), 0)
    train, others = data.rows("train"), data.rows("validation", "test")
    for wanted, kept in ((0.1, 13), (20, 20), ("3 per class", 6), (1.0, len(train))):
        out = hide_labels(data, wanted, 0)
        assert out.labelled[train].sum() == kept
        assert out.labelled[others].all()
    for bad in ("many", 0.0, 1.5, -5):
        with pytest.raises(RecipeError, match=r"data\.labelled"):
            hide_labels(data, bad, 0)


def test_classes_with_fewer_labels_than_asked_for_are_said():
    data = split(dataset(), 0)
    counts = np.bincount(data.codes()[data.rows("train")])
    assert hide_labels(data, f"{counts.min()} per class", 0).notes == data.notes
    a, b = counts.tolist()
    assert b < a
    note = f"class 'b' has {b} labelled records, {a} were asked for"
    assert hide_labels(data, f"{a} per class", 0).notes == (*data.notes, note)
    out = hide_labels(data, "500 per class", 0)
    assert out.notes[-1] == f"class 'a' has {a}, class 'b' has {b} labelled records, 500 were asked for"
    assert out.labelled[data.rows("train")].all()


def test_plan_lineage_and_leaves():
    plan = Plan(phases=(Phase(name="a"), Phase(name="b", start="a"), Phase(name="c", start="a")))
    assert [p.name for p in plan.leaves()] == ["b", "c"]
    assert [p.name for p in plan.lineage("c")] == ["a", "c"]


@pytest.mark.parametrize(
    ("phases", "said"),
    [
        ((Phase(name="a", trainable=("backbone",)), Phase(name="a", trainable=("backbone",))), "two phases"),
        ((Phase(name="a", start="z", trainable=("backbone",)),), "starts from 'z'"),
        ((Phase(name="a", trainable=("backbon",)),), "targets that do not exist"),
        ((Phase(name="a"),), "trains nothing"),
        (tuple(Phase(name=n, trainable=("backbone",)) for n in "ab"), "served by 2 leaves"),
        ((Phase(name="a", trainable=("backbone",), serves="x"),), "have no classes"),
    ],
)
def test_impossible_plans_are_refused(phases, said):
    with pytest.raises(PlanError, match=said):
        check(Plan(phases=phases), ("backbone",), has_classes=False)


def test_epochs_cap_the_steps_of_few_rows():
    train = Train(steps=800, batch=512, epochs=100)
    assert default_plan(train, ("backbone",), 650).phases[0].budget.steps == 127
    assert default_plan(train, ("backbone",), 10**6).phases[0].budget.steps == 800


def test_freezing_under_an_own_adapter_and_appending_are_no_conflict_but_setting_is():
    plan = default_plan(Train(), ("backbone", "conditioner.0"), 650)
    phase = plan.phases[0]
    adapted = plan.replace("train", adapters=(Adapter(name="l", target="backbone", owner="strategy.0"),), trainable=("conditioner.0",))
    assert _changes(plan, adapted) == set()
    assert _changes(plan, plan.replace("train", trainable=())) == {("train", "trainable")}
    assert _changes(plan, plan.replace("train", terms=phase.terms * 2)) == set()
    from dataclasses import replace

    faster = plan.replace("train", budget=replace(phase.budget, rate=1.0))
    assert _changes(plan, faster) == {("train", "budget.rate")}
    assert _changes(plan, plan.replace("train", update="strategy.1")) == {("train", "update")}


def test_guidance_under_a_prior_per_class_is_refused():
    raw = {"data": {"modality": "tabular"}, "backbone": {"name": "mlp"}, "diffusion": {"prior": "per-class"}, "generate": {"guidance": 2.0}}
    with pytest.raises(RecipeError, match=r"generate\.guidance.*per-class"):
        check_recipe(resolve(raw), read_catalogue())


def test_naming_another_plugin_drops_the_options_of_the_one_before():
    raw = {**RAW, "backbone": {"name": "bert", "layers": 2}, "evaluator": [{"name": "utility", "rows": 5}]}
    sets = ["backbone.name=mlp", "backbone.width=64", "evaluator.0.name=utility"]
    recipe = resolve(raw, overrides=[parse_set(s) for s in sets])
    assert (recipe.backbone.name, recipe.backbone.options) == ("mlp", {"width": 64})
    assert recipe.evaluator[0].options == {"rows": 5}  # its own name again changes nothing
