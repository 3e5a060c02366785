"""A place to try one component: tiny data, the toy parts around it, and pieces of a real run on them."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import torch

from scarce.catalogue import ROLES, Catalogue, Row
from scarce.contract import Codec, CodecContext, Dataset, State, take
from scarce.contract.frozen import Frozen
from scarce.diffusion.options import DiffusionOptions
from scarce.diffusion.process import Process
from scarce.files import read_json
from scarce.host import Scope
from scarce.runs.assembly import Assembly, Named, load_part
from scarce.runs.building import build_model, keep_base, restore_base
from scarce.runs.generator import TrainedGenerator
from scarce.runs.loading import read_records
from scarce.runs.opening import read_plan
from scarce.runs.recipe import resolve
from scarce.runs.run import Job, Prepared, prepare
from scarce.runs.sections import Recipe
from scarce.runs.split import hide_labels, split
from scarce.runs.training import train_plan
from scarce.runtime.options import RuntimeOptions
from scarce.runtime.runtime import SharedRuntime

TOYS = {
    ("modality", "kit-vector"): ("Vectors", ("space:vector", "codec:soft", "codec:vectors")),
    ("modality", "kit-sequence"): ("Sequences", ("space:sequence", "codec:soft", "codec:vectors")),
    ("modality", "kit-image"): ("Pictures", ("space:image", "codec:soft", "codec:vectors", "records:image")),
    ("backbone", "kit-net"): ("Network", ("layers:linear", "grad:input")),
}
SPACES = ("vector", "sequence", "image")
PATHS = {"modality": "modality", "backbone": "backbone", "learner": "learner", "acquisition": "acquisition"}
GENERATE = {"steps": 2, "count": 8, "sampler": "ddim"}
PARTS = ("backbone", "conditioner", "strategy")
TINY = {
    "diffusion": {"steps": 8, "prior": "standard"},
    "train": {"steps": 20, "batch": 16, "rate": 0.01, "warmup": 2, "ema": 0.0},
    "runtime": {"threads": 1, "precision": "fp32", "device": "cpu"},
}


class Data(Frozen):
    """Which records a component is tried on.

    source: a path, the name of a built-in data set, or records in memory; options: the modality's; style: a caption style of the
    modality, "" for prompts that are labels; rows: how many are used at most, a third of them as fresh records of the same law.
    """

    modality: str
    source: Any = "kit"
    target: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    style: str = ""
    rows: int = 96


def with_toys(catalogue: Catalogue) -> Catalogue:
    """The catalogue with the kit's own parts in it."""
    rows = []
    for (role, name), (target, provides) in TOYS.items():
        facts: Any = {"role": role, "name": name, "summary": "a part of the conformance kit"}
        entry = EntryPoint(name, f"scarce.testing.toys:{target}", ROLES[role].group)
        rows.append(Row(**facts, provides=provides, distribution="scarce", version="", target=entry.value, entry=entry))
    return Catalogue((*catalogue.rows, *rows))


def toy_data(row: Row) -> Data:
    """The toy of the space that a component needs, vectors where it needs none."""
    asked = [need.removeprefix("space:") for need in row.requires if need.startswith("space:")]
    asked += ["image"] if "records:image" in row.requires else []
    return Data(modality=f"kit-{next((s for s in asked if s in SPACES), 'vector')}")


def assembled(catalogue: Catalogue, parts: Sequence[Named]) -> Assembly:
    """Parts loaded and registered, without asking whether they fit together."""
    made = Assembly(Scope("kit"))
    for part in parts:
        load_part(made, catalogue, part)
    made.scope.freeze()
    return made


def own_data(row: Row, catalogue: Catalogue) -> Data:
    """The first built-in data set of a modality's own distribution."""
    mine = [r.name for r in catalogue.rows if r.role == "dataset" and r.distribution == row.distribution]
    return Data(modality=row.name, source=f"builtin:{mine[0]}" if mine else "kit")


