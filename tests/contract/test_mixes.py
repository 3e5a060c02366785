"""Named mixes of parts of several distributions, end to end, each to a number. `tiny.MIXES` says what they are for the page."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from tiny import MIXES, tree

from scarce.files import read_json
from scarce.runs.experiment import Experiment, carry_out, prepare
from scarce.runs.recipe import Recipe, find_recipe, resolve
from scarce.testing.toys import pictures, vectors

COMMON = {
    "learner": {"name": "mlp", "steps": 60, "width": 16},
    "runtime": {"threads": 1, "precision": "fp32"},
}
IMAGES = {
    **COMMON,
    "data": {"modality": "images", "source": "memory", "target": "side", "options": {"size": 16}},
    "generate": {"steps": 8, "count": 40},
    "evaluator": [{"name": "image-accuracy"}],
}
NETWORK = {
    "backbone": {"name": "conv-transformer", "width": 24, "layers": 1, "heads": 2, "channels": 8},
    "conditioner": [{"name": "label", "width": 8}],
    "diffusion": {"steps": 100, "target": "v"},
    "train": {"steps": 150, "batch": 16, "rate": 3e-3, "warmup": 10, "ema": 0.95},
}
TABLE = {
    **COMMON,
    "data": {"modality": "tabular", "source": "memory", "target": "side", "labelled": 0.3},
    "backbone": {"name": "mlp", "width": 32, "layers": 2},
    "conditioner": [{"name": "label", "width": 8}],
    "diffusion": {"target": "v"},
    "train": {"steps": 200, "batch": 64},
    "generate": {"steps": 10, "count": 100},
    "evaluator": [{"name": "utility"}],
}


def run(folder, recipe, records):
    """The results of a run whose folder others can build on, without a report."""
    settled = recipe if isinstance(recipe, Recipe) else resolve(recipe)
    experiment = Experiment(folder.name, settled, folder, tree(), memory=records)
    prepare(experiment)
    carry_out(experiment)
    out = read_json(folder / "metrics.json")
    assert [m["error"] for m in out["metrics"] if m["error"]] == []
    return out


def accuracy(out, source):
    return next(m["value"] for m in out["metrics"] if (m["name"], m["source"]) == ("accuracy", source))


def tinted(n):
    """Pictures of another kind: the same sides, in dim green."""
    found = pictures(n, seed=5)
    cells = [(cell * np.array([0.4, 0.8, 0.4])).astype(np.uint8) for cell in found["image"]]
    return found.assign(image=pd.Series(cells, dtype=object))


def waves(n):
    """Pictures that differ in four smooth patterns along their width, one of which says the side."""
    rng, found = np.random.default_rng(1), pictures(n)
    patterns = np.stack([np.cos(np.pi * k * (np.arange(16) + 0.5) / 16) for k in range(4)])
    weights = rng.normal(0, 25, (n, 4))
    weights[:, 1] = np.where(found["side"] == "left", 60, -60) + rng.normal(0, 10, n)
    cells = [np.broadcast_to((128 + w @ patterns)[None, :, None], (16, 16, 3)).clip(0, 255).astype(np.uint8) for w in weights]
    return found.assign(image=pd.Series(cells, dtype=object))


@pytest.fixture(scope="module")
def parent(tmp_path_factory):
    """A run that learnt to draw bright sides."""
    folder = tmp_path_factory.mktemp("parent") / "run"
    out = run(folder, {**IMAGES, **NETWORK, "train": {**NETWORK["train"], "steps": 250}}, pictures(96))
    assert accuracy(out, "synthetic") > 0.8
    return folder


def test_barrier_x_lora_x_per_class_on_images(tmp_path):
    strategy = [
        {"name": "two-stage", "steps": 60},
        {"name": "barrier", "draws": 4, "rows": 32},
        {"name": "per-class", "epochs": 30, "batch": 8, "rate": 5e-3, "warmup": 5},
        {"name": "lora", "rank": 4},
    ]
    data = {**IMAGES["data"], "labelled": 0.5}
    out = run(tmp_path / "r", {**IMAGES, **NETWORK, "data": data, "strategy": strategy}, pictures(96))
    plan = {p["name"]: p for p in read_json(tmp_path / "r" / "plan.json")}
    assert set(plan) == {"pretrain", "finetune-left", "finetune-right"}
    for name in ("finetune-left", "finetune-right"):
        assert (plan[name]["start"], plan[name]["update"]) == ("pretrain", "strategy.1")
        assert [(a["owner"], a["target"]) for a in plan[name]["adapters"]] == [("strategy.3", "backbone")]
    assert read_json(tmp_path / "r" / "model" / "routing.json") == {"left": "finetune-left", "right": "finetune-right"}
    found = accuracy(out, "synthetic")
    assert found > 0.8
    print("accuracy of samples", found)


def test_two_stage_on_a_table(tmp_path):
    out = run(tmp_path / "r", {**TABLE, "strategy": [{"name": "two-stage", "steps": 150}]}, vectors(240))
    first, second = read_json(tmp_path / "r" / "plan.json")
    assert {t["condition"] for t in first["terms"]} == {"null"}
    assert {t["rows"] for t in second["terms"]} == {"labelled"}
    found = accuracy(out, "synthetic")
    assert found > 0.85
    assert accuracy(out, "marginals") < found
    print("accuracy of samples", found)


def test_galot_after_datadream(parent, tmp_path):
    shots = {**IMAGES, "data": {**IMAGES["data"], "labelled": "8 per class"}}
    adapt = {"name": "all-classes", "epochs": 60, "batch": 8, "rate": 2e-3, "warmup": 5}
    dreamt = run(tmp_path / "dream", {**shots, "generator": {"from": f"run:{parent}"}, "strategy": [adapt]}, tinted(96))
    assert accuracy(dreamt, "synthetic") > 0.8
    climb = {"name": "margin", "epsilon": 0.4, "schedule": "constant", "steps": 5, "images": 8, "grad_steps": 8, "warmup": 0.0}
    generate = {"steps": 8, "count": 20, "rounds": 2}
    active = {**shots, "generator": {"from": f"run:{tmp_path / 'dream'}"}, "acquisition": climb, "generate": generate}
    unsure = {"name": "mlp", "steps": 12, "width": 16, "dropout": 0.0}  # after 60 steps nothing is left to be unsure of
    run(tmp_path / "active", {**active, "learner": unsure, "evaluator": [{"name": "rounds"}]}, tinted(96))
    assert set(read_json(tmp_path / "active" / "parents.json")) == {f"run:{tmp_path / 'dream'}"}
    rounds = [read_json(file) for file in sorted((tmp_path / "active" / "rounds").glob("*/round.json"))]
    assert [said["gate"] for said in rounds] == ["open", "open"]
    assert min(said["gain"] for said in rounds) > 0.01
    assert min(said["label_accuracy"] for said in rounds) > 0.8
    print("gain by round", [round(said["gain"], 3) for said in rounds])
    print("label accuracy before, after", [(said["label_accuracy_before"], said["label_accuracy"]) for said in rounds])


def test_acquisition_as_a_filter_on_tables(tmp_path):
    chosen = {"name": "margin", "mode": "select", "factor": 2.0, "warmup": 0.0}
    generate = {**TABLE["generate"], "count": 40, "rounds": 2}
    recipe = {**TABLE, "acquisition": chosen, "generate": generate, "evaluator": [{"name": "rounds"}, {"name": "utility"}]}
    out = run(tmp_path / "r", recipe, vectors(240))
    rounds = [read_json(file) for file in sorted((tmp_path / "r" / "rounds").glob("*/round.json"))]
    for said in rounds:
        assert said["score_after"] > said["score_before"]
        assert "moved" not in said  # nothing was climbed
    assert out["counts"]["synthetic"] == 80  # the second round makes twice as many, and keeps half of what it makes
    print("score before, after", [(round(said["score_before"], 3), round(said["score_after"], 3)) for said in rounds])


def test_the_rank_rule_on_image_adapters(parent, tmp_path):
    recipe = {**IMAGES, "generator": {"from": f"run:{parent}"}, "strategy": [{"name": "lora", "rank": "energy", "max_rank": 8}]}
    out = run(tmp_path / "r", {**recipe, "train": {"steps": 40, "batch": 16}}, waves(96))
    (phase,) = read_json(tmp_path / "r" / "plan.json")
    (adapter,) = phase["adapters"]
    assert adapter["options"]["rank"] == energy_rank(waves(96), tmp_path / "r")
    assert math.isfinite(accuracy(out, "synthetic"))
    assert out["cost"]["trainable"] < 0.3 * out["cost"]["parameters"]
    print("rank", adapter["options"]["rank"])


def energy_rank(records, folder):
    """How many directions hold 95 % of the training pictures' spread, each pixel in units of its own."""
    from scarce.runs.opening import open_generator

    generator, _, _ = open_generator(folder, tree())
    pixels = generator.codec.encode(records).num.double().flatten(1).numpy()
    spread = pixels.std(0)
    scaled = np.where(spread > 1e-12, (pixels - pixels.mean(0)) / spread.clip(1e-12), 0.0)
    energy = np.linalg.svd(scaled, compute_uv=False) ** 2
    return int(np.searchsorted(energy.cumsum() / energy.sum(), 0.95) + 1)


