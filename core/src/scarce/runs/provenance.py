"""Where a result comes from: plugin lock, data fingerprint, parents, and the data card."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scarce.catalogue.catalogue import Row
from scarce.contract.dataset import Dataset
from scarce.errors import RunError
from scarce.files import file_hash, read_json, write_bytes, write_json
from scarce.runs.folder import children
from scarce.runs.recipe import show_value
from scarce.runtime.device import machine

ONCE = ("model/", "shared/", "samples/shards/", "recipe.", "data.json", "parents.json", "input.parquet")
"""What a run writes once and only reads from then on."""

REPORT = ("README.md", "report.")


def distribution_hash(name: str) -> str:
    """Hash of what an installed distribution says of its own files (its RECORD), or of its editable source."""
    dist = metadata.distribution(name)
    text = dist.read_text("RECORD") or ""
    url = dist.read_text("direct_url.json") or ""
    if '"editable": true' in url:
        root = Path(str(dist.locate_file("")))
        pth = [f for f in dist.files or [] if str(f).endswith(".pth")]
        sources = [Path((root / str(f)).read_text().strip()) for f in pth]
        files = sorted(p for s in sources if s.is_dir() for p in s.rglob("*") if p.suffix in (".py", ".toml", ".json"))
        text = "".join(f"{p.name}:{file_hash(p)}" for p in files)
    return hashlib.sha256(text.encode()).hexdigest()


def lock(rows: Sequence[Row]) -> dict[str, Any]:
    """Distribution, version, target, content hash and citation of every part of a run, and the machine."""
    hashes = {name: distribution_hash(name) for name in {r.distribution for r in rows}}
    parts = [
        {"role": r.role, "name": r.name, "distribution": r.distribution, "version": r.version, "target": r.target,
         "sha256": hashes[r.distribution], "cite": r.cite}
        for r in rows
    ]  # fmt: skip
    return {"parts": parts, "scarce": metadata.version("scarce"), "machine": machine()}


def fingerprint(dataset: Dataset) -> str:
    """Hash of ids, target, labelled mask and what the rest of the source is known by: changes when any record does."""
    digest = hashlib.sha256("\n".join(dataset.ids.tolist()).encode())
    digest.update(dataset.labelled.tobytes())
    if dataset.target is not None:
        digest.update("\n".join(map(str, dataset.target.tolist())).encode())
    if dataset.rest is not None:
        digest.update(dataset.rest.mark.encode())
    return digest.hexdigest()


def record_data(folder: Path, dataset: Dataset) -> None:
    """Write data.json once; data that differ from what the run began with are a RunError."""
    path = folder / "data.json"
    mine = fingerprint(dataset)
    if path.is_file():
        if read_json(path)["sha256"] != mine:
            raise RunError(f"the data of {folder} have changed since the run began", hint="start a new run: scarce run RECIPE --data FILE")
        return
    splits = {name: dataset.ids[dataset.split == name].tolist() for name in ("train", "validation", "test")}
    facts: dict[str, Any] = {
        "name": dataset.name,
        "rows": len(dataset),
        "task": dataset.task,
        "target": dataset.target_name,
        "sha256": mine,
    }
    codes = dataset.codes()[dataset.rows("train")]
    counts = np.bincount(codes[codes >= 0], minlength=len(dataset.classes))
    facts |= {"classes": [str(c) for c in dataset.classes], "class_counts": counts, "notes": dataset.notes}
    facts |= {} if dataset.rest is None else {"rest": {"rows": dataset.rest.rows, "mark": dataset.rest.mark}}
    write_json(path, {**facts, "splits": splits, "schema": dict(dataset.schema)})


def generator_hash(folder: Path) -> str:
    """Hash of the content of a run's `model/`."""
    hashes = {str(p.relative_to(folder)): file_hash(p) for p in sorted((folder / "model").rglob("*")) if p.is_file()}
    return hashlib.sha256(repr(sorted(hashes.items())).encode()).hexdigest()


def record_parent(folder: Path, source: str, parent: Path) -> None:
    """Copy a parent's recipe, lock and content hash into parents.json; a changed parent is a RunError naming it."""
    digest = generator_hash(parent)
    path = folder / "parents.json"
    kept = read_json(path) if path.is_file() else {}
    if source in kept and kept[source]["sha256"] != digest:
        raise RunError(f"parent {source} ({parent}) has changed since this run began", hint="start a new run from the changed parent")
    if source in kept:
        return
    facts = {"recipe": read_json(parent / "recipe.resolved.json"), "lock": read_json(parent / "plugins.lock.json"), "sha256": digest}
    write_json(path, {**kept, source: facts})


def final_files(folder: Path) -> list[str]:
    """Relative names of the files of a run folder that `hashes.json` covers.

    Left out: the file itself, hidden drafts and checkpoints; of child runs only their `hashes.json`, which covers the rest.
    """
    found = (p for p in folder.rglob("*") if p.is_file() and p != folder / "hashes.json")
    names = [p.relative_to(folder) for p in found]
    mine = (n for n in names if n.parts[0] not in ("checkpoints", "arms") and not any(part.startswith(".") for part in n.parts))
    kids = (n for n in names if n.parts[0] == "arms" and len(n.parts) == 4 and n.name == "hashes.json")
    return sorted(n.as_posix() for n in (*mine, *kids))


def seal(folder: Path, written: Callable[[str], bool] = lambda name: not name.startswith(ONCE)) -> None:
    """Write hashes.json: SHA-256 of every final file by name.

    In a folder that has hashes already only those of files `written` just now are renewed, so that going on with a damaged run
    does not declare the damage right.
    """
    for litter in folder.rglob(".*.tmp"):  # of a process that was killed while it wrote
        litter.unlink(missing_ok=True)
    path = folder / "hashes.json"
    known: dict[str, str] = read_json(path) if path.is_file() else {}
    kept = {name: digest for name, digest in known.items() if not written(name)}
    fresh = {name: file_hash(folder / name) for name in final_files(folder) if not known or written(name)}
    write_json(path, dict(sorted({**kept, **fresh}.items())))


def seal_report(folder: Path) -> None:
    """Renew the hashes of what a report writes."""
    renewed = REPORT if children(folder) == [folder] else (*REPORT, "metrics.json", "plugins.lock.json", "arms/")
    seal(folder, lambda name: name.startswith(renewed))


def command(recipe_name: str, overrides: Sequence[tuple[str, Any]], preset: str | None, data: str | None) -> str:
    """The one command that runs this again."""
    parts = ["scarce", "run", recipe_name]
    parts += ["--data", data] if data else []
    parts += ["--preset", preset] if preset else []
    for key, value in overrides:
        parts += ["--set", f"{key}={show_value(value)}"]
    return shlex.join(parts)


def write_card(folder: Path, facts: Mapping[str, Any], summary: str) -> None:
    """README.md of a run folder: what the data are, how they were made, how to make them again."""
    lines = [
        f"# Data card: {facts['name']}", "", summary, "",
        f"- made from: {facts['source']} ({facts['rows']} rows, target `{facts['target']}`)",
        *(f"- {note}" for note in facts.get("notes", ())),
        f"- synthetic samples: {facts['samples']}", f"- made on: {pd.Timestamp.now():%Y-%m-%d}", f"- again: `{facts['command']}`", "",
        "Synthetic records are drawn by a generative model fitted to the training split only. `metrics.json` and `report.html` say how",
        "useful, similar and private they are; `plugins.lock.json` says what made them. They are not real observations.", "",
    ]  # fmt: skip
    write_bytes(folder / "README.md", "\n".join(lines).encode())
