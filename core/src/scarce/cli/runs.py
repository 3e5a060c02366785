"""`scarce runs`: the run folders here, with state and main numbers."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from scarce.cli.common import parser, show, table

MAIN = {"classification": "macro_f1", "regression": "r2"}  # as in report.statistics, which takes long to import


def main(argv: list[str]) -> None:
    """Run `runs [list] [--json]`."""
    arguments = parser(
        "runs", "Run folders under ./runs, newest first: recipe, state, and the main number of every kind of data.", "--json"
    )
    arguments.add_argument("action", nargs="?", choices=("list",), default="list")
    asked = arguments.parse_args(argv)
    found = sorted((p.parent for p in Path("runs").glob("*/recipe.resolved.json")), key=lambda p: p.stat().st_mtime, reverse=True)
    rows = [_describe(folder) for folder in found]
    cells = [(r["folder"], r["recipe"], r["state"], r["date"], _numbers(r)) for r in rows]
    show(rows, table(("folder", "recipe", "state", "date", "main numbers"), cells), as_json=asked.json)


def _describe(folder: Path) -> dict[str, Any]:
    """Folder, recipe, state, date, number of runs in it, and the mean of the main metric by source of training data (and arm)."""
    date = datetime.fromtimestamp((folder / "recipe.resolved.json").stat().st_mtime)
    facts: dict[str, Any] = {
        "folder": str(folder),
        "recipe": "",
        "state": "damaged",
        "date": f"{date:%Y-%m-%d %H:%M}",
        "metric": "",
        "means": {},
    }
    try:
        facts["recipe"] = _read(folder / "recipe.resolved.json")["name"]
        homes = [p.parent for p in folder.glob("arms/*/*/recipe.resolved.json")] or [folder]
        results = [_read(home / "metrics.json") for home in homes if (home / "metrics.json").is_file()]
        finished = len(results) == len(homes) and any(any(folder.glob(name)) for name in ("report.*", "sweep.csv"))
        several = len({r["arm"] for r in results}) > 1
        facts["state"] = "finished" if finished else f"unfinished ({len(results)} of {len(homes)})"
        facts["metric"] = next((MAIN[r["task"]] for r in results if r["task"] in MAIN), "")
        values: dict[str, list[float]] = {}
        for arm, metric in ((r["arm"], m) for r in results for m in r["metrics"]):
            if metric["name"] == facts["metric"] and metric["value"] == metric["value"]:
                values.setdefault(f"{arm}/{metric['source']}" if several else metric["source"], []).append(metric["value"])
        facts["means"] = {source: sum(found) / len(found) for source, found in values.items()}
    except (OSError, ValueError, LookupError, TypeError):
        facts["state"] = "damaged"
    return facts


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _numbers(facts: dict[str, Any]) -> str:
    wanted = {key: value for key, value in facts["means"].items() if key.rpartition("/")[2] in ("real", "synthetic", "both")}
    shown = ", ".join(f"{key} {value:.3f}" for key, value in wanted.items())
    return f"{facts['metric']}: {shown}" if shown else ""
