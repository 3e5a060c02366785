"""The residual MLP: shapes, soft and hard categories, constant times, conditions."""

import pytest
import torch

from scarce.contract import BackboneContext, Block, Condition, Space, State
from scarce_tabular.backbone import MlpDenoiser
from scarce_tabular.config import MlpDenoiser as Options

BLOCKS = (
    Block(name="a", kind="categorical", size=3),
    Block(name="x", kind="continuous", size=2),
    Block(name="b", kind="categorical", size=4),
)


def build(blocks=BLOCKS, **options):
    space = Space(layout="vector", blocks=blocks)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        ctx = BackboneContext(space=space, condition_width=5, steps=100, classes=(), runtime=None)
        network = MlpDenoiser(Options(width=16, layers=2, **options)).backbone_build(ctx)
        torch.nn.init.normal_(network.outward.weight)
    return network.eval()


def rows(n=6):
    generator = torch.Generator().manual_seed(1)
    cat = torch.stack([torch.randint(0, 3, (n,), generator=generator), torch.randint(0, 4, (n,), generator=generator)], 1)
    pooled = torch.randn(n, 5, generator=generator)
    return State(torch.randn(n, 2, generator=generator), cat), Condition(pooled[:, None], torch.ones(n, 1).bool(), pooled)


@pytest.mark.parametrize("frequencies", [0, 3])
def test_soft_one_hots_mean_what_codes_mean(frequencies):
    network, (x, condition) = build(frequencies=frequencies), rows()
    t = torch.tensor([0, 3, 99, 5, 5, 7])
    hard = network(x, t, condition)
    one_hot = torch.cat([torch.nn.functional.one_hot(x.cat[:, 0], 3), torch.nn.functional.one_hot(x.cat[:, 1], 4)], 1).float()
    soft = network(x.with_(cat=one_hot), t, condition)
    assert hard.num.shape == (6, 2)
    assert hard.cat.shape == (6, 7)
    assert torch.equal(hard.num, soft.num)
    assert torch.equal(hard.cat, soft.cat)


def test_one_expanded_time_equals_equal_times_and_times_matter():
    network, (x, condition) = build(), rows()
    expanded, same, other = (network(x, t, condition).num for t in (torch.tensor([7]).expand(6), torch.full((6,), 7), torch.full((6,), 80)))
    assert torch.allclose(expanded, same, atol=1e-6)
    assert not torch.allclose(same, other, atol=1e-3)


def test_gradients_reach_the_condition_the_numbers_and_soft_categories():
    network, (x, condition) = build(), rows()
    pooled, num, cat = condition.pooled.requires_grad_(), x.num.requires_grad_(), torch.full((6, 7), 0.25, requires_grad=True)
    network(State(num, cat), torch.full((6,), 7), condition.with_(pooled=pooled)).num.sum().backward()
    assert all(float(v.grad.abs().min(0).values.max()) > 0 for v in (pooled, num, cat))


@pytest.mark.parametrize("kind", ["continuous", "categorical"])
def test_tables_of_one_kind(kind):
    network, (x, condition) = build(tuple(b for b in BLOCKS if b.kind == kind)), rows()
    x = State(x.num, x.cat[:, :0]) if kind == "continuous" else State(x.num[:, :0], x.cat)
    out = network(x, torch.full((6,), 7), condition)
    assert (out.num.shape[1], out.cat.shape[1]) == ((2, 0) if kind == "continuous" else (0, 7))


def test_a_fresh_network_predicts_nothing():
    ctx = BackboneContext(space=Space(layout="vector", blocks=BLOCKS), condition_width=5, steps=100, classes=(), runtime=None)
    x, condition = rows()
    out = MlpDenoiser(Options(width=16)).backbone_build(ctx)(x, torch.full((6,), 7), condition)
    assert not out.num.any()
    assert not out.cat.any()
