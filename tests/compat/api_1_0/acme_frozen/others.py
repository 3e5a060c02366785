"""What is called without hooks: a data set, an executor, an exporter, a command."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from scarce.contract import ExportContext
from scarce.files import write_json


def corners() -> pd.DataFrame:
    """80 points around (-1, -1) and (1, 1)."""
    rng = np.random.default_rng(0)
    code = np.arange(80) % 2
    places = rng.normal(0, 0.5, (80, 2)) + (2 * code - 1)[:, None]
    return pd.DataFrame({"x": places[:, 0], "y": places[:, 1], "kind": np.array(["low", "high"], dtype=object)[code]})


class Backwards:
    """The last piece first; results in the order asked."""

    def map(self, function, pieces):
        asked = list(pieces)
        return [function(piece) for piece in asked[::-1]][::-1]


def write_list(ctx: ExportContext) -> Path:
    """weights.json: name -> size, and what answers each class."""
    sizes = {f"{path}.{n}": p.numel() for path, module in ctx.modules.items() for n, p in module.named_parameters()}
    write_json(ctx.out / "weights.json", {"sizes": sizes, "serves": [branch.serves for branch in ctx.branches]})
    return ctx.out


def count(argv: list[str]) -> int:
    """Print how many words follow the verb."""
    print(len(argv))
    return 0
