"""Kill runs at random moments, resume them, and hold them against runs that were left in peace.

python tests/faults/kills.py --kills 200 --seed 0 --out result.json [--all] [--only RECIPE …]

Half of the kills come from outside at a random moment of a random stage, half at a random write, just before or after a file
is put in place. SIGKILL, SIGTERM and SIGINT take turns at random. Finished chains are kept in OUT, so that it can go on.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from folders import STAGES, content, differences, finished, stage
from server import cpu_seconds, fork, run, running, until, wait, warm

from scarce.runtime.device import machine

COMMON = ["--preset", "test", "--quiet", "--set", "runtime.checkpoint_seconds=0", "--set", "runtime.threads=1"]
QUICK = {
    "tabular/table": ["data.source=builtin:iris", "generate.shard=32", "generate.count=120", 'evaluator=[{"name"="utility"}]'],
    "galot/table": ["generate.shard=16", "data.source=builtin:iris", "data.labelled=60", 'evaluator=[{"name"="rounds"}]'],
    "datadream/shapes": ["generate.shard=8", "evaluator=[]", "learner.steps=2"],
    "text2data/table": [
        "data.source=builtin:iris",
        "data.labelled=0.3",
        "generate.shard=32",
        "generate.count=120",
        'evaluator=[{"name"="forgetting", "rows"=30, "draws"=2}]',
    ],
    "galot/shapes": ["generate.shard=8", 'evaluator=[{"name"="rounds"}]'],
    "text2data/gestures": ["generate.shard=20", "evaluator=[]"],
}
FULL = {
    "tabular/table": ["data.source=builtin:iris", "generate.shard=32", "generate.count=120"],
    "galot/table": ["generate.shard=16"],
    "datadream/shapes": ["generate.shard=8"],
    "text2data/table": ["data.source=builtin:iris", "data.labelled=0.3", "generate.shard=32", "generate.count=120"],
    "galot/shapes": ["generate.shard=8"],
    "text2data/gestures": ["generate.shard=20"],
}
PLUGINS = ["scarce", *(f"scarce-{name}" for name in ("tabular", "galot", "datadream", "images", "tiny-t2i", "text2data", "timeseries"))]
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
CODES = {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}


class Chain:
    """One run, killed again and again until it is finished, beside the same run left in peace."""

    def __init__(self, recipe: str, sets: list[str], home: Path, whole: Path, times: dict[str, float], rng: random.Random) -> None:
        self.folder, self.log, self.whole, self.times, self.rng = home / "run", home / "log", whole, times, rng
        self.begin = ["run", recipe, *COMMON, *(w for s in sets for w in ("--set", s)), "--out", str(self.folder)]
        self.kills: list[dict[str, Any]] = []
        self.lost: list[str] = []
        self.wrong: list[str] = []

    def go(self, most: int) -> None:
        """Kill up to `most` times, then let it finish; what differs goes to `wrong`."""
        home = self.folder.parent
        home.mkdir(parents=True)
        for _ in range(most):
            before = finished(self.folder)
            if not self._kill():
                break
            self._look_for_lost(before)
        before = finished(self.folder)
        code = run(self._command(), self.log)
        self._look_for_lost(before)
        text = self.log.read_text() if self.log.is_file() else ""
        self.wrong += [] if code == 0 else [f"ended with {code}"]
        at = text.find("Traceback")
        self.wrong += [] if at < 0 else [f"a traceback: …{text[max(0, at - 500) : at + 3000]}"]
        self.wrong += differences(self.folder, content(self.whole)) if code == 0 else []

    def _command(self) -> list[str]:
        begun = (self.folder / "recipe.resolved.json").is_file()
        return ["resume", str(self.folder), "--quiet"] if begun else self.begin

    def _kill(self) -> bool:
        """Whether a kill met the run before it was finished."""
        with_signal = self.rng.choice(SIGNALS)
        at_write = self.rng.random() < 0.5
        again, size = self._command()[0] == "resume", self.log.stat().st_size if self.log.is_file() else 0
        if at_write:
            count, after = self.rng.randrange(1, 16), self.rng.random() < 0.5
            pid = fork(self._command(), self.log, lambda: die_at_write(count, after, with_signal))
        else:
            pid = fork(self._command(), self.log)
            now = STAGES.index(stage(self.folder))
            wanted = self.rng.choice(STAGES[now:])
            if until(pid, lambda: STAGES.index(stage(self.folder)) >= STAGES.index(wanted)):
                time.sleep(self.rng.random() * self.times.get(wanted, 0.1))
            if running(pid):
                os.kill(pid, with_signal)
        code = wait(pid)
        if code == 0:
            return False
        reached, text = stage(self.folder), self.log.read_bytes()[size:].decode()
        self.kills.append({"signal": with_signal.name, "how": "write" if at_write else "time", "stage": reached, "code": code})
        told = code == -with_signal or "to go on: scarce resume" in text or not again
        if code not in (CODES[with_signal], -with_signal) or not told:
            self.wrong.append(f"{with_signal.name} ended with {code}: {text[-300:]}")
        return True

    def _look_for_lost(self, before: dict[Path, tuple[int, int]]) -> None:
        now = finished(self.folder)
        self.lost += [str(path.relative_to(self.folder)) for path, which in before.items() if now.get(path) != which]


def die_at_write(count: int, after: bool, with_signal: signal.Signals) -> None:
    """Let this process be hit at its `count`th write, just before or after the file is put in place."""
    real, left = os.replace, [count]

    def replace(source: Any, target: Any) -> None:
        left[0] -= 1
        if after:
            real(source, target)
        if left[0] == 0:
            os.kill(os.getpid(), with_signal)
        if not after:
            real(source, target)

    os.replace = replace  # type: ignore[assignment]


def in_peace(recipe: str, sets: list[str], home: Path) -> tuple[Path, dict[str, float]]:
    """The run as nobody disturbs it, and how long each stage takes."""
    folder, times, began = home / "whole", dict[str, float](), time.monotonic()
    home.mkdir(parents=True)
    arguments = ["run", recipe, *COMMON, *(w for s in sets for w in ("--set", s)), "--out", str(folder)]
    pid, now = fork(arguments, home / "whole.log"), "start"
    while running(pid):
        if (reached := stage(folder)) != now:
            times[now], now, began = time.monotonic() - began, reached, time.monotonic()
        time.sleep(0.002)
    times[now] = time.monotonic() - began
    assert wait(pid) == 0, (home / "whole.log").read_text()
    return folder, times


def trials(kills: int, seed: int, recipes: dict[str, list[str]], out: Path, home: Path) -> dict[str, Any]:
    """Chains of kills over the recipes in turn until there are enough kills; what was found, also in `out` after each chain."""
    before: dict[str, Any] = json.loads(out.read_text()) if out.is_file() else {}
    done: list[dict[str, Any]] = before.get("chains", [])
    peace: dict[str, tuple[Path, dict[str, float]]] = {}
    while (count := sum(len(c["kills"]) for c in done)) < kills:
        number = len(done)
        rng, recipe = random.Random(f"{seed}/{number}"), list(recipes)[number % len(recipes)]
        place = recipe.replace("/", "-")
        if recipe not in peace:
            peace[recipe] = in_peace(recipe, recipes[recipe], home / place)
        chain = Chain(recipe, recipes[recipe], home / f"{place}-{number}", *peace[recipe], rng)
        chain.go(min(rng.randint(3, 8), kills - count))
        done.append({"recipe": recipe, "kills": chain.kills, "lost": chain.lost, "wrong": chain.wrong})
        result = summary(done, seed)
        out.write_text(json.dumps({**before, **result}, indent=1) + "\n")
        print(f"{result['kills']} kills, {recipe}: {len(chain.lost)} lost, {chain.wrong or 'no difference'}", flush=True)
    return summary(done, seed)


def summary(chains: list[dict[str, Any]], seed: int) -> dict[str, Any]:
    """The counts of all chains."""
    hits = [{**kill, "recipe": c["recipe"]} for c in chains for kill in c["kills"]]
    by = {key: {v: sum(k[key] == v for k in hits) for v in sorted({k[key] for k in hits})} for key in ("recipe", "signal", "how", "stage")}
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True).stdout.strip()
    facts = {"commit": commit, "machine": machine(), "seed": seed, "kills": len(hits)}
    lost, wrong = sum(len(c["lost"]) for c in chains), sum(bool(c["wrong"]) for c in chains)
    return {**facts, "lost_finished_shards": lost, "silent_differences": wrong, "by": by, "chains": chains}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="+", default=list(FULL), choices=list(FULL), help="recipes, which take turns")
    parser.add_argument("--all", action="store_true", help="with every evaluator of the test presets")
    asked = parser.parse_args()
    warm(*PLUGINS)
    with tempfile.TemporaryDirectory() as folder:
        recipes = {name: sets for name, sets in (FULL if asked.all else QUICK).items() if name in asked.only}
        found = trials(asked.kills, asked.seed, recipes, asked.out, Path(folder))
    print(json.dumps({**{k: v for k, v in found.items() if k != "chains"}, "cpu_seconds": round(cpu_seconds(), 1)}))
