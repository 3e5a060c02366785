"""The doctor examines a plugin in a process of its own: healthy, wrong, hanging and crashing ones."""

from __future__ import annotations

import json

import pytest

from scarce.cli.app import main

SCORE = """
from torch import Tensor

from scarce.contract import AcquisitionSpec, ScoreContext, hookimpl


class First(AcquisitionSpec):
    @hookimpl
    def acquisition_score(self, ctx: ScoreContext) -> Tensor:
        return ctx.logits[:, 0]
"""


@pytest.fixture
def install(site, component):
    """Installs a distribution of one acquisition whose module is a text."""

    def write(name: str, text: str, **extra: str) -> None:
        entries = {"scarce.acquisitions": {name: f"{name.replace('-', '_')}.score:First"}}
        site.install(name, manifest=component("acquisition", name, **extra), entries=entries, files={"score.py": text}, version="2.5")

    return write


def examined(site, *arguments: str) -> tuple[int, dict]:
    done = site.run("-m", "scarce", "doctor", *arguments, "--json")
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, json.loads(done.stdout)


def test_a_healthy_plugin_is_told_with_what_its_import_costs(site, install):
    install("acme-fine", SCORE + "\nimport plotly\nprint('no JSON of ours', end='')\n")
    code, facts = examined(site, "acme-fine")
    assert (code, facts["plugin"], facts["healthy"]) == (0, "acme-fine", True)
    (part,) = facts["components"]
    assert (part["distribution"], part["version"], part["problem"]) == ("acme-fine", "2.5", "")
    assert part["import"]["heavy"] == ["plotly"]
    assert part["import"]["seconds"] > 0
    results = {o["check"]: o["result"] for o in part["report"]["outcomes"]}
    assert {results[check] for check in ("manifest", "import", "hooks", "memory", "same-seed", "global-random")} == {"passed"}


def test_a_wrong_plugin_fails_with_the_check_and_the_reason(site, install):
    install("acme-wrong", SCORE.replace("-> Tensor", "-> list[float]"))
    done = site.run("-m", "scarce", "doctor", "acme-wrong")
    assert done.returncode == 1
    head, _, row = done.stdout.splitlines()[:3]
    assert head.split()[:4] == ["component", "manifest", "import", "hooks"]
    assert row.split()[:5] == ["acquisition", "acme-wrong", "ok", "ok", "FAILED"]
    assert "hooks: acquisition_score: what it returns is annotated list[float], and the spec says Tensor" in done.stdout
    assert "acme-wrong is not healthy" in done.stdout


@pytest.mark.parametrize(
    ("text", "said"),
    [("import time\ntime.sleep(600)\n", "did not end within 4 s"), ("import os\nos._exit(7)\n", "ended the process with code 7")],
    ids=["hangs", "crashes"],
)
def test_an_import_that_never_comes_back_is_bounded_and_blamed(site, install, text, said):
    install("acme-lost", text)
    code, facts = examined(site, "acme-lost", "--seconds", "4")
    (part,) = facts["components"]
    assert (code, facts["healthy"]) == (1, False)
    assert f"acquisition 'acme-lost' of acme-lost 2.5: importing acme_lost.score:First {said}" in part["problem"]
    assert "SCARCE_BLOCK=acme-lost" in part["hint"]
    assert "pip install --upgrade acme-lost" in part["hint"]


def test_a_malformed_plugin_is_examined_as_far_as_it_goes(site, component):
    site.install("acme-half", manifest=component("acquisition", "acme-half"), version="1.0")
    code, facts = examined(site, "acme-half")
    outcomes = {o["check"]: o for o in facts["components"][0]["report"]["outcomes"]}
    assert code == 1
    assert outcomes["manifest"]["result"] == "failed"
    assert "no entry point" in outcomes["manifest"]["said"]
    assert outcomes["answers"]["result"] == "skipped"


def test_options_are_given_with_set(site, install):
    config = "from pydantic import Field\nfrom scarce.contract.options import Options\n\n\nclass Needy(Options):\n    scale: float\n"
    text = SCORE.replace(
        "    @hookimpl", "    def __init__(self, options: object) -> None:\n        self.options = options\n\n    @hookimpl"
    )
    install("acme-needy", text, config='"acme_needy.config:Needy"')
    (site.folder / "acme_needy" / "config.py").write_text(config)
    assert examined(site, "acme-needy", "--set", "scale=2")[0] == 0
    code, facts = examined(site, "acme-needy")
    assert code == 1
    assert "acquisition.scale: is required" in facts["components"][0]["report"]["outcomes"][1]["said"]


def test_an_unknown_name_is_no_plugin_and_no_recipe(capsys):
    assert main(["doctor", "scarce-tabullar"]) == 2
    assert "did you mean 'scarce-tabular'?" in capsys.readouterr().err
