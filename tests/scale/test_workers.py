"""Executor `local` with workers: the same bytes as without, in other processes, and a worker that dies costs its pieces only."""

import os
from contextlib import nullcontext

import helping
import pytest
from helping import content, finish, scarce, staff

from scarce.errors import DataError, RunError, TrainingError
from scarce.runs import api, experiment
from scarce.runs.shards import Shard, make_shard
from scarce.runtime.executor import LocalExecutor, make_executor


def test_pieces_come_back_in_order_from_two_processes_that_know_their_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    executor = make_executor(LocalExecutor, {"workers": 2, "threads": 1})
    found = executor.map(helping.where, range(6))
    assert [piece for piece, *_ in found] == list(range(6))
    pids = {pid for _, pid, *_ in found}
    assert len(pids) == 2
    assert os.getpid() not in pids
    assert {place for *_, place, _ in found} == {str(tmp_path)}
    assert {threads for *_, threads in found} == {"1"}


def test_a_worker_that_dies_costs_its_pieces_and_one_that_always_dies_is_given_up(tmp_path):
    said = []
    executor = LocalExecutor(workers=2, threads=1, say=said.append)
    asked = [str(tmp_path / name) for name in "abc"]
    assert executor.map(helping.dies_once, asked) == asked
    assert any("a worker died" in line for line in said)
    with pytest.raises(RunError, match="died 3 times"):
        executor.map(helping.dies, [1])


def test_a_mistake_in_a_piece_comes_out_as_it_is():
    executor = LocalExecutor(workers=2, threads=1)
    with pytest.raises(DataError, match="is wrong") as error:
        executor.map(helping.refuse, range(4))
    assert error.value.hint == "another one"


class Own(LocalExecutor):
    """An executor that says when it was closed."""

    closed = 0

    def close(self):
        self.closed += 1


@pytest.mark.parametrize("rate", ["0.001", "1e30"])
def test_an_executor_is_closed_when_the_run_is_over_also_by_an_error(tmp_path, monkeypatch, rate):
    own, recipe = Own(), staff(tmp_path)
    monkeypatch.setattr(experiment, "_executor", lambda _: own)
    with nullcontext() if rate == "0.001" else pytest.raises(TrainingError):
        api.run(str(recipe), set={"train.rate": float(rate)}, out=tmp_path / "run", quiet=True)
    assert own.closed == 1


BRANCHES = """
[[strategy]]
name = "lora"
rank = 2
[[strategy]]
name = "per-class"
epochs = 2
"""


def both_ways(folder, *more, **recipe):
    """Weights and samples of a run without workers, and with two."""
    made = staff(folder, **recipe)
    for name, workers in (("one", ()), ("two", ("--workers", "2"))):
        finish(scarce("run", made, "--out", folder / name, *workers, *more))
    return content(folder / "one"), content(folder / "two")


def test_branches_and_shards_in_workers_are_the_same_bytes(tmp_path):
    pytest.importorskip("scarce_datadream")
    one, two = both_ways(tmp_path, more=BRANCHES)
    assert len([name for name in one if name.startswith("model/phases/")]) >= 2
    assert len([name for name in one if "shards" in name]) == 4
    assert one == two


@pytest.mark.slow
def test_seeds_in_workers_are_the_same_bytes(tmp_path):
    one, two = both_ways(tmp_path, "--set", "seeds=2")
    assert len([name for name in one if "shards" in name]) == 8
    assert one == two


def test_a_shard_made_twice_is_the_same_bytes_and_one_that_is_there_is_left(tmp_path):
    recipe = staff(tmp_path)
    finish(scarce("run", recipe, "--out", tmp_path / "run"))
    from scarce.contract import Prompt

    asked = tuple(Prompt(label=label) for label in ["yes", "no"] * 8)
    paths = [tmp_path / f"{i}.safetensors" for i in range(2)]
    for path in paths:
        make_shard(Shard(str(tmp_path / "run"), str(path), asked, seed=5))
    assert paths[0].read_bytes() == paths[1].read_bytes()
    before = paths[0].stat().st_mtime_ns
    make_shard(Shard(str(tmp_path / "run"), str(paths[0]), asked, seed=6))
    assert paths[0].stat().st_mtime_ns == before
