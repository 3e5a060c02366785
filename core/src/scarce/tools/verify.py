"""`scarce verify`: is a run still what it was, and does computing a part of it again give the same bits?"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import cached_property
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import pandas as pd
import torch

from scarce.catalogue.catalogue import Catalogue
from scarce.contract.dataset import Dataset
from scarce.contract.frozen import Frozen
from scarce.contract.plan import Phase
from scarce.errors import RunError, ScarceError
from scarce.files import file_hash, read_json, read_lines, read_tensors
from scarce.runs.assembly import Assembly, assemble
from scarce.runs.experiment import SWEEP_FILE
from scarce.runs.folder import children, read_recipe
from scarce.runs.generating import asked_prompts, shots
from scarce.runs.loading import load_data, make_codec, view_prompts, viewed_rows
from scarce.runs.opening import open_generator
from scarce.runs.parents import codec_parent, parent_folder
from scarce.runs.provenance import ONCE, distribution_hash, final_files, fingerprint, generator_hash
from scarce.runs.run import Job, prepare
from scarce.runs.sections import Recipe
from scarce.runs.training import train_phase
from scarce.runtime.device import machine
from scarce.runtime.runtime import SharedRuntime
from scarce.runtime.seeds import derive

State = Literal["ok", "failed", "unchecked"]
Found = tuple[State, str]
LINES = 3  # logged steps that are trained again: the first 60 optimizer steps
ROWS = 4096  # a larger first shard is not drawn again


class Check(Frozen):
    """One line of the result; where: the child run's folder, empty for the run itself."""

    name: str
    where: str
    state: State
    said: str


class _Enough(Exception):
    """The steps that are compared have been trained."""


class _Home:
    """One child run, opened as far as a check needs it."""

    def __init__(self, folder: Path, run: Path, catalogue: Catalogue) -> None:
        self.folder, self.run, self.catalogue = folder, run, catalogue

    @cached_property
    def recipe(self) -> Recipe:
        """Its recipe."""
        return read_recipe(self.folder)[0]

    @property
    def memory(self) -> Any:
        """Records that were given from Python, as they were kept."""
        return pd.read_parquet(self.run / "input.parquet") if self.recipe.data.source == "memory" else None

    def parts(self) -> Assembly:
        """Its plugins, fresh: an instance may remember what it has seen."""
        return assemble(self.recipe, self.catalogue, name="data")

    @cached_property
    def dataset(self) -> Dataset:
        """Its data, read from their source again."""
        return load_data(self.recipe, self.parts(), self.catalogue, memory=self.memory)


def verify(folder: Path, catalogue: Catalogue, *, quick: bool = False) -> list[Check]:
    """Every check of a run folder and its child runs; quick: nothing is computed again.

    Raises RunError when the folder holds no run; whatever else is wrong there becomes a check that says so.
    """
    if not any((folder / name).is_file() for name in ("recipe.resolved.json", "hashes.json")):
        raise RunError(f"{folder} is not a run folder", hint="scarce runs")
    homes = _homes(folder)
    out = []
    for place in dict.fromkeys([folder, *homes]):
        home = _Home(place, folder, catalogue)
        checks: dict[str, Callable[[_Home], Found]] = {"files": _files}
        if place in homes:
            checks |= {"plugins": _plugins, "data": _data}
            checks |= {"parents": _parents} if (place / "parents.json").is_file() else {}
            checks |= {"training": _training} if (place / "model" / "phases").is_dir() else {}
            checks |= {"samples": _samples}
        for name, check in checks.items():
            if not (quick and name in ("training", "samples")):
                state, said = _guarded(name, check, home)
                where = "" if place == folder else place.relative_to(folder).as_posix()
                out.append(Check(name=name, where=where, state=state, said=said))
    return out


