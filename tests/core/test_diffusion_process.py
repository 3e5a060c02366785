"""Layouts, masks, sizes, coordinates, saving, and what the network receives."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from scarce.contract.space import Block, Space, State
from scarce.diffusion.options import DiffusionOptions, SamplerOptions
from scarce.diffusion.process import Process
from scarce.diffusion.samplers import sample

GENERATOR = torch.Generator


def blank(x_t, t):
    """Predict zeros and even odds."""
    return State(torch.zeros_like(x_t.num), torch.zeros(*x_t.cat.shape[:-1], 3))


def sequence(variable=True):
    blocks = (Block(name="x", kind="continuous", size=2, clip=3.0), Block(name="c", kind="categorical", size=3))
    return Space(layout="sequence", blocks=blocks, shape=(6,), variable=variable)


def sequences(n=40):
    generator = GENERATOR().manual_seed(0)
    sizes = torch.arange(n) % 3 + 2
    mask = torch.arange(6) < sizes[:, None]
    num = torch.randn(n, 6, 2, generator=generator) * mask[..., None]
    return State(num, torch.randint(0, 3, (n, 6, 1), generator=generator) * mask[..., None], mask)


def test_masked_positions_never_count():
    process, x0 = Process.fit(sequence(), DiffusionOptions(), sequences()), sequences()
    other = State(torch.where(x0.mask[..., None], x0.num, 77.0), torch.where(x0.mask[..., None], x0.cat, 2), x0.mask)

    def network(x_t, t):
        assert bool((x_t.num[~x_t.mask] == 0).all())
        return State(
            torch.where(x_t.mask[..., None], 0.3, 99.0).expand_as(x_t.num), torch.where(x_t.mask[..., None], 0.1, 50.0) * torch.arange(3)
        )

    losses = [process.loss(network, x, GENERATOR().manual_seed(1)) for x in (x0, other)]
    assert torch.equal(*losses)
    assert losses[0].shape == (40,)
    assert float(losses[0].max()) < 50


def test_sizes_follow_the_data_and_the_label():
    x0 = sequences(300)
    labels = (x0.mask.sum(1) == 4).long()
    process = Process.fit(sequence(), DiffusionOptions(), x0, labels)
    free = process.start(3000, GENERATOR().manual_seed(0), "cpu").mask.sum(1)
    assert torch.allclose(torch.bincount(free)[2:] / 3000, torch.full((3,), 1 / 3), atol=0.04)
    asked = process.start(200, GENERATOR().manual_seed(0), "cpu", labels=torch.arange(200) % 2).mask.sum(1)
    assert set(asked[1::2].tolist()) == {4}
    assert set(asked[0::2].tolist()) == {2, 3}
    made = sample(
        blank, process, process.start(8, GENERATOR().manual_seed(0), "cpu"), options=SamplerOptions(steps=4), generator=GENERATOR()
    )
    assert bool((made.num[~made.mask] == 0).all())
    assert bool((made.cat[~made.mask] == 0).all())
    assert float(made.num.abs().max()) <= 3.0


@pytest.mark.parametrize("prior", ["standard", "diagonal", "full"])
def test_images_are_channels_first_and_clipped_by_channel(prior):
    blocks = (Block(name="a", kind="continuous", size=1, clip=1.0), Block(name="b", kind="continuous", size=2, clip=4.0))
    space = Space(layout="image", blocks=blocks, shape=(4, 5))
    generator = GENERATOR().manual_seed(0)
    x0 = State(torch.randn(50, 3, 4, 5, generator=generator) * torch.tensor([0.2, 1.0, 3.0]).view(3, 1, 1), torch.zeros(50, 4, 5, 0).long())
    process = Process.fit(space, DiffusionOptions(prior=prior), x0)
    if prior == "diagonal":
        assert torch.allclose(process.prior.whiten(x0.num).std((0, 2, 3)), torch.ones(3), atol=0.02)
    network = lambda x, t: State(x.num * -9, x.cat)  # noqa: E731
    assert process.loss(network, x0, generator).shape == (50,)
    made = sample(network, process, process.start(50, generator, "cpu"), options=SamplerOptions(steps=5), generator=generator).num
    assert made.shape == (50, 3, 4, 5)
    assert made.abs().amax((0, 2, 3)).tolist() == [1.0, 4.0, 4.0]


@pytest.mark.parametrize("prior", ["standard", "diagonal"])
def test_coordinates_keep_zero_centre_of_mass(prior):
    blocks = (Block(name="xyz", kind="coordinates", size=3), Block(name="q", kind="continuous", size=1))
    space = Space(layout="set", blocks=blocks, shape=(5,), variable=True)
    generator, mask = GENERATOR().manual_seed(0), torch.arange(5) < torch.tensor([3, 5, 4, 5])[:, None]
    num = torch.randn(4, 5, 4, generator=generator) * mask[..., None] * torch.tensor([5.0, 1.0, 1.0, 1.0])
    process = Process.fit(space, DiffusionOptions(prior=prior), State(num, torch.zeros(4, 5, 0).long(), mask))
    seen = []

    def network(x_t, t):
        seen.append(x_t.num[..., :3].sum(1).abs().max())
        return State(torch.randn(x_t.num.shape, generator=GENERATOR().manual_seed(3)) + 2, x_t.cat)

    process.loss(network, State(num, torch.zeros(4, 5, 0).long(), mask), generator)
    made = sample(
        network, process, process.start(4, generator, "cpu"), options=SamplerOptions(steps=6, sampler="ddpm"), generator=generator
    )
    assert max(float(s) for s in seen) < 1e-4
    assert float(made.num[..., :3].sum(1).abs().max()) < 1e-4
    assert float(made.num[..., 3].sum(1).abs().max()) > 0.1


def test_loss_of_the_true_target_is_zero_for_every_schedule_and_target():
    space = Space(layout="vector", blocks=(Block(name="x", kind="continuous", size=4),))
    x0 = State(torch.randn(64, 4, generator=GENERATOR().manual_seed(0)), torch.zeros(64, 0).long())
    for schedule in ("cosine", "linear", "flow"):
        for target in ("eps", "x0", "v", "flow"):
            process = Process.fit(space, DiffusionOptions(schedule=schedule, target=target, prior="standard"), x0)

            def network(x_t, t, process=process, target=target):
                a, s, _ = process.table[t + 1].unsqueeze(-1).unbind(1)
                eps = (x_t.num - a * x0.num) / s
                return State({"eps": eps, "x0": x0.num, "v": a * eps - s * x0.num, "flow": eps - x0.num}[target], x_t.cat)

            assert float(process.loss(network, x0, GENERATOR().manual_seed(1)).max()) < 1e-4


def test_times_cover_the_schedule_evenly():
    space = Space(layout="vector", blocks=(Block(name="x", kind="continuous", size=1),))
    process = Process(space=space, options=DiffusionOptions())
    seen = []
    network = lambda x, t: seen.append(t) or State(x.num, x.cat)  # noqa: E731
    for seed in range(50):
        process.loss(network, State(torch.zeros(8, 1), torch.zeros(8, 0).long()), GENERATOR().manual_seed(seed))
    t = torch.cat(seen)
    assert int(t.min()) >= 0
    assert int(t.max()) < 1000
    assert all(len(torch.unique(batch // 125)) == 8 for batch in seen)
    assert abs(float(torch.stack(seen)[:, 0].float().mean()) - 500) < 130


def test_a_process_survives_its_files(tmp_path):
    for space, x0 in ((sequence(), sequences()),):
        process = Process.fit(space, DiffusionOptions(prior="diagonal", categorical_prior="marginal"), x0, torch.arange(40) % 2)
        save_file(process.state_dict(), tmp_path / "process.safetensors")
        again = Process.from_json(process.to_json())
        again.load_state_dict(load_file(tmp_path / "process.safetensors"))
        results = [
            sample(
                blank,
                p,
                p.start(9, GENERATOR().manual_seed(2), "cpu"),
                options=SamplerOptions(steps=4),
                generator=GENERATOR().manual_seed(3),
            )
            for p in (process, again)
        ]
        assert torch.equal(results[0].num, results[1].num)
        assert torch.equal(results[0].cat, results[1].cat)
        assert not list(process.parameters())


def test_the_loss_is_computed_in_full_precision_under_autocast():
    space = Space(layout="vector", blocks=tuple(Block(name=f"x{i}", kind="continuous", size=1) for i in range(6)))
    generator = GENERATOR().manual_seed(0)
    x0 = State(torch.randn(128, 1, generator=generator) + 0.05 * torch.randn(128, 6, generator=generator), torch.zeros(128, 0).long())
    process = Process.fit(space, DiffusionOptions(), x0)
    seen = []
    network = lambda x, t: seen.append(x.num) or State(torch.zeros_like(x.num), x.cat)  # noqa: E731
    process.loss(network, x0, GENERATOR().manual_seed(1))
    with torch.autocast("cpu", torch.bfloat16):
        process.loss(network, x0, GENERATOR().manual_seed(1))
    assert torch.equal(*seen)


def test_a_mixed_table_is_learnt():
    """Two columns that decide each other: joint frequencies and the correlation come back after a short training."""
    blocks = (Block(name="x", kind="continuous", size=1, clip=5.2), Block(name="c", kind="categorical", size=3))
    space, generator = Space(layout="vector", blocks=blocks), GENERATOR().manual_seed(0)
    c = torch.multinomial(torch.tensor([0.6, 0.3, 0.1]), 2000, True, generator=generator)
    x = (c - 0.5) / 0.67 * 0.9 + 0.3 * torch.randn(2000, generator=generator)
    data = State(x[:, None], c[:, None])
    process = Process.fit(space, DiffusionOptions(), data)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        body = nn.Sequential(nn.Linear(6, 96), nn.SiLU(), nn.Linear(96, 96), nn.SiLU(), nn.Linear(96, 4))

    def network(x_t, t):
        u = (t[:, None] + 1) / 1000
        out = body(torch.cat([x_t.num, nn.functional.one_hot(x_t.cat[:, 0], 3), u, u.sqrt()], 1))
        return State(out[:, :1], out[:, 1:])

    optimizer = torch.optim.Adam(body.parameters(), 3e-3)
    for _ in range(400):
        rows = torch.randint(0, 2000, (256,), generator=generator)
        loss = process.loss(network, data[rows], generator).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    made = sample(network, process, process.start(4000, generator, "cpu"), options=SamplerOptions(), generator=generator)
    shares = torch.bincount(made.cat[:, 0], minlength=3) / 4000
    assert torch.allclose(shares, torch.tensor([0.6, 0.3, 0.1]), atol=0.04)
    means = torch.stack([made.num[made.cat[:, 0] == k, 0].mean() for k in range(3)])
    assert torch.allclose(means, (torch.arange(3) - 0.5) / 0.67 * 0.9, atol=0.2)
