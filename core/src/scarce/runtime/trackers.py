"""Experiment trackers by name (TensorBoard, MLflow, …), through accelerate; one that raises never ends a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from scarce.errors import RecipeError, did_you_mean

Say = Callable[[str], None]


def check_trackers(names: Sequence[str]) -> None:
    """Raise RecipeError for a tracker that accelerate does not know or whose package is not installed."""
    if not names:
        return
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS

    usable = available_trackers()
    for name in names:
        if name not in LOGGER_TYPE_TO_CLASS:
            known = ", ".join(sorted(LOGGER_TYPE_TO_CLASS))
            said = f"runtime.trackers: unknown tracker '{name}'{did_you_mean(name, LOGGER_TYPE_TO_CLASS)}; there are {known}"
            raise RecipeError(said, hint="--set 'runtime.trackers=[\"tensorboard\"]'")
        if name not in usable:
            raise RecipeError(
                f"runtime.trackers: the package of tracker '{name}' is not installed", hint=f"pip install {name.replace('_', '-')}"
            )


def available_trackers() -> list[str]:
    """Trackers whose package is installed."""
    from accelerate.tracking import get_available_trackers

    return sorted(str(tracker) for tracker in get_available_trackers())


def scalars(facts: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """The numbers of a nested mapping by path: {"loss": {"denoise": 1.0}} becomes {"loss/denoise": 1.0}."""
    out: dict[str, float] = {}
    for key, value in facts.items():
        if isinstance(value, Mapping):
            out |= scalars(value, f"{prefix}{key}/")
        elif isinstance(value, int | float):
            out[f"{prefix}{key}"] = float(value)
    return out


class Trackers:
    """The trackers of one run: each gets its training log lines, then its final metrics.

    Steps count on from phase to phase, because some trackers refuse a step that goes back. Local logs are written under
    `folder/trackers`. Raises RecipeError as `check_trackers` does.
    """

    def __init__(self, names: Sequence[str], folder: Path, say: Say) -> None:
        check_trackers(names)
        self._say, self._phase, self._before, self._last = say, "", 0, 0
        self._open: dict[str, Any] = dict.fromkeys(names)
        self._each(lambda name: self._begin(name, folder))

    def log(self, facts: Mapping[str, Any]) -> None:
        """One training log line: `phase`, `step`, and numbers."""
        if facts["phase"] != self._phase:
            self._phase, self._before = facts["phase"], self._before + self._last
        self._last = int(facts["step"])
        values = scalars({k: v for k, v in facts.items() if k != "step"}, f"{self._phase}/")
        self._send(values)

    def finish(self, metrics: Sequence[Mapping[str, Any]]) -> None:
        """Send the final metrics (`Metric.to_json()` each) as source/name, and close."""
        self._send({f"{m['source']}/{m['name']}": float(m["value"]) for m in metrics if m["value"] == m["value"]})
        self._each(lambda name: self._open[name].finish())
        self._open = {}

    def _send(self, values: Mapping[str, float]) -> None:
        self._each(lambda name: self._open[name].log(dict(values), step=self._before + self._last))

    def _begin(self, name: str, folder: Path) -> None:
        from accelerate.tracking import LOGGER_TYPE_TO_CLASS

        kind = LOGGER_TYPE_TO_CLASS[name]
        where = {"logging_dir": str(folder / "trackers")} if kind.requires_logging_directory else {}
        home = folder.resolve()
        title = [home.parents[2].name, *home.parts[-2:]] if home.parents[1].name == "arms" else [home.name]
        tracker = kind("-".join(title), **where)
        tracker.start()
        self._open[name] = tracker

    def _each(self, act: Callable[[str], None]) -> None:
        for name in list(self._open):
            try:
                act(name)
            except (Exception, SystemExit) as error:
                del self._open[name]
                self._say(f"note: tracker {name} failed and is left out of this run: {type(error).__name__}: {error}")
