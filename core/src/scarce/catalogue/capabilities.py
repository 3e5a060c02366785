"""What components provide and require, checked before anything is imported."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import TYPE_CHECKING

from scarce.catalogue.glossary import GLOSSARY
from scarce.errors import CapabilityError

if TYPE_CHECKING:
    from scarce.catalogue.catalogue import Catalogue, Row


def check(rows: Sequence[Row], extra: Set[str] = frozenset(), *, catalogue: Catalogue | None = None) -> None:
    """Refuse parts of one scope that don't fit together: set inclusion on their manifests, nothing is imported.

    extra: capabilities from elsewhere (a generator that is given, say). Raises CapabilityError naming each missing
    capability, who needs it, which installed component of `catalogue` offers it and which installable one would.
    """
    lines, hints = [], []
    for need, row in missing(rows, extra):
        meaning = f" ({GLOSSARY[need]})" if need in GLOSSARY else ""
        lines.append(f"{row.role} '{row.name}' ({row.distribution}) needs {need}{meaning}, which no chosen part provides")
        hints.append(_offers(need, catalogue))
    if lines:
        raise CapabilityError("\n".join(lines), hint="; ".join(dict.fromkeys(hints)))


def missing(rows: Sequence[Row], extra: Set[str] = frozenset()) -> list[tuple[str, Row]]:
    """Each capability that a part needs and none of them nor `extra` provides, with who needs it."""
    provided = set(extra).union(*(row.provides for row in rows))
    return [(need, row) for row in rows for need in row.requires if need not in provided]


def _offers(need: str, catalogue: Catalogue | None) -> str:
    installed = [r for r in catalogue.rows if r.status == "ready" and need in r.provides] if catalogue else []
    if installed:
        names = [f"{r.role} '{r.name}' ({r.distribution})" for r in installed]
        return f"for {need} use {' or '.join(names)}, installed"
    if catalogue:
        for distribution, parts in catalogue.installable().items():
            for part in parts:
                if need in part["provides"]:
                    return f"for {need} pip install {distribution}, which brings {part['role']} '{part['name']}'"
    return f"nothing known offers {need}: leave out the part that needs it"
