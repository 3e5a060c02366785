"""What components provide and require: the glossary, and the check before anything is imported."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import TYPE_CHECKING

from scarce.errors import CapabilityError

if TYPE_CHECKING:
    from scarce.catalogue.catalogue import Catalogue, Row

GLOSSARY: dict[str, str] = {
    "space:vector": "an encoded record is one vector of numeric and categorical blocks",
    "space:sequence": "an encoded record is a sequence of steps",
    "space:set": "an encoded record is a set of points without order",
    "space:image": "an encoded record is an image or its latent",
    "records:text": "a record is a text",
    "records:image": "a record is, or decodes to, a picture",
    "codec:vectors": "records have vectors whose Euclidean distance is the record distance",
    "codec:soft": "decoding has a differentiable half",
    "codec:known": "known fields can be imposed while sampling",
    "cond:label": "prompts may be class labels",
    "cond:text": "prompts may be texts",
    "cond:tokens": "the condition has tokens for attention",
    "cond:pooled": "the condition has one pooled vector",
    "cond:dropout": "the condition can be dropped (NULL), so guidance works",
    "cond:differentiable": "the condition can be changed by gradient",
    "layers:linear": "the network is made of linear layers that adapters can wrap",
    "layers:attention": "the network has attention layers that adapters can wrap",
    "grad:input": "gradients reach the network's input",
    "learner:classification": "the learner predicts classes",
    "learner:regression": "the learner predicts numbers",
    "learner:differentiable": "the learner passes gradients to its input",
    "learner:features": "the learner gives features of a record",
    "learner:stochastic": "the learner can make several different passes (dropout)",
    "eval:utility": "judges a model trained on the data",
    "eval:fidelity": "judges likeness to real data",
    "eval:privacy": "judges copying of real records",
    "eval:controllability": "judges whether samples follow their prompts",
    "eval:diversity": "judges how different samples are",
}
"""Capability -> meaning. Third parties put their name and a dot in front: `acme.cond:audio`."""


def is_known(capability: str) -> bool:
    """Whether a manifest may use the name: it is in the glossary, or carries a third party's prefix."""
    kind, colon, rest = capability.partition(":")
    return capability in GLOSSARY or bool(colon and rest and all(kind.split(".")) and "." in kind)


def check(rows: Sequence[Row], extra: Set[str] = frozenset(), *, catalogue: Catalogue | None = None) -> None:
    """Refuse parts of one scope that don't fit together: set inclusion on their manifests, nothing is imported.

    extra: capabilities from elsewhere (a generator that is given, say). Raises CapabilityError naming each missing
    capability, who needs it, which installed component of `catalogue` offers it and which installable one would.
    """
    provided = set(extra).union(*(row.provides for row in rows))
    missing = [(need, row) for row in rows for need in row.requires if need not in provided]
    if not missing:
        return
    lines, hints = [], []
    for need, row in missing:
        meaning = f" ({GLOSSARY[need]})" if need in GLOSSARY else ""
        lines.append(f"{row.role} '{row.name}' ({row.distribution}) needs {need}{meaning}, which no chosen part provides")
        hints.append(_offers(need, catalogue))
    raise CapabilityError("\n".join(lines), hint="; ".join(dict.fromkeys(hints)))


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
