"""How much memory a process takes to draw few rows, and fifty times as many in parts or as one.

python tests/faults/grow.py FOLDER
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from server import fork, warm

FEW, MANY, SHARD, WIDE = 200, 10_000, 100, 200


def peak(arguments: list[str], log: Path) -> float:
    """MB that `scarce ARGUMENTS` held at its most."""
    _, status, usage = os.wait4(fork(arguments, log), 0)
    assert os.waitstatus_to_exitcode(status) == 0, log.read_text()
    return usage.ru_maxrss / 1024


if __name__ == "__main__":
    home, log = Path(sys.argv[1]), Path(sys.argv[1]) / "log"
    rng = np.random.default_rng(0)
    pd.DataFrame(rng.normal(size=(150, WIDE)), columns=[f"x{i}" for i in range(WIDE)]).to_parquet(home / "wide.parquet")
    warm("scarce", "scarce-tabular")
    sets = [f"generate.shard={SHARD}", "generate.steps=2", "generate.count=10", "backbone.width=64", "backbone.layers=1", "evaluator=[]"]
    sets += ["train.steps=2", "train.batch=16", "runtime.threads=1", "data.target=''"]
    words = [word for s in sets for word in ("--set", s)]
    peak(["run", "tabular/table", "--data", str(home / "wide.parquet"), *words, "--out", str(home / "run"), "--quiet"], log)
    sample = ["sample", str(home / "run"), "--quiet"]
    found = {
        "few": peak([*sample, "-n", str(FEW), "-o", str(home / "few.parquet"), "--parts"], log),
        "many": peak([*sample, "-n", str(MANY), "-o", str(home / "many.parquet"), "--parts"], log),
        "whole": peak([*sample, "-n", str(MANY), "-o", str(home / "whole.parquet")], log),
    }
    print(json.dumps(found))
