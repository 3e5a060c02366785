"""What the scale tests share: a small recipe, real runs in other processes, and functions that workers can import."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import torch

from scarce.files import read_tensors

RECIPE = """
summary = "Points for tests of scale"
[data]
modality = "tabular"
source = "{folder}/staff.csv"
target = "left"
[backbone]
name = "mlp"
width = 64
layers = 2
[[conditioner]]
name = "label"
[train]
steps = 20
batch = 64
[generate]
count = {count}
shard = {shard}
steps = {steps}
[runtime]
device = "cpu"
precision = "fp32"
threads = 1
"""


def staff(folder: Path, *, count: int = 160, shard: int = 40, steps: int = 5, more: str = "") -> Path:
    """A table of 300 rows and a recipe for it without learner and evaluators; the recipe."""
    rows = torch.randn(300, 3, generator=torch.Generator().manual_seed(0)).tolist()
    lines = ["left,age,pay,years"] + [f"{'yes' if a > 0.5 else 'no'},{40 + 9 * a:.1f},{b:.3f},{c + a:.3f}" for a, b, c in rows]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "staff.csv").write_text("\n".join(lines) + "\n")
    (folder / "staff.toml").write_text(RECIPE.format(folder=folder, count=count, shard=shard, steps=steps) + more)
    return folder / "staff.toml"


def scarce(*arguments: object, processes: int = 1, **environment: str) -> subprocess.Popen:
    """`scarce …` in a process group of its own; processes: under torchrun."""
    launcher = [sys.executable, "-m"]
    launcher += ["torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), "-m"] if processes > 1 else []
    env = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    command = [*launcher, "scarce", *map(str, arguments)]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def pair(*arguments: object) -> list[subprocess.Popen]:
    """A Python program as two processes of one training, as a launcher starts them."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = str(found.getsockname()[1])
    env = {**os.environ, "OMP_NUM_THREADS": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    command = [sys.executable, *map(str, arguments)]
    ranks = [{**env, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(2)]
    return [subprocess.Popen(command, env=one, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for one in ranks]


def finish(process: subprocess.Popen, seconds: float = 600) -> str:
    """What a process said until its good end."""
    said, _ = process.communicate(timeout=seconds)
    assert process.returncode == 0, said
    return said


def kill_all(process: subprocess.Popen) -> None:
    """SIGKILL for a process and everything it started."""
    for one in [*psutil.Process(process.pid).children(recursive=True), process]:
        try:
            os.kill(one.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    process.communicate()


def wait_for(true, seconds: float = 400) -> None:
    """Until something is true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    """All phases of a run."""
    return {f"{p.stem}/{k}": v for p in sorted(folder.glob("model/phases/*.safetensors")) for k, v in read_tensors(p)[0].items()}


def furthest(one: Path, other: Path) -> float:
    """The largest difference of any trained weight."""
    a, b = tensors(one), tensors(other)
    assert a
    assert a.keys() == b.keys()
    return max(float((a[k] - b[k]).abs().max()) for k in a)


def content(folder: Path) -> dict[str, bytes]:
    """Weights and samples of a run by name."""
    found = [*folder.rglob("*.safetensors"), *folder.rglob("synthetic.parquet")]
    return {str(p.relative_to(folder)): p.read_bytes() for p in found}


def dies_once(place: str) -> str:
    """Kill this worker the first time, then answer."""
    if not Path(place).exists():
        Path(place).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return place


def dies(piece: int) -> int:
    """Kill this worker every time, unless the piece is 0."""
    if piece:
        os.kill(os.getpid(), signal.SIGKILL)
    return piece


def where(piece: int) -> tuple[int, int, str, str]:
    """The piece, the process, its folder and its threads."""
    time.sleep(0.2)
    return piece, os.getpid(), os.getcwd(), os.environ.get("SCARCE_THREADS", "")


def refuse(piece: int) -> None:
    """Raise what a person can act on."""
    from scarce.errors import DataError

    raise DataError(f"piece {piece} is wrong", hint="another one")


def killed_in_two_and_in_one(folder, *run):
    """A run begun by two processes, killed in training, gone on with by one, and killed again."""
    log = folder / "metrics.jsonl"

    def lines():
        return log.read_text().count("\n") if log.is_file() else 0

    first = scarce(*run, processes=2)
    wait_for(lambda: lines() >= 3)
    kill_all(first)
    kept = lines()
    second = scarce("resume", folder)
    wait_for(lambda: lines() >= kept + 2)
    kill_all(second)
    assert not (folder / "metrics.json").exists(), "killed too late to test anything"
