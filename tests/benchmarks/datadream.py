"""DataDream on drawn shapes: four shots per class of four styles that the generator has never seen, beside the un-adapted generator.

Distance is to held-out real pictures of the target style, with as many generated pictures in both arms: in pixels, and in "ink", which
tells what is drawn without its colour and place. A style is judged where a perfect pen would come nearer: turned shapes by ink (in
pixels they are as far as plain ones), dark ones by pixels (their ink is that of plain ones). Labels are read by the exact oracle, of the
un-adapted generator in its own style. Accuracy (one style) is of a classifier on real shots, and on shots and generated pictures. What
trains, rate, epochs and guidance are the recipe's, chosen on seeds 100 and 101. Turned shapes are not mirrored, for they turn one way.
Runs are kept, so it can be interrupted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from common import cached

from scarce.report.statistics import Child, find, paired, summarise

SEEDS, STYLES, JUDGED = 5, ("outline", "stripes", "rotated", "dark"), "outline"
MOST_DISTANCE, LEAST_LABELS = 0.7, 0.9
SPACES, JUDGED_BY = ("pixels", "ink"), {"outline": "pixels", "stripes": "pixels", "rotated": "ink", "dark": "pixels"}
SIDES = {
    "real": ("all-classes", "real"), "real + adapted": ("all-classes", "both"), "real + un-adapted": ("zero-shot", "both"),
    "augmented copies": ("all-classes", "augment"),
}  # fmt: skip


def run(data: str = "shapes") -> list[dict[str, Any]]:
    """Of shapes one row per style and one of accuracy; of emoji one row."""
    return [emoji()] if data == "emoji" else [*(measure(style) for style in STYLES), accuracy(_run(JUDGED), f"{JUDGED}, 4 shots")]


def _run(style: str) -> Sequence[Child]:
    return cached("datadream/shapes", f"datadream/{style}", settings(style)).results.children


def settings(style: str) -> dict[str, Any]:
    """What the benchmark sets of the recipe; the un-adapted arm is read in the generator's own style."""
    judges = [{"name": "shapes-oracle", "style": style}, {"name": "nearest-shot", "space": "pixels"}, {"name": "image-accuracy"}]
    judges += [{"name": "frechet", "space": space} for space in SPACES]
    arms = [{"name": "all-classes"}, {"name": "zero-shot", "strategy": [], "evaluator.0.style": "plain"}]
    learner = {"name": "resnet", "width": 8, "steps": 200, "real_weight": 0.5}
    turned = {"strategy.1.mirror": False} if style == "rotated" else {}
    return {
        "seeds": SEEDS, "arm": arms, "evaluator": judges, "data.source": f"builtin:shapes-{style}", "data.target": "shape",
        "learner": learner if style == JUDGED else None, "generate.per_class": 24, "runtime.threads": 1, **turned,
    }  # fmt: skip


def measure(style: str) -> dict[str, Any]:
    """Distances and labels after over before, means over seeds with intervals of the paired differences."""
    children = _run(style)
    out: dict[str, Any] = {"what": f"{style}, 4 shots", "seeds": SEEDS, "judged by": JUDGED_BY[style]}
    out |= _distances(children, SPACES) | _change(children, "oracle_shape", "labels")
    kernel = f"kernel, {JUDGED_BY[style]},"
    closer = out[f"{kernel} after"] <= MOST_DISTANCE * out[f"{kernel} before"]
    return {**out, "ok": bool(closer and out["labels after"] >= LEAST_LABELS * out["labels before"])}


def _distances(children: Sequence[Child], spaces: Sequence[str]) -> dict[str, Any]:
    """Distances in each space before and after adaptation, and the share of what was made that is nearly a shot."""
    out: dict[str, Any] = {}
    for space in spaces:
        seen = [child.with_(metrics=[m for m in child.metrics if _is_in(m, space)]) for child in children]
        out |= _change(seen, "frechet_distance", f"fréchet, {space},") | _change(seen, "kernel_distance", f"kernel, {space},")
    nearly = find(summarise(children), "shot_memorised", "synthetic", "all-classes")
    return {**out, "nearly copies": None if nearly is None else nearly.value}


def _is_in(metric: Mapping[str, Any], space: str) -> bool:
    return f"in the space {space}" in (metric.get("note") or "")


def _change(children: Sequence[Child], name: str, short: str) -> dict[str, Any]:
    """A metric of generated pictures before and after adaptation, and the paired change."""
    rows = summarise(children)
    before, after = (find(rows, name, "synthetic", arm) for arm in ("zero-shot", "all-classes"))
    assert before is not None
    assert after is not None
    gap = paired(children, ("all-classes", "synthetic"), ("zero-shot", "synthetic"), name)
    facts = {"before": before.value, "after": after.value, "change": gap.mean, "low": gap.low, "high": gap.high}
    return {f"{short} {key}": value for key, value in facts.items()}


def emoji() -> dict[str, Any]:
    """Eight kinds of things in a drawing style that the packaged generator has not seen: distances and accuracy."""
    judges = [{"name": "image-accuracy"}, {"name": "nearest-shot", "space": "pixels"}]
    judges += [{"name": "frechet", "space": space} for space in ("pixels", "efficientnet-lite0")]
    arms = [{"name": "all-classes"}, {"name": "zero-shot", "strategy": [], "generate.prompt": "{}, noto"}]
    sets = {"seeds": SEEDS, "arm": arms, "evaluator": judges, "generate.per_class": 16, "runtime.threads": 1}
    children = cached("datadream/emoji", "datadream/emoji", sets).results.children
    return _distances(children, ("pixels", "efficientnet-lite0")) | accuracy(children, "emoji, 4 shots")


def accuracy(children: Sequence[Child], what: str) -> dict[str, Any]:
    """Real and synthetic against real alone, and against real and what the un-adapted generator makes, paired over seeds."""
    rows, facts = summarise(children), dict[str, Any]()
    for name, side in SIDES.items():
        found = find(rows, "accuracy", side[1], side[0])
        assert found is not None
        facts[name] = found.value
    for name in ("real", "real + un-adapted", "augmented copies"):
        gap = paired(children, SIDES["real + adapted"], SIDES[name], "accuracy")
        facts |= {f"over {name}": gap.mean, f"over {name} low": gap.low, f"over {name} high": gap.high, f"over {name} verdict": gap.verdict}
    seeds = len({child.seed for child in children})
    return {"what": f"accuracy, {what}", "seeds": seeds, **facts, "ok": bool((facts["over real low"] or 0) > 0)}
