"""The schema of recipes takes every packaged recipe and refuses what the recipe reader refuses."""

import copy
import json
import tomllib

import pytest
from jsonschema import Draft202012Validator

from scarce.catalogue import read_catalogue
from scarce.cli.app import main
from scarce.tools.schema import recipe_schema

CATALOGUE = read_catalogue()
RECIPES = [row.name for row in CATALOGUE.entries("recipes") if row.status == "ready"]
NESTED = """
from pydantic import Field
from scarce.contract.options import Component, Options

class Inner(Options):
    depth: int = Field(default=1, ge=1)

class Outer(Options):
    helper: Component["learner"] | None = None
    inner: Inner = Inner()

class Broken(Options):
    what: object.nothing = 1
"""


@pytest.fixture(scope="module")
def validator():
    schema, notes = recipe_schema(CATALOGUE)
    assert notes == []
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def recipe(name="tabular/table"):
    return tomllib.loads(CATALOGUE.recipe_path(name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", RECIPES)
def test_every_packaged_recipe_is_valid(validator, name):
    assert [error.message for error in validator.iter_errors(recipe(name))] == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("train", "stepz"), 10),
        (("train", "steps"), -1),
        (("backbone", "widht"), 10),
        (("backbone", "width"), "wide"),
        (("backbone", "name"), "no-such-network"),
        (("learner", "name"), "utility"),
        (("evaluator", 0, "nonsense"), True),
        (("data", "modality"), "nothing"),
        (("data", "options"), {"nonsense": 1}),
        (("colour",), "red"),
    ],
)
def test_a_wrong_name_option_or_value_is_refused(validator, path, value):
    wrong = copy.deepcopy(recipe())
    node = wrong
    for part in path[:-1]:
        node = node[part]
    node[path[-1]] = value
    assert not validator.is_valid(wrong)


def test_nested_components_are_described_and_a_broken_plugin_is_left_out(site, component):
    parts = [component("strategy", "outer", config='"acme.config:Outer"'), component("evaluator", "broken", config='"acme.config:Broken"')]
    manifest = parts[0] + parts[1].partition("\n")[2]
    entries = {"scarce.strategies": {"outer": "acme.config:Outer"}, "scarce.evaluators": {"broken": "acme.config:Broken"}}
    site.install("acme", manifest=manifest, entries=entries, files={"config.py": NESTED.replace("object.nothing", "int")})
    schema, notes = recipe_schema(read_catalogue())
    assert notes == []
    checker = Draft202012Validator(schema)
    asked = {**recipe(), "strategy": [{"name": "outer", "helper": {"name": "catboost", "iterations": 5}, "inner": {"depth": 2}}]}
    assert [error.message for error in checker.iter_errors(asked)] == []
    for wrong in ({"helper": {"name": "catboost", "iteration": 5}}, {"helper": {"name": "utility"}}, {"inner": {"depth": 0}}):
        assert not checker.is_valid({**recipe(), "strategy": [{"name": "outer", **wrong}]})


def test_a_config_that_cannot_be_imported_becomes_a_note(site, component, capsys):
    entries = {"scarce.evaluators": {"broken": "acme.config:Broken"}}
    files = {"config.py": NESTED}
    site.install("acme", manifest=component("evaluator", "broken", config='"acme.config:Broken"'), entries=entries, files=files)
    assert main(["schema"]) == 0
    said = capsys.readouterr()
    assert "note: evaluator 'broken' of acme is left out" in said.err
    names = [shape["properties"]["name"]["const"] for shape in json.loads(said.out)["$defs"]["role.evaluator"]["oneOf"]]
    assert "utility" in names
    assert "broken" not in names


def test_the_schema_is_written_to_a_file(tmp_path, capsys):
    assert main(["schema", "-o", str(tmp_path / "scarce.json")]) == 0
    assert json.loads((tmp_path / "scarce.json").read_text())["$schema"].endswith("2020-12/schema")
