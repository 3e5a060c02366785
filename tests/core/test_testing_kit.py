"""What the kit says: reports, known failures, options, and mistakes in how it is asked."""

from __future__ import annotations

import json

import pytest
import torch

from scarce.errors import PluginError
from scarce.testing import Case, Data, Outcome, Report, check_component, components

SCORE = """
from torch import Tensor

from scarce.contract import AcquisitionSpec, ScoreContext, hookimpl


class Slope(AcquisitionSpec):
    @hookimpl
    def acquisition_score(self, ctx: ScoreContext) -> Tensor:
        return ctx.logits[:, 0].detach()
"""


@pytest.fixture
def slope(site, component):
    """A score that claims a gradient and has none."""
    manifest = component("acquisition", "acme-slope", provides='["score:differentiable"]')
    entries = {"scarce.acquisitions": {"acme-slope": "acme_slope.score:Slope"}}
    site.install("acme-slope", manifest=manifest, entries=entries, files={"score.py": SCORE})
    return site


def test_a_failure_is_reported_with_its_check_and_raised_when_asked(slope):
    report = check_component("acquisition", "acme-slope")
    assert report.failed == ("score:differentiable",)
    assert "failed  score:differentiable: the score has no gradient" in report.text()
    assert "skipped config-round-trip, config-unknown, config-frozen, config-light: it takes no options" in report.text()
    with pytest.raises(AssertionError, match=r"acquisition .acme-slope. of acme-slope 1\.0"):
        report.require()
    facts = json.loads(json.dumps(report.to_json()))
    assert (facts["passed"], facts["outcomes"][0]["check"]) == (False, "manifest")


def test_a_declared_failure_passes_with_its_reason_and_one_that_holds_is_an_error(slope):
    report = check_component("acquisition", "acme-slope", known_failures={"score:differentiable": "it is a toy"})
    assert report.passed
    assert "known   score:differentiable: it is a toy (the score has no gradient)" in report.text()
    known = {"certain": "it was so once", "score:differentiable": "it is a toy"}
    stale = check_component("acquisition", "acme-slope", known_failures=known)
    assert stale.failed == ("certain",)
    assert "take the reason out" in stale.text()


def test_a_check_or_a_component_that_is_not_there_is_named(slope):
    with pytest.raises(PluginError, match="did you mean 'permutation'"):
        check_component("acquisition", "acme-slope", known_failures={"permutations": "…"})
    with pytest.raises(PluginError, match="did you mean 'margin'"):
        check_component("acquisition", "margn")
    with pytest.raises(PluginError, match="did you mean 'scarce-galot'"):
        components("scarce-galott")
    with pytest.raises(PluginError, match="acme-slope has no 'acquisition acme-slop'"):
        components("acme-slope", {"acquisition acme-slop": Case()})


def test_cases_reach_their_component(slope, request):
    def run(case: Case) -> None:
        made = components("acme-slope", {"acquisition acme-slope": case})
        assert [mark.name for mark in made.pytestmark] == ["parametrize"]
        made("acquisition acme-slope", request)

    with pytest.raises(AssertionError, match="score:differentiable"):
        run(Case())
    run(Case(known_failures={"score:differentiable": "it is a toy"}))
    with pytest.raises(pytest.skip.Exception, match="not today"):
        run(Case(skip="not today"))
    with pytest.raises(pytest.skip.Exception, match="it needs no_such_module"):
        run(Case(needs="no_such_module"))
    with pytest.raises(AssertionError, match="takes no options"):
        run(Case(options=lambda request: {"scale": 2}))


def test_options_that_are_wrong_are_a_failed_import():
    report = check_component("conditioner", "label", options={"width": 0})
    assert report.failed == ("import",)
    assert "conditioner.0.width: must be ≥ 1" in report.text()
    assert {o.result for o in report.outcomes[2:]} == {"skipped"}


def test_other_records_and_other_parts_can_be_given():
    for data in (Data(modality="kit-sequence"), Data(modality="kit-image", rows=48)):
        check_component(
            "conditioner", "words", data=data, recipe={"diffusion": {"steps": 4, "target": "eps", "prior": "standard"}}
        ).require()


def test_the_toys_pass_their_own_kit_and_threads_and_gradients_are_as_before():
    threads = torch.get_num_threads()
    for role, name in (("modality", "kit-vector"), ("modality", "kit-sequence"), ("modality", "kit-image"), ("backbone", "kit-net")):
        check_component(role, name).require()
    assert torch.get_num_threads() == threads
    assert torch.is_grad_enabled()


def test_a_report_counts_and_passes_without_failures():
    outcomes = (Outcome(check="a", result="passed", seconds=0.5), Outcome(check="b", result="known", said="so", seconds=1.0))
    report = Report(role="learner", name="x", outcomes=outcomes)
    assert (report.passed, report.seconds) == (True, 1.5)
    assert report.text().splitlines()[-1] == "  1 checks passed in 1.5 CPU s"
