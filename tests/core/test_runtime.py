"""The shared runtime: seeds, order, the training loop's resume, rollback, halving and early stop, files, residency."""

import json
import math

import numpy as np
import pytest
import torch
from torch import nn

from scarce.contract import Budget, Draw, Fitting, Phase, Term, UpdateResult
from scarce.errors import RecipeError, RunError, TrainingError
from scarce.files import read_json, read_tensors, write_json, write_tensors
from scarce.runtime.checkpoint import last_checkpoint, save_checkpoint, set_aside_damaged
from scarce.runtime.options import RuntimeOptions
from scarce.runtime.order import RowOrder
from scarce.runtime.residency import Residency
from scarce.runtime.runtime import SharedRuntime
from scarce.runtime.seeds import derive, generator, seeded


def runtime(folder=None, **options):
    return SharedRuntime(seed=5, options=RuntimeOptions(precision="fp32", threads=1, checkpoint_seconds=0, **options), folder=folder)


def problem(steps=60, batch=16, **changes):
    """Linear regression with dropout: the global random state matters."""
    x = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
    y = x @ torch.tensor([1.0, -2.0, 0.5]) + 0.1
    torch.manual_seed(1)
    net = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.2), nn.Linear(8, 1))

    def loss(draw: Draw):
        noise = torch.randn(len(draw.rows), 3, generator=draw.generator)
        return (net(x[draw.rows] + 0.01 * noise)[:, 0] - y[draw.rows]) ** 2

    phase = Phase(name="p", budget=Budget(steps=steps, batch=batch, rate=0.02), **changes)
    return net, loss, phase


def fitting(net, loss, phase, **more):
    return Fitting(phase=phase, model=net, losses={t.name: loss for t in phase.terms}, pools={"all": torch.arange(64)}, **more)


def weights(net):
    return torch.cat([p.detach().flatten() for p in net.parameters()])


def test_seeds_are_named_and_global_state_is_put_back():
    assert derive(1, "a", 0) != derive(1, "a", 1) != derive(1, "b", 1)
    assert torch.equal(torch.rand(3, generator=generator(1, "a")), torch.rand(3, generator=generator(1, "a")))
    torch.manual_seed(3)
    np.random.seed(3)
    kept = torch.get_rng_state().clone(), np.random.get_state()[1].copy()
    with seeded(1, "x"):
        first = torch.rand(2), np.random.rand(2)
    with seeded(1, "x"):
        again = torch.rand(2), np.random.rand(2)
    assert torch.equal(first[0], again[0])
    assert np.array_equal(first[1], again[1])
    assert torch.equal(torch.get_rng_state(), kept[0])
    assert np.array_equal(np.random.get_state()[1], kept[1])


def test_order_visits_every_row_once_a_pass_and_knows_any_step():
    pool = torch.arange(10) + 100
    order = RowOrder(pool, seed=1, purpose="t", batch=4)
    stream = torch.cat([order.rows(i) for i in range(5)])
    assert sorted(stream[:10].tolist()) == pool.tolist() == sorted(stream[10:20].tolist())
    assert torch.equal(RowOrder(pool, seed=1, purpose="t", batch=4).rows(3), order.rows(3))
    assert len(RowOrder(pool, seed=1, purpose="t", batch=25).rows(0)) == 25


def test_training_lowers_the_loss_and_repeats_bit_for_bit():
    outs = []
    for _ in range(2):
        net, loss, phase = problem()
        fitted = runtime().fit(fitting(net, loss, phase))
        outs.append(weights(net))
        assert fitted.steps == 60
        assert fitted.losses["denoise"] < 1.0
    assert torch.equal(*outs)


@pytest.mark.parametrize("dies_at", [1, 21, 39, 45])
def test_a_fit_killed_anywhere_resumes_to_the_same_bytes(tmp_path, dies_at):
    net, loss, phase = problem()
    runtime().fit(fitting(net, loss, phase))
    whole = weights(net)
    net, loss, phase = problem()

    def dying(draw):
        if draw.step == dies_at:
            raise KeyboardInterrupt
        return loss(draw)

    with pytest.raises(KeyboardInterrupt):
        runtime().fit(fitting(net, dying, phase, checkpoints=tmp_path))
    assert bool(list(tmp_path.glob("step-*"))) == (dies_at > 20)
    net, loss, phase = problem()
    runtime().fit(fitting(net, loss, phase, checkpoints=tmp_path))
    assert torch.equal(weights(net), whole)


