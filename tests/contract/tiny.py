"""Pairs of a modality with a strategy, an acquisition or a learner, from the catalogue, and the smallest recipe that runs each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scarce.catalogue import Catalogue, Row, read_catalogue
from scarce.errors import CapabilityError, RecipeError
from scarce.runs.assembly import check_recipe
from scarce.runs.recipe import resolve
from scarce.runs.run import Job, execute
from scarce.runs.sections import Recipe
from scarce.testing.toys import pictures, sequences, vectors

KINDS = ("strategy", "acquisition", "learner")
ROWS = 48


def words(n: int, seed: int = 0) -> pd.DataFrame:
    """n texts whose noun depends on the class in `side`."""
    rng = np.random.default_rng(seed)
    code = np.arange(n) % 2
    texts = [f"my {rng.choice(NOUNS[c])} is {rng.choice(('old', 'new'))}" for c in code]
    return pd.DataFrame({"text": texts, "side": np.array(["fruit", "tools"], dtype=object)[code]})


def trails(n: int, seed: int = 0) -> pd.DataFrame:
    """n paths of a point in the plane that rise or fall with the class in `side`."""
    return sequences(n, seed).rename(columns={"series": "motion"})


NOUNS = (("apple", "pear", "plum"), ("saw", "drill", "hammer"))
VOCABULARY = ["my", "is", "old", "new", *NOUNS[0], *NOUNS[1]]


def alcohols(n: int, seed: int = 0) -> pd.DataFrame:
    """n small molecules that end in an alcohol or an amine, as the class in `side` says."""
    chains = [f"{a}{b}{c}" for a in ("C", "CC", "CO", "C(F)", "C(C)") for b in ("C", "C(C)", "C(F)") for c in ("C", "CC")]
    code = np.arange(n) % 2
    texts = [f"{chains[i // 2 % len(chains)]}{'ON'[c]}" for i, c in enumerate(code)]
    return pd.DataFrame({"smiles": texts, "side": np.array(["alcohol", "amine"], dtype=object)[code]})


@dataclass(frozen=True)
class Base:
    """A modality as pairs use it: records, what generates them (none: nothing does), and the learner of an acquisition."""

    records: Callable[[int], pd.DataFrame]
    recipe: Mapping[str, Any] = field(default_factory=dict)
    learner: str = ""


LABEL = [{"name": "label", "width": 8}]
BASES = {
    "tabular": Base(vectors, {"backbone": {"name": "mlp", "width": 16, "layers": 1}, "conditioner": LABEL}, "mlp"),
    "timeseries": Base(sequences, {"backbone": {"name": "dilated", "channels": 8, "layers": 2}, "conditioner": LABEL}, "conv"),
    "motion": Base(trails, {"backbone": {"name": "motion-transformer", "width": 8, "layers": 1, "heads": 2}, "conditioner": LABEL}, "conv"),
    "images": Base(
        pictures,
        {"backbone": {"name": "conv-transformer", "width": 16, "layers": 1, "heads": 2, "channels": 8}, "conditioner": LABEL},
        "resnet",
    ),
    "text": Base(words, learner="text"),
    "molecules": Base(alcohols, {"backbone": {"name": "egnn", "width": 8, "layers": 1, "radial": 4}, "conditioner": LABEL}, "forest"),
}
"""Modality -> how it is used; one that is installed and not here fails the tests."""

SHOTS = {"epochs": 2, "batch": 4}
QUICK = {"steps": 4, "batch": 16}
SMALL: dict[tuple[str, str], dict[str, Any]] = {
    ("modality", "images"): {"size": 16},
    ("strategy", "all-classes"): SHOTS,
    ("strategy", "per-class"): SHOTS,
    ("strategy", "prior-preservation"): {"each": 1},
    ("strategy", "varied"): {"mirror": False},
    ("strategy", "lora"): {"rank": 2},
    ("strategy", "two-stage"): {"steps": 4},
    ("strategy", "barrier"): {"draws": 2, "rows": 16},
    ("strategy", "ewc"): {"rows": 8},
    ("learner", "mlp"): QUICK,
    ("learner", "catboost"): {"threads": 1},
    ("learner", "conv"): {**QUICK, "channels": 8, "layers": 1},
    ("learner", "resnet"): {**QUICK, "width": 4, "blocks": [1]},
    ("learner", "vit"): {**QUICK, "width": 8, "layers": 1, "heads": 2},
    ("learner", "mobilenet"): {"steps": 2, "batch": 8, "width": 0.1},
    ("learner", "features"): {"space": "clip", "steps": 4},
    ("learner", "clip"): {"source": "clip", "steps": 2, "batch": 4, "rank": 2},
    ("learner", "forest"): {"trees": 5},
    ("learner", "text"): {"source": "bert", "steps": 4, "hidden": 8, "max_tokens": 16},
}
"""(role, name) -> options that make it small; "clip" and "bert" stand for a folder of `weights.py`."""

BEFORE = dict.fromkeys(("barrier", "joint", "ewc", "l2-init"), ("two-stage",))
"""Strategy -> those that it is a remark on, and must be named before it."""

ALONE = {("tabular", "prior-preservation"): "tables of numbers alone"}
"""(modality, name) -> for which records of the modality the pair works."""

ELSEWHERE = {"lugpi": "needs a view of each record, from a generator of another modality or from tags: see its own tests"}
"""Components that no pair can show, and why."""


@dataclass(frozen=True)
class Pair:
    """A modality with a component of another role."""

    modality: str
    role: str
    name: str

    def __str__(self) -> str:
        return f"{self.modality} x {self.role} {self.name}"


@dataclass(frozen=True)
class Verdict:
    """Whether the pair's recipe passes the check, under which mode of acquisition, and why it does not."""

    works: bool
    how: str = ""
    why: str = ""


