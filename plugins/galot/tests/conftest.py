"""A toy with a known truth: a conditional diffusion of four groups of points in the plane, and a classifier fitted on twenty."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from scarce.contract import Block, Dataset, LearnerContext, Phase, Plan, Prompt, ScoreContext, Space, State, TrainingPart, take
from scarce.contract.plan import Budget
from scarce.diffusion.options import DiffusionOptions
from scarce.diffusion.process import Process
from scarce.host.hooks import Scope
from scarce.parts.label import LabelTokens
from scarce.runs.conditioning import ConditionSet
from scarce.runs.generator import TrainedGenerator
from scarce.runs.model import Model
from scarce.runs.sections import Generate
from scarce.runs.training import material, train_plan
from scarce.runtime.options import RuntimeOptions
from scarce.runtime.runtime import SharedRuntime

CLASSES = ("south-west", "north-west", "south-east", "north-east")
STEPS, WIDTH = 50, 16


class PlaneCodec:
    """Points as they are."""

    space = Space(layout="vector", blocks=(Block(name="xy", kind="continuous", size=2, clip=3.0),))

    def encode(self, records):
        num = torch.tensor(records[["x", "y"]].to_numpy(), dtype=torch.float32)
        return State(num, torch.zeros(len(num), 0, dtype=torch.int64))

    def soft(self, state):
        return state.num

    def decode(self, state, labels, seed):
        return pd.DataFrame({"x": state.num[:, 0].tolist(), "y": state.num[:, 1].tolist(), "group": list(labels)})

    def vectors(self, records):
        return records[["x", "y"]].to_numpy()


def truth(records):
    """The group whose quadrant a point lies in: the oracle."""
    return np.array([CLASSES[2 * int(x > 0) + int(y > 0)] for x, y in zip(records.x, records.y, strict=True)])


def points(n, seed):
    """n points of four groups around (+-1, +-1)."""
    rng = np.random.default_rng(seed)
    code = rng.integers(0, 4, n)
    centre = np.stack([2 * (code // 2) - 1, 2 * (code % 2) - 1], 1)
    xy = centre + rng.normal(0, 0.25, (n, 2))
    return pd.DataFrame({"x": xy[:, 0], "y": xy[:, 1], "group": [CLASSES[k] for k in code]})


def dataset(records):
    n = len(records)
    ids = np.array([hashlib.sha256(str(i).encode()).hexdigest()[:8] for i in range(n)])
    return Dataset(
        name="plane", ids=ids, records=records, task="classification", target_name="group", target=records.group.to_numpy(dtype=object),
        classes=CLASSES, labelled=np.ones(n, bool), split=np.full(n, "train"), groups=ids,
    )  # fmt: skip


@dataclass
class Toy:
    """Generator, classifier and the four starts of one seed."""

    generator: TrainedGenerator
    learner: Any
    start: Any
    seed: int

    def score(self, acquisition):
        """A score for `ascend`."""
        return lambda state, y: acquisition.acquisition_score(ScoreContext(logits=self.learner.logits(state.num), y=y))

    def kept(self, condition, each=250):
        """[4] share of fresh samples of each class that lie in their quadrant."""
        many = condition[torch.arange(4).repeat_interleave(each)]
        with torch.no_grad():
            found = self.generator.codec.decode(self.generator.draw(many, seed=99), [c for c in CLASSES for _ in range(each)], 0)
        return (truth(found) == found.group).to_numpy().reshape(4, each).mean(1)


def make_toy(folder, seed):
    """Train one toy: 800 points, 500 steps, DDIM with 50 steps; the classifier is `mlp` of tables on 20 points."""
    from scarce_tabular.backbone import ResidualMlp
    from scarce_tabular.config import MlpLearner
    from scarce_tabular.learner import SoftMlp

    runtime = SharedRuntime(seed=seed, options=RuntimeOptions(threads=1, precision="fp32"), folder=folder)
    data, codec = dataset(points(800, seed)), PlaneCodec()
    with runtime.seeded("backbone"):
        backbone = ResidualMlp(space=codec.space, condition_width=WIDTH, steps=STEPS, width=64, layers=2)
    tokens = LabelTokens(CLASSES, WIDTH, runtime.generator("tokens"))
    conditions = ConditionSet([tokens], classes=CLASSES, generator=runtime.generator("null"))
    phase = Phase(name="train", trainable=("backbone", "conditioner.0"), budget=Budget(steps=500, batch=128))
    model = Model(backbone, conditions, Plan(phases=(phase,)), Scope("toy"), runtime)
    x0 = codec.encode(data.records)
    process = Process.fit(codec.space, DiffusionOptions(steps=STEPS, target="v", prior="standard"), x0)
    prompts = [Prompt(label=v) for v in data.target]
    options = Generate(sampler="ddim", steps=STEPS)
    train_plan(model, process, material(data, x0, conditions.prepare(prompts), runtime.device), runtime, folder, options)
    generator = TrainedGenerator(model=model, process=process, codec=codec, options=options, runtime=runtime)
    learner = SoftMlp(LearnerContext(dataset=data, codec=codec, runtime=runtime, seed=seed), MlpLearner(width=32, steps=200))
    seen = [np.flatnonzero(data.target == c)[:5] for c in CLASSES]
    rows = np.concatenate(seen)
    learner.fit([TrainingPart(records=take(data.records, rows), target=data.target[rows])])
    return Toy(generator, learner, generator.encode_condition([Prompt(label=c) for c in CLASSES]), seed)


@pytest.fixture(scope="session")
def toys(tmp_path_factory):
    """Three toys, seeds 0 to 2."""
    pytest.importorskip("scarce_tabular")
    return [make_toy(tmp_path_factory.mktemp(f"toy{seed}"), seed) for seed in range(3)]