def test_non_finite_losses_go_back_at_half_the_rate_and_resume_repeats_it(tmp_path):
    def poisoned(loss, until=math.inf):
        def inner(draw):
            if draw.step >= until:
                raise KeyboardInterrupt
            bad = draw.step == 30 and draw.generator.initial_seed() == poison
            return loss(draw) * (math.nan if bad else 1.0)

        return inner

    poison = generator(5, "draw0/p/denoise", 30).initial_seed()  # only the first attempt at step 30 is bad
    net, loss, phase = problem()
    fitted = runtime().fit(fitting(net, poisoned(loss), phase))
    assert [e["to"] for e in fitted.events] == [20]
    assert torch.isfinite(weights(net)).all()
    again, loss, phase = problem()
    with pytest.raises(KeyboardInterrupt):
        runtime().fit(fitting(again, poisoned(loss, until=50), phase, checkpoints=tmp_path))
    again, loss, phase = problem()
    resumed = runtime().fit(fitting(again, poisoned(loss), phase, checkpoints=tmp_path))
    assert torch.equal(weights(again), weights(net))
    assert resumed.events == fitted.events


def test_the_state_of_an_update_rule_goes_back_with_the_weights():
    def counting(ctx):
        count = ctx.state.get("count", torch.zeros(())) + torch.tensor(ctx.losses["denoise"]) * 0 + 1
        return UpdateResult(gradients=ctx.gradients["denoise"], state={"count": count})

    poison = generator(5, "draw0/p/denoise", 30).initial_seed()
    net, loss, phase = problem()
    asked = fitting(net, lambda d: loss(d) * (math.nan if d.generator.initial_seed() == poison else 1.0), phase.with_(update="rule"))
    fitted = runtime().fit(asked.with_(update=counting))
    assert [e["to"] for e in fitted.events] == [20]
    assert float(fitted.state["count"]) == fitted.steps


def test_a_loss_that_stays_non_finite_is_one_clear_error():
    net, loss, phase = problem()
    with pytest.raises(TrainingError, match="not finite"):
        runtime().fit(fitting(net, lambda d: loss(d) * math.nan, phase))


def test_out_of_memory_halves_the_micro_batch_and_keeps_the_batch():
    net, loss, phase = problem()
    seen = []

    def hungry(draw):
        seen.append(len(draw.rows))
        if len(draw.rows) > 4:
            raise torch.OutOfMemoryError("out of memory")
        return loss(draw)

    fitted = runtime().fit(fitting(net, hungry, phase))
    assert [e["micro"] for e in fitted.events] == [8, 4]
    assert seen.count(4) == 60 * 4


def test_terms_that_share_a_draw_see_the_same_rows_and_noise_and_an_update_rule_gets_each_gradient():
    net, loss, _ = problem()
    terms = (Term(name="one"), Term(name="two", same_draw_as="one"), Term(name="three"))
    phase = Phase(name="p", terms=terms, budget=Budget(steps=3, batch=8), update="rule")
    drawn = {t.name: [] for t in terms}

    def watch(name):
        def inner(draw):
            drawn[name].append((draw.rows.tolist(), draw.generator.initial_seed()))
            return loss(draw)

        return inner

    def rule(ctx):
        assert set(ctx.gradients) == {"one", "two", "three"}
        return UpdateResult(gradients=ctx.gradients["one"], state={"n": torch.tensor(float(ctx.step))})

    made = Fitting(phase=phase, model=net, losses={n: watch(n) for n in drawn}, pools={"all": torch.arange(64)}, update=rule)
    fitted = runtime().fit(made)
    assert drawn["one"] == drawn["two"] != drawn["three"]
    assert float(fitted.state["n"]) == 2.0


def test_early_stop_keeps_the_best_weights():
    net, loss, phase = problem(steps=400)
    values = iter([3.0, 1.0, 2.0, 2.0, 2.0])
    best = []

    def validate():
        value = next(values)
        if value == 1.0:
            best.append(weights(net))
        return value

    fitted = runtime().fit(fitting(net, loss, phase, validate=validate, validate_every=20, patience=2))
    assert fitted.steps == 80
    assert torch.equal(weights(net), best[0])


def test_missing_rows_and_nothing_to_train_are_said():
    net, loss, phase = problem()
    made = Fitting(phase=phase, model=net, losses={"denoise": loss}, pools={"all": torch.arange(0)})
    with pytest.raises(TrainingError, match="no all rows"):
        runtime().fit(made)
    net.requires_grad_(False)
    with pytest.raises(TrainingError, match="trains nothing"):
        runtime().fit(fitting(net, loss, phase))


def test_checkpoints_are_kept_verified_and_damage_is_named(tmp_path):
    for step in (1, 2, 3):
        save_checkpoint(tmp_path, step, {"w": torch.full((4,), float(step))}, {"events": []})
    assert len(list(tmp_path.glob("step-*"))) == 2
    tensors, facts = last_checkpoint(tmp_path)
    assert tensors["w"][0] == 3.0
    assert facts["step"] == 3
    newest = sorted(tmp_path.glob("step-*"))[-1]
    data = bytearray(newest.read_bytes())
    data[-1] ^= 1
    newest.write_bytes(bytes(data))
    with pytest.raises(RunError, match="damaged") as caught:
        last_checkpoint(tmp_path)
    assert newest.name in str(caught.value)
    assert "rm " in caught.value.hint


