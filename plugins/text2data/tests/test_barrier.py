"""The dynamic-barrier step: its algebra, its limits, and a problem with a known constrained optimum."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scarce.contract import UpdateContext
from scarce_text2data.barrier import combine, inner
from scarce_text2data.config import Barrier as BarrierOptions
from scarce_text2data.strategy import CONSTRAINT, Barrier


def gradients(seed):
    generator = torch.Generator().manual_seed(seed)
    shapes = ((3, 2), (5,), (1,))
    return tuple([torch.randn(shape, generator=generator) for shape in shapes] for _ in range(2))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), gap=st.floats(-3, 3), alpha=st.floats(0.1, 3), beta=st.floats(0.1, 3))
def test_the_step_lowers_a_violated_bound_as_fast_as_asked(seed, gap, alpha, beta):
    """T1: <v, g1> >= phi, and the multiplier is 0 exactly where the objective's gradient does that by itself."""
    g2, g1 = gradients(seed)
    phi = min(alpha * gap, beta * inner(g1, g1))
    v, factors = combine(g2, g1, gap, alpha=alpha, beta=beta)
    assert inner(v, g1) >= phi - 1e-5 * max(1.0, abs(phi))
    assert (factors[0] == 0) == (inner(g2, g1) >= phi)


def test_per_tensor_multipliers_keep_the_bound_of_every_tensor():
    g2, g1 = gradients(3)
    v, factors = combine(g2, g1, 0.5, per_tensor=True)
    assert len(set(factors)) == 3
    for a, b in zip(v, g1, strict=True):
        assert inner([a], [b]) >= min(0.5, inner([b], [b])) - 1e-5


def test_missing_gradients_are_zero_and_no_bound_changes_nothing():
    g2, g1 = gradients(5)
    half, none = [None, *g2[1:]], [*g1[:2], None]
    v, factors = combine(half, none, 10.0)
    assert factors[0] > 0
    assert torch.allclose(v[0], factors[0] * g1[0])
    assert v[2] is g2[2]
    v, factors = combine(g2, g1, -math.inf)
    assert all(a is b for a, b in zip(v, g2, strict=True))
    assert factors == [0.0] * 3


def test_a_quadratic_pair_converges_to_its_constrained_optimum():
    """min |x - a|^2 subject to |x|^2 <= 1 has the solution a / |a|; plain SGD on the combined step finds it within 1e-3."""
    a, x = torch.tensor([3.0, 4.0]), torch.tensor([2.0, -1.0])
    for step in range(6000):
        rate = 0.05 / (1 + step / 200)
        v, _ = combine([2 * (x - a)], [2 * x], float(x @ x) - 1.0)
        x = x - rate * v[0]
    assert torch.allclose(x, a / a.norm(), atol=1e-3)


def context(losses, found, *, rho_state=None, weights=None):
    names = tuple(f"p{i}" for i in range(3))
    weights = weights or dict.fromkeys(found, 1.0)
    return UpdateContext(
        losses=losses, weights=weights, gradients=found, names=names, state=rho_state or {}, measures={"xi": torch.tensor(1.0)}, step=0
    )  # fmt: skip


def test_the_update_smooths_its_gap_and_logs_how_often_it_acts():
    g2, g1 = gradients(7)
    rule = Barrier(BarrierOptions(rho=1.0, smoothing=0.5))
    first = rule.strategy_update(context({"denoise": 1.0, CONSTRAINT: 3.0}, {"denoise": tuple(g2), CONSTRAINT: tuple(g1)}))
    assert first.log["gap"] == pytest.approx(2.0)
    second = rule.strategy_update(
        context({"denoise": 1.0, CONSTRAINT: 1.0}, {"denoise": tuple(g2), CONSTRAINT: tuple(g1)}, rho_state=first.state)
    )
    assert second.log["gap"] == pytest.approx(1.0)
    assert float(second.state["active"]) >= float(first.state["active"])


def test_other_terms_are_added_with_their_weights():
    g2, g1 = gradients(9)
    found = {"denoise": tuple(g2), "penalty": tuple(g1), CONSTRAINT: (None, None, None)}
    rule = Barrier(BarrierOptions(rho=math.inf))
    out = rule.strategy_update(context({**dict.fromkeys(found, 1.0)}, found, weights={"denoise": 1.0, "penalty": 0.5, CONSTRAINT: 1.0}))
    for v, a, b in zip(out.gradients, g2, g1, strict=True):
        assert torch.allclose(v, a + 0.5 * b)


def test_infinity_can_be_written_as_text_and_a_negative_bound_is_refused():
    assert BarrierOptions(rho="inf").rho == math.inf
    with pytest.raises(ValueError, match="greater than or equal to 0"):
        BarrierOptions(rho=-1)
