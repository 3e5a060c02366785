"""Runs that look at the generator before adaptation: the evaluators' advice and warning, and what `prior-preservation` keeps of it."""

import numpy as np
import pytest

from scarce.catalogue import read_catalogue
from scarce.contract import Prompt
from scarce.files import read_json
from scarce.runs.opening import open_generator

LORA = {"name": "lora", "rank": 4}
EVALUATORS = [{"name": "branches", "each": 12}, {"name": "out-of-distribution", "each": 12}]


OWN = {
    "0": lambda a: 1 - a, "1": lambda a: a * np.array([1, 0.1, 0.1]), "4": np.rot90, "7": lambda a: a * np.array([0.1, 0.3, 1]),
}  # fmt: skip


def dark_red(picture, label):
    """One shift of all classes: white paper, orange ink."""
    return (1 - picture) * np.array([1.0, 0.5, 0.2])


def own(picture, label):
    """Each class has a shift of its own."""
    return OWN[label](picture)


def found(run):
    assert [m["error"] for m in run.metrics if m["error"]] == []
    return {m["name"]: m for m in run.metrics}


def test_one_shift_of_all_classes_advises_one_branch_and_own_shifts_advise_branches(adapt, digits):
    strategy = [{"name": "all-classes", "epochs": 1}, LORA]
    one = found(adapt(strategy, digits(dark_red), "16 per class", evaluator=EVALUATORS))
    many = found(adapt(strategy, digits(own), "16 per class", evaluator=EVALUATORS))
    assert one["branch_shared"]["value"] > 0.7 > 0.5 > many["branch_shared"]["value"]
    assert (one["branch_advice"]["value"], many["branch_advice"]["value"]) == (0.0, 1.0)
    assert "have 16 shots per class" in many["branch_advice"]["note"]
    few = found(adapt(strategy, digits(own), "4 per class", evaluator=EVALUATORS))
    assert few["branch_advice"]["value"] == 0.0
    assert "too few for branches" in few["branch_advice"]["note"]


def test_shots_of_another_domain_are_warned_of_and_those_of_the_generators_own_are_not(adapt, digits):
    """The shift is of the generator before adaptation, so it is the same whatever was trained since."""
    home = found(adapt([], digits(), "8 per class", evaluator=EVALUATORS))["domain_shift"]
    away = found(adapt([], digits(dark_red), "8 per class", evaluator=EVALUATORS))["domain_shift"]
    assert home["value"] < 0.1 < 0.4 < away["value"]
    assert "warning" in away["note"]
    assert "warning" not in home["note"]
    trained = [{"name": "all-classes", "epochs": 20, "rate": 1e-2}, LORA]
    after = found(adapt(trained, digits(dark_red), "8 per class", evaluator=EVALUATORS))["domain_shift"]
    assert after["value"] == pytest.approx(away["value"], abs=1e-6)


def test_kept_pictures_are_those_of_the_start_weights_and_hold_the_generator_back(adapt, digits, parent):
    """With the term the start's pictures stay more likely than without it; the shots are still learnt."""
    shots = [{"name": "all-classes", "epochs": 60, "rate": 5e-3, "targets": ["backbone"]}, {"name": "lora", "rank": 8}]
    prior = {"name": "prior-preservation", "each": 2, "weight": 2.0}
    plain = adapt(shots, digits(dark_red))
    kept = adapt([*shots, prior], digits(dark_red))
    terms = read_json(kept.folder / "plan.json")[0]["terms"]
    assert [(t["name"], t["rows"], t["loss"]) for t in terms] == [
        ("denoise", "labelled", "denoise"), ("prior", "labelled", "strategy.2:prior")
    ]  # fmt: skip
    source = open_generator(parent.folder, read_catalogue())[0]
    prompts = [Prompt(label=c, text=f"digit {c}") for c in "0147" for _ in range(20)]
    made = source.shard(prompts, seed=5)
    losses = []
    for run in (plain, kept):
        generator = open_generator(run.folder, read_catalogue())[0]
        condition = generator.encode_condition(prompts)
        losses.append([
            float(np.mean([generator.losses(made, condition, phase=phase, seed=s).mean() for s in range(4)])) for phase in ("base", "train")
        ])  # fmt: skip
    assert losses[0][0] == pytest.approx(losses[1][0])
    forgotten = [after / before for before, after in losses]
    assert forgotten[1] < 0.8 * forgotten[0]


def test_the_term_comes_to_every_branch(adapt):
    run = adapt([{"name": "prior-preservation", "each": 1}, {"name": "per-class", "epochs": 2}, LORA])
    plan = read_json(run.folder / "plan.json")
    assert [tuple(t["name"] for t in p["terms"]) for p in plan] == [("denoise", "prior")] * 4
    assert all(p["before"] == [{"name": "prior", "owner": "strategy.0"}] for p in plan)


def test_without_anything_before_the_evaluators_say_so(untrained):
    run = untrained(evaluator=EVALUATORS)
    assert len(run.metrics) == 4
    assert all("trained from scratch" in m["error"] for m in run.metrics)
