"""What is installed becomes rows, whatever state it is in."""

from __future__ import annotations

import sys
from dataclasses import FrozenInstanceError
from importlib import metadata

import pytest

from scarce.catalogue import GLOSSARY, check, read_catalogue
from scarce.catalogue.catalogue import known_plugins
from scarce.catalogue.glossary import is_known
from scarce.catalogue.roles import ROLES
from scarce.contract import specs
from scarce.errors import CapabilityError, PluginError

STRATEGY = {"scarce.strategies": {"nudge": "acme_nudge.strategy:Nudge"}}


def only(catalogue):
    (row,) = catalogue.rows
    return row


def test_roles_match_the_specs():
    for role in ROLES.values():
        if role.spec:
            spec = getattr(specs, role.spec.partition(":")[2])
            assert set(role.hooks) == {n for n, f in vars(spec).items() if hasattr(f, "scarce_spec")}


def test_a_ready_component_is_an_immutable_row_and_nothing_is_imported(site, component):
    manifest = component("strategy", "nudge", requires='["layers:linear"]', cite='"Nudge, 2024"', config='"acme_nudge.config:Nudge"')
    site.install("acme-nudge", entries=STRATEGY, manifest=manifest, files={"__init__.py": "raise SystemExit(3)"}, version="2.1")
    row = site.catalogue().find("strategy", "nudge")
    assert (row.distribution, row.version, row.target, row.status) == ("acme-nudge", "2.1", "acme_nudge.strategy:Nudge", "ready")
    assert (row.requires, row.cite, row.config) == (("layers:linear",), "Nudge, 2024", "acme_nudge.config:Nudge")
    assert row.entry.dist.name == "acme-nudge"
    assert "acme_nudge" not in sys.modules
    with pytest.raises(FrozenInstanceError):
        row.status = "blocked"


def test_the_core_and_its_tables_are_ready():
    rows = {(row.role, row.name): row for row in read_catalogue(only=["scarce", "scarce-tabular"]).rows if row.status == "ready"}
    assert rows["conditioner", "label"].distribution == "scarce"
    assert rows["modality", "tabular"].distribution == "scarce-tabular"
    assert {need for row in rows.values() for need in (*row.provides, *row.requires)} <= set(GLOSSARY)


def test_rows_are_sorted_whatever_the_order_of_folders(site, component):
    for name in ("zeta", "beta", "alpha"):
        site.install(name, entries={"scarce.learners": {name: f"{name}:L"}}, manifest=component("learner", name))
    found = list(metadata.distributions(path=[str(site.folder)]))
    for order in (found, found[::-1]):
        assert [row.distribution for row in read_catalogue(distributions=order).rows] == ["alpha", "beta", "zeta"]


def test_a_shadowed_second_copy_is_no_conflict(site, component):
    site.install("acme-nudge", entries=STRATEGY, manifest=component("strategy", "nudge"))
    twice = [*metadata.distributions(path=[str(site.folder)])] * 2
    assert only(read_catalogue(distributions=twice)).status == "ready"


def test_two_claims_conflict_and_name_both_until_one_is_blocked(site, component):
    for name, version in (("acme-a", "1.2"), ("acme-b", "0.3")):
        entries = {"scarce.strategies": {"nudge": f"{name.replace('-', '_')}.s:N"}}
        site.install(name, entries=entries, manifest=component("strategy", "nudge"), version=version)
    rows = site.catalogue().rows
    assert [row.status for row in rows] == ["conflicting", "conflicting"]
    assert all("acme-a 1.2" in row.reason and "acme-b 0.3" in row.reason for row in rows)
    with pytest.raises(PluginError, match=r"acme-a 1\.2 and by acme-b 0\.3") as caught:
        site.catalogue().find("strategy", "nudge")
    assert caught.value.hint == "SCARCE_BLOCK=acme-b scarce …"
    assert site.catalogue(block={"acme-b"}).find("strategy", "nudge").distribution == "acme-a"


