"""What a process of a training in two holds between two steps, and what a step costs, with whole weights and with sharded ones."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

SCALE = Path(__file__).parents[1] / "scale"
sys.path.insert(0, str(SCALE))

from helping import finish, pair  # noqa: E402

WIDTH, STEPS = 320, 40


def measured(weights: str) -> list[dict[str, Any]]:
    """What each of two processes says of a fit of 3.3 million weights."""
    with tempfile.TemporaryDirectory() as folder:
        for process in pair(SCALE / "fitting.py", folder, WIDTH, STEPS, weights, 0):
            finish(process)
        return [json.loads((Path(folder) / f"{rank}.json").read_text()) for rank in range(2)]


def run() -> list[dict[str, Any]]:
    """A row per number; of both processes, the larger."""
    whole, sharded = measured("whole"), measured("sharded")
    most = {name: max(rank["held"] for rank in ranks) for name, ranks in (("whole", whole), ("sharded", sharded))}
    steps = {name: max(rank["step"] for rank in ranks) * 1e3 for name, ranks in (("whole", whole), ("sharded", sharded))}
    share = most["sharded"] / most["whole"]
    return [
        {"name": "weights of the network", "value": whole[0]["weights"], "bound": None, "ok": None},
        *({"name": f"{k}: MB of tensors in a process between steps", "value": v / 1e6, "bound": None, "ok": None} for k, v in most.items()),
        {"name": "sharded over whole", "value": share, "bound": 0.55, "ok": share < 0.55},
        *({"name": f"{k}: CPU ms of a step in a process", "value": v, "bound": None, "ok": None} for k, v in steps.items()),
    ]
