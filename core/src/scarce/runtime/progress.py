"""Progress with an ETA for every phase: a live bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

Advance = Callable[[int], None]
QUIET_SECONDS = 5.0


def _clock(seconds: float) -> str:
    return f"{int(seconds // 60)}:{int(seconds % 60):02d}"


class Progress:
    """`with progress.track("train", 800) as advance:` shows how far each phase is; `quiet` shows nothing."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self.prefix = ""

    def say(self, text: str) -> None:
        """One plain line."""
        if not self.quiet:
            print(text, file=sys.stderr, flush=True)

    def track(self, what: str, total: int) -> AbstractContextManager[Advance]:
        """A phase of `total` steps; call the yielded function with steps done."""
        if self.quiet:
            return nullcontext(lambda _: None)
        return self._bar(what, total) if sys.stderr.isatty() else self._lines(what, total)

    @contextmanager
    def _bar(self, what: str, total: int) -> Iterator[Advance]:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = (TextColumn("{task.description:<28}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("eta"))
        with Bar(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
            task = bar.add_task(f"{self.prefix}{what}", total=total)
            yield lambda n: bar.advance(task, n)

    @contextmanager
    def _lines(self, what: str, total: int) -> Iterator[Advance]:
        began = said = time.monotonic()
        done = 0

        def advance(n: int) -> None:
            nonlocal done, said
            done += n
            now = time.monotonic()
            if now - said >= QUIET_SECONDS and done < total:
                said = now
                self.say(f"{self.prefix}{what}: {done}/{total}, eta {_clock((now - began) * (total - done) / max(done, 1))}")

        yield advance
        self.say(f"{self.prefix}{what}: {done}/{total} in {time.monotonic() - began:.1f} s")
