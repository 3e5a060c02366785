"""Models of a run of rounds take turns under a memory budget, and the results are those of a run without one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import torch

from scarce.diffusion.process import Process
from scarce.files import read_tensors
from scarce.runs import api

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from folders import content  # noqa: E402

SMALL = {"data.source": "builtin:iris", "data.labelled": 60, "train.steps": 20, "evaluator": [{"name": "rounds"}], "runtime.threads": 1}


def test_the_models_of_galot_alternate_under_a_budget_with_equal_results(tmp_path):
    peaks = {}
    for name, budget in (("free", None), ("tight", 0.00165)):
        sets = {**SMALL, **({} if budget is None else {"runtime.memory_gb": budget})}
        api.run("galot/table", set=sets, preset="test", out=tmp_path / name, quiet=True)
        peaks[name] = json.loads((tmp_path / name / "metrics.json").read_text())["cost"]["peak_models_mb"]
    assert peaks["tight"] <= 1.65 < peaks["free"]
    free, tight = (content(tmp_path / name) for name in ("free", "tight"))
    assert [name for name in free if not name.startswith("recipe.") and repr(free[name]) != repr(tight[name])] == []


def test_a_run_that_is_out_of_memory_halves_its_micro_batches_with_equal_results(tmp_path, monkeypatch):
    sets = {
        "data.source": "builtin:iris",
        "data.target": "target",
        "train.steps": 30,
        "train.batch": 32,
        "generate.count": 10,
        "evaluator": [],
    }
    sets |= {"runtime.precision": "fp32", "runtime.threads": 1, "learner.iterations": 2}
    api.run("tabular/table", set=sets, preset="test", out=tmp_path / "whole", quiet=True)
    real = Process.loss

    def narrow(process, network, x0, *rest, **more):
        if len(x0) > 8:
            raise torch.OutOfMemoryError("out of memory")
        return real(process, network, x0, *rest, **more)

    monkeypatch.setattr(Process, "loss", narrow)
    api.run("tabular/table", set=sets, preset="test", out=tmp_path / "halved", quiet=True)
    events = json.loads((tmp_path / "halved" / "metrics.json").read_text())["cost"]["events"]
    assert [e["micro"] for e in events] == [16, 8]
    whole, halved = (read_tensors(tmp_path / name / "model/phases/train.safetensors")[0] for name in ("whole", "halved"))
    for name, weight in whole.items():
        torch.testing.assert_close(halved[name], weight, rtol=1e-4, atol=1e-5)


def test_fifty_times_as_many_rows_in_parts_take_no_more_memory(tmp_path):
    done = subprocess.run(
        [sys.executable, HERE / "grow.py", tmp_path], env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    peaks = json.loads(done.stdout)
    assert peaks["many"] < peaks["few"] + 15
    assert peaks["whole"] > peaks["few"] + 30  # what is measured is there to be saved
    parts = pd.read_parquet(tmp_path / "many.parquet")
    pd.testing.assert_frame_equal(parts, pd.read_parquet(tmp_path / "whole.parquet"))
    assert len(list((tmp_path / "many.parquet").glob("part-*.parquet"))) == 100
