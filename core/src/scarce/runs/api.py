"""What people call from Python: fit a DataFrame, run a recipe, load a run; DataFrames in and out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scarce.catalogue.catalogue import read_catalogue
from scarce.contract.contexts import WriteContext
from scarce.errors import DataError
from scarce.files import booked, read_json, read_lines
from scarce.host.trace import summary
from scarce.report.results import Results
from scarce.report.write import short_html
from scarce.runs.assembly import assemble, parent_rows
from scarce.runs.experiment import TRACE_FILE, Experiment, collect, proceed, start
from scarce.runs.folder import carried_as, children, new_folder, read_recipe, refuse_changes
from scarce.runs.generating import Asked, class_counts, drawn, generate
from scarce.runs.generator import TrainedGenerator
from scarce.runs.mending import BOOKED, parts_folder
from scarce.runs.opening import open_generator
from scarce.runs.parents import origin, settled
from scarce.runs.pieces import kept_records
from scarce.runs.provenance import command
from scarce.runs.recipe import data_overrides, find_recipe, read_toml, resolve
from scarce.runs.where import parse_where
from scarce.runtime.progress import Progress

TABLE_RECIPE = "tabular/table"


class Run:
    """A finished run: its numbers, its report, and a generator to sample from."""

    def __init__(self, folder: Path) -> None:
        read_recipe(folder)
        self.folder = folder
        self._open: Any = None

    @property
    def results(self) -> Results:
        """Everything the report shows."""
        return collect(self.folder)

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """Every metric of every child run: arm, seed, source, name, value and its reference lines."""
        return [{"arm": c.arm, "seed": c.seed, **m} for c in self.results.children for m in c.metrics]

    @property
    def report(self) -> Path:
        """The report's file."""
        html = self.folder / "report.html"
        return html if html.is_file() else self.folder / "report.txt"

    @property
    def trace(self) -> list[dict[str, Any]]:
        """Calls and seconds of every hook of every plugin, the longest first; empty for a run that was not traced."""
        return summary(line for home in children(self.folder) for line in read_lines(home / TRACE_FILE))

    def sample(
        self, n: int, *, where: Mapping[str, Any] | Sequence[str] = (), prompt: str | Sequence[str] | None = None,
        length: int | None = None, seed: int = 0, quiet: bool = True, set: Mapping[str, Any] | None = None,
    ) -> Any:  # fmt: skip
        """n finished records (a DataFrame for tables) that honour `where`; same seed, same records.

        where: {"left": "yes", "age": (30, 40), "city": ["Ulm", "Bonn"]}, or strings as on the command line. prompt: a text,
        or several that are asked in turn; where texts alone are followed, such records have no class unless `where` names it. length: of
        every record, where lengths vary. set: keys of [generate] for this call, such as steps and guidance. Raises DataError for
        unknown columns, unseen levels, empty ranges, empty prompts, lengths that the generator has no room for, and a class asked
        of one that follows captions alone.
        """
        generator, asked, labelled = self._asked(n, where, prompt, length, seed, quiet, set)
        return self._labelled(generate(generator, **asked), labelled)

    def sample_parts(
        self, n: int, folder: Path, *, where: Mapping[str, Any] | Sequence[str] = (), prompt: str | Sequence[str] | None = None,
        length: int | None = None, seed: int = 0, quiet: bool = True,
    ) -> Path:  # fmt: skip
        """The records of `sample` as files in a folder, one per shard (`generate.shard`), with no more than one shard in memory.

        The folder's suffix is the format of the files. Interrupted, the same call goes on; RunError in a folder of another one.
        """
        generator, asked, labelled = self._asked(n, where, prompt, length, seed, quiet, None)
        about = {"run": str(self.folder.resolve()), "n": n, "where": where, "prompt": prompt, "length": length, "seed": seed}
        with parts_folder(folder, about, Progress(quiet=quiet).say) as shards:
            for start, records in drawn(generator, **asked, shards=shards):
                self.write(self._labelled(records, labelled), folder / f"part-{start:010d}{folder.suffix}")
        return folder

    def _asked(
        self, n: int, where: Mapping[str, Any] | Sequence[str], prompt: str | Sequence[str] | None, length: int | None, seed: int,
        quiet: bool, set: Mapping[str, Any] | None,
    ) -> tuple[TrainedGenerator, dict[str, Any], bool]:  # fmt: skip
        """The generator, what it is asked, and whether its records have classes."""
        if n < 1:
            raise DataError(f"asked for {n} samples", hint="ask for at least 1")
        if self._open is None:
            self._open = open_generator(self.folder, read_catalogue())
        generator, _, recipe = self._open
        catalogue = read_catalogue()
        generator.runtime.progress = Progress(quiet=quiet)
        generator.options = type(recipe.generate)(**{**recipe.generate.model_dump(), **(set or {})})
        random = generator.runtime.derive(f"sample/{seed}")
        known, labels = generator.codec.known(parse_where(where), n, random % 2**31)
        heard = any("cond:label" in row.provides for row in parent_rows(origin(recipe, catalogue), catalogue))
        if labels is not None and not (heard or recipe.generate.asking):
            raise DataError("this generator follows texts, not classes", hint="name the class in --prompt, as captions of this run do")
        classed = labels is not None or heard or bool(recipe.generate.asking and prompt is None)  # nobody reads a text for a class
        if labels is None:
            labels = self._labels(n, generator.classes) if classed else [None] * n
        prompts = Asked(labels, prompt, recipe.generate.asking)
        return generator, {"prompts": prompts, "seed": random, "known": known, "length": length}, classed or not generator.classes

    def _labelled(self, records: Any, labelled: bool) -> Any:
        if not labelled and hasattr(records, "columns"):
            records[read_json(children(self.folder)[0] / "data.json")["target"]] = None
        return records

    def write(self, records: Any, path: Path) -> Path:
        """Write records of this run's modality; the suffix chooses the format."""
        generator, assembly, _ = self._open or open_generator(self.folder, read_catalogue())
        schema = read_json(children(self.folder)[0] / "data.json")["schema"]
        return (generator.scope or assembly.scope).modality_write(WriteContext(records=records, path=path, schema=schema))

    def _labels(self, n: int, classes: Sequence[Any]) -> list[Any]:
        if not classes:
            return [None] * n
        shares = read_json(children(self.folder)[0] / "data.json")["class_counts"]
        return [value for value, count in zip(classes, class_counts(shares, n), strict=True) for _ in range(count)]

    def _repr_html_(self) -> str:
        return short_html(self.results)

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r})"


