"""Known values: exact conditioning under a full prior, RePaint otherwise, categories, masks per row."""

import pytest
import torch

from scarce.contract.space import Block, Known, Space, State
from scarce.diffusion.options import DiffusionOptions, SamplerOptions
from scarce.diffusion.process import Process
from scarce.diffusion.samplers import sample, stepped
from scarce.diffusion.schedules import grid, predicted_x0

SPACE = Space(layout="vector", blocks=tuple(Block(name=f"x{i}", kind="continuous", size=1, clip=5.2) for i in range(3)))
RHO = torch.tensor([[1.0, 0.9, 0.5], [0.9, 1.0, 0.4], [0.5, 0.4, 1.0]])


def whitened(prior="full"):
    """A process and its exact network for data N(0, RHO)."""
    data = torch.randn(20_000, 3, generator=torch.Generator().manual_seed(0)) @ torch.linalg.cholesky(RHO).T
    process = Process.fit(SPACE, DiffusionOptions(prior=prior), State(data, torch.zeros(20_000, 0, dtype=torch.int64)))
    inverse = process.prior.inverse if prior == "full" else torch.diag(process.prior.inverse)
    covariance = inverse @ RHO @ inverse.T

    def network(x_t, t):
        a, s, _ = process.level(int(t[0]))
        x0 = x_t.num @ (a * covariance @ torch.linalg.inv(a**2 * covariance + s**2 * torch.eye(3))).T
        return State(-s * x0 + a * (x_t.num - a * x0) / s, x_t.cat)

    return process, network


def imposed(mask, values):
    mask = torch.as_tensor(mask)
    values = torch.as_tensor(values).expand(mask.shape)
    empty = torch.zeros(len(mask), 0, dtype=torch.int64)
    return Known(State(torch.where(mask, values, torch.nan), empty), mask, empty.bool())


@pytest.mark.parametrize("sampler", ["ddpm", "ddim", "dpm++"])
def test_conditional_law_is_exact_under_the_full_prior(sampler):
    process, network = whitened()
    n, generator = 20_000, torch.Generator().manual_seed(1)
    known, options = imposed(torch.tensor([True, False, False]).expand(n, 3), 1.5), SamplerOptions(sampler=sampler, steps=200)
    made = sample(network, process, process.start(n, generator, "cpu"), options=options, generator=generator, known=known).num
    assert torch.equal(made[:, 0], torch.full((n,), 1.5))
    assert torch.allclose(made[:, 1:].mean(0), torch.tensor([1.35, 0.75]), atol=0.03)
    conditional = RHO[1:, 1:] - torch.outer(RHO[1:, 0], RHO[1:, 0])
    assert torch.allclose(torch.cov(made[:, 1:].T), conditional, atol=0.03)


def test_plain_replacement_under_the_full_prior_ignores_the_known_value():
    process, network = whitened()
    generator = torch.Generator().manual_seed(1)
    x, times = process.start(4000, generator, "cpu").num, grid(1000, 50)
    for i, t in enumerate(times):
        now, then = process.level(t), process.level(times[i + 1] if i < 49 else -1)
        w0 = predicted_x0("v", x, network(State(x, torch.zeros(4000, 0)), torch.full((4000,), t)).num, now)
        data = process.prior.unwhiten(stepped(x, w0, now, then, 1.0, torch.randn(4000, 3, generator=generator)))
        forward = process.prior.unwhiten(
            then.a * process.prior.whiten(torch.tensor([[1.5, 0, 0]])) + then.s * torch.randn(4000, 3, generator=generator)
        )
        data[:, 0] = forward[:, 0]
        x = process.prior.whiten(data)
    assert abs(float(process.prior.unwhiten(x)[:, 1].mean()) - 1.35) > 0.5


def test_masks_and_values_may_differ_by_row():
    process, network = whitened()
    n, generator = 9000, torch.Generator().manual_seed(1)
    mask = torch.tensor([[True, False, False], [False, True, True], [False, False, False]]).repeat(n // 3, 1)
    values = torch.tensor([[2.0, 0, 0], [0, -1.0, 0.5], [0, 0, 0]]).repeat(n // 3, 1)
    made = sample(
        network, process, process.start(n, generator, "cpu"), options=SamplerOptions(), generator=generator, known=imposed(mask, values)
    ).num
    assert torch.equal(made[mask], values[mask])
    assert abs(float(made[0::3, 1].mean()) - 1.8) < 0.05
    gain = RHO[0, 1:] @ torch.linalg.inv(RHO[1:, 1:])
    assert abs(float(made[1::3, 0].mean() - gain @ torch.tensor([-1.0, 0.5]))) < 0.05
    assert float(made[2::3].mean(0).abs().max()) < 0.06


def test_repeats_repair_the_standard_prior():
    process, network = whitened("diagonal")
    gaps = []
    for repeats in (1, 5, 10):
        generator = torch.Generator().manual_seed(1)
        known = imposed(torch.tensor([True, False, False]).expand(8000, 3), 1.5)
        options = SamplerOptions(sampler="ddpm", resample=repeats)
        made = sample(network, process, process.start(8000, generator, "cpu"), options=options, generator=generator, known=known).num
        gaps.append(abs(float(made[:, 1].mean()) - 1.35))
    assert gaps[0] > 0.3 > 0.1 > gaps[1] > gaps[2]


def test_known_categories_are_returned_and_pull_the_rest():
    space = Space(layout="vector", blocks=tuple(Block(name=n, kind="categorical", size=2) for n in "ab"))
    process = Process(space=space, options=DiffusionOptions())
    joint = torch.tensor([[0.45, 0.05], [0.05, 0.45]]).double()

    def network(x_t, t):
        keep = process.table[t[:1] + 1, 2].double()
        likelihood = [keep * torch.eye(2).double()[x_t.cat[:, c]] + (1 - keep) / 2 for c in range(2)]
        both = joint * likelihood[0][:, :, None] * likelihood[1][:, None, :]
        return State(x_t.num, torch.cat([both.sum(2), both.sum(1)], 1).log().float())

    n, generator = 8000, torch.Generator().manual_seed(0)
    values = torch.tensor([[1, 0], [0, 0]]).repeat(n // 2, 1)
    known = Known(State(torch.zeros(n, 0), values), torch.zeros(n, 0).bool(), torch.tensor([True, False]).expand(n, 2))
    gaps = []
    for repeats in (1, 5, 20):
        options = SamplerOptions(resample=repeats)
        made = sample(network, process, process.start(n, generator, "cpu"), options=options, generator=generator, known=known).cat
        assert torch.equal(made[:, 0], values[:, 0])
        gaps.append(max(abs(float(made[i::2, 1].float().mean()) - p) for i, p in ((0, 0.9), (1, 0.1))))
    assert gaps[0] > 0.1 > 0.06 > gaps[1]
    assert gaps[2] < 0.03
