"""Multinomial diffusion: forward law, exact posterior, loss, gradients, several cardinalities at once."""

import itertools

import pytest
import torch

from scarce.contract.space import Block, Space, State
from scarce.diffusion.categorical import Categories, bands, draw, posterior
from scarce.diffusion.options import DiffusionOptions, SamplerOptions
from scarce.diffusion.process import Process
from scarce.diffusion.samplers import sample


def space(*levels):
    return Space(layout="vector", blocks=tuple(Block(name=f"c{i}", kind="categorical", size=k) for i, k in enumerate(levels)))


def codes(cat):
    return State(torch.zeros(len(cat), 0), cat)


def fitted(levels, **options):
    generator = torch.Generator().manual_seed(9)
    cat = torch.stack([torch.randint(0, k, (500,), generator=generator) // (1 + c % 2) for c, k in enumerate(levels)], 1)
    return Process.fit(space(*levels), DiffusionOptions(**options), codes(cat)), cat


@pytest.mark.parametrize("prior", ["uniform", "marginal"])
def test_one_step_transitions_compose_to_the_closed_form(prior):
    from scipy.stats import chi2

    process, _ = fitted((3,), steps=20, categorical_prior=prior)
    generator = torch.Generator().manual_seed(1)
    x = torch.zeros(40_000, 1, dtype=torch.int64)
    for t in range(12):
        ratio = process.level(t).keep / process.level(t - 1).keep
        x = process.categories.corrupt(x, ratio, torch.rand(2, *x.shape, generator=generator))
    pi, keep = next(iter(process.categories)).pi[0].double(), process.level(11).keep
    expected = 40_000 * (keep * torch.tensor([1.0, 0.0, 0.0]).double() + (1 - keep) * pi)
    statistic = ((torch.bincount(x[:, 0], minlength=3) - expected) ** 2 / expected).sum()
    assert chi2.sf(float(statistic), 2) > 0.01


def test_posterior_is_bayes_marginalised_over_x0():
    pi, keep_s, keep_t = torch.tensor([0.2, 0.5, 0.3]).double(), 0.7, 0.4
    p = torch.tensor([0.1, 0.6, 0.3]).double()
    for j in range(3):
        hot = torch.eye(3).double()[j]
        expected = torch.zeros(3).double()
        for i in range(3):
            s_given_0 = keep_s * torch.eye(3)[i] + (1 - keep_s) * pi
            t_given_s = keep_t / keep_s * hot + (1 - keep_t / keep_s) * pi[j]
            expected += p[i] * s_given_0 * t_given_s / (s_given_0 * t_given_s).sum()
        found = posterior(p.view(1, 3, 1), hot.view(1, 3, 1), pi.view(1, 3), keep_t, keep_s).flatten()
        assert torch.allclose(found, expected, atol=1e-6)
        assert abs(float(found.sum()) - 1) < 1e-6


def test_loss_is_zero_for_the_true_x0_and_nll_at_the_first_time():
    process, cat = fitted((3, 40, 2), steps=50, cat_loss_scale="paper")
    hot = torch.cat([torch.nn.functional.one_hot(cat[:, c], k) for c, k in enumerate((3, 40, 2))], 1).float()
    loss = process.loss(lambda x, t: State(x.num, hot * 60 - 30), codes(cat), torch.Generator().manual_seed(0))
    assert float(loss.abs().max()) < 1e-5

    logits = torch.randn(500, 45, generator=torch.Generator().manual_seed(2))
    first, clean = process.table[1, 2].expand(500), process.table[0, 2].expand(500)
    found = process.categories.loss(logits, cat, cat, (first, clean))
    nll = torch.stack(
        [torch.nn.functional.cross_entropy(z, cat[:, c], reduction="none") for c, z in enumerate(logits.split((3, 40, 2), 1))]
    )
    assert torch.allclose(found, nll.mean(0), atol=1e-5)


def test_loss_equals_a_plain_computation_with_different_cardinalities():
    levels = (2, 5, 17, 3)
    process, cat = fitted(levels, steps=100, categorical_prior="marginal")
    assert bands(levels) == [[0, 1, 3], [2]]
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(500, sum(levels), generator=generator)
    t = torch.randint(1, 100, (500,), generator=generator)
    noisy = process.categories.corrupt(cat, process.table[t + 1, 2:], torch.rand(2, 500, 4, generator=generator))
    found = process.categories.loss(logits, cat, noisy, (process.table[t + 1, 2], process.table[t, 2]))
    laws = {c: band.pi[i, : levels[c]] for band in process.categories for i, c in enumerate(band.columns.tolist())}
    total = torch.zeros(500)
    for c, z in enumerate(logits.split(levels, 1)):
        eye, pi = torch.eye(levels[c]), laws[c].view(1, -1)
        one = lambda p: posterior(p.T[None], eye[noisy[:, c]].T[None], pi, process.table[t + 1, 2], process.table[t, 2])[0].T  # noqa: B023, E731
        q, u = one(eye[cat[:, c]]), one(z.softmax(1))
        total += (torch.xlogy(q, q) - q * u.log()).sum(1) / 4
    assert torch.allclose(found, total, atol=1e-5)


def test_cross_entropy_is_of_the_clean_codes():
    process, cat = fitted((3, 40, 2))
    logits = torch.randn(500, 45, generator=torch.Generator().manual_seed(2))
    loss = process.loss(lambda x, t: State(x.num, logits), codes(cat), torch.Generator().manual_seed(0))
    each = [torch.nn.functional.cross_entropy(z, cat[:, c], reduction="none") for c, z in enumerate(logits.split((3, 40, 2), 1))]
    assert torch.allclose(loss, torch.stack(each).mean(0), atol=1e-5)


def test_scale_code_is_t_times_paper():
    losses = []
    for scale in ("paper", "code"):
        process, cat = fitted((3, 4), steps=30, cat_loss_scale=scale)
        losses.append(process.loss(lambda x, t: State(x.num, torch.zeros(len(x), 7)), codes(cat), torch.Generator().manual_seed(0)))
    assert torch.allclose(losses[0] * 30, losses[1])


def test_draws_follow_the_law_and_never_leave_a_column():
    p = torch.tensor([[0.0, 0.7, 0.3, 0.0]]).T.expand(4, 20_000)[None].contiguous()
    found = torch.bincount(draw(p, torch.rand(1, 20_000, generator=torch.Generator().manual_seed(0)))[0], minlength=4) / 20_000
    assert torch.allclose(found, torch.tensor([0.0, 0.7, 0.3, 0.0]), atol=0.015)
    assert draw(p, torch.zeros(1, 20_000)).unique().tolist() == [2]
    assert draw(p, torch.full((1, 20_000), 1 - 2**-24)).unique().tolist() == [1]


def test_oracle_reverse_process_restores_a_joint_law():
    joint = torch.tensor([[0.35, 0.05, 0.1], [0.05, 0.4, 0.05]]).double()
    process = Process(space=space(2, 3), options=DiffusionOptions(steps=1000))
    eye = [torch.eye(2).double(), torch.eye(3).double()]

    def network(x_t, t):
        keep = process.table[t[:1] + 1, 2].double()
        likelihood = [keep * eye[c][x_t.cat[:, c]] + (1 - keep) / k for c, k in enumerate((2, 3))]
        both = joint * likelihood[0][:, :, None] * likelihood[1][:, None, :]
        return State(x_t.num, torch.cat([both.sum(2), both.sum(1)], 1).log().float())

    generator = torch.Generator().manual_seed(0)
    made = sample(network, process, process.start(20_000, generator, "cpu"), options=SamplerOptions(steps=100), generator=generator).cat
    found = torch.bincount(made[:, 0] * 3 + made[:, 1], minlength=6).view(2, 3) / 20_000
    assert torch.allclose(found.double(), joint, atol=0.015)


def test_splitting_and_joining_are_inverse():
    levels = (2, 50, 3, 300, 4)
    categories = Categories(levels)
    generator = torch.Generator().manual_seed(0)
    cat = torch.stack([torch.randint(0, k, (7, 6), generator=generator) for k in levels], -1)
    assert torch.equal(categories.join(categories.split(cat), cat), cat)
    soft = categories.join_one_hots(categories.one_hots(cat), cat)
    assert torch.equal(soft, torch.cat([torch.nn.functional.one_hot(cat[..., c], k) for c, k in enumerate(levels)], -1).float())
    for hot, again in zip(categories.one_hots(cat), categories.one_hots(soft), strict=True):
        assert torch.equal(hot, again)


def test_marginal_prior_is_the_frequencies_and_where_noise_ends():
    process, cat = fitted((4, 3), categorical_prior="marginal")
    start = process.start(20_000, torch.Generator().manual_seed(0), "cpu").cat
    for c, k in itertools.product(range(2), range(3)):
        assert abs(float((start[:, c] == k).float().mean()) - float((cat[:, c] == k).float().mean())) < 0.015
