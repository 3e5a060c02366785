"""What learners, evaluators and rounds took in an earlier run, for the estimate of one that asks the same of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scarce.files import read_json
from scarce.runs.folder import plain
from scarce.runs.sections import Recipe
from scarce.runtime.device import machine

SECTIONS = ("data", "generate", "acquisition", "learner", "evaluator")
PARTS = {"round_seconds": "rounds", "learn_seconds": "learners", "evaluate_seconds": "evaluators"}
SAME = ("cpu", "cores")


def earlier(recipe: Recipe, folder: Path) -> dict[str, Any] | None:
    """Seconds by name in PARTS, and `folder`, of the newest finished child run under `folder` that this recipe can be held against.

    That is one on an equal machine, device and number of threads, with equal data, samples, learner and evaluators, whatever it trained.
    """
    homes = [path.parent for pattern in ("*/metrics.json", "*/arms/*/*/metrics.json") for path in folder.glob(pattern)]
    asked = _decides(plain(recipe))
    for home in sorted(homes, key=lambda home: (home / "metrics.json").stat().st_mtime, reverse=True):
        written = read_json(home / "recipe.resolved.json") if (home / "recipe.resolved.json").is_file() else {}
        if _decides(written.get("recipe", {})) != asked or not (home / "plugins.lock.json").is_file():
            continue
        cost, lock = read_json(home / "metrics.json").get("cost", {}), read_json(home / "plugins.lock.json")
        if "evaluate_seconds" in cost and all(lock["machine"][key] == machine()[key] for key in SAME):
            return {"folder": str(home), **{key: cost[key] for key in PARTS if key in cost}}
    return None


def _decides(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """What of a plain recipe decides how long judging takes."""
    runtime = recipe.get("runtime", {})
    return {key: recipe.get(key) for key in SECTIONS} | {key: runtime.get(key) for key in ("device", "precision", "threads")}
