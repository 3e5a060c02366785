"""`scarce doctor PLUGIN`: is an installed plugin what it says it is? Found out in a process of its own, which is ended when it hangs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from queue import Empty, Queue
from threading import Thread
from typing import Any

from scarce.catalogue import ROLES, Row
from scarce.contract.frozen import Frozen

START = 120.0  # seconds in which the other process says its first word
MARK = "@scarce "  # before each line that the other process means for us
ASPECTS = {"manifest": ("manifest",), "import": ("import",), "hooks": ("hooks",), "config": ("config-",), "memory": ("memory",),
           "seed": ("same-seed", "global-random")}  # fmt: skip
"""Column of the table -> checks, or beginnings of their names; all others are conformance."""


class Examined(Frozen):
    """One component. imported: what its import cost; report: of the kit (see `testing.Report`), None where it was not reached;
    problem: why not, hint: what to do."""

    row: Row
    imported: Mapping[str, Any] | None = None
    report: Mapping[str, Any] | None = None
    problem: str = ""
    hint: str = ""

    @property
    def healthy(self) -> bool:
        """Whether it was examined and nothing failed."""
        return self.report is not None and bool(self.report["passed"]) and not self.problem

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        keys = ("role", "name", "distribution", "version", "status")
        facts = {key: getattr(self.row, key) for key in keys}
        return {
            **facts,
            "healthy": self.healthy,
            "import": self.imported,
            "report": self.report,
            "problem": self.problem,
            "hint": self.hint,
        }

    def aspects(self) -> dict[str, str]:
        """Column of the table -> ok, FAILED, or - where there was nothing to check."""
        outcomes = [] if self.report is None else self.report["outcomes"]
        out = {}
        for column in (*ASPECTS, "conformance"):
            mine = [o["result"] for o in outcomes if _column(o["check"]) == column]
            out[column] = "FAILED" if "failed" in mine else "ok" if {"passed", "known"} & set(mine) else "-"
        return out


def _column(check: str) -> str:
    return next((name for name, starts in ASPECTS.items() if check.startswith(starts)), "conformance")


def ordered(rows: Sequence[Row]) -> list[Row]:
    """Components in the order of roles."""
    return sorted(rows, key=lambda row: ([*ROLES, row.role].index(row.role), row.name))


def examine_plugin(name: str, rows: Sequence[Row], *, seconds: float, options: Mapping[str, Any]) -> list[Examined]:
    """Import every component and put it through the kit, in another process; seconds: how long one import or one component may take.

    A component whose import never ends, or ends the process, is reported as that; those after it are not examined.
    """
    found = {(row.role, row.name): Examined(row=row) for row in rows}
    began: tuple[str, str, str] | None = None
    for line in _told(name, options, seconds):
        if "ended" in line:
            _blame(found, began, line["ended"])
            break
        key, stage = (line["role"], line["name"]), line["stage"]
        began = (*key, stage)
        if key not in found:
            continue
        if stage == "import" and "seconds" in line:
            found[key] = found[key].with_(imported={k: line[k] for k in ("seconds", "cpu_seconds", "heavy", "megabytes", "error")})
        if stage == "conformance" and "report" in line:
            found[key] = found[key].with_(report=line["report"])
    return list(found.values())


def _blame(found: dict[tuple[str, str], Examined], began: tuple[str, str, str] | None, ended: str) -> None:
    """Say of the component that was being examined why it ended, and of the others that they were not reached."""
    blamed = None if began is None else (began[0], began[1])
    for key, examined in found.items():
        row = examined.row
        hint = f"SCARCE_BLOCK={row.distribution} leaves it out; pip install --upgrade {row.distribution}, or tell its author"
        if key == blamed and began is not None:
            doing = f"importing {row.target}" if began[2] == "import" else "the conformance kit"
            what = f"{row.role} '{row.name}' of {row.distribution} {row.version}: {doing} {ended}"
            found[key] = examined.with_(problem=what, hint=hint)
        elif examined.report is None:
            reason = f"not examined: {blamed[0]} '{blamed[1]}' ended before" if blamed else f"not examined: the process {ended}"
            found[key] = examined.with_(problem=reason, hint=hint)


def _told(name: str, options: Mapping[str, Any], seconds: float) -> Iterator[dict[str, Any]]:
    """What the other process says, line by line; `ended` when it says nothing for so long, or ends before it is done."""
    command = [sys.executable, "-m", "scarce.testing", name, json.dumps(options)]
    environment = {**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
        env=environment,
    )
    lines: Queue[str | None] = Queue()
    errors: list[str] = []
    Thread(target=_read, args=(process.stdout, lines.put), daemon=True).start()
    Thread(target=_read, args=(process.stderr, lambda line: errors.append(line or "")), daemon=True).start()
    allowed = max(seconds, START)
    try:
        while True:
            line = lines.get(timeout=allowed)
            if line is None:
                break
            if line.startswith(MARK):
                allowed = seconds
                yield json.loads(line.removeprefix(MARK))
        if process.wait(timeout=seconds) != 0:
            last = next((text.strip() for text in reversed(errors) if text.strip()), "no word")
            yield {"ended": f"ended the process with code {process.returncode}: {last}"}
    except (Empty, subprocess.TimeoutExpired):
        yield {"ended": f"did not end within {seconds:g} s"}
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _read(stream: Any, put: Any) -> None:
    for line in stream:
        put(line)
    put(None)
