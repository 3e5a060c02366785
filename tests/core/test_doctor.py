"""The doctor names everything that is missing at once, with the lines that install it."""

import json

import pytest

from scarce.catalogue import read_catalogue
from scarce.cli.app import main
from scarce.errors import PluginError
from scarce.runs.assembly import check_needs, install_lines
from scarce.runs.recipe import resolve
from scarce.tools.doctor import examine_recipe, installation

NEEDY = """
needs = ["scarce-tabular>=0.1", "numpy", "scarce-absent", "--no-deps gt-none==1.0", "other_absent"]
[data]
modality = "tabular"
source = "builtin:no-such-table"
[backbone]
name = "mlp"
widht = 3
[[conditioner]]
name = "text"
[[evaluator]]
name = "utilty"
[runtime]
trackers = ["no-such-tracker"]
"""


def test_needs_may_carry_pip_flags_and_versions_and_all_missing_ones_are_said_at_once():
    needs = ("scarce-tabular>=0.1", "numpy[extra]", "scarce-absent", "--no-deps gt-none==1.0", "other_absent>=2")
    expected = ["pip install scarce-absent 'other_absent>=2'", "pip install --no-deps gt-none==1.0"]
    assert install_lines(needs) == expected
    assert install_lines(("--no-deps scarce-tabular", "numpy")) == []
    recipe = resolve({"data": {"modality": "tabular"}, "needs": list(needs)})
    with pytest.raises(PluginError) as caught:
        check_needs(recipe, read_catalogue())
    for said in ("scarce-absent", "--no-deps gt-none==1.0", "other_absent>=2", *expected, "scarce doctor"):
        assert said in str(caught.value)
    assert "numpy" not in str(caught.value)


def test_a_needy_recipe_gets_every_problem_with_what_to_do(tmp_path, capsys):
    file = tmp_path / "needy.toml"
    file.write_text(NEEDY)
    assert main(["doctor", str(file), "--json"]) == 1
    facts = json.loads(capsys.readouterr().out)
    assert facts["ready"] is False
    found = {problem["what"]: problem["hint"] for problem in facts["problems"]}
    assert "pip install scarce-absent other_absent" in {p["hint"] for p in facts["problems"]}
    assert "pip install --no-deps gt-none==1.0" in {p["hint"] for p in facts["problems"]}
    for part in ("backbone.widht: unknown option (did you mean 'width'?)", "did you mean 'utility'?", "no-such-tracker", "no-such-table"):
        assert any(part in what for what in found), part
    assert main(["doctor", str(file)]) == 1
    assert "is not ready" in capsys.readouterr().out


def test_a_component_of_a_known_distribution_is_named_with_its_install_line(tmp_path):
    file = tmp_path / "r.toml"
    file.write_text('[data]\nmodality = "tabular"\n[backbone]\nname = "mlp"\n[[evaluator]]\nname = "utility"\n')
    blocked = read_catalogue(block={"scarce-tabular"})
    assert all("SCARCE_BLOCK" in problem.hint for problem in examine_recipe(str(file), blocked))
    absent = type(blocked)(tuple(row for row in blocked.rows if row.distribution != "scarce-tabular"))
    problems = examine_recipe(str(file), absent)
    assert {problem.what.partition(":")[0] for problem in problems} == {"modality", "backbone", "evaluator.0"}
    assert {problem.hint for problem in problems} == {"pip install scarce-tabular"}


def test_installed_recipes_are_ready_and_parts_that_do_not_fit_are_a_problem(tmp_path, capsys):
    assert main(["doctor", "tabular/table"]) == 0
    assert "tabular/table is ready" in capsys.readouterr().out
    file = tmp_path / "lonely.toml"
    file.write_text('[data]\nmodality = "tabular"\n')
    assert [problem.what for problem in examine_recipe(str(file), read_catalogue())] == [
        "backbone: a recipe needs [backbone], or [generator] with from"
    ]


def test_the_installation_is_told_and_a_broken_plugin_fails(site, component, capsys):
    assert main(["doctor", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert set(facts["versions"]) == {"scarce", "python", "torch", "cuda"}
    assert facts["devices"][-1]["device"] == "cpu"
    assert facts["threads"] >= 1
    assert all(free > 0 for free in facts["disk"].values())
    assert facts["plugins"] == []
    site.install("old", manifest=component("evaluator", "late", api="9.0"), entries={"scarce.evaluators": {"late": "old.x:Y"}})
    assert main(["doctor"]) == 1
    assert "pip install --upgrade scarce old" in capsys.readouterr().out


def test_missing_extras_come_with_their_line(monkeypatch):
    lines = ["numpy>=1", 'plotly>=5; extra == "report"', 'gt-none>=1; extra == "other"', 'gt-more; extra == "other"']
    monkeypatch.setattr("scarce.tools.doctor.metadata.requires", lambda name: lines)
    found = installation(read_catalogue())["extras"]
    assert found == [{"extra": "other", "missing": ["gt-none>=1", "gt-more"], "hint": "pip install 'scarce[other]'"}]
