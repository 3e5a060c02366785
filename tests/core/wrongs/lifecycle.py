"""An observer, and one that is wrong for every check."""

from __future__ import annotations

import numpy as np

from scarce.contract import Event, hookimpl

KEPT: list[object] = []


class Good:
    """Counts what it hears."""

    def __init__(self) -> None:
        self.heard = 0

    @hookimpl
    def samples_ready(self, ctx: Event) -> None:
        self.heard += 1
        self.more(ctx)

    def more(self, ctx: Event) -> None:
        pass


class Expects(Good):
    def more(self, ctx: Event) -> None:
        self.heard += ctx.facts["samples"]


class Meddles(Good):
    def more(self, ctx: Event) -> None:
        file = ctx.folder / "samples" / "synthetic.parquet"
        if file.is_file():
            file.write_bytes(b"")


class Changes(Good):
    def more(self, ctx: Event) -> None:
        ctx.facts["seen"] = True  # type: ignore[index]


class Global(Good):
    def more(self, ctx: Event) -> None:
        np.random.rand()


class Remembered(Good):
    def more(self, ctx: Event) -> None:
        KEPT.append(self)


WRONG = {
    "Good": "", "Expects": "answers", "Meddles": "observes", "Changes": "inputs-kept", "Global": "global-random", "Remembered": "memory"
}  # fmt: skip
