"""Training rows that are not held: read from their source a part at a time, encoded, and kept in a file while training lasts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from scarce.contract.condition import Prompt
from scarce.contract.dataset import Dataset
from scarce.contract.plan import Phase
from scarce.contract.protocols import Codec, Pool
from scarce.contract.space import State
from scarce.runs.conditioning import ConditionSet, Inputs
from scarce.runs.rowfile import RowFile, layout_of, pack, unpack
from scarce.runs.split import hide_rest
from scarce.runtime.order import LongPool
from scarce.runtime.progress import Progress

PLACE = Path("checkpoints") / ".rows"
"""Where in a run folder the file is: among what a finished run no longer needs."""


@dataclass(frozen=True)
class Opened:
    """The file, with what pools are chosen by: [n] labelled, [n] class code."""

    file: RowFile
    labelled: npt.NDArray[np.bool_]
    codes: npt.NDArray[np.int32]


@dataclass(frozen=True)
class Stream:
    """The rest of a data set as training rows, which follow the `held` ones; encoded when they are first asked for.

    prompts: a prompt for each record of a part; shaped: state and inputs of some held rows.
    """

    dataset: Dataset
    share: float | int | str
    seed: int
    codec: Codec
    conditions: ConditionSet
    prompts: Callable[[Dataset], list[Prompt]]
    shaped: tuple[State, Inputs]
    folder: Path
    progress: Progress

    @property
    def size(self) -> int:
        """The most bytes that the file takes."""
        rest = self.dataset.rest
        return 0 if rest is None else rest.rows * layout_of(*self.shaped).itemsize

    def feeds(self, phase: Phase) -> bool:
        """Whether a phase trains on these rows: a loss of a strategy's own may look into records, which only held ones have."""
        return all(term.loss == "denoise" for term in phase.terms)

    @cached_property
    def _opened(self) -> Opened:
        file = self._written()
        return Opened(file, file.column("labelled"), file.column("code"))

    def open(self) -> Opened:
        """The rows; those that are not there yet are written."""
        return self._opened

    def take(self, places: Tensor) -> tuple[State, Inputs, Tensor]:
        """States, inputs and [b] labelled of rows at some places, on the CPU."""
        rows = self.open().file.read(places.numpy())
        return *unpack(rows), torch.from_numpy(rows["labelled"].copy())

    def pools(self, phase: Phase, held: dict[str, Tensor], classes: tuple[object, ...]) -> dict[str, Pool]:
        """The pools of a phase with the streamed rows, where they feed it."""
        if not self.feeds(phase):
            self.progress.say(f"phase '{phase.name}' trains on held rows alone: a strategy's loss in it looks at records")
            return dict(held)
        opened, start = self.open(), len(self.dataset)
        wanted = np.ones(len(opened.codes), bool)
        if phase.classes:
            wanted = np.isin(opened.codes, [classes.index(c) for c in phase.classes])
        chosen = {"all": wanted, "labelled": wanted & opened.labelled, "unlabelled": wanted & ~opened.labelled}
        used = {term.rows for term in phase.terms}
        return {name: held[name] if name not in used else _pool(held[name], start, rows) for name, rows in chosen.items()}

    def _written(self) -> RowFile:
        """The file, begun or gone on with; says how many records were left out, and why."""
        rest, data = self.dataset.rest, self.dataset
        assert rest is not None
        about = {"mark": rest.mark, "ids": len(data), "seed": self.seed, "share": self.share}
        file = RowFile(self.folder / PLACE, layout_of(*self.shaped), about)
        if file.whole:
            return file
        held_out = frozenset(data.groups[data.rows("validation", "test")].tolist())
        with self.progress.track("encode", rest.rows) as advance:
            for number, part in enumerate(rest):
                if number >= len(file.lines):
                    self._add(file, part, held_out)
                advance(len(part))
            file.add(np.zeros(0, file.layout), last=True)
        left = sum((Counter(line.get("left", {})) for line in file.lines), Counter[str]())
        self.progress.say(f"{len(file):,} further rows to train on" + "".join(f"; {n:,} left out: {why}" for why, n in left.items() if n))
        return file

    def _add(self, file: RowFile, part: Dataset, held_out: frozenset[str]) -> None:
        apart = np.array([group in held_out for group in part.groups.tolist()], bool)
        strange = np.zeros(len(part), bool)
        if part.task == "classification" and part.target is not None:
            strange = part.labelled & (part.codes_of(part.target) < 0)
        kept = hide_rest(part.part(np.flatnonzero(~apart & ~strange)), self.share, self.seed)
        left = {"of a group that is validated or tested on": int(apart.sum()), "of a class that no held record has": int(strange.sum())}
        rows = np.zeros(0, file.layout)
        if len(kept):
            inputs = self.conditions.prepare(self.prompts(kept))
            rows = pack(file.layout, self.codec.encode(kept.records), inputs, kept.labelled, kept.codes())
        file.add(rows, facts={"left": left})


def _pool(held: Tensor, start: int, rows: npt.NDArray[np.bool_]) -> LongPool:
    places = None if rows.all() else torch.from_numpy(np.flatnonzero(rows).astype(np.int32 if len(rows) < 2**31 else np.int64))
    return LongPool(held, start, len(rows), places)
