"""Samplers against diffusers and oracles; clipping, gradients, seeds, guidance."""

import pytest
import torch

from scarce.contract.space import Block, Space, State
from scarce.diffusion.guidance import guided
from scarce.diffusion.options import DiffusionOptions, SamplerOptions
from scarce.diffusion.process import Process
from scarce.diffusion.samplers import sample
from scarce.diffusion.schedules import coefficients, grid


def vector(width, levels=(), clip=None):
    numeric = tuple(Block(name=f"x{i}", kind="continuous", size=1, clip=clip) for i in range(width))
    return Space(layout="vector", blocks=numeric + tuple(Block(name=f"c{i}", kind="categorical", size=k) for i, k in enumerate(levels)))


def numbers(num):
    return State(num, torch.zeros(len(num), 0, dtype=torch.int64))


def exact(process, mean, covariance):
    """The network that predicts the target exactly for whitened data N(mean, covariance)."""

    def network(x_t, t):
        a, s, _ = process.level(int(t[0]))
        gain = a * covariance @ torch.linalg.inv(a**2 * covariance + s**2 * torch.eye(len(mean)))
        x0 = mean + (x_t.num - a * mean) @ gain.T
        p, q = coefficients(process.options.target, a, s)
        return State(p * x0 + q * (x_t.num - a * x0) / s, x_t.cat)

    return network


MEAN, COVARIANCE = torch.tensor([0.5, -0.3]), torch.tensor([[1.0, 0.6], [0.6, 0.8]])


@pytest.mark.parametrize("target", ["eps", "x0", "v", "flow"])
@pytest.mark.parametrize(("schedule", "sampler", "steps"), [("linear", "ddpm", 1000), ("cosine", "ddim", 200), ("flow", "dpm++", 100)])
def test_oracle_reproduces_mean_and_covariance(target, schedule, sampler, steps):
    process = Process(space=vector(2), options=DiffusionOptions(target=target, prior="standard", schedule=schedule))
    generator = torch.Generator().manual_seed(0)
    x_T = process.start(40_000, generator, "cpu")
    options = SamplerOptions(sampler=sampler, steps=steps)
    made = sample(exact(process, MEAN, COVARIANCE), process, x_T, options=options, generator=generator).num
    assert torch.allclose(made.mean(0), MEAN, atol=0.03)
    assert torch.allclose(torch.cov(made.T), COVARIANCE, rtol=0.03)


def test_the_reverse_mean_with_the_wrong_factor_collapses():
    process = Process(space=vector(1), options=DiffusionOptions(target="eps", prior="standard", schedule="linear"))
    generator = torch.Generator().manual_seed(0)
    wrong = right = torch.randn(4000, 1, generator=generator)
    for t in range(999, -1, -1):
        now, before = process.level(t), process.level(t - 1)
        step = (now.a / before.a) ** 2
        noise = torch.randn(4000, 1, generator=generator) * (1 - step) ** 0.5 * (t > 0)
        wrong = (wrong - (1 - step) ** 0.5 * (now.s * wrong)) / step**0.5 + noise
        right = (right - (1 - step) / now.s * (now.s * right)) / step**0.5 + noise
    assert float(wrong.std()) < 0.5
    assert abs(float(right.std()) - 1) < 0.05


@pytest.mark.parametrize("betas", ["linear", "squaredcos_cap_v2"])
@pytest.mark.parametrize(("sampler", "eta"), [("ddpm", 1.0), ("ddim", 0.0), ("dpm++", 0.0), ("dpm++", 1.0)])
def test_samplers_equal_diffusers(betas, sampler, eta):
    from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler

    kind = "sde-dpmsolver++" if eta else "dpmsolver++"

    common = {"beta_schedule": betas, "prediction_type": "sample", "timestep_spacing": "trailing"}
    scheduler = {
        "ddpm": lambda: DDPMScheduler(**common, clip_sample=False),
        "ddim": lambda: DDIMScheduler(**common, clip_sample=False),
        "dpm++": lambda: DPMSolverMultistepScheduler(**common, algorithm_type=kind, final_sigmas_type="zero"),
    }[sampler]()
    scheduler.set_timesteps(20)
    schedule = "linear" if betas == "linear" else "cosine"
    process = Process(space=vector(3), options=DiffusionOptions(target="x0", prior="standard", schedule=schedule))
    assert scheduler.timesteps.tolist() == grid(1000, 20)
    x_T = torch.randn(50, 3, generator=torch.Generator().manual_seed(1))
    x, generator = x_T, torch.Generator().manual_seed(2)
    for t in scheduler.timesteps:
        extra = {"generator": generator} if eta else {}
        x = scheduler.step(torch.tanh(0.8 * x + 0.1), t, x, **extra).prev_sample
    network = lambda state, t: State(torch.tanh(0.8 * state.num + 0.1), state.cat)  # noqa: E731
    options = SamplerOptions(sampler=sampler, steps=20, eta=eta)
    ours = sample(network, process, numbers(x_T), options=options, generator=torch.Generator().manual_seed(2)).num
    assert torch.allclose(ours, x, atol=2e-4)


