"""The rank rule: the facts it must reproduce, and what it must not depend on (check B1)."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from scarce.contract import Block, Space, State
from scarce_lora.rank import design_matrix, rank_of, rank_of_data


def table(x, cat=None, levels=()):
    """Encoded rows and their space."""
    blocks = [Block(name=f"x{i}", kind="continuous", size=1) for i in range(x.shape[1])]
    blocks += [Block(name=f"c{i}", kind="categorical", size=k) for i, k in enumerate(levels)]
    return State(x, torch.zeros(len(x), 0, dtype=torch.int64) if cat is None else cat), Space(layout="vector", blocks=tuple(blocks))


def low_rank(n, d, r, seed=0):
    generator = torch.Generator().manual_seed(seed)
    wide = {"generator": generator, "dtype": torch.float64}
    return torch.randn(n, r, **wide) @ torch.randn(r, d, **wide)


def centred(x):
    return torch.linalg.svdvals(x - x.mean(0))


def test_the_worked_example_differs_between_energy_and_nuclear_norm():
    s = torch.tensor([10.0, 3.0, 1.0, 1.0])
    assert rank_of(s, 0.9, 2) == 1  # 100 / 111
    assert rank_of(s, 0.9, 1) == 3  # 14 / 15


@pytest.mark.parametrize("q", [1, 2])
def test_an_exact_rank_is_found_with_and_without_a_little_noise(q):
    x = low_rank(400, 20, 5)
    assert rank_of(centred(x), 1 - 1e-9, q) == 5
    noisy = x + 1e-3 * torch.randn(400, 20, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert rank_of(centred(noisy), 0.99, q) == 5


def test_an_offset_hides_everything_unless_centred_and_a_scale_unless_standardised():
    x = low_rank(400, 20, 5)
    assert rank_of(torch.linalg.svdvals(x + 100), 0.95, 2) == 1
    scaled = x.clone()
    scaled[:, 3] *= 1e4
    assert rank_of(centred(scaled), 0.99, 2) == 1
    both = table((scaled + 100).float())
    assert rank_of_data(*both, "energy", 0.999, 64) == 5


def test_independent_columns_need_nearly_all_directions():
    x = torch.randn(5000, 30, generator=torch.Generator().manual_seed(0))
    assert rank_of_data(*table(x), "energy", 0.9, 64) == 27


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=12), st.floats(0.05, 1.0), st.floats(0.05, 1.0), st.sampled_from([1, 2]))
def test_a_larger_share_never_needs_fewer_directions(s, a, b, q):
    low, high = sorted((a, b))
    values = torch.tensor(s, dtype=torch.float64)
    assert 1 <= rank_of(values, low, q) <= rank_of(values, high, q) <= len(s)


@pytest.mark.parametrize("rule", ["energy", "nuclear"])
def test_order_of_rows_and_units_of_columns_count_for_nothing(rule):
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(300, 6, generator=generator) @ torch.randn(6, 6, generator=generator)
    cat = torch.randint(0, 3, (300, 2), generator=generator)
    base = rank_of_data(*table(x, cat, (3, 3)), rule, 0.9, 64)
    order = torch.randperm(300, generator=generator)
    assert rank_of_data(*table(x[order], cat[order], (3, 3)), rule, 0.9, 64) == base
    assert rank_of_data(*table(x * torch.tensor([1.0, 10, 0.1, 5, 1e3, 1e-3]) + 7, cat, (3, 3)), rule, 0.9, 64) == base


def test_one_hots_weigh_half_and_constants_nothing():
    cat = torch.tensor([[0], [1], [0], [1]])
    x = torch.tensor([[5.0], [5.0], [5.0], [5.0]])
    found = design_matrix(*table(x, cat, (2,)))
    assert found.shape == (4, 3)
    assert torch.equal(found[:, 0], torch.zeros(4, dtype=torch.float64))
    assert torch.allclose(found[:, 1].abs(), torch.full((4,), 0.5 / 2**0.5, dtype=torch.float64))
    assert rank_of_data(*table(x, cat, (2,)), "energy", 0.95, 64) == 1


def test_images_and_masked_sequences_have_a_rank_too():
    generator = torch.Generator().manual_seed(3)
    image = State(torch.randn(20, 3, 4, 4, generator=generator), torch.zeros(20, 4, 4, 0, dtype=torch.int64))
    space = Space(layout="image", blocks=(Block(name="rgb", kind="continuous", size=3),), shape=(4, 4))
    assert design_matrix(image, space).shape == (20, 48)
    mask = torch.arange(6)[None] < torch.tensor([6, 3])[:, None]
    series = State(torch.randn(2, 6, 1, generator=generator), torch.zeros(2, 6, 0, dtype=torch.int64), mask)
    space = Space(layout="sequence", blocks=(Block(name="x", kind="continuous", size=1),), shape=(6,), variable=True)
    assert 1 <= rank_of_data(series, space, "energy", 0.95, 64) <= 2
