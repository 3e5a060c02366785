"""Whole runs kept under a cache folder, so that an interrupted benchmark continues."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scarce.catalogue.catalogue import read_catalogue
from scarce.files import file_hash
from scarce.runs import api


def cached(recipe: str, name: str, sets: Mapping[str, Any], table: str | None = None, preset: str | None = None) -> api.Run:
    """The finished run of a recipe under these settings: read, continued or made."""
    root = Path(os.environ.get("SCARCE_CACHE", Path.home() / ".cache" / "scarce")) / "bench"
    facts = [file_hash(read_catalogue().recipe_path(recipe)), json.dumps(sets, sort_keys=True, default=str), str(preset)]
    home = root / f"{name}-{hashlib.sha256(repr(facts).encode()).hexdigest()[:8]}"
    if (home / "recipe.resolved.json").is_file():
        return api.resume(home)
    given = {"data.target": None, **sets} if table else dict(sets)
    return api.run(recipe, data=None if table is None else f"builtin:{table}", set=given, preset=preset, out=home, quiet=True)
