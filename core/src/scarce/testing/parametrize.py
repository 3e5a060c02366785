"""The kit as pytest cases: one line in a plugin's own test file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Any

from scarce.catalogue import ROLES, Row, read_catalogue
from scarce.catalogue.catalogue import normal
from scarce.contract.frozen import Frozen
from scarce.errors import PluginError, did_you_mean
from scarce.testing.bench import Data
from scarce.testing.kit import check_component


class Case(Frozen):
    """What one component needs to be checked, see `check_component`.

    options: of the component, or a function of pytest's `request` that returns them (a fixture's folder, say); needs: a module or
    data package without which it is skipped; skip: why it is not checked at all.
    """

    options: Mapping[str, Any] | Callable[[Any], Mapping[str, Any]] = field(default_factory=dict)
    data: Data | None = None
    recipe: Mapping[str, Any] | None = None
    tolerance: float = 1e-3
    known_failures: Mapping[str, str] = field(default_factory=dict)
    needs: str = ""
    skip: str = ""


def components(distribution: str, cases: Mapping[str, Case] | None = None, *, data: Data | None = None) -> Callable[..., None]:
    """A parametrised pytest function that checks every component of an installed distribution.

    `test_conformance = components("acme-scores")` is all that a test file needs. cases: "role name" -> what that component needs; data:
    records for all whose case names none. Raises PluginError for a distribution that is not installed, or a component that it does
    not have.
    """
    import pytest

    rows, given = {f"{row.role} {row.name}": row for row in rows_of(distribution)}, dict(cases or {})
    for key in given:
        if key not in rows:
            raise PluginError(f"{distribution} has no '{key}'{did_you_mean(key, rows)}; it has {', '.join(rows)}")

    @pytest.mark.parametrize("component", [pytest.param(key, id=key.replace(" ", "-")) for key in rows])
    def test_conformance(component: str, request: pytest.FixtureRequest) -> None:
        case, row = given.get(component, Case()), rows[component]
        if case.skip:
            pytest.skip(case.skip)
        if case.needs:
            pytest.importorskip(case.needs, reason=f"it needs {case.needs}, which is not installed")
        report = check_component(
            row.role, row.name, known_failures=case.known_failures, recipe=case.recipe, tolerance=case.tolerance,
            options=case.options(request) if callable(case.options) else case.options, data=case.data or data,
        )  # fmt: skip
        report.require()

    return test_conformance


def rows_of(distribution: str) -> Sequence[Row]:
    """What an installed distribution offers; raises PluginError when it is not there."""
    rows = read_catalogue().rows
    found = [row for row in rows if normal(row.distribution) == normal(distribution)]
    if not found:
        names = sorted({row.distribution for row in rows})
        hint = f"pip install {distribution}"
        raise PluginError(f"distribution '{distribution}' is not installed{did_you_mean(distribution, names)}", hint=hint)
    return sorted(found, key=lambda row: ([*ROLES, row.role].index(row.role), row.name))
