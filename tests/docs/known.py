"""The offline index of plugins that ships in the core, from the manifests in the tree."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FILE = "core/src/scarce/catalogue/known.json"


def known_index() -> str:
    """Distribution -> [role, name, what it provides] of each component; what is not in the tree stays as it is listed."""
    found: dict[str, list[list[Any]]] = json.loads((ROOT / FILE).read_text(encoding="utf-8"))
    for file in sorted(ROOT.glob("plugins/*/src/*/plugin.toml")):
        parts = tomllib.loads(file.read_text(encoding="utf-8"))["component"]
        found[f"scarce-{file.parents[2].name}"] = [[part["role"], part["name"], part.get("provides", [])] for part in parts]
    blocks = [f"  {json.dumps(name)}: [\n    " + ",\n    ".join(map(json.dumps, rows)) + "\n  ]" for name, rows in found.items()]
    return "{\n" + ",\n".join(blocks) + "\n}\n"
