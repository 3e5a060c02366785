"""Both networks: shapes, lengths, masks, time, conditions, gradients, and what a fresh one says."""

import pytest
import torch

from scarce.contract import BackboneContext, Block, Condition, Space, State
from scarce.errors import RecipeError
from scarce_timeseries import config
from scarce_timeseries.backbone import Dilated, Transformer

KINDS = {
    "dilated": lambda **o: Dilated(config.Dilated(**({"channels": 12, "layers": 5} | o))),
    "transformer": lambda **o: Transformer(config.Transformer(**({"width": 12, "layers": 2} | o))),
}


def space(length, channels=2, variable=True):
    blocks = tuple(Block(name=f"c{i}", kind="continuous", size=1) for i in range(channels))
    return Space(layout="sequence", blocks=blocks, shape=(length,), variable=variable)


def build(kind, length, channels=2, fresh=False, **options):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        ctx = BackboneContext(space=space(length, channels), condition_width=6, steps=100, classes=(), runtime=None)
        network = KINDS[kind](**options).backbone_build(ctx).eval()
        if not fresh:
            torch.nn.init.normal_(network.outward.map.weight)
    return network


def batch(n, length, channels=2, tokens=3, seed=1):
    g = torch.Generator().manual_seed(seed)
    num = torch.randn(n, length, channels, generator=g)
    mask = torch.ones(n, tokens).bool()
    mask[:, -1] = False
    condition = Condition(torch.randn(n, tokens, 6, generator=g), mask, torch.randn(n, 6, generator=g))
    return State(num, torch.zeros(n, length, 0, dtype=torch.int64)), condition


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("length", "channels", "n"), [(2, 1, 1), (3, 2, 4), (24, 1, 2), (45, 3, 1)])
def test_shapes_from_two_steps_up(kind, length, channels, n):
    network, (x, condition) = build(kind, length, channels), batch(n, length, channels)
    out = network(x, torch.full((n,), 7), condition, None)
    assert out.num.shape == (n, length, channels)
    assert out.cat.shape == (n, length, 0)
    assert torch.isfinite(out.num).all()


@pytest.mark.parametrize("kind", KINDS)
def test_masked_steps_change_nothing_else(kind):
    network, (x, condition) = build(kind, 20), batch(4, 20)
    mask = torch.arange(20) < torch.tensor([2, 7, 13, 20])[:, None]
    t = torch.tensor([0, 5, 50, 99])
    first = network(x.with_(mask=mask), t, condition, mask).num
    wild = torch.where(mask[..., None], x.num, 1000.0)
    assert torch.allclose(network(State(wild, x.cat, mask), t, condition, mask).num, first, atol=1e-5)
    assert not first[~mask].any()
    alone = network(State(x.num[1:2], x.cat[1:2], mask[1:2]), t[1:2], condition[1:2], mask[1:2]).num
    assert torch.allclose(alone, first[1:2], atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_time_tokens_and_pooled_condition_matter_and_hidden_tokens_do_not(kind):
    network, (x, condition) = build(kind, 16), batch(3, 16)
    t = torch.full((3,), 10)
    base = network(x, t, condition).num

    def differs(other, at=t):
        return not torch.allclose(network(x, at, other).num, base, atol=1e-4)

    assert differs(condition, torch.full((3,), 90))
    assert differs(condition.with_(pooled=condition.pooled + 1))
    tokens = condition.tokens.clone()
    tokens[:, 0] += 3
    assert differs(condition.with_(tokens=tokens))
    hidden = condition.tokens.clone()
    hidden[:, -1] += 100
    assert not differs(condition.with_(tokens=hidden))
    null = Condition(torch.zeros(3, 1, 6), torch.ones(3, 1).bool(), torch.zeros(3, 6), {}, torch.full((3,), -1))
    assert differs(null)
    assert network(x, t, Condition(null.tokens, null.mask, None)).num.isfinite().all()


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_and_the_input_get_a_gradient(kind):
    network, (x, condition) = build(kind, 20), batch(4, 20)
    num, tokens = x.num.clone().requires_grad_(), condition.tokens.clone().requires_grad_()
    out = network(x.with_(num=num), torch.tensor([3, 30, 60, 90]), condition.with_(tokens=tokens)).num
    (out**2).sum().backward()
    assert [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()] == []
    assert num.grad.abs().amin() > 0
    assert tokens.grad[:, :2].abs().sum() > 0
    assert not tokens.grad[:, 2].any()


@pytest.mark.parametrize("kind", KINDS)
def test_a_fresh_network_predicts_nothing_and_is_the_same_for_one_seed(kind):
    x, condition = batch(2, 10)
    first, again = build(kind, 10, fresh=True), build(kind, 10, fresh=True)
    assert not first(x, torch.full((2,), 5), condition).num.any()
    assert all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), again.state_dict().values(), strict=True))
    with torch.autocast("cpu", torch.bfloat16):
        assert build(kind, 10)(x, torch.full((2,), 5), condition).num.isfinite().all()


def test_only_sequences_of_numbers_are_taken():
    levels = Space(layout="sequence", blocks=(Block(name="a", kind="categorical", size=3),), shape=(4,))
    for bad in (levels, Space(layout="vector", blocks=space(3).blocks)):
        for make in KINDS.values():
            with pytest.raises(RecipeError, match="sequences of numbers"):
                make().backbone_build(BackboneContext(space=bad, condition_width=6, steps=10, classes=(), runtime=None))


def test_heads_that_do_not_divide_the_width_become_fewer():
    assert build("dilated", 8, channels=1, layers=3, heads=5).layers[1].attention.heads == 4


@pytest.mark.parametrize("kind", KINDS)
def test_linear_layers_have_room_for_low_rank_adapters_whatever_the_channels(kind):
    sizes = [min(m.weight.shape) for m in build(kind, 8, channels=1).modules() if isinstance(m, torch.nn.Linear)]
    assert len(sizes) > 10
    assert min(sizes) >= 6  # the width of the condition
