"""A record may have a caption and no class, as a composition of two actions has: it teaches a generator, and no learner."""

from dataclasses import replace

import numpy as np
import pytest

from scarce.catalogue import read_catalogue
from scarce.contract import TrainingPart
from scarce.runs import run as runs
from scarce.runs.assembly import assemble
from scarce.runs.loading import load_data, make_codec
from scarce.runs.recipe import resolve
from scarce.runs.run import Job, judge
from scarce.runtime.runtime import SharedRuntime
from scarce.testing.toys import sequences

pytest.importorskip("scarce_timeseries")


def test_a_captioned_record_without_a_class_teaches_no_learner(tmp_path, monkeypatch):
    given, learn = [], runs.learn
    monkeypatch.setattr(runs, "learn", lambda *rest: given.append(rest[3]) or learn(*rest))
    recipe = resolve({
        "data": {"modality": "motion", "source": "memory", "target": "side"}, "backbone": {"name": "motion-transformer"},
        "learner": {"name": "conv", "steps": 4, "batch": 16, "channels": 8, "layers": 1}, "evaluator": [{"name": "accuracy"}],
        "runtime": {"precision": "fp32", "threads": 1},
    })  # fmt: skip
    catalogue = read_catalogue()
    assembly = assemble(recipe, catalogue, name="data")
    dataset = load_data(recipe, assembly, catalogue, memory=sequences(48).rename(columns={"series": "motion"}))
    target = dataset.target.copy()
    target[(without := dataset.rows("train")[:7])] = None
    dataset = replace(dataset, target=target, labelled=np.ones(len(dataset), dtype=bool))  # all have captions
    runtime, codec = SharedRuntime(seed=0, options=recipe.runtime, folder=tmp_path), make_codec(dataset, assembly, recipe, tmp_path)
    nothing = TrainingPart(records=[], target=np.zeros(0))
    found = judge(Job(recipe, tmp_path, catalogue), dataset, codec, None, nothing, assembly, runtime, {})
    assert [m["error"] for m in found["metrics"] if m["error"]] == []
    [sources] = given
    [real] = sources["real"]
    assert set(real.ids) == set(dataset.ids[np.setdiff1d(dataset.rows("train"), without)])
    assert None not in real.target.tolist()
    assert ("accuracy", "real") in {(m["name"], m["source"]) for m in found["metrics"]}
