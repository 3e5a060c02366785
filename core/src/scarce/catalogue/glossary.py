"""Names of capabilities: what each means, and which names a manifest may use."""

from __future__ import annotations

import json
from pathlib import Path

GLOSSARY: dict[str, str] = json.loads(Path(__file__).with_name("glossary.json").read_text(encoding="utf-8"))
"""Capability -> meaning. Third parties put their name and a dot in front: `acme.cond:audio`."""


def is_known(capability: str) -> bool:
    """Whether a manifest may use the name: it is in the glossary, or carries a third party's prefix."""
    kind, colon, rest = capability.partition(":")
    return capability in GLOSSARY or bool(colon and rest and all(kind.split(".")) and "." in kind)
