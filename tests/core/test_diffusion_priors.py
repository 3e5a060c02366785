"""Priors: whitening is PriorGrad, Ledoit-Wolf is right, and a full prior needs fewer training steps."""

import pytest
import torch
from torch import nn

from scarce.contract.space import Block, Known, Space, State
from scarce.diffusion.options import DiffusionOptions, SamplerOptions
from scarce.diffusion.priors import ledoit_wolf
from scarce.diffusion.process import Process
from scarce.diffusion.samplers import sample, stepped


def vector(width, clip=None):
    return Space(layout="vector", blocks=tuple(Block(name=f"x{i}", kind="continuous", size=1, clip=clip) for i in range(width)))


def numbers(num):
    return State(num, torch.zeros(len(num), 0, dtype=torch.int64))


def gaussian(n, width, rho, seed):
    generator = torch.Generator().manual_seed(seed)
    common, own = torch.randn(n, 1, generator=generator), torch.randn(n, width, generator=generator)
    return rho**0.5 * common + (1 - rho) ** 0.5 * own


def test_a_class_with_its_own_prior_starts_from_its_own_law():
    generator = torch.Generator().manual_seed(0)
    turn = torch.tensor([[1.0, 0.9], [0.9, 1.0]]), torch.tensor([[1.0, -0.9], [-0.9, 1.0]])
    labels = torch.arange(4000) % 2
    z = torch.randn(4000, 2, generator=generator)
    factors = torch.stack([torch.linalg.cholesky(t) for t in turn])
    x = torch.einsum("bij,bj->bi", factors[labels], z) + labels[:, None] * 3.0
    labels = torch.cat([labels, torch.tensor([2] * 8)])  # a third class of too few rows
    x = torch.cat([x, torch.randn(8, 2, generator=generator)])
    process = Process.fit(vector(2), DiffusionOptions(prior="per-class"), numbers(x), labels)
    prior = process.prior
    for code in (0, 1):
        white = prior.whiten(x[labels == code], labels[labels == code])
        assert torch.allclose(torch.cov(white.T), torch.eye(2), atol=0.02)
        assert white.mean(0).abs().max() < 0.02
        drawn = prior.unwhiten(torch.randn(4000, 2, generator=generator), torch.full((4000,), code))
        assert torch.allclose(torch.corrcoef(drawn.T)[0, 1], torch.tensor(0.9 - 1.8 * code), atol=0.03)
        assert torch.allclose(drawn.mean(0), torch.full((2,), 3.0 * code), atol=0.06)
    assert torch.equal(prior.mean[3], prior.mean[0])
    assert torch.equal(prior.whiten(x), prior.whiten(x, torch.full((len(x),), -1)))  # without a label: the law of all rows
    assert torch.allclose(prior.unwhiten(prior.whiten(x, labels), labels), x, atol=1e-3)
    again = Process.from_json(process.to_json())
    again.load_state_dict(process.state_dict())
    assert torch.equal(again.prior.whiten(x, labels), prior.whiten(x, labels))


def test_an_imposed_value_moves_the_others_by_the_law_of_its_class():
    labels = torch.arange(6000) % 2
    x = gaussian(6000, 2, 0.9, 3)
    x[labels == 1, 1] *= -1
    process = Process.fit(vector(2), DiffusionOptions(prior="per-class"), numbers(x), labels)
    asked = torch.arange(2000) % 2
    mask = torch.zeros(2000, 2, dtype=torch.bool)
    mask[:, 0] = True
    known = Known(numbers(torch.full((2000, 2), 1.5)), mask, torch.zeros(2000, 0, dtype=torch.bool))
    generator = torch.Generator().manual_seed(1)

    def network(x_t, t):  # what a perfect network says of white data under target v
        a, s, _ = process.table[t + 1].unsqueeze(-1).unbind(1)
        return State((a * s - s * a) * x_t.num, x_t.cat)

    start = process.start(2000, generator, "cpu")
    made = sample(network, process, start, options=SamplerOptions(), generator=generator, known=known, labels=asked).num
    assert torch.equal(made[:, 0], torch.full((2000,), 1.5))
    for code, sign in ((0, 1), (1, -1)):
        assert abs(float(made[asked == code, 1].mean()) - sign * 0.9 * 1.5) < 0.06


