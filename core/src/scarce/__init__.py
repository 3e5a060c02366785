"""scarce: make data where there is little of it.

`fit`, `run` and `load` are imported when first used, so `import scarce` stays light.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scarce.runs.api import Run, fit, load, run

__all__ = ["Run", "fit", "load", "run"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'scarce' has no attribute '{name}'")
    import importlib

    return getattr(importlib.import_module("scarce.runs.api"), name)
