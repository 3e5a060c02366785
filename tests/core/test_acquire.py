"""Choosing by scores, piece by piece: the ball, the search of a radius, samples and records that are kept."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from scarce.contract import Condition
from scarce.errors import RunError
from scarce.runs.acquire import Embedding, ascend, auto_epsilon, farthest_first, into_ball, query, select, together, unit
from scarce.runs.sections import Acquisition


class Straight:
    """A generator whose sample is the sum of the condition's tokens, plus noise of its seed."""

    def draw(self, condition, *, seed, grad_steps=0, **more):
        return condition.tokens.sum(1) + torch.randn(len(condition), 3, generator=torch.Generator().manual_seed(seed % 2**31))


def condition(n=4, seed=0, pooled=True):
    random = torch.Generator().manual_seed(seed)
    mask = torch.tensor([[True, True, False]]).expand(n, 3)
    return Condition(
        torch.randn(n, 3, 3, generator=random), mask, torch.randn(n, 2, generator=random) if pooled else None, {}, torch.arange(n)
    )


def rise(state, y):
    return state @ torch.tensor([1.0, 2.0, -1.0])


def test_projection_and_units():
    centre = torch.zeros(3, 2)
    rows = torch.tensor([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0]])
    found = into_ball(rows, centre, torch.full((3, 1), 1.0))
    assert torch.allclose(found, torch.tensor([[0.6, 0.8], [0.3, 0.4], [0.0, 0.0]]))
    assert unit(rows).norm(dim=1).tolist() == pytest.approx([1.0, 1.0, 0.0])


@pytest.mark.parametrize("pooled", [True, False])
def test_a_linear_score_is_climbed_straight_to_the_edge(pooled):
    """Gradient (1, 2, -1) for both tokens that are read; the masked one and the pooled vector never move."""
    start = condition(pooled=pooled)
    found = ascend(Straight(), start, rise, Acquisition(name="x", images=2), epsilon=0.1, seed=3)
    moved = (found.condition.tokens - start.tokens)[:, :2]
    way = torch.tensor([1.0, 2.0, -1.0]) / 12**0.5
    radius = 0.1 * start.tokens[:, :2].flatten(1).norm(dim=1)
    assert torch.allclose(moved, radius[:, None, None] * way.expand(4, 2, 3), atol=1e-5)
    assert torch.equal(found.condition.tokens[:, 2], start.tokens[:, 2])
    assert found.moved[-1].tolist() == pytest.approx([0.1] * 4)
    assert found.gain == pytest.approx(float((radius * 12**0.5).mean()), rel=1e-4)
    assert (found.scores.diff(dim=0)[:5] > 0).all()  # five steps of a fifth of the radius
    if pooled:
        assert torch.equal(found.condition.pooled, start.pooled)


def test_a_random_direction_leads_nowhere_that_no_network_reads():
    """Padding stays where it is, and what is said to have moved is what the tokens that are read moved: a walk of ten fifths."""
    start = condition(pooled=False)
    found = ascend(Straight(), start, rise, Acquisition(name="x", direction="random"), epsilon=0.1, seed=3)
    moved, first = ((c - d)[:, :2].flatten(1).norm(dim=1) for c, d in ((found.condition.tokens, start.tokens), (start.tokens, 0)))
    assert torch.equal(found.condition.tokens[:, 2], start.tokens[:, 2])
    assert found.moved[-1].tolist() == pytest.approx((moved / first).tolist(), rel=1e-4)
    assert found.moved[1].tolist() == pytest.approx([0.02] * 4, rel=1e-4)
    assert (found.moved[-1] > 0.03).all()


@pytest.mark.parametrize("grid", [(), (0.0, 0.1), (-0.1,), (float("nan"),)])
def test_a_search_without_radii_is_refused(grid):
    with pytest.raises(ValidationError, match="grid"):
        Acquisition(name="x", grid=grid)


def test_noise_is_common_unless_asked_to_be_fresh():
    for fresh in (False, True):
        seeds = []

        class Noted(Straight):
            def draw(self, condition, *, seed, grad_steps=0, seeds=seeds, **more):
                seeds.append(seed)
                return super().draw(condition, seed=seed, grad_steps=grad_steps)

        ascend(Noted(), condition(), rise, Acquisition(name="x", steps=4, fresh=fresh), epsilon=0.1, seed=0)
        assert len(set(seeds[:5])) == (4 if fresh else 1)
        assert seeds[5] == seeds[6]
        assert seeds[5] not in seeds[:5]