def test_a_network_that_runs_away_stays_inside_the_codecs_range_and_is_not_pinned_by_it():
    generator = torch.Generator().manual_seed(0)
    data = torch.randn(3000, 4, generator=generator).clamp(-2.5, 2.5)
    process = Process.fit(vector(4, clip=2.5), DiffusionOptions(target="eps", prior="full"), numbers(data))
    oracle = exact(process, torch.zeros(4), torch.eye(4))

    def noisy(x_t, t):  # an eps prediction that is 2 % wrong: unclipped, x_0 is far outside at large t
        return State(oracle(x_t, t).num * 0.98, x_t.cat)

    made = sample(noisy, process, process.start(3000, generator, "cpu"), options=SamplerOptions(sampler="ddpm"), generator=generator).num
    assert float(made.abs().max()) <= 2.5
    pinned = [float((x.abs() > 2.499).float().mean()) for x in (made, data)]
    assert pinned[0] <= pinned[1] + 0.005
    process.bounded = False
    loose = sample(noisy, process, process.start(3000, generator, "cpu"), options=SamplerOptions(sampler="ddpm"), generator=generator).num
    assert float((loose.abs() > 2.499).float().mean()) > pinned[1] + 0.005


def conditioned(process, condition):
    weights = torch.randn(9, 6, generator=torch.Generator().manual_seed(4)) * 0.5

    def network(x_t, t):
        cat = x_t.cat if x_t.cat.is_floating_point() else process.categories.join_one_hots(process.categories.one_hots(x_t.cat), x_t.cat)
        features = torch.cat([x_t.num, cat, condition.expand(len(x_t), 2)], 1)
        out = torch.tanh(features @ weights[: features.shape[1]])
        return State(out[:, :2], out[:, 2:] * 3)

    return network


def mixed():
    generator = torch.Generator().manual_seed(0)
    data = State(torch.randn(200, 2, generator=generator), torch.randint(0, 2, (200, 2), generator=generator))
    return Process.fit(vector(2, (2, 2)), DiffusionOptions(), data)


def run(process, condition, n=16, **extra):
    generator = torch.Generator().manual_seed(7)
    x_T = process.start(n, generator, "cpu")
    return sample(conditioned(process, condition), process, x_T, generator=generator, **extra)


@pytest.mark.parametrize("sampler", ["ddim", "dpm++"])
@pytest.mark.parametrize("grad_steps", [1, 3, 8])
def test_gradients_through_the_last_calls_equal_autograd(sampler, grad_steps):
    """A plain loop in float64 on continuous channels, detached before the last calls."""
    from scarce.diffusion.samplers import extrapolated, stepped
    from scarce.diffusion.schedules import predicted_x0

    process = Process(space=vector(2), options=DiffusionOptions(prior="standard"))
    condition = torch.tensor([0.3, -0.2], requires_grad=True)
    x_T = process.start(16, torch.Generator().manual_seed(7), "cpu")
    weights = torch.randn(4, 2, generator=torch.Generator().manual_seed(4))
    network = lambda x_t, t: State(torch.tanh(torch.cat([x_t.num, condition.expand(len(x_t), 2)], 1) @ weights), x_t.cat)  # noqa: E731
    options = SamplerOptions(sampler=sampler, steps=8, eta=0.0)
    made = sample(network, process, x_T, options=options, generator=torch.Generator(), grad_steps=grad_steps)
    found = torch.autograd.grad(made.num.square().sum(), condition)[0]

    x, previous, times = x_T.num, None, grid(1000, 8)
    for i, t in enumerate(times):
        now, then = process.level(t), process.level(times[i + 1] if i < 7 else -1)
        if i == 8 - grad_steps:
            x, previous = x.detach(), None if previous is None else (previous[0].detach(), previous[1])
        x0 = predicted_x0("v", x, network(State(x, x_T.cat), torch.full((16,), t)).num, now)
        second = sampler == "dpm++" and previous is not None and then.s > 0
        x = stepped(x, extrapolated(x0, *previous, now, then) if second else x0, now, then, 0.0, None)
        previous = (x0, now)
    assert torch.allclose(found, torch.autograd.grad(x.square().sum(), condition)[0], rtol=1e-4)


