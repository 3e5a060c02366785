"""The network of points turns, mirrors and permutes with its input, and its noise has no centre."""

import pytest
import torch

from scarce.contract import BackboneContext, Block, Condition, Space, State
from scarce.diffusion.options import DiffusionOptions, SamplerOptions
from scarce.diffusion.process import Process
from scarce.diffusion.samplers import sample
from scarce.errors import RecipeError
from scarce_molecules.backbone import Egnn
from scarce_molecules.config import Egnn as EgnnOptions

N, B = 7, 5


def space(layout="set", first="coordinates"):
    blocks = (Block(name="xyz", kind=first, size=3), Block(name="elements", kind="continuous", size=4))
    return Space(layout=layout, blocks=blocks, shape=(N,), variable=True)


def network(seed=0, **options):
    torch.manual_seed(seed)
    ctx = BackboneContext(space=space(), condition_width=6, steps=50, classes=(), runtime=None)
    net = Egnn(EgnnOptions(**{"width": 24, "layers": 3, "radial": 8, **options})).backbone_build(ctx).eval()
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.1 * torch.randn_like(p))
    return net


def inputs(seed=1):
    g = torch.Generator().manual_seed(seed)
    mask = torch.arange(N) < torch.tensor([7, 5, 3, 2, 1])[:, None]
    num = torch.randn(B, N, 7, generator=g) * mask.unsqueeze(-1)
    process = Process(space=space(), options=DiffusionOptions(steps=50, prior="standard"))
    state = State(process.project(num, mask), torch.zeros(B, N, 0, dtype=torch.int64), mask)
    condition = Condition(torch.randn(B, 4, 6, generator=g), torch.ones(B, 4, dtype=torch.bool), torch.randn(B, 6, generator=g))
    return state, torch.tensor([0, 10, 20, 30, 49]), condition


def turned(seed, mirrored):
    q, _ = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64))
    q = q * torch.sign(torch.det(q))
    return (-q if mirrored else q).float()


def moved(state, matrix):
    return State(torch.cat([state.num[..., :3] @ matrix.T, state.num[..., 3:]], -1), state.cat, state.mask)


@pytest.mark.parametrize("mirrored", [False, True])
def test_it_turns_and_mirrors_with_its_input(mirrored):
    net, (x, t, c) = network(), inputs()
    matrix = turned(3, mirrored)
    with torch.no_grad():
        first, other = net(moved(x, matrix), t, c).num, moved(net(x, t, c), matrix).num
    print("largest difference", float((first - other).abs().max()))
    assert (first - other).abs().max() < 1e-4
    assert first[..., :3].abs().max() > 0.1


def test_it_permutes_with_its_input():
    net, (x, t, c) = network(), inputs()
    order = torch.tensor([4, 2, 6, 0, 5, 1, 3])
    with torch.no_grad():
        first = net(State(x.num[:, order], x.cat, x.mask[:, order]), t, c).num
        other = net(x, t, c).num[:, order]
    assert (first - other).abs().max() < 1e-4


def test_steps_of_coordinates_leave_the_centre_where_it_is():
    net, (x, t, c) = network(), inputs()
    with torch.no_grad():
        out = net(x, t, c).num
    assert out[..., :3].sum(1).abs().max() < 1e-4
    assert (out * ~x.mask.unsqueeze(-1)).abs().max() == 0


def test_a_layer_hears_what_pairs_were_told_before():
    net, (x, t, c) = network(), inputs()
    seen, asked = [], net.asked(t, c)
    net.layers[1].register_forward_hook(lambda layer, given, out: seen.append((given, out)))
    with torch.no_grad():
        net(x, t, c)
        (now, _, condition, pairs, geometry), out = seen[0]
        deaf = net.layers[1](now._replace(told=torch.zeros(())), asked, condition, pairs, geometry)
    assert now.told.abs().max() > 0
    assert (out.x - deaf.x).abs().max() > 1e-4
    assert (out.told - now.told).abs().max() > 0


@pytest.mark.parametrize("sampler", ["ddpm", "ddim", "dpm++"])
def test_every_step_of_sampling_has_no_centre(sampler):
    net, (x, _, c) = network(), inputs()
    process = Process.fit(space(), DiffusionOptions(steps=50, prior="standard"), x)
    seen = []

    def watched(state, t):
        seen.append(state)
        return net(state, t, c)

    start = process.start(B, torch.Generator().manual_seed(0), "cpu")
    with torch.no_grad():
        out = sample(watched, process, start, options=SamplerOptions(sampler=sampler, steps=50), generator=torch.Generator().manual_seed(1))
    assert len(seen) == 50
    for state in [*seen, out]:
        centre = state.num[..., :3].sum(1) / state.mask.sum(1, keepdim=True)
        assert centre.abs().max() < 1e-5 * max(1.0, float(state.num[..., :3].abs().max()))
        assert (state.num * ~state.mask.unsqueeze(-1)).abs().max() == 0
    assert set(start.mask.sum(1).tolist()) <= {7, 5, 3, 2, 1}


def test_other_spaces_are_refused():
    for wrong in (space(layout="sequence"), space(first="continuous")):
        ctx = BackboneContext(space=wrong, condition_width=6, steps=50, classes=(), runtime=None)
        with pytest.raises(RecipeError, match="sets of points"):
            Egnn(EgnnOptions()).backbone_build(ctx)