def test_lugpi_with_a_generated_view_of_series(tmp_path):
    size = {"backbone.channels": 24, "train.steps": 300, "generate.steps": 8, "evaluator": []}
    run(tmp_path / "signals", named("lugpi/signals", size), None)
    student = {"name": "mlp", "steps": 100}
    views = {"generator.from": f"run:{tmp_path / 'signals'}", "generate.steps": 8, "data.labelled": 200}
    taught = {"learner.student": student, "learner.teacher.steps": 100, "learner.alpha": 1.0, "learner.gate": False}
    out = run(tmp_path / "r", named("lugpi/series", {**views, **taught, "learner.controls": ["baseline", "shuffled"]}), None)
    assert read_json(tmp_path / "r" / "parents.json")
    gained = {m["source"]: m["value"] for m in out["metrics"] if m["name"] == "accuracy_gain"}
    assert gained["baseline"] > 0.03
    assert gained["shuffled"] > 0.03
    print("accuracy over", gained)


def named(recipe, settings):
    """A packaged recipe at preset `test` under these settings."""
    return resolve(find_recipe(recipe, tree())[1], preset="test", overrides=settings.items())


def test_every_mix_of_the_page_is_run_here():
    here = {name.removeprefix("test_").replace("_", " ") for name in globals() if name.startswith("test_")}
    assert {"".join(name.lower().replace("`", "")).replace("-", " ") for name in MIXES} <= here