@pytest.mark.parametrize("sampler", ["ddpm", "ddim", "dpm++"])
def test_soft_categories_carry_gradients_and_leave_values_unchanged(sampler):
    process, options = mixed(), SamplerOptions(sampler=sampler, steps=6)
    plain = run(process, torch.tensor([0.3, -0.2]), options=options)
    assert plain.cat.dtype == torch.int64
    for grad_steps in (1, 6):
        condition = torch.tensor([0.3, -0.2], requires_grad=True)
        soft = run(process, condition, options=options, grad_steps=grad_steps)
        assert torch.allclose(soft.num, plain.num, atol=1e-5)
        assert soft.cat.shape == (16, 4)
        assert torch.allclose(soft.cat.view(16, 2, 2).sum(-1), torch.ones(16, 2))
        gradient = torch.autograd.grad(soft.cat[:, 0].sum() + soft.num.sum(), condition)[0]
        assert float(gradient.abs().min()) > 1e-3


def test_gradient_of_expected_one_hots_equals_finite_differences():
    process, options = mixed(), SamplerOptions(steps=6)
    condition = torch.tensor([0.3, -0.2], requires_grad=True)
    value = lambda c: run(process, c, options=options, grad_steps=1).cat[:, 1].sum()  # noqa: E731
    found = torch.autograd.grad(value(condition), condition)[0]
    start = run_until_last(process, options)
    for i in range(2):
        shift = torch.eye(2)[i] * 1e-2
        ends = [start(condition.detach() + sign * shift) for sign in (1, -1)]
        assert abs(float((ends[0] - ends[1]) / 2e-2 - found[i])) < 0.02 * max(1.0, float(found[i].abs()))


def run_until_last(process, options):
    """The last call as a function of the condition, everything before it fixed."""
    fixed, states = torch.tensor([0.3, -0.2]), []
    inner = conditioned(process, fixed)

    def recording(x_t, t):
        states.append((x_t, t))
        return inner(x_t, t)

    generator = torch.Generator().manual_seed(7)
    sample(recording, process, process.start(16, generator, "cpu"), options=options, generator=generator)
    x_t, t = states[-1]
    return lambda c: process.categories.join_one_hots(process.categories.probabilities(conditioned(process, c)(x_t, t).cat), x_t.cat)[
        :, 1
    ].sum()


def test_same_seed_same_bytes_and_no_global_random_state():
    process, options = mixed(), SamplerOptions(sampler="ddpm", steps=10)
    before = torch.random.get_rng_state()
    first, second = (run(process, torch.zeros(2), options=options) for _ in range(2))
    assert first.num.numpy().tobytes() == second.num.numpy().tobytes()
    assert torch.equal(first.cat, second.cat)
    assert torch.equal(before, torch.random.get_rng_state())


def test_guidance_extrapolates_and_one_is_the_conditional_network():
    conditional = lambda x, t: State(x.num + 1, x.cat + 1)  # noqa: E731
    unconditional = lambda x, t: State(x.num, x.cat)  # noqa: E731
    assert guided(conditional, unconditional, 1.0) is conditional
    out = guided(conditional, unconditional, 2.5)(State(torch.zeros(3, 2), torch.zeros(3, 4)), torch.zeros(3))
    assert torch.allclose(out.num, torch.full((3, 2), 2.5))
    assert torch.allclose(out.cat, torch.full((3, 4), 2.5))
