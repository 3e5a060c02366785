"""`make scale`: what a second worker gives, what Ray costs beside the local executor, and what a piece and a worker cost.

Shards of 10 CPU seconds and more, drawn by one process, two local workers and two workers of a Ray cluster on this machine, in
turn. Every piece says how long it took itself, so overhead is measured as worker time outside pieces over time inside them; that
holds on a busy machine too, while the speed of two workers needs two idle cores: the load is written beside it.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from scarce.contract import Prompt
from scarce.files import write_bytes
from scarce.runs import api
from scarce.runs.shards import Shard, make_shard
from scarce.runtime.executor import Elsewhere, Executor, LocalExecutor

RECIPE = """
summary = "A table of two columns whose samples take their time"
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
count = 10
sampler = "ddpm"
steps = 500
[runtime]
device = "cpu"
precision = "fp32"
threads = 1
"""
SHARDS, WORKERS, NOTHINGS = 4, 2, 400


def prepared(folder: Path) -> Path:
    """A run whose generator the shards are drawn from."""
    rows = [f"{'left' if i % 3 else 'right'},{(i * 37 % 100) / 10},{(i * i % 89) / 7:.3f}" for i in range(300)]
    write_bytes(folder / "points.csv", ("\n".join(["side,a,b", *rows]) + "\n").encode())
    write_bytes(folder / "points.toml", RECIPE.format(folder=folder).encode())
    return api.run(str(folder / "points.toml"), out=folder / "run", quiet=True).folder


def timed(shard: Shard) -> tuple[float, float]:
    """Wall and CPU seconds of one shard."""
    wall, cpu = time.perf_counter(), time.process_time()
    make_shard(shard)
    return time.perf_counter() - wall, time.process_time() - cpu


def nothing(piece: int) -> int:
    """A piece without work."""
    return piece


def warm(seconds: float) -> int:
    """A piece that keeps its worker long enough for others to start; its process."""
    time.sleep(seconds)
    return os.getpid()


def asked(run: Path, where: Path, rows: int) -> list[Shard]:
    """Shards of so many rows that are not there yet."""
    prompts = tuple(Prompt(label="left" if i % 3 else "right") for i in range(rows))
    return [Shard(str(run), str(where / f"{i}.safetensors"), prompts, seed=i) for i in range(SHARDS)]


def rows_for(run: Path, folder: Path, seconds: float) -> int:
    """Rows that take so many CPU seconds."""
    trial = asked(run, folder / "trial", 512)
    timed(trial[0])
    return int(512 * seconds / timed(trial[1])[1])


def one_way(executor: Executor, workers: int, run: Path, folder: Path, rows: int) -> dict[str, float]:
    """Wall seconds of all shards, their own, and the share of worker time outside of them; with a warm worker and a cold one."""
    began = time.perf_counter()
    executor.map(warm, [3.0] * workers)
    started = time.perf_counter() - began - 3.0
    executor.map(timed, asked(run, folder / "small", 8)[: 2 * workers])  # each opens the generator
    load, began = os.getloadavg()[0], time.perf_counter()
    found = executor.map(timed, asked(run, folder / "large", rows))
    wall = time.perf_counter() - began
    inside = sum(own for own, _ in found)
    began = time.perf_counter()
    executor.map(nothing, range(NOTHINGS))
    each = (time.perf_counter() - began) / NOTHINGS
    return {
        "wall": wall, "inside": inside, "cpu": sum(cpu for _, cpu in found), "outside": wall * workers / inside - 1,
        "start": started, "piece": each, "load": load,
    }  # fmt: skip


def ways() -> dict[str, tuple[Callable[[], Executor], int]]:
    """Name -> how its executor is made, and how many workers it has."""
    from scarce_ray.executor import RayExecutor

    return {
        "one process": (LocalExecutor, 1),
        "local": (lambda: Elsewhere(LocalExecutor(workers=WORKERS, threads=1)), WORKERS),
        "ray": (lambda: Elsewhere(RayExecutor(workers=WORKERS, threads=1, device="cpu")), WORKERS),
    }


def run(repeats: int = 3, seconds: float = 11.0) -> list[dict[str, Any]]:
    """A row per number with its bound; medians over repeats."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in ways()}
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        done = prepared(folder)
        rows = rows_for(done, folder, seconds)
        for repeat in range(repeats):
            for name, (make, workers) in ways().items():
                found[name].append(one_way(make(), workers, done, folder / f"{name}-{repeat}", rows))
                print(name, {key: round(value, 4) for key, value in found[name][-1].items()}, flush=True)
    return table(found)


def table(found: dict[str, list[dict[str, float]]]) -> list[dict[str, Any]]:
    """The numbers that have bounds, then unit costs."""
    one, local, ray = (found[name] for name in ("one process", "local", "ray"))
    load = f"load {min(r['load'] for r in [*one, *local]):.1f} to {max(r['load'] for r in [*one, *local]):.1f}"
    shortest = min(r["inside"] / SHARDS for r in ray)
    speed = [a["wall"] / b["wall"] for a, b in zip(one, local, strict=True)]
    idle = [a["cpu"] / b["cpu"] * WORKERS / (1 + b["outside"]) for a, b in zip(one, local, strict=True)]
    cost = [b["outside"] - a["outside"] for a, b in zip(local, ray, strict=True)]
    return [
        row("two workers over one process", speed, 1.5, at_least=True, note=load),
        row("the same from CPU seconds: an estimate for idle cores", idle),
        row("Ray: time outside shards, over local", cost, 0.05, note=f"shards of {shortest:.0f} s and more; {load}"),
        row("local: time outside shards", [r["outside"] for r in local]),
        row("Ray: time outside shards", [r["outside"] for r in ray]),
        row("local: seconds until two workers answer", [r["start"] for r in local]),
        row("Ray: seconds until two workers answer", [r["start"] for r in ray], note="the cluster starts once"),
        row("local: seconds of a piece without work", [r["piece"] for r in local]),
        row("Ray: seconds of a piece without work", [r["piece"] for r in ray]),
    ]


def row(name: str, values: Sequence[float], bound: float | None = None, *, at_least: bool = False, note: str = "") -> dict[str, Any]:
    """The median of a number, its range, and whether it keeps its bound."""
    middle = sorted(values)[len(values) // 2]
    ok = None if bound is None else middle >= bound if at_least else middle <= bound
    return {"name": name, "value": middle, "bound": bound, "ok": ok, "note": f"{min(values):.3f} to {max(values):.3f}; {note}".strip("; ")}


if __name__ == "__main__":
    from run import keep, show

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=11.0, help="CPU seconds of a shard")
    given = parser.parse_args()
    rows = run(given.repeats, given.seconds)
    show(rows)
    print(f"kept in {keep('scale', rows)}")
