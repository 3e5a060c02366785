"""Fill the disk under a run at random moments, make room, resume, and hold it against a run that had room.

python tests/faults/fills.py --times 5 --seed 0 [--out result.json]

On a small file system in memory where one may be mounted; elsewhere under a limit on the size of a file (EFBIG).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from folders import content, differences, finished, stage
from kills import COMMON, QUICK, in_peace
from server import cpu_seconds, run, warm

RECIPE = "tabular/table"
TOLD = ("No space left on device", "File too large", "is free where")
DISK, WRITES = 64 << 20, 20


def mounted(place: Path) -> bool:
    """Whether a file system of its own could be mounted there."""
    place.mkdir()
    options = f"size={DISK}"
    return subprocess.run(["mount", "-t", "tmpfs", "-o", options, "scarce-test", place], capture_output=True).returncode == 0


def crowded(place: Path, count: int, spare: int) -> Callable[[], None]:
    """Let something else fill the disk but `spare` bytes when this process has written `count` files."""
    real, left = os.replace, [count]

    def replace(source: Any, target: Any) -> None:
        real(source, target)
        left[0] -= 1
        if left[0] == 0:
            ballast = os.open(place / "ballast", os.O_WRONLY | os.O_CREAT)
            os.posix_fallocate(ballast, 0, shutil.disk_usage(place).free - spare)
            os.close(ballast)

    def prepare() -> None:
        os.replace = replace  # type: ignore[assignment]

    return prepare


def limited(size: int) -> Callable[[], None]:
    """Let no file of this process grow beyond so many bytes."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


def fill(number: int, rng: random.Random, whole: Path, home: Path) -> dict[str, Any]:
    """One run that meets a full disk, and what came of it."""
    place, log, count = home / f"disk-{number}", home / f"log-{number}", rng.randrange(1, WRITES)
    real, spare = mounted(place), rng.choice([0, 4096, 40_960])
    folder = place / "run"
    seldom = ["runtime.checkpoint_seconds=1000"] * rng.randrange(2)  # else checkpoints are what fills it
    begin = ["run", RECIPE, *COMMON, *(w for s in (*QUICK[RECIPE], *seldom) for w in ("--set", s)), "--out", str(folder)]
    largest = max(p.stat().st_size for p in whole.rglob("*") if p.is_file())
    code = run(begin, log, crowded(place, count, spare) if real else limited(largest * count // WRITES))
    reached, said, before = stage(folder), log.read_text(), finished(folder)
    met = code == 2 and any(t in said for t in TOLD) and "Traceback" not in said
    wrong = [] if met or code == 0 else [f"ended with {code}: {said[-300:]}"]  # 0: what was spare was enough
    if real:
        (place / "ballast").unlink(missing_ok=True)
    begun = (folder / "recipe.resolved.json").is_file()
    code = run(["resume", str(folder), "--quiet"] if begun else begin, log)
    now = finished(folder)
    wrong += [f"lost {path.name}" for path, which in before.items() if now.get(path) != which]
    wrong += [] if code == 0 else [f"resume ended with {code}: {log.read_text()[-300:]}"]
    wrong += [name for name in differences(folder, content(whole)) if not name.startswith("recipe.")] if code == 0 else []
    if real:
        subprocess.run(["umount", place], check=True)
    return {"writes": count, "met": met, "disk": "full" if real else "limited", "stage": reached, "wrong": wrong}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="a result of kills.py, to which this one is added")
    asked = parser.parse_args()
    warm("scarce", "scarce-tabular")
    with tempfile.TemporaryDirectory() as folder:
        whole, _ = in_peace(RECIPE, QUICK[RECIPE], Path(folder) / "peace")
        found = [fill(i, random.Random(f"{asked.seed}/{i}"), whole, Path(folder)) for i in range(asked.times)]
    if asked.out is not None and asked.out.is_file():
        kept = {**json.loads(asked.out.read_text()), "full_disks": {"seed": asked.seed, "fills": found}}
        asked.out.write_text(json.dumps(kept, indent=1) + "\n")
    print(json.dumps({"fills": found, "wrong": sum(bool(f["wrong"]) for f in found), "cpu_seconds": round(cpu_seconds(), 1)}))
