"""Records of a run: loaded, split, encoded by a codec, and what each one asks for as a prompt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from scarce.catalogue.catalogue import Catalogue
from scarce.contract.condition import Caption, Prompt
from scarce.contract.contexts import CaptionContext, CodecContext, LoadContext
from scarce.contract.dataset import Dataset
from scarce.contract.protocols import Codec
from scarce.errors import DataError, RecipeError, did_you_mean
from scarce.files import write_json
from scarce.host.loading import load_target
from scarce.runs.assembly import Assembly
from scarce.runs.sections import Data, Recipe
from scarce.runs.split import hide_labels, split


def load_data(recipe: Recipe, assembly: Assembly, catalogue: Catalogue, *, memory: Any = None) -> Dataset:
    """Records, split and with labels hidden as the recipe asks; `memory` are records given from Python."""
    dataset = read_records(recipe.data, recipe.seed, assembly, catalogue, memory=memory)
    return hide_labels(split(dataset, recipe.seed, recipe.data.shares), recipe.data.labelled, recipe.seed)


def read_records(section: Data, seed: int, assembly: Assembly, catalogue: Catalogue, *, memory: Any = None) -> Dataset:
    """Records as the modality loads them, not split yet."""
    source: Any = memory if memory is not None else section.source
    if source is None:
        raise RecipeError("data.source: nothing to load", hint="scarce run RECIPE --data FILE, or scarce data list")
    builtin = None
    if isinstance(source, str):
        source, builtin = _find(source, catalogue)
    ctx = LoadContext(
        source=source, target=section.target, seed=seed, builtin=builtin, group=section.group, missing=section.missing,
        schema=None if section.schema_file is None else Path(section.schema_file), hold=section.hold,
    )  # fmt: skip
    return assembly.scope.modality_load(ctx)


def viewed_rows(dataset: Dataset) -> npt.NDArray[np.int64]:
    """Records that another modality's generator makes a view of: labelled training ones, and at most as many validation ones.

    Where few records are labelled a large validation split would not exist either; test records never have a view.
    """
    train, held = (rows[dataset.labelled[rows]] for rows in (dataset.rows("train"), dataset.rows("validation")))
    return np.concatenate([train, held[: len(train)]])


def view_prompts(dataset: Dataset, recipe: Recipe, assembly: Assembly, codec: Codec, rows: npt.NDArray[np.int64]) -> list[Prompt]:
    """What a view of each record is asked by: its caption and nothing of its label.

    Raises RecipeError where `generate.prompt` is a template, which would name the label.
    """
    if "{}" in recipe.generate.prompt:
        what = "generate.prompt: a view is made from a caption of its record; a template with {} would hand it the label"
        raise RecipeError(what, hint="--set generate.prompt=STYLE, a caption style of the data's modality")
    return [replace(prompt, label=None) for prompt in record_prompts(dataset, recipe, assembly, codec, rows)]


def training_prompts(dataset: Dataset, recipe: Recipe, assembly: Assembly, codec: Codec) -> list[Prompt]:
    """A prompt per record for training; unlabelled and test records have no caption, so nothing of them is embedded."""
    style = recipe.train.prompt or recipe.generate.prompt
    if "{}" in style:
        return record_prompts(dataset, recipe, assembly, codec, style=style)
    rows = np.flatnonzero(dataset.labelled & (dataset.split != "test"))
    asked = dict(zip(rows.tolist(), record_prompts(dataset, recipe, assembly, codec, rows, style), strict=True))
    labels = dataset.target if dataset.task == "classification" and dataset.target is not None else np.full(len(dataset), None)
    return [asked.get(row, Prompt(label=label)) for row, label in enumerate(labels)]


def describer(recipe: Recipe, assembly: Assembly, codec: Codec) -> Callable[[Any], list[Caption]] | None:
    """Captions of any records in the style of the recipe's prompts; None where prompts are no captions."""
    if "{}" in recipe.generate.prompt:
        return None
    style, seed = recipe.generate.prompt, recipe.seed
    return lambda records: assembly.scope.modality_caption(CaptionContext(records=records, style=style, seed=seed, codec=codec))


def labelled_rows(dataset: Dataset) -> npt.NDArray[np.int64]:
    """Training rows whose label or caption is known; all of them where none is."""
    rows = dataset.rows("train")
    known = rows[dataset.labelled[rows]]
    return known if len(known) else rows


def _find(source: str, catalogue: Catalogue) -> tuple[str, Callable[[], Any] | None]:
    """A path, or an installed data set and its loader: an existing path wins over a bare name."""
    kind, _, rest = source.partition(":")
    if kind == "path":
        return rest, None
    names = {row.name: row for row in catalogue.entries("datasets")}
    if kind == "builtin" and rest not in names:
        what = f"data.source: no built-in data set '{rest}'{did_you_mean(rest, list(names))}"
        raise DataError(what, hint="scarce data list")
    if kind == "builtin" or (source in names and not Path(source).exists()):
        name = rest if kind == "builtin" else source
        return name, load_target(catalogue.find("dataset", name))
    return source, None


def make_codec(dataset: Dataset, assembly: Assembly, recipe: Recipe, folder: Path, parent: Path | None = None) -> Codec:
    """The codec of a run: read back when the folder has one, else fitted on the training rows and kept.

    parent: the folder of a generator of this modality that the run uses or goes on from; its codec is then the run's, with
    the target and classes of the run's own data where the modality lets them differ.
    """
    saved = folder / "model" / "codec"
    if (saved / "done.json").is_file():
        return assembly.scope.modality_codec(CodecContext(dataset=dataset, seed=recipe.seed, saved=saved))
    given = None if parent is None else parent / "model" / "codec"
    codec = assembly.scope.modality_codec(CodecContext(dataset=dataset, seed=recipe.seed, saved=given))
    saved.mkdir(parents=True, exist_ok=True)
    codec.save(saved)
    write_json(saved / "done.json", {"space": codec.space.to_json()})
    return codec


def record_prompts(dataset: Dataset, recipe: Recipe, assembly: Assembly, codec: Codec, rows: Any = None, style: str = "") -> list[Prompt]:
    """The prompt of each record: its label, and a template or caption style, `generate.prompt` where none is given.

    codec: the one fitted on this data's training rows.
    """
    style = style or recipe.generate.prompt
    part = dataset if rows is None else dataset.part(rows)
    labels = part.target if part.task == "classification" and part.target is not None else np.full(len(part), None)
    if "{}" in style:
        return [Prompt(label=v, text=style.format(v)) for v in labels]
    ctx = CaptionContext(records=part.records, style=style, seed=recipe.seed, ids=part.ids.tolist(), codec=codec)
    captions = assembly.scope.modality_caption(ctx)
    return [Prompt(label=v, text=c.text, props=c.props) for v, c in zip(labels, captions, strict=True)]
