import numpy as np
import pandas as pd
import pytest
import torch

from scarce.contract import Dataset, LearnerContext, State, TrainingPart, take
from scarce.errors import DataError
from scarce.runtime.options import RuntimeOptions
from scarce.runtime.runtime import SharedRuntime
from scarce_tabular import config
from scarce_tabular.learner import CatBoost, Mlp

QUIET = RuntimeOptions(threads=1, precision="fp32")


class Numbers:
    """A codec of the numeric columns, the target among them where it is a number."""

    def __init__(self, columns):
        self.columns = columns

    def encode(self, records):
        num = torch.tensor(records[self.columns].to_numpy(dtype=np.float32))
        return State(num, torch.zeros(len(num), 0, dtype=torch.int64))

    def soft(self, state):
        return state.num


def table(n=300, seed=0):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=n), rng.integers(0, 3, n)
    frame = pd.DataFrame({
        "id": np.arange(n), "a": a, "noise": rng.normal(size=n), "colour": np.array(["red", "green", "blue"])[b], "same": 1,
        "day": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 400, n), unit="D"), "flag": rng.random(n) < 0.5,
    })  # fmt: skip
    frame.loc[::7, "colour"] = None
    frame.loc[::5, "noise"] = np.nan
    return frame.assign(y=np.where(a + (b == 2) > 0.3, "yes", "no"), price=10 * a + 100 + 5 * (b == 2))


def dataset(target, task, records=None):
    records = table() if records is None else records
    n, values = len(records), records[target].to_numpy()
    split, names = np.where(np.arange(n) % 3 == 2, "test", "train"), np.arange(n).astype(str)
    classes = ("no", "yes") if task == "classification" else ()
    schema = {"columns": [{"name": "id", "kind": "identifier"}]}
    return Dataset(
        name="t", ids=names, records=records, task=task, target_name=target, target=values, classes=classes,
        labelled=np.ones(n, dtype=bool), split=split, groups=names, schema=schema,
    )  # fmt: skip


def learner(kind, data, seed=0, columns=("a", "noise")):
    if kind == "catboost":
        made, codec = CatBoost(config.CatBoost(iterations=60)), None
    else:
        made, codec = Mlp(config.MlpLearner(width=16, steps=120, batch=64, rate=0.01)), Numbers(list(columns))
        data = data if "noise" not in columns else Dataset(**{**vars(data), "records": data.records.fillna({"noise": 0.0})})
    return made.learner_build(LearnerContext(dataset=data, codec=codec, runtime=SharedRuntime(seed=seed, options=QUIET), seed=seed))


def part(data, rows, **facts):
    records = take(data.records, rows)
    return TrainingPart(records=records.fillna({"noise": 0.0}), target=data.target[rows], **facts)


@pytest.mark.parametrize("kind", ["catboost", "mlp"])
def test_classes_are_learned_and_named(kind):
    data = dataset("y", "classification")
    made = learner(kind, data)
    made.fit([part(data, data.rows("train"))])
    test = part(data, data.rows("test"))
    found = made.predict(test.records)
    assert (found.values == test.target).mean() > 0.8
    assert found.probabilities.shape == (100, 2)
    assert found.probabilities.sum(1) == pytest.approx(1)
    assert set(found.values) == {"no", "yes"}


@pytest.mark.parametrize("kind", ["catboost", "mlp"])
def test_values_are_learned_in_their_units_without_looking_at_them(kind):
    data = dataset("price", "regression")
    data = Dataset(**{**vars(data), "records": data.records.drop(columns="y")})
    made = learner(kind, data, columns=("a", "noise", "price"))
    made.fit([part(data, data.rows("train"))])
    test = part(data, data.rows("test"))
    found = made.predict(test.records)
    assert found.probabilities is None
    assert np.corrcoef(found.values, test.target)[0, 1] > 0.9
    assert abs(found.values.mean() - test.target.mean()) < 2
    spoilt = test.records.assign(price=np.random.default_rng(0).normal(size=len(test.records)))
    assert np.array_equal(made.predict(spoilt).values, found.values)


