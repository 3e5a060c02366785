"""Which contracts a core takes: every minor of its major up to its own."""

from __future__ import annotations

import pytest

from scarce.catalogue import catalogue as reading
from scarce.catalogue import manifest
from scarce.errors import PluginError


@pytest.fixture
def core(monkeypatch):
    """Makes the core one of another contract."""

    def become(major, minor):
        for module in (manifest, reading):
            monkeypatch.setattr(module, "API", (major, minor))

    return become


@pytest.mark.parametrize(
    ("ours", "plugin", "runs"),
    [
        ((1, 0), "1.0", True), ((1, 0), "0.1", False), ((1, 0), "1.1", False),
        ((1, 3), "1.0", True), ((1, 3), "1.3", True), ((1, 3), "1.4", False), ((1, 3), "2.0", False), ((1, 12), "1.9", True),
        ((2, 0), "1.12", False),
    ],
)  # fmt: skip
def test_a_minor_up_to_ours_runs(site, component, core, ours, plugin, runs):
    core(*ours)
    site.install("acme", entries={"scarce.acquisitions": {"score": "acme:S"}}, manifest=component("acquisition", "score", api=plugin))
    (row,) = site.catalogue().rows
    assert row.status == ("ready" if runs else "incompatible")
    if not runs:
        with pytest.raises(PluginError, match=f"acme 1.0: it needs API {plugin}, core has {ours[0]}.{ours[1]}") as caught:
            site.catalogue().find("acquisition", "score")
        assert caught.value.hint == "pip install --upgrade scarce acme"


def test_a_later_minor_may_use_words_unknown_here_and_is_still_only_incompatible(site, core):
    core(1, 2)
    later = 'api = "1.3"\n[[component]]\nrole = "oracle"\nname = "o"\ncolour = "red"\n'
    site.install("acme", entries={"scarce.oracles": {"o": "acme:O"}}, manifest=later)
    assert {row.status for row in site.catalogue().rows} == {"incompatible"}


def test_an_older_minor_is_held_to_the_rules_it_was_written_for(site, core, component):
    core(1, 2)
    wrong = component("acquisition", "score", api="1.1", colour='"red"')
    site.install("acme", entries={"scarce.acquisitions": {"score": "acme:S"}}, manifest=wrong)
    (row,) = site.catalogue().rows
    assert (row.status, "unknown key 'colour'" in row.reason) == ("malformed", True)
