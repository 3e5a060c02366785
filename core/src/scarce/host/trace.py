"""What plugins were called for, when and for how long: a line per hook call, and who took the time."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from scarce.catalogue import Row

Invoke = Callable[[str, str, object], Any]
_NOW: ContextVar[_Trace | None] = ContextVar("scarce_trace", default=None)


class _Trace:
    """Lines of one file; calls made inside a call are known, so that each is told its own seconds apart from theirs."""

    def __init__(self, file: TextIO) -> None:
        self.file, self.began = file, time.perf_counter()
        self.inside = [0.0]

    def call(self, invoke: Invoke, hook: str, path: str, ctx: object, facts: Mapping[str, str]) -> Any:
        """Call the hook and write its line, also when it raises."""
        start, error = time.perf_counter(), ""
        self.inside.append(0.0)
        try:
            return invoke(hook, path, ctx)
        except BaseException as err:
            error = type(err).__name__
            raise
        finally:
            seconds = time.perf_counter() - start
            own = seconds - self.inside.pop()
            self.inside[-1] += seconds
            times = {"at": round(start - self.began, 6), "seconds": round(seconds, 6), "own_seconds": round(own, 6)}
            said = {"hook": hook, "path": path, **facts, **times, **({"error": error} if error else {})}
            self.file.write(json.dumps(said, ensure_ascii=False) + "\n")


@contextmanager
def tracing(path: Path) -> Iterator[None]:
    """Write a line to `path` for every hook call of the scopes that are frozen inside; lines of an earlier run stay before them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8", buffering=1) as file:
        mark = _NOW.set(_Trace(file))
        try:
            yield
        finally:
            _NOW.reset(mark)


def traced(invoke: Invoke, scope: str, rows: Mapping[str, Row]) -> Invoke:
    """`invoke` that writes a line per call while a trace is on; where none is, `invoke` itself, so that it costs nothing."""
    trace = _NOW.get()
    if trace is None:
        return invoke
    facts = {
        path: {"scope": scope, "role": row.role, "name": row.name, "distribution": row.distribution, "version": row.version}
        for path, row in rows.items()
    }
    return lambda hook, path, ctx: trace.call(invoke, hook, path, ctx, facts[path])


def summary(lines: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Calls, failures and own seconds of each hook of each plugin, the longest first."""
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for line in lines:
        kept = ("hook", "path", "scope", "role", "name", "distribution", "version")
        row = found.setdefault((line["scope"], line["path"], line["hook"]), {key: line[key] for key in kept})
        row["calls"] = row.get("calls", 0) + 1
        row["failed"] = row.get("failed", 0) + ("error" in line)
        row["seconds"] = row.get("seconds", 0.0) + line["own_seconds"]
    return sorted(({**row, "seconds": round(row["seconds"], 6)} for row in found.values()), key=lambda row: -row["seconds"])
