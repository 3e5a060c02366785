"""Opening the generator of a finished run: for sampling, for evaluation, or as the parent of another run."""

from __future__ import annotations

from pathlib import Path

from scarce.catalogue.catalogue import Catalogue
from scarce.contract.contexts import CodecContext
from scarce.contract.plan import Adapter, Budget, Measure, Phase, Plan, Term
from scarce.contract.protocols import Codec
from scarce.errors import RunError
from scarce.files import read_json
from scarce.runs.assembly import Assembly, assemble
from scarce.runs.building import build_model, continued, restore_base, restore_process
from scarce.runs.checkpoints import open_checkpoint
from scarce.runs.folder import children, read_recipe
from scarce.runs.generator import TrainedGenerator
from scarce.runs.parents import codec_parent, is_checkpoint, parent_folder
from scarce.runs.provenance import record_parent
from scarce.runs.sections import Recipe
from scarce.runtime.runtime import SharedRuntime


def read_plan(rows: list[dict[str, object]]) -> Plan:
    """The plan written by `Plan.to_json`."""

    def phase(row: dict[str, object]) -> Phase:
        made = dict(row)
        for key, kind in (("terms", Term), ("adapters", Adapter), ("before", Measure)):
            made[key] = tuple(kind(**item) for item in row[key])  # type: ignore[attr-defined]
        made["budget"] = Budget(**row["budget"])  # type: ignore[arg-type]
        made["classes"], made["trainable"] = tuple(row["classes"]), tuple(row["trainable"])  # type: ignore[arg-type]
        return Phase(**made)  # type: ignore[arg-type]

    return Plan(phases=tuple(phase(row) for row in rows))


def open_generator(
    folder: Path, catalogue: Catalogue, runtime: SharedRuntime | None = None, codec: Codec | None = None
) -> tuple[TrainedGenerator, Assembly, Recipe]:
    """The generator of a run folder (its first child when it has arms or seeds), ready to sample.

    codec: the modality's codec of the run that uses it, in the place of the one it was trained with. Raises RunError when the
    run has no finished generator.
    """
    home = children(folder)[0]
    recipe, _ = read_recipe(home)
    runtime = runtime or SharedRuntime(seed=recipe.seed, options=recipe.runtime)
    assembly = assemble(recipe, catalogue, name="generator")
    saved = home / "model" / "codec"
    if codec is None and (saved / "done.json").is_file():
        codec = assembly.scope.modality_codec(CodecContext(dataset=None, seed=recipe.seed, saved=saved))
    if recipe.generator.source is not None and not recipe.strategy:
        return parent_generator(recipe, home, catalogue, runtime, codec), assembly, recipe
    if codec is None or not (home / "model" / "generator.json").is_file():
        raise RunError(f"{home} has no finished generator", hint=f"scarce resume {folder}")
    facts = read_json(home / "model" / "generator.json")
    if recipe.generator.source is not None:
        parent = parent_generator(recipe, home, catalogue, runtime, codec)
        model, codec = continued(parent.model, tuple(facts["classes"]), assembly.scope, runtime), parent.codec
        process = restore_process(home, model)
    else:
        built = build_model(recipe, assembly, codec, None, runtime, facts)
        model, codec = built.model, built.codec
        process = restore_base(home, model)
    model.plan = read_plan(facts["plan"])
    for phase in model.plan.phases:
        if not (home / "model" / "phases" / f"{phase.name}.json").is_file():
            raise RunError(f"{home}: phase '{phase.name}' is not finished", hint=f"scarce resume {folder}")
        model.load_phase(home / "model", phase)
    generator = TrainedGenerator(model=model, process=process, codec=codec, options=recipe.generate, runtime=runtime)
    generator.scope, generator.modality, generator.home = assembly.scope, recipe.data.modality, home
    return generator, assembly, recipe


def parent_generator(recipe: Recipe, folder: Path, catalogue: Catalogue, runtime: SharedRuntime, codec: Codec | None) -> TrainedGenerator:
    """The generator that `generator.from` names, sampled with this run's options; the parent is recorded once.

    codec: the run's own, when the parent is of its modality.
    """
    source = recipe.generator.source or ""
    if is_checkpoint(source):
        return open_checkpoint(recipe, folder, catalogue, runtime)
    parent = parent_folder(source, catalogue)
    record_parent(folder, source, children(parent)[0])
    same = codec_parent(recipe, catalogue) is not None
    generator, _, _ = open_generator(parent, catalogue, runtime, codec if same else None)
    generator.options = recipe.generate
    return generator
