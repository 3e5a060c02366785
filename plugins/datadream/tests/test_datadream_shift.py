"""What shots are to the generator before adaptation: measures on made vectors of known laws, and the rule that follows."""

import math

import numpy as np
import pytest

from scarce_datadream.branches import advice
from scarce_datadream.config import Branches
from scarce_datadream.shift import domain_shift, mean_distance, separation, shared_shift, shift_of_chance, within

D = 20


def groups(rng, means, n, spread=1.0):
    return [rng.normal(mean, spread, (n, D)) for mean in means]


def several(seeds=8):
    return [np.random.default_rng(seed) for seed in range(seeds)]


def test_scatter_is_unbiased_and_classes_of_one_law_do_not_lie_apart():
    assert np.mean([within(groups(rng, np.zeros((4, D)), 3)) for rng in several(60)]) == pytest.approx(D, rel=0.05)
    assert np.mean([separation(groups(rng, np.zeros((6, D)), 4)) for rng in several(40)]) < 0.1
    means = np.random.default_rng(1).normal(0, 2, (400, D))
    assert separation(groups(np.random.default_rng(2), means, 4)) == pytest.approx(4.0, rel=0.1)
    assert math.isnan(separation(groups(np.random.default_rng(3), np.zeros((4, D)), 1)))
    assert math.isnan(separation(groups(np.random.default_rng(3), np.zeros((1, D)), 5)))


@pytest.mark.parametrize("shots", [2, 16])
def test_a_shift_of_all_classes_is_shared_and_shifts_of_their_own_are_not(shots):
    """Eight seeds each: shared shifts score above 0.9 and own ones below 0.4 at any number of shots, though noise is as large."""
    together, apart = [], []
    for rng in several():
        means = rng.normal(0, 1, (8, D))
        made = groups(rng, means, 16)
        own = rng.normal(0, 2, (8, D))
        together.append(shared_shift(groups(rng, means + rng.normal(0, 2, D), shots), made)[0])
        apart.append(shared_shift(groups(rng, means + own, shots), made)[0])
    assert min(together) > 0.9
    assert max(apart) < 0.4


def test_no_shift_at_all_is_no_share():
    found = [shared_shift(groups(rng, np.zeros((8, D)), 4), groups(rng, np.zeros((8, D)), 16)) for rng in several(40)]
    assert np.mean([size for _, size in found]) == pytest.approx(1.0, abs=0.08)
    assert sum(math.isnan(share) for share, _ in found) > 10
    equal = groups(np.random.default_rng(0), np.zeros((3, D)), 4)
    assert math.isnan(shared_shift(equal, equal)[0])


def test_the_domain_shift_is_0_for_one_law_and_near_1_for_points_apart():
    same = [domain_shift(groups(rng, np.zeros((5, D)), 4), groups(rng, np.zeros((5, D)), 16)) for rng in several(40)]
    assert abs(np.mean(same)) < 0.01
    far = [np.full((3, D), 5.0) + 1e-3 * np.random.default_rng(0).normal(size=(3, D)) for _ in range(2)]
    near = [1e-3 * np.random.default_rng(1).normal(size=(6, D)) for _ in range(2)]
    assert domain_shift(far, near) > 0.99
    assert math.isnan(domain_shift([np.zeros((1, D))], [np.zeros((5, D))]))
    x = np.random.default_rng(2).normal(size=(7, D))
    assert mean_distance(x) == pytest.approx(np.mean([np.linalg.norm(a - b) for i, a in enumerate(x) for b in x[:i]]))
    assert mean_distance(x[:2], x[2:]) == pytest.approx(np.mean([np.linalg.norm(a - b) for a in x[:2] for b in x[2:]]))


def test_chance_explains_what_is_of_one_law_and_nothing_else():
    rng = np.random.default_rng(0)
    made = groups(rng, np.zeros((5, D)), 16)
    chance = shift_of_chance(groups(rng, np.zeros((5, D)), 4), made, 100, 0)
    assert abs(chance.mean()) < 0.02
    shifted = groups(rng, np.full((5, D), 0.7), 4)
    assert (shift_of_chance(shifted, made, 100, 0) < domain_shift(shifted, made)).all()
    assert np.array_equal(shift_of_chance(shifted, made, 20, 3), shift_of_chance(shifted, made, 20, 3))


@pytest.mark.parametrize(
    ("share", "sep", "shots", "per_class"),
    [(0.9, 5.0, 16, False), (0.1, 0.0, 16, True), (0.1, 5.0, 4, False), (0.1, 5.0, 6, True), (0.1, 0.1, 6, False), (math.nan, 5, 9, False)],
)  # fmt: skip
def test_the_rule_says_what_it_rests_on(share, sep, shots, per_class):
    said, why = advice(share, sep, shots, Branches())
    assert said is per_class
    assert f"{shots:g} shots" in why or f"{share:.2f}" in why
    assert advice(share, sep, shots, Branches(shared=0.05))[0] is False
