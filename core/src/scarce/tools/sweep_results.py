"""What a sweep found: a row per point and seed, paired differences to each factor's default level, the Pareto front."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scarce.contract.frozen import Frozen
from scarce.files import read_json
from scarce.report.statistics import MAIN_METRIC, Child, Comparison, adjusted, by_seed, compared, contrast, number
from scarce.runs.experiment import ERROR_FILE, SWEEP_FILE
from scarce.runs.folder import read_recipe


class Result(Frozen):
    """One point and seed: status is "done", "failed" (error says why) or "missing"; child has the numbers when done.

    table: `data.source`; splits: equal for equal records in equal splits.
    """

    point: str
    seed: int
    levels: Mapping[str, str]
    table: str
    status: str
    error: str = ""
    task: str = ""
    splits: str = ""
    child: Child | None = None

    def metric(self, name: str, source: str = "synthetic") -> Mapping[str, Any]:
        """The finite metric of that name (the task's main one for none), or nothing."""
        return by_seed([self.child] if self.child else [], source, name or MAIN_METRIC.get(self.task, "")).get(self.seed, {})

    def value(self, name: str, source: str = "synthetic") -> float:
        """Its value; NaN when there is none."""
        return number(self.metric(name, source).get("value"))

    def of_real(self, name: str) -> float:
        """Its value as a share of what real rows score; NaN when they score nothing."""
        real = self.value(name, "real")
        return self.value(name) / real if real > 0 else math.nan

    def cost(self, name: str) -> float:
        """What the run recorded under that name; NaN when it is no number."""
        return number(self.child.cost.get(name)) if self.child else math.nan

    def to_json(self) -> dict[str, Any]:
        """Plain data: metrics as "source/name" -> value, cost as the run recorded it."""
        out = {key: getattr(self, key) for key in ("point", "seed", "levels", "table", "status", "error", "task")}
        values: dict[str, float | None] = {}
        for m in self.child.metrics if self.child else ():
            values.setdefault(f"{m.get('source')}/{m['name']}", m["value"] if math.isfinite(number(m["value"])) else None)
        return {**out, "metrics": values, "cost": dict(self.child.cost) if self.child else {}}


class Effect(Frozen):
    """One level of one factor on one table; against is the paired difference of its score to the default level's."""

    factor: str
    table: str
    level: str
    members: Sequence[Result]
    against: Comparison | None = None


class Place(Frozen):
    """One point of a table as score and cost (means over seeds); front: no other is as good at no more cost."""

    point: str
    table: str
    score: float
    cost: float
    front: bool


def results(folder: Path) -> list[Result]:
    """Every point and seed of a sweep's folder, finished or not."""
    facts = read_json(folder / SWEEP_FILE)
    return [_result(folder / "arms" / p["name"] / str(seed), p, seed) for p in facts["points"] for seed in facts["seeds"]]


def _result(home: Path, point: Mapping[str, Any], seed: int) -> Result:
    table = read_recipe(home)[0].data.source or "memory"
    same = Result(point=point["name"], levels=point["levels"], seed=seed, table=table, status="missing")
    if (home / ERROR_FILE).is_file():
        return same.with_(status="failed", error=read_json(home / ERROR_FILE)["error"])
    if not (home / "metrics.json").is_file():
        return same
    found = read_json(home / "metrics.json")
    splits = hashlib.sha256(json.dumps(read_json(home / "data.json")["splits"]).encode()).hexdigest()
    child = Child(arm=point["name"], seed=seed, metrics=found["metrics"], cost=found["cost"], counts=found["counts"])
    return same.with_(status="done", task=found["task"], splits=splits, child=child)


def effects(found: Sequence[Result], facts: Mapping[str, Any]) -> list[Effect]:
    """Every level of every factor on every table, over the points that differ in that factor alone; verdicts hold after Holm."""
    out = []
    for factor, levels in facts["factors"].items():
        groups = list(grouped(found, facts, factor).values())
        for table in dict.fromkeys(r.table for r in found):
            for level in levels:
                members = [r for group in groups for r in group.get(level, ()) if r.table == table]
                pairs = ((r, b) for g in groups for r in g.get(level, ()) for b in g.get(levels[0], ()) if r.table == table)
                versus = None if level == levels[0] else against(pairs, facts["metric"])
                out += [Effect(factor=factor, table=table, level=level, members=members, against=versus)] if members else []
    claims = iter(adjusted([e.against for e in out if e.against]))
    return [e.with_(against=next(claims)) if e.against else e for e in out]


def grouped(found: Sequence[Result], facts: Mapping[str, Any], factor: str) -> dict[tuple[tuple[str, str], ...], dict[str, list[Result]]]:
    """Level -> results, by each choice (factor, level) of the other factors that was run at two levels of this one or more.

    Factors that apply only at some levels of this one stay at their default.
    """
    below = {name for name, when in facts["when"].items() if factor in when}
    default = {name: facts["factors"][name][0] for name in below}
    groups: dict[tuple[tuple[str, str], ...], dict[str, list[Result]]] = {}
    for r in found:
        if factor in r.levels and all(r.levels.get(name, level) == level for name, level in default.items()):
            rest = tuple((name, level) for name, level in r.levels.items() if name not in {factor, *below})
            groups.setdefault(rest, {}).setdefault(r.levels[factor], []).append(r)
    return {rest: group for rest, group in groups.items() if len(group) > 1}


def against(pairs: Iterable[tuple[Result, Result]], metric: str) -> Comparison | None:
    """One difference per seed, the mean over its points; a pair needs equal records in equal splits."""
    by: dict[int, list[float]] = {}
    direction = "none"
    for one, default in pairs:
        a, b = one.metric(metric), default.metric(metric)
        if a and b and one.seed == default.seed and one.splits == default.splits:
            by.setdefault(one.seed, []).append(compared(a) - compared(b))
            direction = str(a["direction"])
    return contrast({seed: float(np.mean(values)) for seed, values in sorted(by.items())}, direction) if by else None


def over_seeds(members: Sequence[Result], values: Iterable[float]) -> list[float]:
    """One mean per seed that has finite values."""
    by: dict[int, list[float]] = {}
    for member, value in zip(members, values, strict=True):
        if math.isfinite(value):
            by.setdefault(member.seed, []).append(value)
    return [float(np.mean(v)) for v in by.values()]


def places(found: Sequence[Result], facts: Mapping[str, Any]) -> list[Place]:
    """Every point of every table that has a score and a cost, and whether it is on its table's Pareto front."""
    metric, out = facts["metric"], []
    by: dict[tuple[str, str], list[Result]] = {}
    for r in found:
        if r.metric(metric) and math.isfinite(r.cost(facts["cost"])):
            by.setdefault((r.table, r.point), []).append(r)
    sign = {key: -1 if mine[0].metric(metric)["direction"] in ("lower", "target") else 1 for key, mine in by.items()}
    gain = {key: sign[key] * float(np.mean([compared(r.metric(metric)) for r in mine])) for key, mine in by.items()}
    cost = {key: float(np.mean([r.cost(facts["cost"]) for r in mine])) for key, mine in by.items()}
    for key, mine in by.items():
        others = [k for k in by if k[0] == key[0] and (gain[k], cost[k]) != (gain[key], cost[key])]
        front = not any(gain[k] >= gain[key] and cost[k] <= cost[key] for k in others)
        score = float(np.mean([r.value(metric) for r in mine]))
        out.append(Place(table=key[0], point=key[1], score=score, cost=cost[key], front=front))
    return out


def tidy(found: Sequence[Result], facts: Mapping[str, Any]) -> str:
    """CSV with a line per number: point, seed, table, a column per factor, status, error, source ("cost" too), name, value."""
    out = io.StringIO()
    lines = csv.writer(out, lineterminator="\n")
    lines.writerow(["point", "seed", "table", *facts["factors"], "status", "error", "source", "name", "value"])
    for r in found:
        start, row = [r.point, r.seed, r.table, *(r.levels.get(f, "") for f in facts["factors"]), r.status, r.error], r.to_json()
        cost = [("cost", name, value) for name, value in row["cost"].items() if isinstance(value, int | float)]
        numbers = [(*name.split("/", 1), value) for name, value in row["metrics"].items()] + cost
        lines.writerows([*start, *number] for number in numbers or [("", "", "")])
    return out.getvalue()
