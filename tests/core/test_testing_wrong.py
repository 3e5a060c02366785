"""For every check of the kit there is a component that is wrong in that way alone, and that check alone finds it."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from pathlib import Path

import pytest

from scarce.catalogue import GLOSSARY, ROLES, read_catalogue
from scarce.testing import Data, check_component
from scarce.testing.general import BEFORE
from scarce.testing.kit import checks_of

HOOKED = ("acquisition", "learner", "evaluator", "conditioner", "backbone", "strategy", "modality", "lifecycle")
SOURCES = Path(__file__).parent / "wrongs"
OPTIONS = {"Doubling": "config-round-trip", "Loose": "config-unknown", "Thawed": "config-frozen", "Fine": ""}
BROKEN = {"device:Named": "device", "private:Looks": "public-imports", "broken:Score": "import"}
BARE = [("recipe", "kit/no-test", "recipe:answers"), ("recipe", "kit/unready", "recipe:ready"), ("recipe", "kit/good", ""),
        ("generator", "kit-empty", "generator:answers")]  # fmt: skip
RECIPES = {
    "good": '[data]\nmodality = "modality-good"\n[backbone]\nname = "backbone-good"\n',
    "no-test": '[data]\nmodality = "modality-good"\n[backbone]\nname = "backbone-good"\n',
    "unready": '[data]\nmodality = "modality-good"\n[backbone]\nname = "no-such-thing"\n',
}


def component(role: str, name: str, **extra: object) -> str:
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in extra.items() if value)
    return f'[[component]]\nrole = "{role}"\nname = "{name}"\nsummary = "for tests"\n{lines}'


@pytest.fixture(scope="module")
def wrongs(tmp_path_factory):
    """The wrong components as an installed distribution, gone again after the file; the tables of each role."""
    site = tmp_path_factory.mktemp("site")
    package = site / "kit_wrongs"
    shutil.copytree(SOURCES, package)
    (package / "__init__.py").touch()
    sys.path.insert(0, str(site))
    tables, parts, entries = {}, [], {group: {} for group in (r.group for r in ROLES.values())}

    def add(role: str, name: str, target: str, **extra: object) -> None:
        entries[ROLES[role].group][name] = target
        if ROLES[role].declared or extra:
            parts.append(component(role, name, **extra))

    for role in HOOKED:
        tables[role] = module = importlib.import_module(f"kit_wrongs.{role}")
        for kind in module.WRONG:
            claims = {key.lower(): getattr(module, key, {}).get(kind, []) for key in ("PROVIDES", "REQUIRES")}
            add(role, f"{role}-{kind.lower()}", f"kit_wrongs.{role}:{kind}", **claims)
    for kind in OPTIONS:
        add("acquisition", f"options-{kind.lower()}", "kit_wrongs.acquisition:Optional", config=f"kit_wrongs.config:{kind}")
    add("acquisition", "options-heavy", "kit_wrongs.acquisition:Optional", config="kit_wrongs.heavy_config:Heavy")
    for target in BROKEN:
        add("acquisition", target.replace(":", "-").lower(), f"kit_wrongs.{target}")
    for role, name in importlib.import_module("kit_wrongs.plain").WRONG:
        add(role, name.lower().replace("_", "-"), f"kit_wrongs.plain:{name}")
    for name, text in RECIPES.items():
        presets = "" if name == "no-test" else "[preset.test]\nseed = 1\n"
        (package / f"{name}.toml").write_text(f'summary = "for tests"\n{text}{presets}')
        entries["scarce.recipes"][f"kit/{name}"] = f"kit_wrongs:{name}.toml"
    (package / "recipe.resolved.json").write_text("{}")
    entries["scarce.generators"]["kit-empty"] = "kit_wrongs:recipe.resolved.json"
    entries["scarce.acquisitions"]["undescribed"] = "kit_wrongs.acquisition:Good"
    entries["scarce.plugins"] = {"kit-wrongs": "kit_wrongs:plugin.toml"}
    (package / "plugin.toml").write_text('api = "1.0"\n' + "\n".join(parts))
    info = site / "kit_wrongs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: kit-wrongs\nVersion: 1.0\n")
    text = "\n".join(f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in named.items()) for group, named in entries.items())
    (info / "entry_points.txt").write_text(text)
    yield tables
    sys.path.remove(str(site))
    for name in [n for n in sys.modules if n.partition(".")[0] == "kit_wrongs"]:
        del sys.modules[name]


def found(role: str, name: str, **more) -> tuple[str, ...]:
    report = check_component(role, name, **more)
    assert report.version == "1.0", report.text()
    return report.failed


@pytest.mark.parametrize("role", HOOKED)
def test_every_check_of_a_role_finds_what_is_wrong_and_nothing_else(role, wrongs):
    table = wrongs[role]
    for kind, check in table.WRONG.items():
        data = Data(modality=f"modality-{kind.lower()}", style="plain") if role == "modality" else None
        failed = found(role, f"{role}-{kind.lower()}", data=data, recipe=getattr(table, "RECIPE", {}).get(kind))
        assert failed == ((check,) if check else ()), kind


def test_options_imports_and_manifests_that_are_wrong(wrongs):
    for kind, check in OPTIONS.items():
        assert found("acquisition", f"options-{kind.lower()}") == ((check,) if check else ()), kind
    assert found("acquisition", "options-heavy") == ("config-light",)
    for target, check in BROKEN.items():
        assert found("acquisition", target.replace(":", "-").lower()) == (check,), target
    assert found("acquisition", "undescribed") == ("manifest",)


def test_parts_without_hooks_that_are_wrong(wrongs):
    data = Data(modality="modality-good")
    for (role, name), check in importlib.import_module("kit_wrongs.plain").WRONG.items():
        assert found(role, name.lower().replace("_", "-"), data=data) == ((check,) if check else ()), name
    for role, name, check in BARE:
        assert found(role, name) == ((check,) if check else ()), name


def test_no_check_is_without_a_component_that_it_finds(wrongs):
    """Each role's own checks and those that are shared, by name."""
    shared = {check for role in HOOKED for check in wrongs[role].WRONG.values()} | {*OPTIONS.values(), *BROKEN.values()}
    shared |= {"manifest", "config-light", *importlib.import_module("kit_wrongs.plain").WRONG.values(), *(c for _, _, c in BARE)}
    assert set(BEFORE) <= shared
    for role in HOOKED:
        every = importlib.import_module(f"scarce.testing.{role}").CHECKS
        claimed = {name for name in every if name in GLOSSARY and role == "backbone" and name.startswith("cond:")}  # those of conditioners
        assert set(every) - claimed == set(wrongs[role].WRONG.values()) - {*BEFORE, ""}, role
    assert set(importlib.import_module("scarce.testing.plain").CHECKS) <= shared


def test_checks_of_a_component_are_those_of_its_role_and_of_what_it_claims(wrongs):
    catalogue = read_catalogue()
    plain, able = (checks_of(catalogue.find("acquisition", f"acquisition-{name}")) for name in ("column", "good"))
    assert set(able) - set(plain) == {"score:differentiable"}
    assert set(checks_of(catalogue.find("executor", "local"))) == {"manifest", "import", "executor:answers"}
