"""Handing a run's generator to a format: what made it, gathered from the run folders, into a folder whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from scarce.catalogue.catalogue import Catalogue
from scarce.contract.contexts import Branch, BranchAdapter, ExportContext
from scarce.contract.plan import Plan
from scarce.errors import RunError
from scarce.files import read_json, read_tensors
from scarce.host.loading import load_target
from scarce.runs.folder import children, read_recipe
from scarce.runs.opening import open_generator, read_plan
from scarce.runs.parents import parent_folder


def export(folder: Path, kind: str, out: Path, catalogue: Catalogue, *, half: bool = False) -> Path:
    """Write the generator of a run (of its first child when it has arms or seeds) to `out` in the format called `kind`.

    Raises RunError for an unfinished run and for a place that is taken, PluginError for an unknown format.
    """
    write = load_target(catalogue.find("exporter", kind))
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RunError(f"{out} is there already and is not an empty folder; it is left as it is", hint=f"-o another place, or rm -r {out}")
    homes = lineage(children(folder)[0], catalogue)
    generator, _, _ = open_generator(homes[-1], catalogue)
    generator.model.activate("base")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    except OSError as error:
        raise RunError(f"{out} can't be written: {error.strerror}", hint=f"ls -ld {out.parent}") from None
    model = generator.model
    source = str(read_json(homes[0] / "model" / "generator.json").get("source", ""))
    try:
        ctx = ExportContext(
            generator=generator, branches=branches(homes), modules={path: model.target(path) for path in model.targets},
            source=source, lineage=tuple(homes), out=beside, half=half,
        )  # fmt: skip
        own = load_target(catalogue.find("exporter", "generator"))
        write(ctx.with_(pack=lambda: own(ctx)))
        beside.chmod(0o755)
        os.replace(beside, out)
    except OSError as error:
        raise RunError(f"{out} can't be written: {error.strerror or error}", hint=f"df -h {out.parent}") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return out


def lineage(home: Path, catalogue: Catalogue) -> list[Path]:
    """The run folders that made a run's generator, oldest first; one that uses another's as it is adds nothing."""
    recipe, _ = read_recipe(home)
    if recipe.generator.source is None:
        return [home]
    earlier = lineage(children(parent_folder(recipe.generator.source, catalogue))[0], catalogue)
    return [*earlier, home] if recipe.strategy else earlier


def branches(homes: Sequence[Path]) -> tuple[Branch, ...]:
    """What the last of these runs answers with; each went on from the one leaf of the run before."""
    found: tuple[Branch, ...] = ()
    for home in homes:
        earlier = found[0] if found else Branch(phase="", serves="*", adapters=(), moved=frozenset())
        found = tuple(_after(earlier, home, plan, leaf.name) for plan in [plan_of(home)] for leaf in plan.leaves())
    return found


def plan_of(home: Path) -> Plan:
    """The plan of a finished run folder."""
    return read_plan(read_json(home / "model" / "generator.json")["plan"])


def _after(earlier: Branch, home: Path, plan: Plan, name: str) -> Branch:
    """The branch that ends in a phase of a run which began from `earlier`."""
    way = plan.lineage(name)
    moved = {key for phase in way for key in read_tensors(home / "model" / "phases" / f"{phase.name}.safetensors")[0]}
    adapters = [a.with_(name=f"parent-{a.name}") for a in earlier.adapters]
    for phase, adapter in {a.name: (p, a) for p in way for a in p.adapters}.values():
        kept = home / "model" / "adapters" / phase.name / adapter.name
        state, config = read_tensors(kept / "adapter_model.safetensors")[0], read_json(kept / "adapter_config.json")
        adapters.append(BranchAdapter(name=adapter.name, target=adapter.target, state=state, config=config))
    return Branch(phase=name, serves=way[-1].serves, adapters=tuple(adapters), moved=earlier.moved | moved)