@pytest.mark.parametrize(
    ("manifest", "reason"),
    [
        ("api = [", "can't be read"),
        ("api = 1.0", 'api must be text like "1.0"'),
        ('api = "1.0"\ncomponents = []', r"unknown key 'components' \(did you mean 'component'\?\)"),
        ('api = "1.0"\n[component]\nrole = "strategy"', r"\[\[component\]\] tables"),
        ('api = "1.0"\n[[component]]\nrole = "stratgy"\nname = "nudge"', "did you mean 'strategy'"),
        ('api = "1.0"\n[[component]]\nrole = "strategy"\nname = "Nudge me"', "lower case with dashes"),
        ('api = "1.0"\n[[component]]\nrole = "strategy"\nname = "nudge"\nrequires = "layers:linear"', "must be a list"),
        ('api = "1.0"\n[[component]]\nrole = "strategy"\nname = "nudge"\nconfig = "acme_nudge/config"', "must look like 'module:Class'"),
        ('api = "1.0"\n' + '[[component]]\nrole = "strategy"\nname = "nudge"\n' * 2, "described twice"),
        ('api = "1.0"\n[[component]]\nrole = "strategy"\nname = "nudge"\nprovides = ["layers:liner"]', "did you mean 'layers:linear'"),
        ('api = "1.0"\n[[component]]\nrole = "strategy"\nname = "other"', "no .*component"),
        ("a = " + "[" * 5000, "can't be read"),
    ],
)
def test_a_malformed_manifest_is_a_row_that_says_why(site, manifest, reason):
    site.install("acme-nudge", entries=STRATEGY, manifest=manifest)
    row = next(row for row in site.catalogue().rows if row.name == "nudge")
    assert row.status == "malformed"
    with pytest.raises(PluginError, match=reason):
        site.catalogue().find("strategy", "nudge")


def test_undecodable_manifest_missing_manifest_and_missing_package(site, component):
    site.install("acme-nudge", entries=STRATEGY, manifest="")
    (site.folder / "acme_nudge" / "plugin.toml").write_bytes(b"\xff\xfe\x00")
    assert "can't be read" in only(site.catalogue()).reason
    (site.folder / "acme_nudge" / "plugin.toml").unlink()
    assert "no such file" in only(site.catalogue()).reason
    (site.folder / "acme_nudge" / "__init__.py").unlink()
    (site.folder / "acme_nudge").rmdir()
    assert "package 'acme_nudge' is not there" in only(site.catalogue()).reason
    site.install("acme-bare", entries={"scarce.strategies": {"bare": "acme_bare:S"}})
    assert "one 'scarce.plugins' entry point, not 0" in site.catalogue().rows[0].reason


def test_entry_points_that_lie_are_rows(site, component):
    entries = {"scarce.learners": {"a": "no target"}, "scarce.learnrs": {"b": "x:Y"}}
    manifest = component("learner", "a") + '[[component]]\nrole = "learner"\nname = "ghost"\n'
    site.install("acme-lies", entries=entries, manifest=manifest)
    reasons = {row.name: (row.status, row.reason) for row in site.catalogue().rows}
    assert "must look like 'module:Name'" in reasons["a"][1]
    assert "did you mean 'scarce.learners'" in reasons["b"][1]
    assert "no entry point 'ghost'" in reasons["ghost"][1]
    assert {status for status, _ in reasons.values()} == {"malformed"}


def test_unreadable_entry_points_are_a_row(site):
    site.install("acme-bytes", manifest='api = "1.0"')
    (site.folder / "acme_bytes-1.0.dist-info" / "entry_points.txt").write_bytes(b"[scarce.learners]\n\xff = \xfe\n")
    row = only(site.catalogue())
    assert (row.role, row.distribution, row.status) == ("plugin", "acme-bytes", "malformed")


@pytest.mark.parametrize("api", ["0.1", "1.1", "2.0"])
def test_another_contract_is_incompatible_even_with_words_unknown_here(site, component, api):
    manifest = component("strategy", "nudge", api=api, provides='["future:thing"]', novel='"key"')
    site.install("acme-nudge", entries=STRATEGY, manifest=manifest)
    assert only(site.catalogue()).status == "incompatible"
    with pytest.raises(PluginError, match=f"needs API {api}, core has 1.0") as caught:
        site.catalogue().find("strategy", "nudge")
    assert caught.value.hint == "pip install --upgrade scarce acme-nudge"


