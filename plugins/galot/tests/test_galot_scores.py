"""What every score must say, by hand: largest for what is least certain, 0 where nothing is left to learn."""

import math

import pytest
import torch

from scarce.contract import ScoreContext
from scarce.errors import DataError
from scarce_galot.config import Badge as BadgeOptions
from scarce_galot.config import KCentre as KCentreOptions
from scarce_galot.geometry import Badge, BadgeNorm, Coreset, KCentre
from scarce_galot.uncertainty import Bald, Entropy, LeastConfidence, Margin, Random, entropy

LEVELS = 5


def cases(seed=0):
    """Logits of 200 random laws, then the uniform one, then each one-hot."""
    random = torch.Generator().manual_seed(seed)
    some = torch.softmax(3 * torch.randn(200, LEVELS, generator=random), 1)
    return torch.cat([some, torch.full((1, LEVELS), 1 / LEVELS), torch.eye(LEVELS)]).clamp(min=1e-30).log()


@pytest.mark.parametrize("acquisition", [Margin(), Entropy(), LeastConfidence(), BadgeNorm()], ids=lambda a: type(a).__name__)
def test_the_uniform_law_is_the_largest_and_a_one_hot_the_smallest(acquisition):
    """G5; the gradient is finite at both."""
    logits = cases().requires_grad_()
    scores = acquisition.acquisition_score(ScoreContext(logits=logits, features=torch.ones(len(logits), 3)))
    assert scores.argmax() == 200
    assert torch.allclose(scores[201:], scores.min().expand(LEVELS), atol=1e-5)
    (gradient,) = torch.autograd.grad(scores.sum(), logits)
    assert gradient.isfinite().all()


def test_scores_by_hand():
    logits = torch.tensor([[0.5, 0.3, 0.2], [0.9, 0.05, 0.05]]).log()
    ctx = ScoreContext(logits=logits, features=torch.tensor([[3.0, 4.0], [3.0, 4.0]]))
    assert Margin().acquisition_score(ctx).tolist() == pytest.approx([-0.2, -0.85])
    assert LeastConfidence().acquisition_score(ctx).tolist() == pytest.approx([-0.5, -0.9])
    by_hand = [-sum(p * math.log(p) for p in row) for row in ([0.5, 0.3, 0.2], [0.9, 0.05, 0.05])]
    assert Entropy().acquisition_score(ctx).tolist() == pytest.approx(by_hand)
    assert BadgeNorm().acquisition_score(ctx)[0].item() == pytest.approx(5 * math.sqrt(0.25 + 0.09 + 0.04))
    assert Margin().acquisition_score(ScoreContext(logits=torch.zeros(2, 1))).tolist() == [0.0, 0.0]


def test_bald_is_what_passes_disagree_on():
    same = torch.randn(1, 6, 4, generator=torch.Generator().manual_seed(1)).expand(7, 6, 4)
    assert Bald().acquisition_score(ScoreContext(logits=same[0], passes=same)).abs().max() < 1e-6
    sure = 60 * torch.eye(2)[:, None]  # two passes, each sure of another class
    assert Bald().acquisition_score(ScoreContext(logits=sure[0], passes=sure)).item() == pytest.approx(math.log(2))
    assert entropy(torch.tensor([1.0, 0.0])).item() == 0.0
    with pytest.raises(DataError, match="several passes"):
        Bald().acquisition_score(ScoreContext(logits=same[0]))


def test_coreset_is_the_distance_to_what_is_labelled():
    features = torch.tensor([[0.0, 0.0], [3.0, 4.0], [1.0, 0.0]], requires_grad=True)
    scores = Coreset().acquisition_score(ScoreContext(logits=torch.zeros(3, 2), features=features, labelled=features[:1].detach()))
    assert scores.tolist() == pytest.approx([0.0, 5.0, 1.0])
    (gradient,) = torch.autograd.grad(scores.sum(), features)
    assert torch.allclose(gradient, torch.tensor([[0.0, 0.0], [0.6, 0.8], [1.0, 0.0]]))
    many = torch.randn(300, 40, generator=torch.Generator().manual_seed(2))
    assert Coreset().acquisition_score(ScoreContext(logits=torch.zeros(300, 2), features=many, labelled=many)).abs().max() == 0
    with pytest.raises(DataError, match="features"):
        Coreset().acquisition_score(ScoreContext(logits=torch.zeros(3, 2)))


@pytest.mark.parametrize("labelled", [True, False])
def test_k_centre_is_the_greedy_order(labelled):
    random = torch.Generator().manual_seed(3)
    features, known = torch.randn(60, 4, generator=random), torch.randn(5, 4, generator=random)
    ctx = ScoreContext(logits=torch.zeros(60, 2), features=features, labelled=known if labelled else None)
    scores = KCentre(KCentreOptions(order=20)).acquisition_score(ctx)
    centres = [*known] if labelled else [features[(features - features[0]).norm(dim=1).argmax()]]
    greedy = [] if labelled else [int((features - features[0]).norm(dim=1).argmax())]
    while len(greedy) < 20:
        nearest = torch.stack([(features - c).norm(dim=1) for c in centres]).amin(0)
        greedy.append(int(nearest.argmax()))
        centres.append(features[greedy[-1]])
    assert scores.argsort(descending=True, stable=True)[:20].tolist() == greedy
    rest = torch.stack([(features - c).norm(dim=1) for c in centres]).amin(0)
    others = [i for i in range(60) if i not in greedy]
    assert torch.allclose(scores[others], rest[others], atol=1e-5)


def test_badge_draws_far_from_what_it_has_and_repeats_itself():
    random = torch.Generator().manual_seed(4)
    logits = torch.randn(2, 3, generator=random).repeat_interleave(50, 0)
    features = torch.randn(2, 5, generator=random).repeat_interleave(50, 0)

    def picks(seed, order=4):
        ctx = ScoreContext(logits=logits, features=features, generator=torch.Generator().manual_seed(seed))
        return Badge(BadgeOptions(order=order)).acquisition_score(ctx).argsort(descending=True, stable=True).tolist()

    assert picks(5) == picks(5)
    for seed in range(5):
        first, second, third, _ = picks(seed)[:4]
        assert {first // 50, second // 50} == {0, 1}  # the twins of the first have no distance left
        assert third not in (first, second)
    assert sorted(picks(0, order=1000)) == list(range(100))


def test_chance_knows_nothing():
    one, two = (
        Random().acquisition_score(ScoreContext(logits=torch.zeros(50, 2), generator=torch.Generator().manual_seed(s))) for s in (0, 1)
    )
    assert not torch.equal(one, two)
    assert 0.3 < one.mean() < 0.7