def _homes(folder: Path) -> list[Path]:
    """The child runs that are there or were there; the folder itself when it is a single run."""
    try:
        recorded = [folder / name for name in read_json(folder / "hashes.json") if name.endswith("/hashes.json")]
    except (ScarceError, TypeError):
        recorded = []
    found = [home for home in children(folder) if home != folder]
    return list(dict.fromkeys([*found, *(path.parent for path in recorded)])) or [folder]


def _guarded(name: str, check: Callable[[_Home], Found], home: _Home) -> Found:
    """What a damaged file makes a check raise is its result."""
    try:
        return check(home)
    except Exception as err:  # damage shows as any error, and the other checks must still be made
        said = err.message if isinstance(err, ScarceError) else f"{type(err).__name__}: {err}"
        return ("failed" if name == "files" else "unchecked"), said


def _files(home: _Home) -> Found:
    if not (home.folder / "hashes.json").is_file():
        if (home.folder / "metrics.json").is_file():
            return "failed", "hashes.json is missing"
        if (home.folder / SWEEP_FILE).is_file():
            return "unchecked", "a sweep has no hashes of its own; its points are checked one by one"
        return "unchecked", "the run is not finished: scarce resume continues it"
    known: Mapping[str, str] = read_json(home.folder / "hashes.json")
    there = set(final_files(home.folder))
    changed = sorted(name for name in there & set(known) if file_hash(home.folder / name) != known[name])
    extra = sorted(there - set(known))
    foreign = [name for name in extra if name.startswith((*ONCE, "arms/"))]
    wrong = {"changed": changed, "missing": sorted(set(known) - there), "added": foreign}
    if any(wrong.values()):
        return "failed", "; ".join(f"{word}: {_listed(names)}" for word, names in wrong.items() if names)
    if extra:
        return "unchecked", f"{len(known)} files are as the run left them; not written by it: {_listed(extra)}"
    return "ok", f"{len(known)} files are as the run left them"


def _listed(names: list[str]) -> str:
    return ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")


def _plugins(home: _Home) -> Found:
    lines = _other_plugins(read_json(home.folder / "plugins.lock.json"))
    return ("failed", "; ".join(lines)) if lines else ("ok", "the distributions that made the run are installed")


def _other_plugins(lock: Mapping[str, Any]) -> list[str]:
    """A line per distribution of a lock that is now another one, or gone."""
    out = []
    made = {part["distribution"]: (part["version"], part["sha256"]) for part in lock["parts"]}
    for name, (version, digest) in {"scarce": (lock["scarce"], ""), **made}.items():
        try:
            now = metadata.version(name)
        except metadata.PackageNotFoundError:
            out.append(f"{name} {version} made it, none is installed")
            continue
        if now != version:
            out.append(f"{name} {version} made it, {now} is installed")
        elif digest and distribution_hash(name) != digest:
            out.append(f"{name} {version} made it, its files have changed since")
    return out


def _data(home: _Home) -> Found:
    kept = read_json(home.folder / "data.json")["sha256"]
    if fingerprint(home.dataset) != kept:
        return "failed", f"{home.recipe.data.source} gives other data than the run began with"
    return "ok", f"{home.recipe.data.source} still gives the same {len(home.dataset)} records"


def _parents(home: _Home) -> Found:
    kept = {source: facts["sha256"] for source, facts in read_json(home.folder / "parents.json").items()}
    there: dict[str, Path] = {}
    for source in kept:
        with suppress(ScarceError):
            there[source] = parent_folder(source, home.catalogue)
    if changed := [str(parent) for source, parent in there.items() if generator_hash(children(parent)[0]) != kept[source]]:
        return "failed", f"the generator of {_listed(changed)} has changed"
    if gone := [source.removeprefix("run:") for source in kept if source not in there]:
        return "unchecked", f"{_listed(gone)} is not there"
    return "ok", "the generators it builds on are unchanged; scarce verify PARENT checks the rest of them"