def run(
    recipe: str,
    *,
    data: Any = None,
    set: Mapping[str, Any] | None = None,
    preset: str | None = None,
    out: str | Path | None = None,
    quiet: bool = False,
    trace: bool = False,
) -> Run:
    """Run a recipe by name or file; `data` is a path or records in memory; `set` are overrides by recipe path.

    trace: write every hook call, with plugin and seconds, to trace.jsonl in the run folder (of each arm and seed).

    Raises ScarceError (with a hint) for every mistake in recipe or data, before anything is trained.
    """
    catalogue = read_catalogue()
    name, raw = find_recipe(recipe, catalogue)
    memory = None if data is None or isinstance(data, str | Path) else data
    overrides = [*data_overrides(data if memory is None else "memory"), *(set or {}).items()]
    resolved = settled(resolve(raw, preset=preset, overrides=overrides), catalogue)
    folder = new_folder(name, None if out is None else Path(out))
    shown = [(k, v) for k, v in overrides if k != "data.source" and v is not None]
    again = command(recipe, shown, preset, resolved.data.source if data is not None else None)
    if memory is not None:
        memory, again = _keep_memory(resolved, memory, folder, catalogue), again.replace("--data memory", f"--data {folder}/input.parquet")
    progress = Progress(quiet=quiet)
    start(Experiment(name, resolved, folder, catalogue, command=again, memory=memory, progress=progress, trace=trace))
    return Run(folder)


def _keep_memory(recipe: Any, records: Any, folder: Path, catalogue: Any) -> Any:
    """Keep records given in memory beside the run, so that it can be resumed and repeated."""
    assembly = assemble(recipe, catalogue, name="data")
    folder.mkdir(parents=True, exist_ok=True)
    with booked(folder, BOOKED):
        assembly.scope.modality_write(WriteContext(records=records, path=folder / "input.parquet"))
    return records


def fit(
    data: Any, *, target: str | None = None, seed: int = 0, preset: str | None = None, out: str | Path | None = None, **set: Any
) -> Run:
    """Fit a generator to a DataFrame and judge it, without a recipe file; keywords are overrides with `__` for dots.

    `scarce.fit(df, target="left", train__steps=2000)`.
    """
    overrides = {k.replace("__", "."): v for k, v in set.items()}
    return run(TABLE_RECIPE, data=data, set={"data.target": target, "seed": seed, **overrides}, preset=preset, out=out, quiet=True)


def load(folder: str | Path) -> Run:
    """Open a run folder."""
    return Run(Path(folder))


def resume(folder: Path, overrides: Sequence[tuple[str, Any]] = (), *, judge_again: bool = False, progress: Progress | None = None) -> Run:
    """Continue an interrupted run; under a changed recipe it is refused with the differences (RunError).

    judge_again: fit learners and evaluate the stored samples anew, even where that is finished.
    """
    (recipe, facts), catalogue = read_recipe(folder), read_catalogue()
    asked = settled(resolve(read_toml(folder / "recipe.toml"), overrides=overrides), catalogue)
    refuse_changes(folder, recipe, asked)
    recipe = carried_as(recipe, asked)
    memory = kept_records(folder, recipe)
    shown = progress or Progress(quiet=True)
    proceed(Experiment(facts["name"], recipe, folder, catalogue, facts["command"], memory, shown, judge_again))
    return Run(folder)
