"""`scarce runs`: the run folders here, with state, size and main numbers, and freeing disk of what they no longer need."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from scarce.cli.common import parser, show, table

MAIN = {"classification": "macro_f1", "regression": "r2"}  # as in report.statistics, which takes long to import


def main(argv: list[str]) -> None:
    """Run `runs [list | clean] [DIR] [--caches] [--yes] [--json]`."""
    text = "Run folders in DIR, newest first: recipe, state, size, and the main number of every kind of data. clean: list what finished "
    text += "runs no longer need (checkpoints, what killed processes left), with --yes delete it; never results, weights or samples."
    arguments = parser("runs", text, "--json")
    arguments.add_argument("action", nargs="?", choices=("list", "clean"), default="list")
    arguments.add_argument("folder", nargs="?", metavar="DIR", type=Path, default=Path("runs"), help="where the runs are (default: runs)")
    arguments.add_argument("--caches", action="store_true", help="clean: built-in data that plugins have converted, too")
    arguments.add_argument("--yes", action="store_true", help="clean: delete; without it only listed")
    asked = arguments.parse_args(argv)
    found = sorted((p.parent for p in asked.folder.glob("*/recipe.resolved.json")), key=lambda p: p.stat().st_mtime, reverse=True)
    rows = [_describe(folder) for folder in found]
    if asked.action == "clean":
        _clean(rows, caches=asked.caches, yes=asked.yes, as_json=asked.json)
        return
    cells = [(r["folder"], r["recipe"], r["state"], _size(r["bytes"]), r["date"], _age(r["days"]), _numbers(r)) for r in rows]
    show(rows, table(("folder", "recipe", "state", "size", "date", "age", "main numbers"), cells), as_json=asked.json)


def _clean(rows: list[dict[str, Any]], *, caches: bool, yes: bool, as_json: bool) -> None:
    from scarce.tools import cleaning

    found = [w for row in rows for w in cleaning.waste_of(Path(row["folder"]), finished=row["state"] == "finished")]
    found += cleaning.caches() if caches else []
    for waste in found if yes else ():
        cleaning.remove(waste)
    total = sum(waste.size for waste in found)
    said = f"{_size(total)} freed" if yes else f"{_size(total)} would be freed; nothing is deleted without --yes"
    lines = table(("what", "why", "size"), [(str(w.path), w.why, _size(w.size)) for w in found]) + f"\n{said}"
    facts = {"deleted": yes, "bytes": total, "found": [vars(waste) for waste in found]}
    show(facts, lines if found else "nothing to clean", as_json=as_json)


def _size(size: float) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.0f} kB"


def _age(days: float) -> str:
    return f"{days:.0f} d" if days >= 2 else f"{days * 24:.0f} h" if days >= 1 / 12 else f"{days * 1440:.0f} min"


def _describe(folder: Path) -> dict[str, Any]:
    """Folder, recipe, state, date, bytes, and the mean of the main metric by source of training data (and arm)."""
    date = datetime.fromtimestamp((folder / "recipe.resolved.json").stat().st_mtime)
    size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file() and not p.is_symlink())
    facts: dict[str, Any] = {
        "folder": str(folder),
        "recipe": "",
        "state": "damaged",
        "date": f"{date:%Y-%m-%d %H:%M}",
        "days": (datetime.now() - date).total_seconds() / 86400,
        "bytes": size,
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
