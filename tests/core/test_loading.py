"""One plugin by name: options first, then the target; every failure names who and why."""

from __future__ import annotations

import sys

import pytest

from scarce.errors import PluginError, RecipeError
from scarce.host import build, load_options, nested

CONFIG = """
from typing import Literal
from pydantic import BaseModel, Field, model_validator
from scarce.contract.options import Component, Options

class Ramp(BaseModel, extra="forbid"):
    length: int | float = Field(10, gt=0)

class Nudge(Options):
    rank: int = Field(4, ge=1)
    mode: Literal["a", "b"] = "a"
    ramp: Ramp = Ramp()
    student: Component["learner"] | None = None

    @model_validator(mode="after")
    def odd(self):
        if self.rank == 13:
            raise ValueError("rank may not be 13")
        return self
"""
TARGET = "class Nudge:\n    def __init__(self, options):\n        self.options = options\n"
MANIFEST = {"config": '"acme_nudge.config:Nudge"'}


@pytest.fixture
def nudge(site, component):
    def make(target=TARGET, config=CONFIG, value="acme_nudge.strategy:Nudge", **extra):
        files = {"strategy.py": target, "config.py": config}
        manifest = component("strategy", "nudge", **(extra or MANIFEST))
        site.install("acme-nudge", entries={"scarce.strategies": {"nudge": value}}, manifest=manifest, files=files)
        return site.catalogue()

    return make


def test_a_component_is_built_with_its_options(nudge):
    loaded = build(load_options(nudge(), "strategy", "nudge", {"rank": 8}, "strategy.0"), {"student": "s"})
    assert (loaded.instance.options.rank, loaded.row.distribution, loaded.path) == (8, "acme-nudge", "strategy.0")
    assert loaded.parts == {"student": "s"}


def test_checking_options_does_not_import_the_target(nudge):
    loaded = load_options(nudge(target="raise RuntimeError"), "strategy", "nudge", {}, "strategy.0")
    assert (loaded.options.rank, loaded.instance) == (4, None)
    assert "acme_nudge.strategy" not in sys.modules


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rank": 0}, "strategy.0.rank: must be ≥ 1 (got 0)"),
        ({"rnak": 2}, "strategy.0.rnak: unknown option (did you mean 'rank'?)"),
        ({"zzz": 2}, "strategy.0.zzz: unknown option"),
        ({"rank": "x"}, "strategy.0.rank: must be a valid integer, unable to parse string as an integer (got 'x')"),
        ({"mode": "c"}, "strategy.0.mode: must be 'a' or 'b' (got 'c')"),
        ({"ramp": {"lenght": 1}}, "strategy.0.ramp.lenght: unknown option (did you mean 'length'?)"),
        ({"ramp": {"length": []}}, "strategy.0.ramp.length: must be a valid integer (got [])"),
        ({"student": {}}, "strategy.0.student.name: is required"),
        ({"rank": 13}, "strategy.0: rank may not be 13 (got {'rank': 13})"),
    ],
)
def test_wrong_options_are_named_by_recipe_path(nudge, options, message):
    with pytest.raises(RecipeError) as caught:
        load_options(nudge(), "strategy", "nudge", options, "strategy.0")
    assert caught.value.message.splitlines()[0] == message
    assert caught.value.hint == "scarce plugins info nudge"


def test_every_wrong_option_has_its_line(nudge):
    with pytest.raises(RecipeError) as caught:
        load_options(nudge(), "strategy", "nudge", {"rank": 0, "mode": "c"}, "strategy.0")
    assert len(caught.value.message.splitlines()) == 2


def test_components_named_inside_options_are_listed(nudge):
    catalogue = nudge()
    named = load_options(catalogue, "strategy", "nudge", {"student": {"name": "mlp", "width": 8}}, "strategy.0")
    assert nested(named) == [("strategy.0.student", "learner", "mlp", {"width": 8})]
    assert nested(load_options(catalogue, "strategy", "nudge", {}, "strategy.0")) == []


def test_a_component_without_config_takes_no_options(nudge):
    catalogue = nudge("class Nudge:\n    pass\n", cite='"x"')
    assert build(load_options(catalogue, "strategy", "nudge", {}, "strategy.0")).instance is not None
    with pytest.raises(RecipeError, match=r"strategy\.0: strategy 'nudge' takes no options \(got rank\)"):
        load_options(catalogue, "strategy", "nudge", {"rank": 1}, "strategy.0")


@pytest.mark.parametrize(
    ("target", "cause"),
    [
        ("import not_there_at_all", "ModuleNotFoundError: No module named 'not_there_at_all'"),
        ("1 / 0", "ZeroDivisionError"),
        ("def f(:", "SyntaxError"),
        ("assert False, 'no'", "AssertionError: no"),
        ("raise SystemExit(1)", "SystemExit"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("class Other: pass", "AttributeError"),
        ("Nudge = 3", "neither a class nor a function"),
        ("class Nudge:\n    def __init__(self, options):\n        raise OSError('disk')", "can't be built .* OSError: disk"),
    ],
)
def test_a_broken_target_names_distribution_version_target_and_cause(nudge, target, cause):
    with pytest.raises(PluginError, match=cause) as caught:
        build(load_options(nudge(target=target), "strategy", "nudge", {}, "strategy.0"))
    assert "acme-nudge 1.0" in caught.value.message
    assert "acme_nudge.strategy:Nudge" in caught.value.message
    assert ("pip install --upgrade acme-nudge" if "not_there" in cause else "SCARCE_BLOCK=acme-nudge") in caught.value.hint


@pytest.mark.parametrize("config", ["raise SystemExit(1)", "assert False", "Nudge = dict"])
def test_a_broken_config_is_the_plugins_error(nudge, config):
    with pytest.raises(PluginError, match=r"acme-nudge 1\.0 can't be imported from acme_nudge\.config:Nudge"):
        load_options(nudge(config=config), "strategy", "nudge", {}, "strategy.0")


def test_a_lifecycle_target_may_be_an_object(site, component):
    files = {"hooks.py": "class _P:\n    pass\nplugin = _P()\n"}
    entries = {"scarce.lifecycle": {"watch": "acme_watch.hooks:plugin"}}
    site.install("acme-watch", entries=entries, manifest=component("lifecycle", "watch"), files=files)
    assert type(build(load_options(site.catalogue(), "lifecycle", "watch", {}, "lifecycle.0")).instance).__name__ == "_P"
