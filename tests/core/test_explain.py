"""`scarce explain` says who supplies what, in the order of calling, and why others have no part in it."""

from __future__ import annotations

import json
import sys

import pytest

from scarce.catalogue import Catalogue, read_catalogue
from scarce.cli.app import main
from scarce.errors import CapabilityError
from scarce.runs.assembly import check_recipe
from scarce.runs.parents import settled
from scarce.runs.recipe import find_recipe, resolve
from scarce.tools.explain import explain_recipe

TREE = read_catalogue()
OURS = Catalogue(tuple(row for row in TREE.rows if row.distribution.startswith("scarce")))


def explained(name, *overrides, catalogue=OURS):
    recipe = settled(resolve(find_recipe(name, catalogue)[1], overrides=overrides), catalogue)
    return explain_recipe(recipe, catalogue), recipe


def test_parts_stand_in_the_order_of_calling_with_who_brings_them():
    found, _ = explained("galot/table")
    assert [p.path for p in found.parts] == [
        "dataset", "modality", "conditioner.0", "backbone", "acquisition", "acquisition.also.0", "learner", "evaluator.0", "evaluator.1",
        "evaluator.2", "evaluator.3", "executor",
    ]  # fmt: skip
    said = {p.path: (p.stage, p.name, p.distribution) for p in found.parts}
    assert said["acquisition"] == ("acquire", "margin", "scarce-galot")
    assert said["evaluator.3"] == ("evaluate", "privacy", "scarce")
    assert found.parts[1].hooks[:2] == ("modality_load", "modality_codec")
    assert found.refused == ""


def test_capabilities_name_who_needs_and_who_supplies():
    found, _ = explained("galot/table")
    supplies = {s.capability: (s.needed_by, s.supplied_by) for s in found.supplies}
    assert supplies["learner:differentiable"] == (("acquisition",), ("learner",))
    assert supplies["cond:pooled"] == (("backbone",), ("conditioner.0", "core"))
    assert all(by for _, by in supplies.values())


def test_others_say_what_they_lack_or_that_they_are_simply_not_named():
    found, _ = explained("galot/table")
    why = {(o.role, o.name): (o.fits, o.why) for o in found.others}
    assert why["learner", "catboost"] == (False, "does not provide learner:differentiable for acquisition 'margin'")
    assert why["backbone", "dilated"] == (False, "needs space:sequence, which no part provides")
    assert why["acquisition", "bald"] == (True, "fits; the recipe names another")
    assert why["acquisition", "k-centre"] == (False, "needs score:differentiable, which no part provides")
    assert why["strategy", "lora"] == (True, "fits; the recipe does not name it")
    assert not any((o.role, o.name) in {(p.role, p.name) for p in found.parts} for o in found.others)


@pytest.mark.parametrize("name", ["galot/table", "tabular/churn", "galot/shapes"])
def test_what_it_says_of_another_learner_is_what_the_check_does(name):
    found, _ = explained(name)
    verdicts = {o.name: o.fits for o in found.others if o.role == "learner"}
    assert set(verdicts.values()) == ({False} if name == "galot/table" else {True, False})
    for learner, fits in verdicts.items():
        changed = settled(resolve(find_recipe(name, OURS)[1], overrides=[("learner.name", learner)]), OURS)
        if fits:
            check_recipe(changed, OURS)
        else:
            with pytest.raises(CapabilityError):
                check_recipe(changed, OURS)


def test_a_given_generator_brings_parts_and_leaves_no_room_for_others():
    found, _ = explained("galot/shapes")
    brought = {p.path: p.name for p in found.parts if p.why == "brought by generator:shapes"}
    assert brought == {"generator.backbone": "conv-transformer", "generator.conditioner.0": "words"}
    assert {o.why for o in found.others if o.role == "conditioner"} == {"generator:shapes brings its own"}


def test_blocked_ones_say_so_and_a_refused_recipe_is_still_explained(capsys):
    blocked = read_catalogue(block={"scarce-tldr"})
    found, _ = explained("tabular/churn", catalogue=blocked)
    bert = next(o for o in found.others if o.name == "bert")
    assert (bert.fits, bert.why) == (False, "scarce-tldr 0.1.0: blocked by SCARCE_BLOCK")
    assert main(["explain", "galot/table", "--set", "learner.name=catboost", "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert "needs learner:differentiable" in said["refused"]
    assert said["hint"].startswith("for learner:differentiable use learner")
    (supply,) = [s for s in said["supplies"] if s["capability"] == "learner:differentiable"]
    assert (supply["needed_by"], supply["supplied_by"]) == (["acquisition"], [])
    assert main(["explain", "galot/table"]) == 0
    text = capsys.readouterr().out
    assert "learner 'catboost'" in text
    assert "refused" not in text


def test_a_part_that_is_not_installed_is_shown_as_not_there(tmp_path):
    file = tmp_path / "r.toml"
    file.write_text('[data]\nmodality = "tabular"\n[backbone]\nname = "no-such"\n[[evaluator]]\nname = "utility"\n')
    found, _ = explained(str(file))
    assert {p.path: p.distribution for p in found.parts}["backbone"] == "not there"
    assert "backbone 'no-such' is not installed" in found.refused


def test_components_inside_options_stand_beside_their_owner(site, component):
    config = "from scarce.contract import Component, Options\nclass Judge(Options):\n    student: Component['learner']\n"
    manifest = component("evaluator", "judge", config='"acme_judge.config:Judge"')
    files = {"config.py": config, "part.py": "raise AssertionError('explaining imports no component')"}
    site.install("acme-judge", entries={"scarce.evaluators": {"judge": "acme_judge.part:Judge"}}, manifest=manifest, files=files)
    catalogue = read_catalogue()
    asked = [("evaluator.0.name", "judge"), ("evaluator.0.student", {"name": "mlp"})]
    found, _ = explained("tabular/churn", *asked, catalogue=catalogue)
    paths = [p.path for p in found.parts]
    assert paths[paths.index("evaluator.0") + 1] == "evaluator.0.student"
    (inner,) = [p for p in found.parts if p.path == "evaluator.0.student"]
    assert (inner.role, inner.name, inner.why) == ("learner", "mlp", "named in the options of evaluator.0")
    assert "acme_judge.part" not in sys.modules