def test_ledoit_wolf_agrees_with_scikit_learn():
    from sklearn.covariance import LedoitWolf

    for n, d in [(12, 6), (300, 9), (4, 1)]:
        x = gaussian(n, d, 0.5, n).double() * torch.arange(1, d + 1)
        assert torch.allclose(ledoit_wolf(x), torch.from_numpy(LedoitWolf().fit(x.numpy()).covariance_), atol=1e-10)


def test_whitening_is_priorgrad_in_forward_loss_and_reverse_step():
    x0 = gaussian(400, 5, 0.8, 0) * torch.tensor([1.0, 2.0, 0.5, 1.0, 1.0]) + 3.0
    process = Process.fit(vector(5), DiffusionOptions(target="eps", prior="full"), numbers(x0))
    mu, factor = process.prior.mean.double(), process.prior.factor.double()
    seen = {}

    def network(x_t, t):
        seen.update(x_t=x_t.num, t=t)
        return State(torch.tanh(x_t.num), x_t.cat)

    batch = x0[:64]
    loss = process.loss(network, numbers(batch), torch.Generator().manual_seed(5))
    replay = torch.Generator().manual_seed(5)
    torch.rand((), generator=replay, dtype=torch.float64)
    z = torch.randn(64, 5, generator=replay).double()
    a, s, _ = process.table[seen["t"] + 1].double().unsqueeze(-1).unbind(1)
    x_t = mu + a * (batch.double() - mu) + s * z @ factor.T
    assert torch.allclose(process.prior.unwhiten(seen["x_t"]).double(), x_t, atol=1e-5)

    gap = z @ factor.T - torch.tanh(seen["x_t"]).double() @ factor.T
    weighted = torch.einsum("bi,ij,bj->b", gap, torch.linalg.inv(factor @ factor.T), gap) / 5
    assert torch.allclose(loss.double(), weighted, rtol=1e-4, atol=1e-5)

    now, then = process.level(600), process.level(500)
    w_t, w0 = process.prior.whiten(x_t.float()), process.prior.whiten(batch)
    proposed = process.prior.unwhiten(stepped(w_t, w0, now, then, 1.0, z.float()))
    direct = mu + stepped(x_t - mu, batch.double() - mu, now, then, 1.0, z @ factor.T)
    assert torch.allclose(proposed.double(), direct, atol=1e-5)


def test_diagonal_prior_of_standardised_columns_changes_nothing():
    x = gaussian(5000, 3, 0.9, 1)
    x = (x - x.mean(0)) / x.std(0, correction=0)
    process = Process.fit(vector(3), DiffusionOptions(prior="diagonal"), numbers(x))
    assert torch.allclose(process.prior.whiten(x), x, atol=1e-5)


def test_full_prior_of_collinear_constant_and_few_rows_is_invertible():
    x = torch.randn(8, 1).repeat(1, 12)
    x[:, 3] = 2.0
    process = Process.fit(vector(12), DiffusionOptions(prior="full"), numbers(x))
    assert torch.allclose(process.prior.unwhiten(process.prior.whiten(x)), x, atol=1e-3)


def _distance(prior, steps, seed):
    data = gaussian(2000, 6, 0.9, 100 + seed)
    process = Process.fit(vector(6), DiffusionOptions(prior=prior), numbers(data))
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        body = nn.Sequential(nn.Linear(38, 128), nn.SiLU(), nn.Linear(128, 128), nn.SiLU(), nn.Linear(128, 6))
    optimizer = torch.optim.Adam(body.parameters(), 2e-3, fused=True)
    frequencies = torch.exp(torch.linspace(0, 6, 16))

    def network(x_t, t):
        angle = (t[:, None] / 1000) * frequencies
        return State(body(torch.cat([x_t.num, angle.sin(), angle.cos()], 1)), x_t.cat)

    for _ in range(steps):
        rows = torch.randint(0, 2000, (256,), generator=generator)
        loss = process.loss(network, numbers(data[rows]), generator).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    made = sample(network, process, process.start(12_000, generator, "cpu"), options=SamplerOptions(steps=30), generator=generator)
    gap = (torch.corrcoef(made.num.T) - torch.corrcoef(data.T)).abs()
    return float(gap.sum() / 30)


@pytest.mark.parametrize("steps", [100, 300])
def test_full_prior_halves_the_correlation_distance_at_small_budgets(steps):
    standard, full = (sum(_distance(prior, steps, seed) for seed in range(3)) / 3 for prior in ("standard", "full"))
    assert standard >= 2 * full, (standard, full)
