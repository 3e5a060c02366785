"""Checks of observers: they hear every event, and a run is the same with and without them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scarce.catalogue import EVENTS
from scarce.contract import Event
from scarce.runs.run import execute
from scarce.testing.bench import Bench
from scarce.testing.general import Check, Worked, of_work
from scarce.testing.prints import fingerprint
from scarce.testing.report import Flaw

FACTS: dict[str, dict[str, Any]] = {
    "run_started": {"rows": 64}, "step_finished": {"phase": "train", "step": 10, "rate": 0.01, "loss": {"denoise": 1.0}},
    "checkpoint_saved": {"phase": "train"}, "samples_ready": {"samples": 8}, "round_finished": {"round": 0},
    "run_finished": {"metrics": 3}, "run_failed": {"message": "it broke"},
}  # fmt: skip


def answers(bench: Bench) -> None:
    """Every event it has a hook for is heard without an exception, also with no facts."""
    scope = bench.scope()
    for event in EVENTS:
        if scope.has(bench.path, event):
            for facts in ({**FACTS[event]}, {}):
                getattr(_instance(bench), event)(ctx=Event(folder=bench.folder, step=10, facts=facts))


def _instance(bench: Bench) -> Any:
    return bench.built().loaded[bench.path].instance


def observes(bench: Bench) -> None:
    """Weights, samples and plan of a run are the same bytes with and without it."""
    plain, watched = (_run(bench, lifecycle=sections) for sections in ([], [{"name": bench.row.name, **bench.options}]))
    changed = [name for name in plain if watched.get(name) != plain[name]]
    if changed:
        raise Flaw(f"{changed[0]} of a run is another file when it watches")


def _run(bench: Bench, **sections: Any) -> dict[str, bytes]:
    ready = bench.job(bench.recipe_of(**sections))
    execute(ready)
    kept = [*ready.folder.glob("model/**/*.safetensors"), *ready.folder.glob("samples/*"), ready.folder / "plan.json"]
    return {str(file.relative_to(ready.folder)): file.read_bytes() for file in sorted(kept) if file.is_file()}


def events_kept(bench: Bench) -> None:
    """The facts of an event are as they were."""
    for event in EVENTS:
        if bench.scope().has(bench.path, event):
            facts = {**FACTS[event]}
            before = fingerprint(facts)
            getattr(_instance(bench), event)(ctx=Event(folder=bench.folder, step=10, facts=facts))
            if fingerprint(facts) != before:
                raise Flaw(f"facts of {event} were changed in place")


def work(bench: Bench) -> Worked:
    """It hears one event; what it does with it is its own."""
    made = bench.built()
    folder: Path = bench.folder
    for event in EVENTS:
        if made.scope.has(bench.path, event):
            getattr(made.loaded[bench.path].instance, event)(ctx=Event(folder=folder, step=1, facts={**FACTS[event]}))
    return Worked(held=[made.loaded[bench.path].instance], result=None)


CHECKS: dict[str, Check] = {
    "answers": answers,
    "observes": observes,
    "inputs-kept": events_kept,
    **{name: check for name, check in of_work(work).items() if name != "same-seed"},
}