@dataclass
class Ready:
    """A planned generator, and what it takes to train it."""

    job: Job
    assembly: Assembly
    runtime: SharedRuntime
    made: Prepared
    modality: str

    def train(self) -> None:
        """Every phase of the plan; weights are kept in the job's folder."""
        keep_base(self.job.folder, self.made.model, self.made.process)
        train_plan(self.made.model, self.made.process, self.made.rows, self.runtime, self.job.folder, self.job.recipe.generate)

    def generator(self) -> TrainedGenerator:
        """The generator, as it is now."""
        made = self.made
        out = TrainedGenerator(
            model=made.model, process=made.process, codec=made.codec, options=self.job.recipe.generate, runtime=self.runtime
        )
        out.modality = self.modality
        return out


@dataclass
class Bench:
    """One component with its options, and what surrounds it.

    recipe: sections of a recipe that stand in for the kit's own (another backbone, say); tolerance: how far an encoded number may
    move through a codec's round trip.
    """

    row: Row
    catalogue: Catalogue
    options: Mapping[str, Any]
    data: Data
    folder: Path
    recipe: Mapping[str, Any] = field(default_factory=dict)
    tolerance: float = 1e-3

    @property
    def path(self) -> str:
        """Where the component stands in a recipe."""
        return PATHS.get(self.row.role, f"{self.row.role}.0")

    @property
    def named(self) -> Named:
        """The component as a recipe names it."""
        return Named(self.path, self.row.role, self.row.name, self.options)

    def runtime(self, seed: int = 0) -> SharedRuntime:
        """A runtime on one CPU thread in full precision."""
        return SharedRuntime(seed=seed, options=RuntimeOptions(device="cpu", precision="fp32", threads=1))

    def built(self) -> Assembly:
        """The component, built anew, beside the modality."""
        return self.assembly([] if self.row.role == "modality" else [self.modality])

    def scope(self) -> Scope:
        """The plugins of `built`."""
        return self.built().scope

    def assembly(self, others: Sequence[Named] = ()) -> Assembly:
        """The component, built anew, with others before it; raises ScarceError."""
        return assembled(self.catalogue, [*others, self.named])

    @property
    def modality(self) -> Named:
        """The modality of the data."""
        return Named("modality", "modality", self.data.modality, self.data.options)

    @cached_property
    def modal(self) -> Assembly:
        """The modality alone."""
        return assembled(self.catalogue, [self.modality])

    @cached_property
    def source(self) -> Any:
        """A path, or records."""
        return self.data.source(self.folder) if callable(self.data.source) else self.data.source

    def read(self, hold: int | None = None) -> Dataset:
        """What the modality loads."""
        memory = None if isinstance(self.source, str | Path) else self.source
        section = self.section.data.model_copy(update={"source": str(self.source) if memory is None else None, "hold": hold})
        return read_records(section, 0, self.modal, self.catalogue, memory=memory)

    @cached_property
    def loaded(self) -> Dataset:
        """Every record that is used, spread evenly over what the modality loads."""
        found = self.read()
        rows = np.unique(np.linspace(0, len(found) - 1, self.data.rows).round().astype(int))
        return found.part(rows) if len(found) > self.data.rows else found

    @cached_property
    def dataset(self) -> Dataset:
        """Two thirds of the records, split; for a strategy half of the training records keep their label."""
        found = split(self.loaded.part(np.arange(len(self.loaded)) % 3 != 2), 0, (0.5, 0.2, 0.3))
        return hide_labels(found, 0.5, 0) if self.row.role == "strategy" else found

    @cached_property
    def twin(self) -> Any:
        """The last third: fresh records of the same law."""
        return take(self.loaded.records, np.arange(len(self.loaded)) % 3 == 2)

    @cached_property
    def codec(self) -> Codec:
        """The codec of `dataset`."""
        return self.modal.scope.modality_codec(CodecContext(dataset=self.dataset, seed=0))

    @cached_property
    def x0(self) -> State:
        """All records of `dataset`, encoded."""
        return self.codec.encode(self.dataset.records)

    def few(self) -> Dataset:
        """Ten records: six to train on, two and two to judge by, classes in turn."""
        data, rows = self.dataset, []
        for name, most in (("train", 6), ("validation", 2), ("test", 2)):
            mine = np.flatnonzero(data.split == name)
            codes = data.codes()[mine]
            place = np.array([int((codes[:i] == code).sum()) for i, code in enumerate(codes)], dtype=int)
            rows.append(mine[np.lexsort((codes, place))][:most])
        return data.part(np.sort(np.concatenate(rows)))

    def noise(self, n: int, seed: int = 0) -> Any:
        """n records decoded from numbers and codes that have nothing to do with the data."""
        space, random = self.codec.space, torch.Generator().manual_seed(seed)
        start = Process.fit(space, DiffusionOptions(steps=8, prior="standard"), self.x0).start(n, random, "cpu")
        num = 2.0 + 2.0 * start.num
        for channel, clip in enumerate(space.clips):
            axis = num.movedim(1 if space.layout == "image" else -1, 0)
            axis[channel] = axis[channel].clamp(*((-clip, clip) if clip is not None else (None, None)))
        if start.mask is not None:
            num = num * start.mask.unsqueeze(-1)
        classes = self.dataset.classes
        codes = torch.randint(max(len(classes), 1), (n,), generator=random).tolist()
        return self.codec.decode(State(num, start.cat, start.mask), [classes[c] for c in codes] if classes else None, seed)

    @cached_property
    def section(self) -> Recipe:
        """The recipe around the component."""
        return self.recipe_of()

    def recipe_of(self, **sections: Any) -> Recipe:
        """The kit's recipe with the component in it, and some sections replaced."""
        data = {
            "modality": self.data.modality,
            "source": "kit" if not isinstance(self.data.source, str) else self.data.source,
            "target": self.data.target,
            "options": dict(self.data.options),
        }
        prompt = {"generate": {**GENERATE, **({"prompt": self.data.style} if self.data.style else {})}}
        raw: dict[str, Any] = {"data": data, "backbone": {"name": "kit-net"}, "conditioner": [{"name": "label", "width": 16}]}
        mine = {"name": self.row.name, **self.options}
        if self.row.role in (*PARTS, "lifecycle"):
            raw |= {self.row.role: mine if self.row.role == "backbone" else [mine]}
        return resolve({**raw, **TINY, **prompt, **self.recipe, **sections})

    def parts(self, recipe: Recipe) -> list[Named]:
        """What a generator is made of, beside the component itself."""
        out = [self.modality]
        if recipe.backbone is not None:
            out.append(Named("backbone", "backbone", recipe.backbone.name, recipe.backbone.options))
        for role in ("conditioner", "strategy"):
            out += [Named(f"{role}.{i}", role, part.name, part.options) for i, part in enumerate(getattr(recipe, role))]
        return [part for part in out if part.path != self.path]

    def ready(self, seed: int = 0, **sections: Any) -> Ready:
        """A generator with the component in it, planned and not yet trained; raises ScarceError."""
        recipe = self.recipe_of(seed=seed, **sections)
        job = self.job(recipe)
        mine = self.row.role in PARTS
        assembly = self.assembly(self.parts(recipe)) if mine else assembled(self.catalogue, self.parts(recipe))
        runtime = self.runtime(seed)
        return Ready(job, assembly, runtime, prepare(job, self.dataset, self.codec, assembly, runtime), self.data.modality)

    def job(self, recipe: Recipe) -> Job:
        """A run in a folder of its own."""
        return Job(recipe=recipe, folder=Path(tempfile.mkdtemp(dir=self.folder)), catalogue=self.catalogue)

    def again(self, ready: Ready) -> Ready:
        """The same generator, built from what `ready` wrote into its folder."""
        recipe, home = ready.job.recipe, ready.job.folder / "model"
        assembly, runtime, facts = self.assembly(self.parts(recipe)), self.runtime(77), read_json(home / "generator.json")
        built = build_model(recipe, assembly, self.codec, None, runtime, facts)
        process, model = restore_base(ready.job.folder, built.model), built.model
        model.plan = read_plan(facts["plan"])
        for phase in model.plan.phases:
            model.load_phase(home, phase)
        made = Prepared(model, process, built.codec, ready.made.rows)
        return Ready(ready.job, assembly, runtime, made, self.data.modality)

    @cached_property
    def generator(self) -> TrainedGenerator:
        """A generator of the toys, trained on `dataset`."""
        ready = self.ready()
        ready.train()
        return ready.generator()
