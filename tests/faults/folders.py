"""What two run folders must have in common whatever was done to one of them on the way: all but times and dates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SKIPPED = ("hashes.json", "report.", "README.md", "metrics.jsonl", "plugins.lock.json")
TIMES = ("cost", "seconds", "cpu_seconds")
STAGES = ("start", "begun", "training", "generating", "judging", "reporting")
"""The stages of a run, as its folder shows them."""


def stage(folder: Path) -> str:
    """The last stage that a run has reached."""
    home = next(iter(sorted(folder.glob("arms/*/*"))), folder)
    if (home / "metrics.json").is_file():
        return "reporting"
    if (home / "samples" / "synthetic.parquet").is_file():
        return "judging"
    if any(home.glob("samples/shards/*")) or any(home.glob("rounds/*")):
        return "generating"
    if (home / "plugins.lock.json").is_file():
        return "training" if any(home.glob("model/generator.json")) else "begun"
    return "start"


def content(folder: Path) -> dict[str, Any]:
    """Name -> bytes, or what is in it apart from times, of every file that equal runs have in common."""
    out: dict[str, Any] = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        if path.name.startswith((".", *SKIPPED)) or "checkpoints/" in name or ".damaged/" in name:
            continue
        out[name] = _timeless(json.loads(path.read_text())) if path.suffix == ".json" else path.read_bytes()
    return out


def _timeless(value: Any) -> Any:
    """JSON without what differs between two equal runs; the events of training stay."""
    if isinstance(value, dict):
        kept = {key: _timeless(inner) for key, inner in value.items() if key not in TIMES}
        return kept | ({"events": value["cost"].get("events")} if "cost" in value else {})
    return [_timeless(inner) for inner in value] if isinstance(value, list) else value


def differences(folder: Path, whole: dict[str, Any]) -> list[str]:
    """Names that are not as in `whole`, the content of a run that was left in peace."""
    mine = content(folder)
    wrong = sorted(name for name in mine.keys() | whole.keys() if repr(mine.get(name)) != repr(whole.get(name)))
    return [f"{name}{_where(mine.get(name), whole.get(name))}" for name in wrong]


def _where(a: Any, b: Any) -> str:
    """The first place at which two JSON values differ."""
    pairs: list[tuple[str, Any, Any]] = []
    if isinstance(a, dict) and isinstance(b, dict):
        pairs = [(f".{key}", a.get(key), b.get(key)) for key in sorted(a.keys() | b.keys())]
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        pairs = [(f"[{i}]", x, y) for i, (x, y) in enumerate(zip(a, b, strict=True))]
    found = next(((key, x, y) for key, x, y in pairs if repr(x) != repr(y)), None)
    return found[0] + _where(*found[1:]) if found else f": {repr(a)[:80]} and {repr(b)[:80]}"


def finished(folder: Path) -> dict[Path, tuple[int, int]]:
    """Every finished shard and phase, and which file on the disk it is."""
    done = [*folder.rglob("shards/*.safetensors"), *folder.rglob(".shards/*.safetensors")]
    done += [p for p in folder.rglob("phases/*.safetensors") if p.with_suffix(".json").is_file()]
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in done}
