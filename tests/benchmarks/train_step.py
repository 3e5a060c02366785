"""Cost of a training step of the tabular denoiser beside its fp32 matrix products alone, on one thread (CPU time).

A step is: gather the batch, embed labels, noise, forward, loss, backward, fused AdamW, EMA. The floor is the forward,
weight-gradient and input-gradient products of every linear layer of the same network, in fp32. Medians of
interleaved repeats.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from scarce.contract.condition import Condition
from scarce.contract.space import Block, Space, State
from scarce.diffusion.options import DiffusionOptions
from scarce.diffusion.process import Process
from scarce_tabular.backbone import ResidualMlp

BATCH, WIDTH, LAYERS, CONDITION, ROWS = 512, 256, 3, 64, 3000
TABLES = {"8 numeric": (8, ()), "7 numeric, 13 categorical": (7, (4, 5, 10, 5, 5, 4, 3, 4, 3, 3, 4, 2, 2))}
BOUNDS = {"8 numeric": 1.4, "7 numeric, 13 categorical": 1.55}


def table(numeric: int, levels: tuple[int, ...]) -> tuple[Space, State]:
    """A space and ROWS rows of correlated numbers and independent categories."""
    generator = torch.Generator().manual_seed(0)
    num = torch.randn(ROWS, 1, generator=generator) + torch.randn(ROWS, numeric, generator=generator)
    codes = [torch.randint(0, k, (ROWS,), generator=generator) for k in levels]
    cat = torch.stack(codes, 1) if codes else torch.zeros(ROWS, 0, dtype=torch.int64)
    blocks = [Block(name=f"x{i}", kind="continuous", size=1, clip=5.2) for i in range(numeric)]
    blocks += [Block(name=f"c{i}", kind="categorical", size=k) for i, k in enumerate(levels)]
    return Space(layout="vector", blocks=tuple(blocks)), State(num, cat)


def training_step(space: Space, x0: State, autocast: bool) -> Callable[[], None]:
    """One step as the runtime takes it."""
    process = Process.fit(space, DiffusionOptions(), x0)
    network = ResidualMlp(space=space, condition_width=CONDITION, steps=1000, width=WIDTH, layers=LAYERS)
    labels, classes, generator = nn.Embedding(2, CONDITION), torch.arange(ROWS) % 2, torch.Generator().manual_seed(0)
    parameters = [*network.parameters(), *labels.parameters()]
    current = [p.detach() for p in parameters]
    average = [p.clone() for p in current]
    mask = torch.ones(BATCH, 1, dtype=torch.bool)
    optimizer = torch.optim.AdamW(parameters, 1e-4, fused=True)

    def step() -> None:
        rows = torch.randint(0, ROWS, (BATCH,), generator=generator)
        with torch.autocast("cpu", torch.bfloat16) if autocast else nullcontext():
            pooled = labels(classes[rows])
            condition = Condition(pooled[:, None], mask, pooled)
            loss = process.loss(lambda x, t: network(x, t, condition), x0[rows], generator).mean()
        for parameter in parameters:
            parameter.grad = None
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(average, current, 0.01)

    return step


def products(space: Space) -> Callable[[], None]:
    """The matrix products of forward and backward of the same network, in fp32."""
    network = ResidualMlp(space=space, condition_width=CONDITION, steps=1000, width=WIDTH, layers=LAYERS)
    operands: list[tuple[Tensor, Tensor, Tensor, bool]] = []
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Linear):
            x, gradient = torch.randn(BATCH, layer.in_features), torch.randn(BATCH, layer.out_features)
            operands.append((x, layer.weight.detach(), gradient, name not in ("inward", "time")))

    def run() -> None:
        for x, weight, gradient, needs_input_gradient in operands:
            torch.mm(x, weight.T)
            torch.mm(gradient.T, x)
            if needs_input_gradient:
                torch.mm(gradient, weight)

    return run


def interleaved(calls: dict[str, Callable[[], None]], repeats: int) -> dict[str, float]:
    """Median CPU seconds of each call, taken in turn."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for repeat in range(repeats + 10):
        for name, call in calls.items():
            start = time.process_time()
            call()
            if repeat >= 10:
                seconds[name].append(time.process_time() - start)
    return {name: median(values) for name, values in seconds.items()}


def run(repeats: int = 150) -> list[dict[str, Any]]:
    """Rows {name, value, bound, ok, note}: step over floor, in fp32 and in bf16 where the CPU has it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    rows = []
    try:
        for name, (numeric, levels) in TABLES.items():
            space, x0 = table(numeric, levels)
            calls = {"floor": products(space), "fp32": training_step(space, x0, False), "bf16": training_step(space, x0, True)}
            seconds = interleaved(calls, repeats)
            for precision, bound in (("fp32", BOUNDS[name]), ("bf16", 1.0)):
                value = seconds[precision] / seconds["floor"]
                note = f"{1e3 * seconds[precision]:.2f} ms over {1e3 * seconds['floor']:.2f} ms"
                rows.append(
                    {"name": f"training step, {precision}, {name}", "value": value, "bound": bound, "ok": value <= bound, "note": note}
                )
    finally:
        torch.set_num_threads(threads)
    return rows


def main() -> list[dict[str, Any]]:
    """Print and return the rows."""
    rows = run()
    for row in rows:
        print(f"{row['name']:52s} {row['value']:6.3f} <= {row['bound']:.2f}  {'ok' if row['ok'] else 'MISSED'}  ({row['note']})")
    return rows


if __name__ == "__main__":
    main()
