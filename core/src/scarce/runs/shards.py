"""Shards of samples as pieces of work: each drawn once, anywhere that sees the run folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from scarce.catalogue.catalogue import read_catalogue
from scarce.contract.condition import Condition, Prompt
from scarce.contract.space import Known, State
from scarce.files import booked, read_tensors, write_tensors
from scarce.runs.generator import TrainedGenerator
from scarce.runs.mending import BOOKED
from scarce.runs.opening import open_generator
from scarce.runtime.executor import leaves
from scarce.runtime.seeds import derive


@dataclass(frozen=True)
class Shard:
    """What decides a shard: the generator of a run folder, what it is asked, and the seed; `path` is where the samples go.

    known, length, init and condition as `TrainedGenerator.shard` takes them.
    """

    home: str
    path: str
    prompts: tuple[Prompt, ...]
    seed: int
    known: Known | None = None
    length: int | None = None
    init: State | None = None
    condition: Condition | None = None


def make_shard(shard: Shard) -> str:
    """Draw a shard and write it, unless it is there; where it is. Twice, or by two at once, gives the same bytes."""
    path, home = Path(shard.path), Path(shard.home)
    if not path.is_file():
        generator = _generator(shard.home)
        state = generator.shard(
            shard.prompts, seed=shard.seed, known=shard.known, length=shard.length, init=shard.init,
            condition=None if shard.condition is None else shard.condition.to(generator.runtime.device),
        )  # fmt: skip
        with booked(home, BOOKED):
            if not path.is_file():  # one that was begun again elsewhere may have been first
                keep_state(path, state)
    return shard.path


def keep_state(path: Path, state: State) -> None:
    """Write encoded samples."""
    write_tensors(path, {k: v for k, v in (("num", state.num), ("cat", state.cat), ("mask", state.mask)) if v is not None})


def kept_state(path: Path) -> State:
    """Read them back; RunError where they are damaged."""
    tensors, _ = read_tensors(path)
    return State(tensors["num"], tensors["cat"], tensors.get("mask"))


def spread(
    generator: TrainedGenerator, shards: Path, prompts: Sequence[Prompt], seed: int, known: Known | None, length: int | None,
    init: Callable[[slice], State] | None, conditions: Condition | None,
) -> None:  # fmt: skip
    """Have the run's executor make the shards that are not there yet, where it does so in other processes."""
    executor, each = generator.runtime.executor, generator.options.shard
    if generator.home is None or not leaves(executor):
        return
    asked = []
    for start in range(0, len(prompts), each):
        rows, path = slice(start, min(start + each, len(prompts))), shards.resolve() / f"{start:08d}.safetensors"
        if not path.is_file():
            made = Shard(
                str(generator.home.resolve()), str(path), tuple(prompts[rows]), derive(seed, "shard", start),
                None if known is None else known[rows], length, None if init is None else init(rows).to("cpu"),
                None if conditions is None else conditions[rows].to("cpu"),
            )  # fmt: skip
            asked.append(made)
    if len(asked) > 1:
        executor.map(make_shard, asked)


@lru_cache(maxsize=1)
def _generator(home: str) -> Any:
    """The generator of a run folder, kept for the shards that come next: what is trained does not change."""
    return open_generator(Path(home), read_catalogue())[0]
