"""The text-to-image network: sizes, conditions, time, gradients, adapters, and that it learns to follow words."""

import pytest
import torch

from scarce.contract import BackboneContext, Block, Condition, Space, State
from scarce.diffusion.options import DiffusionOptions
from scarce.diffusion.process import Process
from scarce.errors import RecipeError
from scarce_images import config
from scarce_images.backbone import ConvTransformer


def space(side, channels=3):
    return Space(layout="image", blocks=(Block(name="rgb", kind="continuous", size=channels, clip=1.0),), shape=(side, side))


def build(side=16, fresh=False, condition_width=6, channels=3, **options):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        ctx = BackboneContext(space=space(side, channels), condition_width=condition_width, steps=100, classes=(), runtime=None)
        made = ConvTransformer(config.ConvTransformer(**({"width": 16, "layers": 2, "heads": 2, "channels": 8} | options)))
        network = made.backbone_build(ctx).eval()
        if not fresh:
            torch.nn.init.normal_(network.last.weight, std=0.1)
            for block in network.blocks:
                torch.nn.init.normal_(block.asked.weight, std=0.2)
    return network


def batch(n, side=16, tokens=3, width=6, channels=3):
    g = torch.Generator().manual_seed(1)
    mask = torch.ones(n, tokens).bool()
    mask[:, -1] = False
    condition = Condition(torch.randn(n, tokens, width, generator=g), mask, torch.randn(n, width, generator=g))
    return State(torch.randn(n, channels, side, side, generator=g), torch.zeros(n, side, side, 0, dtype=torch.int64)), condition


@pytest.mark.parametrize(("side", "patch", "channels"), [(4, 4, 3), (16, 2, 3), (32, 4, 1), (64, 8, 3), (64, 4, 4)])
def test_sizes_patches_and_channels(side, patch, channels):
    network, (x, condition) = build(side, patch=patch, channels=channels), batch(2, side, channels=channels)
    out = network(x, torch.tensor([7, 70]), condition, None)
    assert out.num.shape == x.num.shape
    assert out.cat.shape == (2, side, side, 0)
    assert torch.isfinite(out.num).all()
    alone = network(x[1:], torch.tensor([70]), condition[1:]).num
    assert torch.allclose(alone, out.num[1:], atol=1e-4)


@pytest.mark.parametrize("width", [1, 128, 384])
def test_any_width_of_condition_and_nothing_asked(width):
    network, (x, condition) = build(condition_width=width), batch(2, width=width)
    null = Condition(torch.randn(2, 1, width), torch.ones(2, 1).bool(), torch.zeros(2, width), {}, torch.full((2,), -1))
    t = torch.full((2,), 9)
    asked, nothing = (network(x, t, c).num for c in (condition, null))
    assert not torch.allclose(asked, nothing, atol=1e-4)
    assert network(x, t, Condition(null.tokens, null.mask, None)).num.isfinite().all()


def test_time_tokens_and_pooled_condition_matter_and_hidden_tokens_do_not():
    network, (x, condition) = build(), batch(3)
    t = torch.full((3,), 10)
    base = network(x, t, condition).num

    def differs(other, at=t):
        return not torch.allclose(network(x, at, other).num, base, atol=1e-4)

    assert differs(condition, torch.full((3,), 90))
    assert differs(condition.with_(pooled=condition.pooled + 1))
    tokens, hidden = condition.tokens.clone(), condition.tokens.clone()
    tokens[:, 0] += 3
    hidden[:, -1] += 100
    assert differs(condition.with_(tokens=tokens))
    assert not differs(condition.with_(tokens=hidden))


def test_patches_look_at_each_other_and_know_where_they_are():
    network, (x, condition) = build(), batch(1)
    t = torch.tensor([50])
    base = network(x, t, condition).num
    far = x.num.clone()
    far[..., 0, 0] += 5
    assert (network(x.with_(num=far), t, condition).num - base)[..., -1, -1].abs().max() > 1e-5
    level = network(x.with_(num=torch.zeros_like(x.num)), t, condition).num
    assert level[..., 4:-4, 4:-4].std() > 1e-3


def test_every_parameter_and_the_input_get_a_gradient():
    network, (x, condition) = build(), batch(4)
    num, tokens = x.num.clone().requires_grad_(), condition.tokens.clone().requires_grad_()
    (network(x.with_(num=num), torch.tensor([3, 30, 60, 90]), condition.with_(tokens=tokens)).num ** 2).sum().backward()
    assert [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()] == []
    assert num.grad.abs().amin() > 0
    assert tokens.grad[:, :2].abs().sum() > 0
    assert not tokens.grad[:, 2].any()


def test_a_fresh_network_predicts_nothing_and_is_the_same_for_one_seed():
    x, condition = batch(2)
    first, again = build(fresh=True), build(fresh=True)
    assert not first(x, torch.full((2,), 5), condition).num.any()
    assert all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), again.state_dict().values(), strict=True))
    with torch.autocast("cpu", torch.bfloat16):
        assert build()(x, torch.full((2,), 5), condition).num.isfinite().all()


def test_only_pictures_whose_sides_the_patch_divides_are_taken():
    made = ConvTransformer(config.ConvTransformer(patch=8))
    for bad, said in ((space(20), "does not divide"), (Space(layout="vector", blocks=space(8).blocks), "denoises pictures")):
        with pytest.raises(RecipeError, match=said):
            made.backbone_build(BackboneContext(space=bad, condition_width=6, steps=10, classes=(), runtime=None))


def test_attention_and_wide_layers_are_linear_layers_that_adapters_find():
    names = {n.rsplit(".", 1)[-1] for n, m in build().named_modules() if isinstance(m, torch.nn.Linear)}
    assert names >= {"query", "key", "value", "out", "wide", "narrow"}
    assert build(width=20, heads=6).blocks[0].patches.heads == 5


def test_it_learns_which_word_means_which_colour():
    """Two words, two colours: after a few steps the network's picture of a word is that word's colour."""
    network = build(side=8, fresh=True, patch=4)
    process = Process.fit(space(8), DiffusionOptions(steps=100, schedule="flow", target="flow"), batch(2, 8)[0])
    generator = torch.Generator().manual_seed(0)
    words = torch.randint(0, 2, (256,), generator=generator)
    colours = torch.tensor([[0.9, -0.9, -0.9], [-0.9, -0.9, 0.9]])
    tokens = torch.nn.functional.one_hot(words, 6).float()
    optimizer = torch.optim.AdamW(network.parameters(), 6e-3)
    num = colours[words][:, :, None, None].expand(-1, -1, 8, 8)
    x0 = State(num, torch.zeros(256, 8, 8, 0, dtype=torch.int64))
    condition = Condition(tokens[:, None], torch.ones(256, 1).bool(), tokens)
    for step in range(60):
        rows = torch.arange(32) + 32 * (step % 8)
        process.loss(lambda x, t, at=rows: network(x, t, condition[at]), x0[rows], generator).mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    noise, t = torch.randn(32, 3, 8, 8, generator=generator), torch.full((32,), 99)
    with torch.no_grad():
        asked = torch.arange(32)
        velocity = network(State(noise, x0.cat[:32]), t, condition[asked]).num
    painted = (noise - velocity).mean((2, 3))
    assert torch.cdist(painted, colours).argmin(1).tolist() == words[:32].tolist()