def test_a_gradient_that_is_not_finite_moves_nothing_and_is_counted():
    def broken(state, y):
        return torch.stack([torch.log(row.sum() * 0) if k == 1 else rise(row, k) for row, k in zip(state, y, strict=True)])

    found = ascend(Straight(), condition(), broken, Acquisition(name="x", steps=3), epsilon=0.1, seed=0)
    assert found.moved[-1][1] == 0
    assert found.skipped == 3
    assert found.moved[-1][0] > 0.05
    assert 0 < found.gain < 10  # of those whose score is a number
    with pytest.raises(RunError, match="no gradient of the score reaches the embedding"):
        ascend(Straight(), condition(), lambda s, y: torch.ones(len(s)), Acquisition(name="x"), epsilon=0.1, seed=0)


def test_embeddings_of_one_class_are_pushed_apart():
    start = condition(2)[torch.tensor([0, 0, 1, 1])]
    start = start.with_(tokens=start.tokens + 0.01 * torch.randn(4, 3, 3, generator=torch.Generator().manual_seed(1)))
    siblings, apart = torch.tensor([0, 0, 1, 1]), []
    for repulsion in (0.0, 2.0):
        asked = Acquisition(name="x", repulsion=repulsion)
        rows = ascend(Straight(), start, rise, asked, epsilon=0.3, seed=0, siblings=siblings).condition.tokens.flatten(1)
        apart.append(float((rows[0] - rows[1]).norm() + (rows[2] - rows[3]).norm()))
    assert apart[1] > 3 * apart[0]


def test_batches_of_classes_come_back_as_one():
    start, asked = condition(), Acquisition(name="x", images=2)
    parts = [ascend(Straight(), start[rows], rise, asked, epsilon=0.1, seed=5) for rows in (torch.tensor([0, 1]), torch.tensor([2, 3]))]
    whole = together(parts)
    assert torch.equal(whole.condition.tokens, torch.cat([p.condition.tokens for p in parts]))
    assert whole.scores.shape == (11, 4)
    assert whole.gain == pytest.approx(np.mean([p.gain for p in parts]))
    assert len(Embedding(whole.condition).parts) == 2


def test_the_largest_radius_that_keeps_labels_and_gains_is_found():
    options = Acquisition(name="x", grid=(0.4, 0.1, 0.2, 0.3), tau=0.9)
    answers = {0.1: (0.5, 1.0), 0.2: (1.0, 0.9), 0.3: (-0.1, 0.95), 0.4: (9.0, 0.5)}
    found = auto_epsilon(lambda e: answers[e], 1.0, options)
    assert found.epsilon == 0.2
    assert [(t.epsilon, t.gain, t.label_accuracy) for t in found.tried] == [(e, *answers[e]) for e in sorted(answers)]
    early = auto_epsilon(lambda e: (1.0, 0.5 if e > 0.1 else 1.0), 1.0, options)
    assert early.epsilon == 0.1
    assert len(early.tried) == 2
    assert auto_epsilon(lambda e: (-1.0, 1.0), 1.0, options).epsilon == 0.0


def test_selected_samples_are_good_ones_far_apart():
    rng = np.random.default_rng(0)
    vectors, scores, groups = rng.normal(size=(80, 3)), rng.normal(size=80), np.repeat([0, 1], 40)
    kept = select(scores, vectors, groups, [5, 10])
    assert [int((groups[kept] == g).sum()) for g in (0, 1)] == [5, 10]
    for group in (0, 1):
        mine = kept[groups[kept] == group]
        own = np.flatnonzero(groups == group)
        better = own[np.argsort(-scores[own])[:20]]
        assert set(mine) <= set(better)
        assert better[0] in mine
        others = [rng.choice(better, len(mine), replace=False) for _ in range(200)]
        assert nearest(vectors[mine]) > np.mean([nearest(vectors[o]) for o in others])
    assert sorted(select(scores, vectors, groups, [40, 0])) == list(range(40))
    assert farthest_first(np.array([[0.0], [1.0], [5.0], [2.4]]), 3).tolist() == [0, 2, 3]


def nearest(vectors):
    """Smallest distance between two rows."""
    apart = np.linalg.norm(vectors[:, None] - vectors[None], axis=2)
    return apart[np.triu_indices(len(vectors), 1)].min()


def test_a_query_takes_the_highest_scores():
    assert query(np.array([0.1, 0.9, 0.5, 0.9]), 2).tolist() == [1, 3]
    assert query(np.array([1.0, 1.0, 1.0]), 2).tolist() == [0, 1]