def test_files_are_written_whole_and_damage_is_named(tmp_path):
    write_json(tmp_path / "a.json", {"x": np.float64(1.5), "y": np.arange(2)})
    assert read_json(tmp_path / "a.json") == {"x": 1.5, "y": [0, 1]}
    write_tensors(tmp_path / "t.safetensors", {"w": torch.ones(2)}, {"k": 1})
    assert read_tensors(tmp_path / "t.safetensors")[1] == {"k": 1}
    assert not list(tmp_path.glob(".*tmp"))
    (tmp_path / "t.safetensors").write_bytes((tmp_path / "t.safetensors").read_bytes()[:-3])
    with pytest.raises(RunError, match="damaged"):
        read_tensors(tmp_path / "t.safetensors")
    with pytest.raises(RunError, match="missing"):
        read_json(tmp_path / "none.json")


def test_training_writes_metrics_lines(tmp_path):
    net, loss, phase = problem()
    runtime(tmp_path).fit(fitting(net, loss, phase))
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [20, 40, 60]


def test_models_share_a_budget_and_the_least_recently_used_leaves():
    a, b, c = (nn.Linear(100, 100) for _ in range(3))
    size = 4 * (100 * 100 + 100)
    space = Residency(torch.device("cpu"), 2 * size)
    with space.resident(a):
        with space.resident(b):
            assert space.used == 2 * size
        with space.resident(c):
            assert space.used == 2 * size  # b left for c, a is pinned
    with space.resident(b):
        assert space.used == 2 * size


def test_an_absent_device_is_said():
    with pytest.raises(RecipeError, match="not usable"):
        SharedRuntime(seed=0, options=RuntimeOptions(device="cuda:7"))


def test_a_model_that_was_evicted_comes_back_when_it_is_called():
    a, b = nn.Sequential(nn.Linear(100, 100), nn.ReLU()), nn.Linear(100, 100)
    size = 4 * (100 * 100 + 100)
    space = Residency(torch.device("cpu"), size)
    with space.resident(a):
        pass
    with space.resident(b):
        assert space.inside == [b]
    a[0](torch.zeros(1, 100))  # a part of it
    assert space.inside == [a]
    assert space.peak == size
    a(torch.zeros(1, 100))
    assert not a[0]._forward_pre_hooks


def test_models_that_do_not_fit_at_once_are_said_and_leave_nothing_pinned():
    a, b = nn.Linear(100, 100), nn.Linear(100, 100)
    space = Residency(torch.device("cpu"), 60_000)
    with pytest.raises(TrainingError, match=r"runtime\.memory_gb"), space.resident(a), space.resident(b):
        pass
    with space.resident(b):
        assert space.inside == [b]
    assert space.peak == 40_400


def test_shared_weights_count_once_and_stay_where_another_uses_them():
    a = nn.Linear(100, 100)
    both, other = nn.Sequential(a, nn.Linear(100, 100)), nn.Linear(100, 100)
    space = Residency(torch.device("cpu"), 2 * 40_400)
    with space.resident(a):
        with space.resident(both):
            assert space.used == 2 * 40_400
        with space.resident(other):  # `both` leaves, but not the weights of `a`
            assert space.used == 2 * 40_400
            assert space.inside == [a, other]
            a(torch.zeros(1, 100))
            assert space.inside == [a, other]


def test_a_model_that_nobody_uses_any_more_is_not_inside():
    space = Residency(torch.device("cpu"), None)
    net = nn.Linear(10, 10)
    with space.resident(net):
        assert space.used == 440
    del net
    assert space.used == 0


def test_an_exception_inside_leaves_the_models_free_to_go():
    a, b = nn.Linear(100, 100), nn.Linear(100, 100)
    space = Residency(torch.device("cpu"), 40_400)
    with pytest.raises(ValueError, match="x"), space.resident(a):
        raise ValueError("x")
    with space.resident(b):
        assert space.inside == [b]


def test_a_damaged_checkpoint_is_set_aside_and_said(tmp_path):
    for step in (1, 2):
        save_checkpoint(tmp_path, step, {"w": torch.full((4,), float(step))}, {"events": []})
    newest = sorted(tmp_path.glob("step-*"))[-1]
    newest.write_bytes(newest.read_bytes()[:-1])
    said = []
    set_aside_damaged(tmp_path, said.append)
    assert last_checkpoint(tmp_path)[1]["step"] == 1
    assert newest.name in said[0]
    assert "goes on from step-00000001" in said[0]


def test_memory_that_a_cpu_does_not_have_halves_the_micro_batch_too():
    net, loss, phase = problem(steps=3)

    def hungry(draw):
        if len(draw.rows) > 4:
            torch.empty(1 << 50)
        return loss(draw)

    fitted = runtime().fit(fitting(net, hungry, phase))
    assert [e["micro"] for e in fitted.events] == [8, 4]
