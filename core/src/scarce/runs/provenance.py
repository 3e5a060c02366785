"""Where a result comes from: plugin lock, data fingerprint, parents, and the data card."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scarce.catalogue.catalogue import Row
from scarce.contract.dataset import Dataset
from scarce.errors import RunError
from scarce.files import file_hash, read_json, write_bytes, write_json
from scarce.runtime.device import machine


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
    hashes = {r.distribution: distribution_hash(r.distribution) for r in rows}
    parts = [
        {"role": r.role, "name": r.name, "distribution": r.distribution, "version": r.version, "target": r.target,
         "sha256": hashes[r.distribution], "cite": r.cite}
        for r in rows
    ]  # fmt: skip
    return {"parts": parts, "scarce": metadata.version("scarce"), "machine": machine()}


def fingerprint(dataset: Dataset) -> str:
    """Hash of ids, target and labelled mask: changes when any record does."""
    digest = hashlib.sha256("\n".join(dataset.ids.tolist()).encode())
    digest.update(dataset.labelled.tobytes())
    if dataset.target is not None:
        digest.update("\n".join(map(str, dataset.target.tolist())).encode())
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
    write_json(path, {**facts, "splits": splits, "schema": dict(dataset.schema)})


def record_parent(folder: Path, source: str, parent: Path) -> None:
    """Copy a parent's recipe, lock and content hash into parents.json; a changed parent is a RunError naming it."""
    hashes = {str(p.relative_to(parent)): file_hash(p) for p in sorted((parent / "model").rglob("*")) if p.is_file()}
    digest = hashlib.sha256(repr(sorted(hashes.items())).encode()).hexdigest()
    path = folder / "parents.json"
    kept = read_json(path) if path.is_file() else {}
    if source in kept and kept[source]["sha256"] != digest:
        raise RunError(f"parent {source} ({parent}) has changed since this run began", hint="start a new run from the changed parent")
    facts = {"recipe": read_json(parent / "recipe.resolved.json"), "lock": read_json(parent / "plugins.lock.json"), "sha256": digest}
    write_json(path, {**kept, source: facts})


def command(recipe_name: str, overrides: Sequence[tuple[str, Any]], preset: str | None, data: str | None) -> str:
    """The one command that runs this again."""
    parts = ["scarce", "run", recipe_name]
    parts += ["--data", data] if data else []
    parts += ["--preset", preset] if preset else []
    for key, value in overrides:
        shown = str(value).lower() if isinstance(value, bool) else str(value)
        parts += ["--set", f"{key}={shown}"]
    return shlex.join(parts)


def write_card(folder: Path, facts: Mapping[str, Any], summary: str) -> None:
    """README.md of a run folder: what the data are, how they were made, how to make them again."""
    lines = [
        f"# Data card: {facts['name']}", "", summary, "",
        f"- made from: {facts['source']} ({facts['rows']} rows, target `{facts['target']}`)",
        f"- synthetic samples: {facts['samples']}", f"- made on: {pd.Timestamp.now():%Y-%m-%d}", f"- again: `{facts['command']}`", "",
        "Synthetic records are drawn by a generative model fitted to the training split only. `metrics.json` and `report.html` say how",
        "useful, similar and private they are; `plugins.lock.json` says what made them. They are not real observations.", "",
    ]  # fmt: skip
    write_bytes(folder / "README.md", "\n".join(lines).encode())
