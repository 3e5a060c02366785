"""Samples of finished runs as training data of another: `[data] synthetic = ["run:PATH"]`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from scarce.catalogue.catalogue import Catalogue
from scarce.contract.contexts import LoadContext
from scarce.contract.dataset import Dataset, concat
from scarce.contract.protocols import Array, TrainingPart
from scarce.errors import DataError, RunError
from scarce.files import file_hash, read_json, write_json
from scarce.runs.assembly import Assembly
from scarce.runs.folder import children
from scarce.runs.parents import parent_folder
from scarce.runs.provenance import record_parent
from scarce.runs.sections import Recipe

MOST = 12  # runs that a message lists


def reused(recipe: Recipe, folder: Path, dataset: Dataset, assembly: Assembly, catalogue: Catalogue) -> TrainingPart | None:
    """The samples of every run that the recipe names, read by the modality; None where it names none.

    Raises RunError for a run of several arms or seeds, without samples, or whose samples have changed since this run began;
    DataError where they have no target, or classes that the data do not know.
    """
    parts = []
    for source in recipe.data.synthetic:
        parent = _only(source, children(parent_folder(source, catalogue)))
        path = parent / "samples" / "synthetic.parquet"
        if not path.is_file():
            raise RunError(f"data.synthetic: {source} has no samples", hint=f"scarce resume {parent}, or name a finished run")
        _record(folder, source, parent, path)
        target = dataset.target_name or None
        loaded = assembly.scope.modality_load(LoadContext(source=str(path), target=target, seed=recipe.seed))
        parts.append(TrainingPart(records=loaded.records, target=_target(loaded, dataset, source), origin="reused"))
    if not parts:
        return None
    return TrainingPart(records=concat([p.records for p in parts]), target=np.concatenate([p.target for p in parts]), origin="reused")


def after(recipe: Recipe, folder: Path) -> str:
    """What sets the noise of this run apart from that of the runs whose samples it reuses; empty where it reuses none.

    With the same noise, a run that reuses another's samples would make those once more.
    """
    if not recipe.data.synthetic:
        return ""
    known = read_json(folder / "parents.json")
    return "/after " + " ".join(known[source]["samples"] for source in recipe.data.synthetic)


def _only(source: str, homes: Sequence[Path]) -> Path:
    """The one run that a source names: which of several was meant can't be guessed."""
    if len(homes) == 1:
        return homes[0]
    there = ", ".join(f"run:{home}" for home in homes[:MOST]) + (f" and {len(homes) - MOST} more" if homes[MOST:] else "")
    what = f"data.synthetic: {source} holds {len(homes)} runs, one for each arm and seed; samples are those of one. There are: {there}"
    raise RunError(what, hint=f"""--set 'data.synthetic=["run:{homes[0]}"]'""")


def _record(folder: Path, source: str, parent: Path, path: Path) -> None:
    """The parent in parents.json, with the hash of its samples."""
    record_parent(folder, source, parent)
    known, digest = read_json(folder / "parents.json"), file_hash(path)
    if known[source].setdefault("samples", digest) != digest:
        raise RunError(f"data.synthetic: the samples of {source} have changed since this run began", hint="start a new run")
    write_json(folder / "parents.json", known)


def _target(loaded: Dataset, dataset: Dataset, source: str) -> Array:
    """[n] the samples' target in the values of the data set."""
    if dataset.task == "none":
        return np.zeros(0)
    if loaded.target is None:
        what = f"data.synthetic: samples of {source} have no '{dataset.target_name}'"
        raise DataError(what, hint="name a run on the same data and target")
    if dataset.task != "classification":
        return np.asarray(loaded.target, dtype=np.float64)
    index = {str(value): value for value in dataset.classes}
    if unknown := sorted({str(v) for v in loaded.target} - set(index)):
        what = f"data.synthetic: samples of {source} have a class '{unknown[0]}' that the data do not know"
        raise DataError(what, hint="name a run on the same data and target")
    out = np.empty(len(loaded.target), dtype=object)
    out[:] = [index[str(v)] for v in loaded.target]
    return out
