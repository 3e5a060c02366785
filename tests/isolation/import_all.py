"""Run by the Python of a clean environment: imports every module and every config of distributions, and says what fails.

Arguments: the import name of the environment's own distribution, then NAME=FOLDER for others whose environment adds to this
one; each of those is imported in a copy of the process that also sees its folder, so that torch is imported once for all.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import sys
from typing import Any


def modules_of(name: str) -> dict[str, str]:
    """Module -> why it can't be imported, empty when it can."""
    said: dict[str, str] = {}
    waiting = [name]
    while waiting:
        module = waiting.pop(0)
        try:
            found = importlib.import_module(module)
        except BaseException as err:
            said[module] = f"{type(err).__name__}: {err}"
            continue
        said[module] = ""
        inner = pkgutil.iter_modules(getattr(found, "__path__", ()), f"{module}.")
        waiting += [part.name for part in inner if not part.name.endswith(".__main__")]
    return said


def configs() -> dict[str, str]:
    """ "role name" of every component with options -> why they can't be loaded, empty when they can."""
    from scarce.catalogue import read_catalogue
    from scarce.errors import ScarceError
    from scarce.host import load_config

    said = {}
    for row in read_catalogue().rows:
        try:
            if row.config and (config := load_config(row)) is not None:
                config.model_json_schema()
                said[f"{row.role} {row.name}"] = ""
        except ScarceError as err:
            said[f"{row.role} {row.name}"] = err.message
    return said


def tell(name: str) -> None:
    """One line of JSON about a distribution."""
    facts: dict[str, Any] = {"name": name, "modules": modules_of(name), "configs": configs()}
    facts["file"] = getattr(sys.modules.get(name), "__file__", None)
    print(json.dumps(facts), flush=True)


def main() -> None:
    """The environment's own distribution, then the others."""
    own, *others = sys.argv[1:]
    tell(own)
    for name, _, folder in (other.partition("=") for other in others):
        child = os.fork()
        if not child:
            sys.path.append(folder)
            importlib.invalidate_caches()
            tell(name)
            os._exit(0)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()
