"""What the method promises, on a toy whose truth is known: loss, pairing, harm, cost, the gate, and no view when it is used."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from scarce.contract import TrainingPart, View, take
from scarce.errors import DataError, RunError
from scarce_lugpi.learner import Bench, parameters
from scarce_lugpi.teaching import teach
from scarce_lugpi.views import viewed

pytest.importorskip("scarce_tabular")


def fitted(toy, seed=0, data=None, **options):
    data = toy.data(seed) if data is None else data
    learner = toy.learner(data, seed, **{"gate": False, **options})
    learner.fit([toy.part(data)])
    return learner, data


def probabilities(learner, data):
    return learner.predict(take(data.records, data.rows("test"))).probabilities


def test_a_teacher_of_weight_nothing_leaves_the_baseline_bit_for_bit(toy):
    data = toy.data(0)
    learner = toy.learner(data, alpha=0.0, gate=False, controls=("baseline",))
    learner.fit([toy.part(data)])
    assert np.array_equal(probabilities(learner, data), probabilities(learner.arms()["baseline"], data))
    alone = learner.student.learner_build(learner.alone)
    alone.fit([toy.part(data)])
    assert np.array_equal(probabilities(learner, data), probabilities(alone, data))


def test_divergence_and_cross_entropy_to_the_teacher_have_equal_gradients():
    torch.manual_seed(0)
    logits, said = torch.randn(8, 5, requires_grad=True), torch.randn(8, 5).softmax(1)
    (a,) = torch.autograd.grad(F.cross_entropy(logits / 2, said, reduction="sum"), logits)
    (b,) = torch.autograd.grad(F.kl_div((logits / 2).log_softmax(1), said, reduction="sum"), logits)
    assert (a - b).abs().max() <= 1e-6


@pytest.fixture(scope="module")
def lessons(toy):
    """For each of three seeds: the data, the bench, and what teachers of true and of shuffled pairs say."""
    out = []
    for data in map(toy.data, range(3)):
        learner, part = toy.learner(data, grid=(0.0, 0.1, 1.0)), toy.part(data)
        found = viewed(learner.ctx, learner.options, learner._built(), None, part.records, data.codes_of(part.target), part.ids)
        said = {arm: teach(arm, found, 3, learner.options, learner.ctx.runtime) for arm in ("views", "shuffled")}
        out.append((data, Bench(learner, [part], 0, found), said))
    return out


@pytest.mark.parametrize("alpha", [1.0, 4.0])
def test_students_of_true_pairs_beat_students_of_shuffled_pairs(toy, lessons, alpha):
    gains = []
    for data, bench, said in lessons:
        rows, n = bench.found.rows, len(bench.parts[0].records)
        true, shuffled = (bench.fitted(said[arm].guidance(rows, n, alpha=alpha, beta=0.0, tau=1.0)) for arm in ("views", "shuffled"))
        gains.append(toy.accuracy(true, data) - toy.accuracy(shuffled, data))
    assert np.mean(gains) > 0.05
    assert np.mean(gains) > 2 * np.std(gains, ddof=1) / len(gains) ** 0.5


def test_shuffled_views_do_no_harm_where_alpha_is_chosen_even_without_a_gate(toy, lessons):
    gained, chosen, usual = [], [], []
    for data, bench, said in lessons:
        student, alpha, _ = bench.distil(said["shuffled"])
        usual.append(toy.accuracy(bench.baseline, data))
        gained.append(toy.accuracy(student, data) - usual[-1])
        chosen.append(alpha)
    p, n = np.mean(usual), len(data.rows("test"))
    assert np.mean(gained) >= -((p * (1 - p) / n) ** 0.5)
    assert np.median(chosen) <= 0.1


def test_every_student_is_the_same_network_and_none_carries_a_view(toy):
    learner, _data = fitted(toy, alpha=1.0, beta=0.5, controls=("baseline", "self"))
    students = {"real": learner.students["views"], **learner.arms()}
    names = [[(n, p.shape) for n, p in s.named_parameters()] for s in students.values()]
    assert names[0] == names[1] == names[2]
    assert len({parameters(s) for s in students.values()}) == 1
    assert learner.facts()["student_parameters"] == parameters(students["real"]) > 0
    for student in students.values():
        assert dict(student.ctx.dataset.views) == {}
        assert student.ctx.generator is None


def test_a_view_of_a_test_record_is_an_error(toy):
    data = toy.data(0)
    rows = data.rows("test")[:50]
    everything = View(ids=data.ids, records=take(data.views["generated"].records, np.zeros(len(data), int)))
    learner = toy.learner(replace(data, views={"generated": everything}))
    with pytest.raises(RunError, match=f"a view of the test record '{data.ids[rows[0]]}' was asked for"):
        learner.fit([TrainingPart(records=take(data.records, rows), target=data.target[rows], ids=data.ids[rows])])


def test_the_gate_closes_where_the_teacher_is_no_better_and_the_student_is_the_baseline(toy):
    data = toy.data(0, informative=False)
    learner = toy.learner(data, controls=("baseline",))
    learner.fit([toy.part(data)])
    said = learner.facts()["arms"]["views"]
    assert (said["open"], said["alpha"], said["grid"]) == (False, None, {})
    assert learner.students["views"] is learner.students["baseline"]


def test_the_gate_opens_for_a_teacher_that_is_ahead(toy):
    learner, _ = fitted(toy, gate=True, alpha=1.0, controls=("baseline",))
    said = learner.facts()["arms"]["views"]
    assert said["open"]
    assert said["teacher"]["validation"] > learner.facts()["baseline"]["validation"]
    assert learner.students["views"] is not learner.students["baseline"]


def test_failed_views_are_counted_and_out_of_the_pairing(toy):
    data = toy.data(0)
    view = data.views["generated"]
    broken = view.records.copy()
    broken.loc[:9, ["v0", "v1", "v2"]] = np.nan
    gone = View(ids=view.ids[:-5], records=take(broken, np.arange(len(broken) - 5)))
    learner, _ = fitted(toy, data=replace(data, views={"generated": gone}), alpha=1.0, controls=("baseline",))
    assert learner.facts()["views"] == {"asked": 235, "failed": 10, "train": 110, "validation": 115}
    nothing = View(ids=view.ids, records=broken * np.nan)
    with pytest.raises(DataError, match="none of 120 labelled training records has a view that can be used; 240 views failed"):
        fitted(toy, data=replace(data, views={"generated": nothing}))


def test_without_views_and_before_fit_it_says_what_to_do(toy):
    data = toy.data(0)
    learner = toy.learner(replace(data, views={}))
    with pytest.raises(RunError, match="before it was fitted"):
        learner.predict(data.records)
    with pytest.raises(DataError, match="no generated views") as error:
        learner.fit([toy.part(data)])
    assert "learner.source=tags" in error.value.hint
    with pytest.raises(DataError, match="0 parts of the training data have ids"):
        toy.learner(data).fit([replace(toy.part(data), ids=None)])


def test_the_same_seed_gives_the_same_students_and_facts(toy):
    (a, data), (b, _) = (fitted(toy, alpha=1.0, beta=0.1, controls=("self", "noise", "class-shuffled")) for _ in range(2))
    assert np.array_equal(probabilities(a, data), probabilities(b, data))
    for arm in a.arms():
        assert np.array_equal(probabilities(a.arms()[arm], data), probabilities(b.arms()[arm], data))
    assert a.facts()["arms"] == b.facts()["arms"]


def test_corrupted_views_make_a_worse_teacher(toy):
    whole, half, none = (
        fitted(toy, corrupt=share, alpha=1.0, controls=("baseline",))[0].facts()["arms"]["views"]["teacher"]["out_of_fold"]
        for share in (0.0, 0.5, 1.0)
    )
    assert whole > half > none


def test_alpha_is_the_best_on_validation_records_and_the_least_of_equal_ones(toy):
    learner, _ = fitted(toy, grid=(0.0, 0.5, 4.0), controls=())
    said = learner.facts()["arms"]["views"]
    grid = {float(alpha): value for alpha, value in said["grid"].items()}
    assert set(grid) == {0.0, 0.5, 4.0}
    assert said["alpha"] == min(alpha for alpha, value in grid.items() if value == max(grid.values()))
