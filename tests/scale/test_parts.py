"""A batch that is worked on in parts, by micro-batches or processes, has the draws and the gradient of the whole."""

import pytest
import torch

from scarce.contract import Block, Budget, Draw, Fitting, Phase, Space, State, Term
from scarce.diffusion.options import DiffusionOptions
from scarce.diffusion.process import Process
from scarce.runtime.options import RuntimeOptions
from scarce.runtime.processes import Processes
from scarce.runtime.runtime import SharedRuntime


def process_of(times="uniform"):
    num, cat = torch.randn(60, 3, generator=torch.Generator().manual_seed(0)), torch.arange(60)[:, None] % 4
    x0 = State(num, cat)
    blocks = (Block(name="x", kind="continuous", size=3), Block(name="c", kind="categorical", size=4))
    return Process.fit(Space(layout="vector", blocks=blocks), DiffusionOptions(times=times), x0, torch.full((60,), -1)), x0


@pytest.mark.parametrize("times", ["uniform", "logit-normal"])
def test_parts_of_a_batch_get_the_draws_of_the_whole(times):
    process, x0 = process_of(times)

    def network(x_t, t):
        return State(x_t.num * t[:, None] / 1000, torch.zeros(len(t), 4))

    whole = process.loss(network, x0, torch.Generator().manual_seed(3))
    cuts = [(0, 7), (7, 40), (40, 60)]
    parts = [process.loss(network, x0[torch.arange(a, b)], torch.Generator().manual_seed(3), start=a, of=60) for a, b in cuts]
    assert torch.equal(torch.cat(parts), whole)


def test_a_halved_micro_batch_trains_the_same_weights():
    process, x0 = process_of()

    def trained(most):
        torch.manual_seed(0)
        net = torch.nn.Linear(3, 3)

        def loss(draw: Draw):
            if len(draw.rows) > most:
                raise torch.OutOfMemoryError("out of memory")
            whole = torch.Generator().manual_seed(draw.generator.initial_seed())
            network = lambda x_t, t: State(net(x_t.num), torch.zeros(len(t), 4))  # noqa: E731
            return process.loss(network, x0[draw.rows], whole, start=draw.start, of=draw.of)

        phase = Phase(name="p", terms=(Term(name="one"),), budget=Budget(steps=40, batch=24, rate=0.01))
        runtime = SharedRuntime(seed=1, options=RuntimeOptions(precision="fp32", threads=1, device="cpu"))
        fitted = runtime.fit(Fitting(phase=phase, model=net, losses={"one": loss}, pools={"all": torch.arange(60)}))
        return torch.cat([p.detach().flatten() for p in net.parameters()]), fitted

    (whole, _), (halved, fitted) = trained(24), trained(3)
    assert [e["micro"] for e in fitted.events] == [12, 6, 3]
    assert torch.allclose(whole, halved, atol=1e-6)


@pytest.mark.parametrize(("n", "size"), [(10, 3), (64, 2), (2, 4)])
def test_shares_of_a_batch_are_its_rows_once_each(n, size):
    shares = [Processes(rank, size).share(n) for rank in range(size)]
    assert [row for begin, end in shares for row in range(begin, end)] == list(range(n))