def test_block_and_only(site, component, monkeypatch):
    site.install("Acme_Nudge", entries=STRATEGY, manifest=component("strategy", "nudge"))

    def states():
        return {row.name: row.status for row in read_catalogue().rows if row.name in ("nudge", "label", "tabular")}

    assert states() == {"nudge": "ready", "label": "ready", "tabular": "ready"}
    monkeypatch.setenv("SCARCE_BLOCK", "scarce, acme-nudge")
    assert states() == {"nudge": "blocked", "label": "ready", "tabular": "ready"}
    monkeypatch.setenv("SCARCE_BLOCK", "")
    monkeypatch.setenv("SCARCE_ONLY", "")
    assert states() == {"nudge": "blocked", "label": "ready", "tabular": "blocked"}
    monkeypatch.setenv("SCARCE_ONLY", "acme.nudge")
    assert states() == {"nudge": "ready", "label": "ready", "tabular": "blocked"}
    with pytest.raises(PluginError, match="blocked by SCARCE_BLOCK"):
        site.catalogue(block={"acme-nudge"}).find("strategy", "nudge")


def test_missing_names_get_an_install_line_or_a_near_name():
    catalogue = read_catalogue(distributions=[metadata.distribution(name) for name in ("scarce", "scarce-tabular")])
    with pytest.raises(PluginError, match="scarce-lora offers it") as caught:
        catalogue.find("strategy", "lora")
    assert caught.value.hint == "pip install scarce-lora"
    with pytest.raises(PluginError, match=r"did you mean 'catboost'.*installed: .*catboost"):
        catalogue.find("learner", "catbost")
    with pytest.raises(PluginError, match="scarce-tldr offers it"):
        catalogue.recipe_path("tldr/churn")
    with pytest.raises(PluginError, match="did you mean 'tabular/churn'"):
        catalogue.recipe_path("tabular/chrun")


def test_recipes_resolve_inside_subpackages_without_importing(site):
    files = {"__init__.py": "raise SystemExit(3)", "recipes/small.toml": "seed = 0\n"}
    entries = {"scarce.recipes": {"acme/small": "acme_nudge.recipes:small.toml", "acme/gone": "acme_nudge.recipes:gone.toml"}}
    site.install("acme-nudge", entries=entries, manifest='api = "1.0"', files=files)
    catalogue = site.catalogue()
    assert catalogue.recipe_path("acme/small").read_text() == "seed = 0\n"
    assert [row.name for row in catalogue.entries("recipes")] == ["acme/gone", "acme/small"]
    with pytest.raises(PluginError, match="no such file"):
        catalogue.recipe_path("acme/gone")


def test_capabilities_are_checked_by_set_inclusion():
    catalogue = read_catalogue(only=["scarce", "scarce-tabular"])
    rows = [catalogue.find("modality", "tabular"), catalogue.find("backbone", "mlp")]
    check(rows, {"cond:pooled"})
    with pytest.raises(CapabilityError, match=r"backbone 'mlp' \(scarce-tabular\) needs cond:pooled") as caught:
        check(rows, catalogue=catalogue)
    assert "conditioner 'label' (scarce)" in caught.value.hint


def test_a_missing_capability_names_the_distribution_that_would_offer_it(site, component):
    site.install("acme-nudge", entries=STRATEGY, manifest=component("strategy", "nudge", requires='["space:set", "acme.x:y"]'))
    catalogue = site.catalogue()
    with pytest.raises(CapabilityError) as caught:
        check(catalogue.rows, catalogue=catalogue)
    assert "pip install scarce-molecules" in caught.value.hint
    assert "nothing known offers acme.x:y" in caught.value.hint


def test_third_parties_prefix_their_capabilities():
    assert is_known("space:vector")
    assert is_known("acme.cond:audio")
    assert not any(map(is_known, ("cond:audio", "spce:vector", "vector", ".cond:x", "acme.cond:")))


def test_the_offline_index_agrees_with_roles_glossary_and_installed_manifests():
    for parts in known_plugins().values():
        for part in parts:
            assert part["role"] in ROLES
            assert set(part["provides"]) <= set(GLOSSARY)
    tabular = {(part["role"], part["name"]): set(part["provides"]) for part in known_plugins()["scarce-tabular"]}
    rows = [row for row in read_catalogue().rows if row.distribution == "scarce-tabular" and ROLES[row.role].declared]
    assert tabular == {(row.role, row.name): set(row.provides) for row in rows}
