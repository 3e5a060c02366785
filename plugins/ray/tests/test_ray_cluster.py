"""A real Ray cluster of two nodes: a worker, a node and the driver are killed, and nothing finished is lost or made again."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest
import ray
from ray.cluster_utils import Cluster

from scarce.contract import Prompt
from scarce.errors import RunError
from scarce.runs import api
from scarce.runs.shards import Shard, make_shard
from scarce_ray.executor import RayExecutor

RECIPE = """
summary = "Points for a cluster"
[data]
modality = "tabular"
source = "{folder}/points.csv"
target = "side"
[backbone]
name = "mlp"
[[conditioner]]
name = "label"
[train]
steps = 20
batch = 64
[generate]
count = 15600
shard = 1200
steps = 60
[runtime]
device = "cpu"
precision = "fp32"
threads = 1
"""

pytest.importorskip("scarce_tabular")


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A folder with a recipe of 13 shards of a third of a second or so, and `alone`, its run without a cluster."""
    folder = tmp_path_factory.mktemp("ray")
    rows = [f"{'left' if i % 3 else 'right'},{(i * 37 % 100) / 10},{(i * i % 89) / 7:.3f}" for i in range(300)]
    (folder / "points.csv").write_text("\n".join(["side,a,b", *rows]) + "\n")
    (folder / "points.toml").write_text(RECIPE.format(folder=folder))
    api.run(str(folder / "points.toml"), out=folder / "alone", set={"runtime.executor": "local"}, quiet=True)
    return folder


@pytest.fixture(scope="module")
def cluster():
    """Two nodes of one CPU, with a token of their own and little memory."""
    health = {"health_check_period_ms": 500, "health_check_failure_threshold": 3, "health_check_timeout_ms": 1000}
    args = {"num_cpus": 1, "object_store_memory": 80 * 1024**2, "include_dashboard": False}
    made = Cluster(initialize_head=True, head_node_args={**args, "_system_config": health})
    made.second = made.add_node(num_cpus=1, object_store_memory=80 * 1024**2)
    yield made
    made.shutdown()


def scarce(*arguments, **environment) -> subprocess.Popen:
    env = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    log = subprocess.DEVNULL if "--quiet" in arguments else None
    return subprocess.Popen([sys.executable, "-m", "scarce", *map(str, arguments)], env=env, stdout=log, stderr=log)


def shards(run: Path) -> list[str]:
    return sorted(p.name for p in (run / "samples" / "shards").glob("*.safetensors"))


def wait_for(run: Path, count: int, process: subprocess.Popen) -> None:
    end = time.monotonic() + 400
    while len(shards(run)) < count:
        assert process.poll() is None, "the driver ended"
        assert time.monotonic() < end, f"waited in vain for {count} shards; there are {shards(run)}"
        time.sleep(0.01)


def written(run: Path) -> Counter:
    """How often each shard was written."""
    lines = [json.loads(line) for line in (run / ".book.jsonl").read_text().splitlines()]
    return Counter(Path(line["name"]).name for line in lines if "shards" in line["name"])


def workers() -> list[psutil.Process]:
    """Processes at work on a piece."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if "scarce piece" in " ".join(process.cmdline()) or "ray::scarce" in process.name():
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.mark.slow
def test_kills_of_a_worker_a_node_and_the_driver_lose_nothing(home, cluster, monkeypatch):
    run = home / "cluster"
    started = scarce(
        "run", home / "points.toml", "--out", run, "--set", "runtime.executor=ray", RAY_ADDRESS=cluster.address, PYTHONUNBUFFERED="1"
    )
    wait_for(run, 2, started)
    victims = workers()
    assert victims, "no worker is at work"
    first = before = set(shards(run))
    victims[0].send_signal(signal.SIGKILL)
    wait_for(run, len(before) + 2, started)
    before = set(shards(run))
    cluster.remove_node(cluster.second, allow_graceful=False)
    wait_for(run, len(before) + 2, started)
    before = set(shards(run))
    started.kill()
    started.wait()
    assert len(before) < 13, "killed too late to test anything"
    assert not (run / "metrics.json").exists()
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    api.resume(run)
    assert not ray.is_initialized(), "the run still holds a connection"
    assert shards(run) == shards(home / "alone")
    assert len(shards(run)) == 13
    for name in shards(run):
        assert (run / "samples" / "shards" / name).read_bytes() == (home / "alone" / "samples" / "shards" / name).read_bytes()
    times = written(run)
    assert all(times[name] == 1 for name in first), f"finished before the first kill, and made again: {times}"
    assert times.total() <= 13 + 4, f"more was made again than was being made at a kill: {times}"
    assert (run / "samples" / "synthetic.parquet").read_bytes() == (home / "alone" / "samples" / "synthetic.parquet").read_bytes()


def test_a_mistake_in_a_piece_comes_out_as_it_is_and_a_cluster_with_a_name_goes_on(home, cluster, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    executor = RayExecutor(workers=1, device="cpu")
    asked = [Shard(str(home / "nowhere"), str(home / f"{i}.safetensors"), (Prompt(label="left"),), seed=i) for i in range(3)]
    with pytest.raises(RunError, match="nowhere") as error:
        executor.map(make_shard, asked)
    assert error.value.hint
    executor.close()
    assert not ray.is_initialized()
    assert executor.map(abs, [-3, 2]) == [3, 2]  # by joining it once more
    executor.close()
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(RunError, match="no Ray cluster"):
        executor.map(abs, [1])


def test_a_cluster_that_was_started_for_the_run_ends_with_it(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    before = {p.pid for p in psutil.Process().children(recursive=True)}
    executor = RayExecutor(workers=1, device="cpu")
    with pytest.raises(ValueError, match="domain"):
        executor.map(math.sqrt, [-1])
    assert ray.is_initialized()
    executor.close()
    assert not ray.is_initialized()
    _, left = psutil.wait_procs([p for p in psutil.Process().children(recursive=True) if p.pid not in before], timeout=30)
    assert left == []
    executor.close()
