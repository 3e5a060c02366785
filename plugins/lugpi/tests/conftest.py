"""A toy with a known truth: rows of noisy numbers, views that show their class, labels of which a third are wrong."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from scarce.contract import Block, Dataset, LearnerContext, Space, State, TrainingPart, View, take
from scarce.runtime.options import RuntimeOptions
from scarce.runtime.runtime import SharedRuntime
from scarce_lugpi.config import Fusion, Lugpi
from scarce_lugpi.learner import Taught

CLASSES, WIDTH = ("a", "b", "c"), 12
TRAIN, HELD, TEST, WRONG = 120, 120, 600, 0.35


class Numbers:
    """Columns of numbers as they are."""

    def __init__(self, *names):
        self.names = list(names)
        self.space = Space(layout="vector", blocks=(Block(name="x", kind="continuous", size=len(names)),))

    def encode(self, records):
        num = torch.tensor(records[self.names].to_numpy(dtype=np.float32))
        return State(num, torch.zeros(len(num), 0, dtype=torch.int64))

    def soft(self, state):
        return state.num


class Views:
    """In the place of a generator: what its views are encoded by."""

    codec = Numbers("v0", "v1", "v2")


def toy_data(seed, informative=True):
    """Training and validation labels are wrong in 35 of 100 rows; a view is the true class, or nothing, and noise."""
    rng = np.random.default_rng(seed)
    n = TRAIN + HELD + TEST
    truth = rng.integers(0, 3, n)
    x = rng.normal(0, 1, (n, WIDTH))
    x[:, :3] += 1.3 * np.eye(3)[truth]
    split = np.array(["train"] * TRAIN + ["validation"] * HELD + ["test"] * TEST)
    noted = np.where((rng.random(n) < WRONG) & (split != "test"), (truth + rng.integers(1, 3, n)) % 3, truth)
    records = pd.DataFrame(x, columns=[f"x{i}" for i in range(WIDTH)])
    target = np.array([CLASSES[k] for k in noted], dtype=object)
    ids = np.array([f"r{i:04d}" for i in range(n)])
    shown = truth if informative else rng.integers(0, 3, n)
    views = pd.DataFrame(np.eye(3)[shown] + rng.normal(0, 0.2, (n, 3)), columns=["v0", "v1", "v2"])
    seen = np.flatnonzero(split != "test")
    return Dataset(
        name="toy", ids=ids, records=records, task="classification", target_name="y", target=target, classes=CLASSES,
        labelled=np.ones(n, bool), split=split, groups=ids, views={"generated": View(ids=ids[seen], records=take(views, seen))},
    )  # fmt: skip


def toy_learner(data, seed=0, **options):
    """A learner on the toy, unfitted; its student is the `mlp` of tables, its teacher linear in the view alone."""
    from scarce_tabular.config import MlpLearner
    from scarce_tabular.learner import Mlp

    runtime = SharedRuntime(seed=seed, options=RuntimeOptions(threads=1, precision="fp32"))
    codec = Numbers(*data.records.columns)
    parts = {"student": Mlp(MlpLearner(width=32, steps=150, batch=60, dropout=0.0))}
    teacher = Fusion(**{"layers": 0, "sees": "view", "steps": 100, "width": 16, "rate": 0.003, **options.pop("teacher", {})})
    ctx = LearnerContext(dataset=data, codec=codec, runtime=runtime, seed=seed, generator=Views(), parts=parts)
    return Taught(ctx, Lugpi(teacher=teacher, **options))


def real_part(data):
    """The labelled training rows."""
    rows = data.rows("train")
    return TrainingPart(records=take(data.records, rows), target=data.target[rows], ids=data.ids[rows])


def accuracy(learner, data):
    """Accuracy on the test rows, whose labels are right."""
    rows = data.rows("test")
    return float((learner.predict(take(data.records, rows)).values == data.target[rows]).mean())


@pytest.fixture(scope="session")
def toy():
    """The functions of this file."""
    return SimpleNamespace(data=toy_data, learner=toy_learner, part=real_part, accuracy=accuracy, codec=Views.codec)
