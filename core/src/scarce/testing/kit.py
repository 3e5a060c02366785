"""The conformance kit: every check of one component, each by itself, with what was found."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from scarce.catalogue import GLOSSARY, ROLES, Catalogue, Row, read_catalogue
from scarce.errors import PluginError, did_you_mean
from scarce.testing.bench import Bench, Data, own_data, toy_data, with_toys
from scarce.testing.general import BEFORE, Check
from scarce.testing.report import Fatal, Flaw, Outcome, Report, Result, Skip

ANYHOW = ("manifest", "import")
"""Checks of components without hooks, beside those of their role."""


def checks_of(row: Row) -> dict[str, Check]:
    """The checks of a component, by name and in order; those of capabilities only where it claims them."""
    hooked = bool(ROLES[row.role].spec)
    mine: Mapping[str, Check] = import_module(f"scarce.testing.{row.role if hooked else 'plain'}").CHECKS
    found = {**{name: check for name, check in BEFORE.items() if hooked or name in ANYHOW}, **mine}
    kept = {name: check for name, check in found.items() if name not in GLOSSARY or name in row.provides}
    return {name: check for name, check in kept.items() if hooked or name in ANYHOW or name.partition(":")[0] == row.role}


def check_component(
    role: str,
    name: str,
    *,
    known_failures: Mapping[str, str] | None = None,
    options: Mapping[str, Any] | None = None,
    data: Data | None = None,
    recipe: Mapping[str, Any] | None = None,
    tolerance: float = 1e-3,
    catalogue: Catalogue | None = None,
) -> Report:
    """Try one installed component on tiny data, on the CPU, and say of every check whether it passed.

    known_failures: check -> why it fails; one that is declared and passes is a failure, so that no reason outlives its cause.
    options: of the component; data: records to try it on, by default those of the kit for the space it requires; recipe: sections of a
    recipe in the place of the kit's, such as {"backbone": {"name": "mlp"}}; tolerance: see `Bench`. Raises PluginError for a
    component that is not installed, or a known failure of no check.
    """
    catalogue = with_toys(catalogue or read_catalogue())
    row, known = _row(catalogue, role, name), dict(known_failures or {})
    checks = checks_of(row)
    for check in known:
        if check not in checks:
            raise PluginError(f"{role} '{name}' has no check '{check}'{did_you_mean(check, checks)}; there are {', '.join(checks)}")
    threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory(prefix="scarce-kit-") as folder:
        used = data or (own_data(row, catalogue) if role == "modality" else toy_data(row))
        bench = Bench(row, catalogue, options or {}, used, Path(folder), recipe or {}, tolerance)
        try:
            outcomes = _run(checks, bench, known)
        finally:
            torch.set_num_threads(threads)
    return Report(role=role, name=name, distribution=row.distribution, version=row.version, outcomes=tuple(outcomes))


def _row(catalogue: Catalogue, role: str, name: str) -> Row:
    """The component's row, ready or not."""
    claims = [row for row in catalogue.rows if (row.role, row.name) == (role, name)]
    ready = [row for row in claims if row.status == "ready"]
    return (ready or claims or [catalogue.find(role, name)])[0]


def _run(checks: Mapping[str, Check], bench: Bench, known: Mapping[str, str]) -> list[Outcome]:
    out: list[Outcome] = []
    fatal = ""
    for name, check in checks.items():
        if fatal:
            out.append(Outcome(check=name, result="skipped", said=f"because '{fatal}' failed"))
            continue
        outcome, ends = _one(name, check, bench)
        if name in known:
            outcome = _declared(outcome, known[name])
        out.append(outcome)
        fatal = name if ends else ""
    return out


def _one(name: str, check: Callable[[Bench], None], bench: Bench) -> tuple[Outcome, bool]:
    """The outcome of one check, and whether nothing can be looked at after it."""
    began, grad = time.process_time(), torch.is_grad_enabled()
    result: Result = "passed"
    said, ends = "", False
    try:
        check(bench)
    except Skip as reason:
        result, said = "skipped", str(reason)
    except Flaw as flaw:
        result, said, ends = "failed", str(flaw), isinstance(flaw, Fatal)
    except Exception as error:
        result, said, ends = "failed", f"{type(error).__name__}: {error}", name == "answers"
    finally:
        torch.set_grad_enabled(grad)
    return Outcome(check=name, result=result, said=said, seconds=round(time.process_time() - began, 3)), ends


def _declared(outcome: Outcome, reason: str) -> Outcome:
    """A failure that was declared, or a declared one that did not fail."""
    if outcome.result == "failed":
        return outcome.with_(result="known", said=f"{reason} ({outcome.said})")
    return outcome.with_(result="failed", said=f"it is declared to fail ('{reason}') and was {outcome.result}: take the reason out")