def tree() -> Catalogue:
    """What is installed of this tree: whatever else is there does not change the pairs."""
    return Catalogue(tuple(row for row in read_catalogue(only=None, block=()).rows if row.distribution.partition("-")[0] == "scarce"))


def named(catalogue: Catalogue, role: str) -> list[Row]:
    """Ready components of a role."""
    return [row for row in catalogue.rows if row.role == role and row.status == "ready"]


def pairs(catalogue: Catalogue) -> Iterator[Pair]:
    """Every modality with every strategy, acquisition and learner."""
    for role in KINDS:
        for row in named(catalogue, role):
            for modality in named(catalogue, "modality"):
                if row.name not in ELSEWHERE:
                    yield Pair(modality.name, role, row.name)


def part(role: str, name: str, folders: Mapping[str, str] = {}) -> dict[str, Any]:
    """A component at its smallest, with folders of weights in the place of their names."""
    options = SMALL.get((role, name), {})
    return {"name": name, **{k: folders.get(v, v) if isinstance(v, str) else v for k, v in options.items()}}


def recipe_of(pair: Pair, mode: str = "", folders: Mapping[str, str] = {}, **changes: Any) -> Recipe:
    """A recipe of a few steps, few rows and one evaluation with the pair in it."""
    base = BASES[pair.modality]
    raw: dict[str, Any] = {
        "data": {"modality": pair.modality, "source": "memory", "target": "side", "options": SMALL.get(("modality", pair.modality), {})},
        **base.recipe, "diffusion": {"steps": 20}, "train": {"steps": 3, "batch": 8}, "generate": {"steps": 2, "count": 12},
        "evaluator": [{"name": "utility"}] if pair.role == "learner" else [{"name": "diversity"}],
        "runtime": {"precision": "fp32", "threads": 1},
    }  # fmt: skip
    if pair.role == "strategy":
        raw["strategy"] = [part("strategy", name) for name in (*BEFORE.get(pair.name, ()), pair.name)]
        raw["data"]["labelled"] = 0.5
    if pair.role == "acquisition":
        small = {"steps": 1, "images": 2, "grad_steps": 1, "warmup": 0.0} if mode == "ascend" else {"factor": 2.0, "warmup": 0.0}
        raw["acquisition"] = {"name": pair.name, "mode": mode, **small, "epsilon": 0.1}
        raw["learner"] = {**part("learner", base.learner, folders), "steps": 20}
        raw["generate"] = {**raw["generate"], "rounds": 2, "count": 8}
        raw["evaluator"] = [{"name": "rounds"}]
    if pair.role == "learner":
        raw["learner"] = part("learner", pair.name, folders)
    return resolve({**raw, **changes})


def forced(pair: Pair, mode: str, folders: Mapping[str, str]) -> Recipe:
    """The recipe of a refused pair as it would run without the check: with a network of tables where its modality has none."""
    recipe = BASES[pair.modality].recipe or BASES["tabular"].recipe
    return recipe_of(pair, mode, folders, **recipe)


def verdict(pair: Pair, catalogue: Catalogue) -> Verdict:
    """What the check of the recipe says, before anything is imported; an acquisition that can't be ascended may still select."""
    why = ""
    for mode in ("ascend", "select") if pair.role == "acquisition" else ("",):
        recipe = recipe_of(pair, mode)
        try:
            check_recipe(recipe, catalogue)
            return Verdict(True, mode)
        except (CapabilityError, RecipeError) as error:
            why = error.message.splitlines()[0]
    return Verdict(False, why=why)


def records_of(pair: Pair) -> pd.DataFrame:
    """Records that the pair is for."""
    found = BASES[pair.modality].records(ROWS)
    return found.drop(columns="colour") if (pair.modality, pair.name) in ALONE else found


def carry_out(recipe: Recipe, records: pd.DataFrame, folder: Path, catalogue: Catalogue) -> dict[str, Any]:
    """The run, without a report; raises what it raises."""
    return execute(Job(recipe, folder, catalogue, memory=records))


MIXES = {
    "`barrier` x `lora` x `per-class` on images": (
        "an image network learns without labels, then one adapter per class under the barrier",
        "accuracy of `mlp` trained on the samples alone",
    ),
    "`two-stage` on a table": ("all rows without classes, then the labelled ones", "accuracy of `mlp` trained on the samples alone"),
    "GALOT after DataDream": (
        "a generator is adapted to shots of another kind of picture, then its prompts move to what a classifier is unsure of",
        "rise of the margin score on fresh samples",
    ),
    "acquisition as a filter on tables": ("twice as many rows are made, `margin` selects half", "rise of the score by selection"),
    "LUGPI with a generated view of series": (
        "a teacher reads a text beside a series that is made of its caption, four labels of ten wrong; a student reads the text",
        "accuracy of the student over that without a teacher, and over that with shuffled views",
    ),
    "the rank rule on image adapters": ("`lora` takes its rank from the training pictures", "the rank"),
}
"""Name -> (what runs, which number), as in the page; test_mixes.py runs each."""
