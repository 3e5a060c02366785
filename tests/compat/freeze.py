"""Hashes of the frozen plugins: `python tests/compat/freeze.py` adds those of new folders, and leaves the ones that are kept."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

HERE = Path(__file__).parent
KEPT = HERE / "frozen.json"


def hashes() -> dict[str, str]:
    """File -> SHA-256 of every file of every frozen plugin."""
    files = sorted(p for p in HERE.glob("api_*/**/*") if p.is_file() and "__pycache__" not in p.parts)
    return {p.relative_to(HERE).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


if __name__ == "__main__":
    kept = json.loads(KEPT.read_text()) if KEPT.is_file() else {}
    KEPT.write_text(json.dumps(dict(sorted({**hashes(), **kept}.items())), indent=1) + "\n")
