"""Cost of a text-conditioned training step of the series network beside its unconditional step, on one thread (CPU time).

Both steps attend to as many tokens, so the matrix products of cross-attention itself are in both; what the text adds is
looking up embedded texts, projecting their tokens, and the gradients of that. The last row has one NULL token instead, as
stage 1 trains: the difference to it is mostly cross-attention. Texts are embedded once, before anything is timed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from train_step import interleaved

from scarce.contract.condition import Condition, Prompt
from scarce.contract.contexts import ConditionerContext
from scarce.contract.space import Block, Space, State
from scarce.diffusion.options import DiffusionOptions
from scarce.diffusion.process import Process
from scarce.runtime.runtime import SharedRuntime
from scarce_text2data.conditioner import Text
from scarce_text2data.config import Text as TextOptions
from scarce_timeseries.backbone import DilatedNetwork
from scarce_timeseries.config import Dilated

BATCH, LENGTH, ROWS, BOUND = 64, 64, 512, 1.3
WORDS = "mean {}, variance {}, skewness {}, dominant frequency {}, linearity {}, number of peaks {}"
BINS = ("very low", "low", "medium", "high", "very high")


def texts() -> list[str]:
    """ROWS captions of one property each per bin."""
    codes = torch.randint(0, len(BINS), (ROWS, 6), generator=torch.Generator().manual_seed(1)).tolist()
    return [f"a series: {WORDS.format(*(BINS[c] for c in row))}" for row in codes]


def stepping(condition: Callable[[torch.Tensor], Condition], trained: list[nn.Module]) -> Callable[[], None]:
    """One training step under what `condition` makes of a batch of rows."""
    space = Space(layout="sequence", blocks=(Block(name="x", kind="continuous", size=1),), shape=(LENGTH,))
    x0 = State(torch.randn(ROWS, LENGTH, 1), torch.zeros(ROWS, LENGTH, 0, dtype=torch.int64))
    process, generator = Process.fit(space, DiffusionOptions(), x0), torch.Generator().manual_seed(0)
    network = DilatedNetwork(space=space, condition_width=64, steps=1000, options=Dilated())
    parameters = [p for module in (network, *trained) for p in module.parameters()]
    optimizer = torch.optim.AdamW(parameters, 1e-4, fused=True)

    def step() -> None:
        rows = torch.randint(0, ROWS, (BATCH,), generator=generator)
        given = condition(rows)
        process.loss(lambda x, t: network(x, t, given), x0[rows], generator).mean().backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def run(repeats: int = 30) -> list[dict[str, Any]]:
    """Ratios of the text-conditioned step to both unconditional ones."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        ctx = ConditionerContext(classes=(), prompts=[], runtime=SharedRuntime(seed=0))
        tokens = Text(TextOptions()).conditioner_build(ctx)
        places = tokens.prepare([Prompt(text=text) for text in texts()])
        torch.set_num_threads(1)

        def asked(rows: torch.Tensor) -> Condition:
            made = tokens(places[rows])
            return Condition(made.tokens, made.mask, made.pooled)

        def fixed(n: int) -> Callable[[torch.Tensor], Condition]:
            null = torch.randn(1, n, 64)
            mask, pooled = torch.ones(BATCH, n, dtype=torch.bool), torch.zeros(BATCH, 64)
            return lambda rows: Condition(null.expand(BATCH, -1, -1), mask, pooled)

        length = tokens.bank.shape[1]
        calls = {"text": stepping(asked, [tokens]), "as many": stepping(fixed(length), []), "one": stepping(fixed(1), [])}
        seconds = interleaved(calls, repeats)
    finally:
        torch.set_num_threads(threads)
    note = f"{1e3 * seconds['text']:.0f} ms, {length} tokens"
    ratio = seconds["text"] / seconds["as many"]
    return [
        {"name": "text / as many NULL tokens", "value": ratio, "bound": BOUND, "ok": ratio <= BOUND, "note": note},
        {"name": "text / one NULL token", "value": seconds["text"] / seconds["one"], "bound": None, "ok": None, "note": note},
    ]