@pytest.mark.parametrize("kind", ["catboost", "mlp"])
def test_a_part_of_weight_zero_changes_nothing_and_a_real_one_does(kind):
    data = dataset("y", "classification")
    rows = data.rows("train")
    test = part(data, data.rows("test")).records

    def probabilities(*parts):
        made = learner(kind, data)
        made.fit(parts)
        return made.predict(test).probabilities

    alone = probabilities(part(data, rows[:100]))
    assert np.array_equal(alone, probabilities(part(data, rows[:100])))
    assert np.array_equal(alone, probabilities(part(data, rows[:100]), part(data, rows[100:], weight=0.0)))
    assert not np.array_equal(alone, probabilities(part(data, rows[:100]), part(data, rows[100:], weight=0.5)))


@pytest.mark.parametrize("kind", ["catboost", "mlp"])
def test_training_leaves_global_random_states_alone(kind):
    data = dataset("y", "classification")
    np.random.seed(0)
    torch.manual_seed(0)
    before, seen = np.random.get_state()[1].copy(), torch.get_rng_state()
    made = learner(kind, data)
    made.fit([part(data, data.rows("train"))])
    assert np.array_equal(before, np.random.get_state()[1])
    assert torch.equal(seen, torch.get_rng_state())


def test_identifiers_constants_and_the_target_are_no_features():
    data = dataset("y", "classification")
    made = learner("catboost", data)
    assert set(made.columns.names) == {"a", "noise", "colour", "day", "flag", "price"}
    assert set(made.columns.dropped) == {"id", "same"}
    assert set(made.columns.categorical) == {"colour", "flag"}


def test_unseen_levels_and_missing_values_are_predicted():
    data = dataset("y", "classification")
    made = learner("catboost", data)
    made.fit([part(data, data.rows("train"))])
    odd = take(data.records, data.rows("test")[:3]).assign(colour=["mauve", None, "red"], a=[np.nan, np.inf, 0.0], day=pd.NaT)
    assert np.isfinite(made.predict(odd).probabilities).all()


def test_one_class_in_training_is_always_answered():
    data = dataset("y", "classification")
    rows = data.rows("train")
    made = learner("catboost", data)
    made.fit([part(data, rows[data.target[rows] == "yes"])])
    found = made.predict(take(data.records, data.rows("test")))
    assert set(found.values) == {"yes"}
    assert found.probabilities[0].tolist() == [0, 1]


def test_a_class_missing_from_training_has_probability_zero():
    data = dataset("y", "classification")
    data = Dataset(**{**vars(data), "classes": ("maybe", "no", "yes")})
    made = learner("catboost", data)
    made.fit([part(data, data.rows("train"))])
    found = made.predict(take(data.records, data.rows("test")))
    assert (found.probabilities[:, 0] == 0).all()
    assert set(found.values) == {"no", "yes"}


@pytest.mark.parametrize("kind", ["catboost", "mlp"])
def test_what_cannot_be_learned_is_one_clear_error(kind):
    data = dataset("y", "classification")
    rows = data.rows("train")
    with pytest.raises(DataError, match="no training r"):
        learner(kind, data).fit([part(data, rows, weight=0.0)])
    with pytest.raises(DataError, match=r"no training (row has a known value of target|record has a known class of) 'y'"):
        learner(kind, data).fit([TrainingPart(records=take(data.records, rows), target=np.full(len(rows), "??", dtype=object))])


def test_mlp_logits_carry_gradients_to_the_features():
    data = dataset("y", "classification")
    made = learner("mlp", data)
    made.fit([part(data, data.rows("train"))])
    records = part(data, data.rows("test")).records
    features = made.ctx.codec.soft(made.ctx.codec.encode(records)).requires_grad_()
    logits = made.logits(features)
    assert logits.shape == (100, 2)
    (logits[:, 1] - logits[:, 0]).sum().backward()
    assert features.grad[:, 0].mean() > 5 * features.grad[:, 1].abs().mean() / 4
    assert torch.allclose(torch.softmax(logits, 1).double(), torch.tensor(made.predict(records).probabilities), atol=1e-6)


def test_the_blinded_target_gets_no_gradient():
    data = dataset("price", "regression")
    made = learner("mlp", data, columns=("a", "noise", "price"))
    made.fit([part(data, data.rows("train"))])
    features = torch.randn(5, 3, requires_grad=True)
    made.logits(features).sum().backward()
    assert features.grad[:, 2].abs().sum() == 0
    assert features.grad[:, 0].abs().sum() > 0