def _training(home: _Home) -> Found:
    """Train the first logged steps of the first phase again, in a folder of its own."""
    recipe, again = home.recipe, list[dict[str, Any]]()
    first: Phase | None = None
    logged: dict[int, Any] = {}

    def notify(event: str, step: int, facts: Mapping[str, Any]) -> None:
        again.append(json.loads(json.dumps(dict(facts))))
        if first is not None and len(_first_lines(again, first.name)) == len(logged):
            raise _Enough

    runtime = SharedRuntime(seed=recipe.seed, options=recipe.runtime, notify=notify)
    with TemporaryDirectory() as folder:
        job, assembly = Job(recipe, Path(folder), home.catalogue), home.parts()
        codec = make_codec(home.dataset, assembly, recipe, job.folder, codec_parent(recipe, home.catalogue))
        made = prepare(job, home.dataset, codec, assembly, runtime)
        first = made.model.plan.phases[0]
        logged = _first_lines(read_lines(home.folder / "metrics.jsonl"), first.name)
        if not logged:
            return "unchecked", f"metrics.jsonl has no line of phase '{first.name}'; it may have been trained in another arm"
        with suppress(_Enough):
            train_phase(made.model, made.process, made.rows, first, runtime, job.folder, recipe.generate)
    redone = _first_lines(again, first.name)
    wrong = next((step for step, line in logged.items() if redone.get(step) != line), None)
    if wrong is None:
        return "ok", f"{max(logged)} steps of phase '{first.name}' trained again: every logged loss is the same"
    return _differs(home, runtime, f"step {wrong} of phase '{first.name}' gives {redone.get(wrong)}, metrics.jsonl has {logged[wrong]}")


def _first_lines(lines: Iterable[Mapping[str, Any]], phase: str) -> dict[int, Any]:
    """Step -> line of the first logged steps of a phase; an interrupted run has logged some of them twice."""
    out: dict[int, Any] = {}
    for line in lines:
        if line["phase"] == phase and len(out) < LINES:
            out.setdefault(line["step"], line)
    return out


def _samples(home: _Home) -> Found:
    """Draw the first shard again."""
    path = home.folder / "samples" / "shards" / "00000000.safetensors"
    kept, _ = read_tensors(path)
    rows = len(kept["num"])
    if rows > ROWS:
        return "unchecked", f"the first shard has {rows} rows; up to {ROWS} are drawn again"
    generator, assembly, recipe = open_generator(home.folder, home.catalogue)
    first = None
    if generator.modality == recipe.data.modality:
        asked = asked_prompts(home.dataset, recipe, assembly, generator.codec)
        init = shots(home.dataset, recipe, generator.codec, asked)
        first = None if init is None else init(slice(0, rows))
    else:
        own = make_codec(home.dataset, assembly, recipe, home.folder)
        asked = view_prompts(home.dataset, recipe, assembly, own, viewed_rows(home.dataset))
    state = generator.shard(asked[:rows], seed=derive(generator.runtime.derive("generate"), "shard", 0), init=first)
    again = {k: v for k, v in (("num", state.num), ("cat", state.cat), ("mask", state.mask)) if v is not None}
    if set(again) == set(kept) and all(torch.equal(again[name], kept[name]) for name in again):
        return "ok", f"{rows} samples drawn again: every value is the same"
    return _differs(home, generator.runtime, f"{path.name}: the samples drawn again are others")


def _differs(home: _Home, runtime: SharedRuntime, said: str) -> Found:
    """A difference is a failure only where versions, threads and machine are those of the run."""
    lock, cost = read_json(home.folder / "plugins.lock.json"), read_json(home.folder / "metrics.json")["cost"]
    now = {**machine(), "threads": runtime.threads, "precision": runtime.precision, "device": str(runtime.device)}
    then = {**lock["machine"], **{k: cost[k] for k in ("threads", "precision", "device")}}
    why = [f"{key} was {then[key]}, is {now[key]}" for key in then if then[key] != now[key]] + _other_plugins(lock)
    why += [f"{runtime.device} does not promise equal bits"] if runtime.device.type != "cpu" else []
    return ("unchecked", f"{said}; but {'; '.join(why)}") if why else ("failed", said)
