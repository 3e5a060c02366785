"""Curves per caption: the words asked, the real series that has them, and what was drawn for them."""

import numpy as np
import pytest

import scarce
from scarce.files import read_json
from scarce_timeseries.caption import word

WORDS = {"generate.prompt": "binned", "conditioner": [{"name": "words"}], "learner": None}
ANSWERS = {"evaluator": [{"name": "answers", "captions": 3, "samples": 4}]}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    home = tmp_path_factory.mktemp("answers")
    return scarce.run("timeseries/series", data="builtin:sinusoids", preset="test", out=home / "run", quiet=True, set={**WORDS, **ANSWERS})


def figures(run):
    return [f for f in read_json(run.folder / "figures.json") if f["name"].startswith("answer")]


def test_each_caption_shows_the_real_series_it_describes_beside_what_was_drawn_for_it(run):
    found = figures(run)
    assert [f["name"] for f in found] == ["answer 1", "answer 2", "answer 3"]
    assert len({f["title"] for f in found}) == 3
    edges = read_json(run.folder / "model" / "codec" / "codec.json")["edges"]["mean"]
    for figure in found:
        assert figure["section"] == "control"
        assert [t["name"] for t in figure["traces"]] == ["synthetic"] * 4 + ["real"]
        assert len({tuple(t["y"]) for t in figure["traces"]}) == 5
        real = figure["traces"][-1]["y"]
        assert f"mean {word(float(np.mean(real)), edges)}," in figure["title"]  # the caption is that of the series shown
    assert "series drawn for this caption" in run.report.read_text(encoding="utf-8")


def test_without_captions_nothing_is_drawn_and_nothing_fails(tmp_path):
    sets = {**ANSWERS, "learner": None}
    plain = scarce.run("timeseries/series", data="builtin:sinusoids", preset="test", out=tmp_path / "run", quiet=True, set=sets)
    assert figures(plain) == []
    assert [m for m in plain.metrics if m["error"]] == []
