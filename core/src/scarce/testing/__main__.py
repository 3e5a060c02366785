"""What `scarce doctor PLUGIN` runs in a process of its own: every component of a plugin imported, then through the kit.

A line of JSON after MARK says when a stage of a component begins, and one what it came to, so that whoever reads knows what never ended.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Mapping
from typing import Any

from scarce.catalogue import ROLES, Row, read_catalogue
from scarce.host import load_config, load_target
from scarce.testing.kit import check_component
from scarce.testing.source import HEAVY

MARK = "@scarce "


def main(argv: list[str]) -> None:
    """`python -m scarce.testing NAME OPTIONS`: options as JSON, for a plugin of one component."""
    name, options = argv[0], json.loads(argv[1])
    rows = [row for row in read_catalogue().rows if name in (row.distribution, row.name)]
    for row in rows:
        tell(row, "import")
        tell(row, "import", **imported(row))
    for row in rows:
        tell(row, "conformance")
        tell(row, "conformance", report=check_component(row.role, row.name, options=options).to_json())


def tell(row: Row, stage: str, **facts: Any) -> None:
    """One line; without facts it says that the stage begins."""
    said = {"role": row.role, "name": row.name, "stage": stage, **facts}
    print(f"\n{MARK}{json.dumps(said)}", flush=True)


def imported(row: Row) -> Mapping[str, Any]:
    """Seconds, heavy packages and megabytes that importing options and target adds to the contract; `error` where it fails."""
    before, began, cpu = _tops(), time.monotonic(), time.process_time()
    memory, error = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, ""
    try:
        if row.status == "ready" and row.role not in ("recipe", "generator") and ROLES[row.role].group:
            load_config(row)
            load_target(row)
    except Exception as failure:
        error = str(failure)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory
    spent = {"seconds": round(time.monotonic() - began, 3), "cpu_seconds": round(time.process_time() - cpu, 3)}
    return {**spent, "heavy": sorted((_tops() - before) & HEAVY), "megabytes": round(grown / 1024), "error": error}


def _tops() -> set[str]:
    return {name.partition(".")[0] for name in sys.modules}


if __name__ == "__main__":
    main(sys.argv[1:])
