"""Checks of components without hooks: data sets, recipes, packaged generators, executors, exporters and commands."""

from __future__ import annotations

import inspect
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from scarce.catalogue import Catalogue
from scarce.contract import ExportContext, Prompt
from scarce.errors import PluginError, ScarceError
from scarce.host import load_target
from scarce.runs.opening import open_generator
from scarce.runs.recipe import find_recipe, resolve
from scarce.testing.bench import TOYS, Bench, Data
from scarce.testing.general import Check, globally_seeded, same_states
from scarce.testing.prints import fingerprint
from scarce.testing.report import Fatal, Flaw, Skip


def dataset_answers(bench: Bench) -> None:
    """The function gives records, or a value its modality reads, the same ones every time."""
    load = load_target(bench.row)
    try:
        first, again = load(), load()
    except ScarceError as error:
        raise Skip(f"{error.message}: try {error.hint}") from error
    if first is None:
        raise Fatal("it gives None")
    if fingerprint(first) != fingerprint(again):
        raise Flaw("called twice it gives other records; seed what is drawn")


def dataset_global_random(bench: Bench) -> None:
    """Loading leaves the global random state alone."""
    with globally_seeded(3), same_states():
        try:
            load_target(bench.row)()
        except ScarceError as error:
            raise Skip(error.message) from error


def dataset_loads(bench: Bench) -> None:
    """A modality of the same distribution reads it into records with ids."""
    mine = [r for r in bench.catalogue.rows if r.role == "modality" and r.distribution == bench.row.distribution and r.status == "ready"]
    if not mine and bench.data.modality in [name for _, name in TOYS]:
        raise Skip("its distribution has no modality to read it: give data=Data(modality=…)")
    data = Data(modality=mine[0].name, options=bench.data.options) if mine else bench.data
    given = data.with_(source=f"builtin:{bench.row.name}")
    try:
        other = Bench(mine[0] if mine else bench.row, bench.catalogue, data.options, given, bench.folder)
        found = other.loaded
    except ScarceError as error:
        raise (_absent(error) or error) from error
    if len(found) == 0 or len(set(found.ids.tolist())) != len(found):
        raise Flaw(f"it is read as {len(found)} records, with {len(set(found.ids.tolist()))} different ids")


def _absent(error: ScarceError) -> Skip | None:
    """A reason to skip, where a distribution is missing that an install line brings."""
    missing = isinstance(error, PluginError) and error.hint.startswith("pip install")
    return Skip(f"{error.message}: try {error.hint}") if missing else None


def recipe_answers(bench: Bench) -> None:
    """The recipe can be read as it is, as `test` and as `full`."""
    _, raw = find_recipe(bench.row.name, bench.catalogue)
    if not str(raw.get("summary", "")).strip():
        raise Flaw("it has no summary")
    for preset in (None, *raw.get("preset", {})):
        try:
            resolve(raw, preset=preset)
        except ScarceError as error:
            raise Fatal(f"preset {preset or 'quick'}: {error.message}") from error
    if "test" not in raw.get("preset", {}):
        raise Flaw("it has no preset 'test', which takes seconds")


def recipe_ready(bench: Bench) -> None:
    """Everything that it names is there and fits together."""
    from scarce.tools.doctor import examine_recipe

    plain = Catalogue(tuple(row for row in bench.catalogue.rows if (row.role, row.name) not in TOYS))
    problems = examine_recipe(bench.row.name, plain)
    absent = [p for p in problems if p.hint.startswith("pip install")]
    if absent:
        raise Skip(f"{absent[0].what}: try {absent[0].hint}")
    if problems:
        raise Flaw("; ".join(p.what for p in problems))


def generator_answers(bench: Bench) -> None:
    """It is opened, and the same seed draws the same samples."""
    folder = bench.catalogue.generator_path(bench.row.name)
    try:
        generator, _, _ = open_generator(folder, bench.catalogue)
    except ScarceError as error:
        raise (_absent(error) or error) from error
    generator.options = generator.options.model_copy(update={"steps": 2, "guidance": 1.0})
    classes = generator.classes
    asked = [Prompt(label=classes[0] if classes else None, text=str(classes[0]) if classes else "something")] * 2
    first, again = (generator.sample(asked, seed=1) for _ in range(2))
    if len(first) != 2 or fingerprint(first) != fingerprint(again):
        raise Flaw("two samples of one seed are not the same when they are drawn again")


def executor_answers(bench: Bench) -> None:
    """Results come in the order of the pieces, and an exception of a piece comes out."""
    target: Any = load_target(bench.row)
    executor = target()
    if executor.map(abs, [-3, 1, -2]) != [3, 1, 2]:
        raise Fatal("the results of -3, 1, -2 under abs must be [3, 1, 2], in that order")
    try:
        executor.map(_fails, [1])
    except Exception:
        return
    raise Flaw("an exception in a piece is lost")


def _fails(piece: int) -> int:
    raise ValueError(f"piece {piece}")


def exporter_answers(bench: Bench) -> None:
    """It takes one `ExportContext` and gives a folder."""
    target = load_target(bench.row)
    try:
        hints = inspect.get_annotations(target, eval_str=True)
    except NameError as error:
        raise Flaw(f"its annotations can't be read: {error}") from error
    if list(inspect.signature(target).parameters) != ["ctx"] or hints.get("ctx") is not ExportContext or hints.get("return") is not Path:
        raise Flaw("an exporter is a function (ctx: ExportContext) -> Path")


def command_answers(bench: Bench) -> None:
    """It explains itself when asked with --help."""
    said = StringIO()
    with redirect_stdout(said):
        try:
            code = load_target(bench.row)(["--help"])
        except SystemExit as end:
            code = end.code
    if code not in (0, None) or not said.getvalue().strip():
        raise Flaw(f"--help says {said.getvalue()[:60]!r} and ends with {code}")


CHECKS: dict[str, Check] = {
    "dataset:answers": dataset_answers,
    "dataset:global-random": dataset_global_random,
    "dataset:loads": dataset_loads,
    "recipe:answers": recipe_answers,
    "recipe:ready": recipe_ready,
    "generator:answers": generator_answers,
    "executor:answers": executor_answers,
    "exporter:answers": exporter_answers,
    "command:answers": command_answers,
}
"""ROLE:NAME of a check -> what makes it."""
