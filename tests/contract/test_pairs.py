"""Every modality with every strategy, acquisition and learner: what the check lets through runs, what it refuses would fail.

The pairs come from the catalogue. `docs/compatibility.md` shows the same verdicts (make matrix).
"""

from __future__ import annotations

import importlib.util
import json
import math
from pathlib import Path

import pytest
from tiny import (
    ALONE,
    BASES,
    ELSEWHERE,
    VOCABULARY,
    Pair,
    carry_out,
    forced,
    named,
    pairs,
    part,
    recipe_of,
    records_of,
    tree,
    verdict,
)
from weights import bert_folder, clip_folder

from scarce.files import read_json

ROOT = Path(__file__).parents[2]
CATALOGUE = tree()
PAIRS = list(pairs(CATALOGUE))
VERDICTS = {pair: verdict(pair, CATALOGUE) for pair in PAIRS}
WORKING = [pair for pair, found in VERDICTS.items() if found.works]
REFUSED = [pair for pair, found in VERDICTS.items() if not found.works]
FLAT = [pair for pair in WORKING if VERDICTS[pair].how == "select"]
"""Scores that no gradient passes: they select, and an ascent of them is refused."""


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    """Name in `tiny.SMALL` -> a folder of tiny weights."""
    home = tmp_path_factory.mktemp("weights")
    return {"clip": str(clip_folder(home / "clip")), "bert": str(bert_folder(home / "bert", VOCABULARY))}


@pytest.fixture(scope="session")
def plain_plans(tmp_path_factory):
    """Modality -> its plan without a strategy."""
    out = {}
    for modality, base in BASES.items():
        if base.recipe:
            folder, pair = tmp_path_factory.mktemp("plain"), Pair(modality, "strategy", "augment")
            carry_out(recipe_of(pair, strategy=[]), records_of(pair), folder, CATALOGUE)
            out[modality] = read_json(folder / "plan.json")
    return out


def test_the_pairs_cover_what_is_installed():
    assert {row.name for row in named(CATALOGUE, "modality")} == set(BASES)
    for role in ("strategy", "acquisition", "learner"):
        missing = {row.name for row in named(CATALOGUE, role)} - {pair.name for pair in PAIRS if pair.role == role}
        assert missing <= set(ELSEWHERE)
    assert {(pair.modality, pair.name) for pair in WORKING} >= set(ALONE)
    assert len(REFUSED) > 20
    assert FLAT


@pytest.mark.parametrize("pair", WORKING, ids=str)
def test_a_pair_that_passes_the_check_runs(pair, folders, plain_plans, tmp_path):
    how = VERDICTS[pair].how
    out = carry_out(recipe_of(pair, how, folders), records_of(pair), tmp_path / "r", CATALOGUE)
    assert [m["error"] for m in out["metrics"] if m["error"]] == []
    assert any(math.isfinite(m["value"]) for m in out["metrics"])
    if pair.role == "strategy":
        assert out["counts"]["synthetic"] == 12
        assert read_json(tmp_path / "r" / "plan.json") != plain_plans[pair.modality]
    elif pair.role == "acquisition":
        said = read_json(tmp_path / "r" / "rounds" / "01" / "round.json")
        assert said["gate"] == "open"
        assert math.isfinite(said["gain"] if how == "ascend" else said["score_after"])
    else:
        assert {m["source"] for m in out["metrics"] if m["name"] == "accuracy"} >= (
            {"real", "both"} if BASES[pair.modality].recipe else {"real"}
        )


@pytest.mark.parametrize("pair", REFUSED, ids=str)
def test_a_refused_pair_that_is_run_all_the_same_fails(pair, folders, tmp_path, monkeypatch):
    monkeypatch.setattr("scarce.runs.assembly.check", lambda *_, **__: None)
    recipe = forced(pair, "select" if pair.role == "acquisition" else "", folders)
    with pytest.raises(Exception) as caught:  # noqa: PT011 - which one it is depends on where the parts meet first
        carry_out(recipe, records_of(pair), tmp_path / "r", CATALOGUE)
    assert not isinstance(caught.value, AssertionError)
    assert not (tmp_path / "r" / "metrics.json").exists()


@pytest.mark.parametrize("pair", FLAT, ids=str)
def test_an_ascent_of_a_score_without_gradient_fails_when_forced(pair, folders, tmp_path, monkeypatch):
    monkeypatch.setattr("scarce.runs.assembly.check", lambda *_, **__: None)
    with pytest.raises(Exception, match="no gradient of the score reaches the embedding"):
        carry_out(recipe_of(pair, "ascend"), records_of(pair), tmp_path / "r", CATALOGUE)


@pytest.mark.parametrize("name", ["coreset", "bald", "margin"])
def test_a_score_fails_on_a_learner_without_what_it_needs(name, tmp_path, monkeypatch):
    pair = Pair("tabular", "acquisition", name)
    recipe = recipe_of(pair, "ascend", learner=part("learner", "catboost"))
    monkeypatch.setattr("scarce.runs.assembly.check", lambda *_, **__: None)
    with pytest.raises(Exception, match=r"logits|embed|passes"):
        carry_out(recipe, records_of(pair), tmp_path / "r", CATALOGUE)


def test_the_page_of_compatibility_is_current():
    spec = importlib.util.spec_from_file_location("matrix", ROOT / "tests" / "docs" / "matrix.py")
    matrix = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(matrix)
    assert matrix.page() == matrix.PAGE.read_text(encoding="utf-8"), "make matrix"
    assert json.dumps(matrix.page()).count("refused") > 3
