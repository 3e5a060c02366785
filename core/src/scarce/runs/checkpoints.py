"""A checkpoint as the generator of views for data of another modality: opened as it is, with the modality that it makes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from scarce.catalogue.catalogue import Catalogue
from scarce.contract.contexts import CodecContext
from scarce.contract.dataset import Dataset
from scarce.contract.space import State
from scarce.diffusion.process import Process
from scarce.errors import RunError
from scarce.files import read_json, write_json
from scarce.runs.assembly import assemble
from scarce.runs.building import build_model
from scarce.runs.generator import TrainedGenerator
from scarce.runs.parents import origin
from scarce.runs.sections import Recipe
from scarce.runtime.runtime import SharedRuntime


def open_checkpoint(recipe: Recipe, folder: Path, catalogue: Catalogue, runtime: SharedRuntime) -> TrainedGenerator:
    """The generator that a checkpoint is; the run keeps where its weights are and what they hash to.

    Raises RunError where the weights are not those that the run began with.
    """
    source = origin(recipe, catalogue)
    assembly = assemble(source, catalogue, name="generator")
    none = _nothing(assembly.loaded["modality"].options)
    built = build_model(source, assembly, assembly.scope.modality_codec(CodecContext(dataset=none, seed=recipe.seed)), none, runtime, {})
    kept = folder / "model" / "checkpoint.json"
    facts = {"source": built.model.source, "sha256": built.model.sha256}
    if kept.is_file() and read_json(kept) != facts:
        what = f"the weights at {built.model.source} are not those the run began with"
        raise RunError(what, hint="bring the old ones back, or start a new run: scarce run RECIPE")
    write_json(kept, facts)
    space = built.codec.space
    places = (1, space.width, *space.shape) if space.layout == "image" else (1, *space.shape, space.width)
    blank = State(torch.zeros(places), torch.zeros((1, *space.shape, 0), dtype=torch.int64))  # no record is there to fit a prior on
    process = Process.fit(space, built.diffusion, blank).to(runtime.device)
    generator = TrainedGenerator(model=built.model, process=process, codec=built.codec, options=recipe.generate, runtime=runtime)
    generator.scope, generator.modality = assembly.scope, source.data.modality
    return generator


def _nothing(options: object) -> Dataset:
    """A data set without records, whose schema is the modality's options: all that a codec can know of a checkpoint."""
    none = np.zeros(0, dtype=str)
    schema = options.model_dump() if hasattr(options, "model_dump") else {}
    return Dataset(name="", ids=none, records=pd.DataFrame(), labelled=np.zeros(0, dtype=bool), split=none, groups=none, schema=schema)
