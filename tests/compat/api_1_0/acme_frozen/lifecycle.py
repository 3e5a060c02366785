"""Observer `acme-diary`: a line per event."""

from __future__ import annotations

from scarce.contract import Event, LifecycleSpec, hookimpl


class Diary(LifecycleSpec):
    def _note(self, name: str, ctx: Event) -> None:
        with (ctx.folder / "diary.txt").open("a", encoding="utf-8") as file:
            file.write(f"{name} {ctx.step} {' '.join(sorted(ctx.facts))}\n")

    @hookimpl
    def run_started(self, ctx: Event) -> None:
        self._note("run_started", ctx)

    @hookimpl
    def step_finished(self, ctx: Event) -> None:
        self._note("step_finished", ctx)

    @hookimpl
    def checkpoint_saved(self, ctx: Event) -> None:
        self._note("checkpoint_saved", ctx)

    @hookimpl
    def samples_ready(self, ctx: Event) -> None:
        self._note("samples_ready", ctx)

    @hookimpl
    def round_finished(self, ctx: Event) -> None:
        self._note("round_finished", ctx)

    @hookimpl
    def run_finished(self, ctx: Event) -> None:
        self._note("run_finished", ctx)

    @hookimpl
    def run_failed(self, ctx: Event) -> None:
        self._note("run_failed", ctx)
