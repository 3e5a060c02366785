"""Check B6: a mixed toy table end to end, with numbers that useless or copied rows don't reach."""

import numpy as np
import pandas as pd
import pytest

import scarce

N = 2000


def toy(seed=0):
    """4 numbers of known correlation, 2 categories that depend on them, and a class."""
    rng = np.random.default_rng(seed)
    corr = np.array([[1.0, 0.7, -0.4, 0.0], [0.7, 1.0, 0.0, 0.3], [-0.4, 0.0, 1.0, 0.5], [0.0, 0.3, 0.5, 1.0]])
    x = rng.multivariate_normal(np.zeros(4), corr, N)
    city = np.select([x[:, 0] + 0.5 * rng.normal(size=N) > 0.7, x[:, 2] + 0.5 * rng.normal(size=N) > 0], ["Ulm", "Bonn"], "Rom")
    plan = np.where(x[:, 1] - x[:, 3] + 0.5 * rng.normal(size=N) > 0, "gold", "basic")
    left = np.where(x[:, 0] + x[:, 3] + (city == "Ulm") + 0.7 * rng.normal(size=N) > 0.6, "yes", "no")
    return pd.DataFrame({
        "a": x[:, 0], "b": np.exp(x[:, 1]).round(3), "c": (100 + 15 * x[:, 2]).round(), "d": x[:, 3],
        "city": city, "plan": plan, "left": left,
    })  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    options = {
        "data.target": "left", "diffusion.prior": "standard", "train.steps": 500, "runtime.threads": 1,
        "learner.threads": 1, "learner.iterations": 150,
    }  # fmt: skip
    return scarce.run("tabular/table", data=toy(), set=options, out=tmp_path_factory.mktemp("b6") / "run", quiet=True)


@pytest.fixture(scope="module")
def number(run):
    found = {(m["name"], m["source"]): m for m in run.metrics}
    return lambda name, source="synthetic": found[name, source]


def test_relations_between_columns_are_kept(number):
    distance = number("correlation_distance")
    assert distance["value"] < 3 * distance["floor"]
    assert distance["value"] < 0.3 * distance["ceiling"]
    assert number("correlation_distance", "marginals")["value"] > 0.3 * distance["ceiling"], "columns drawn alone fail the same check"


def test_a_model_trained_on_synthetic_rows_is_as_good(number):
    real = number("macro_f1", "real")["value"]
    assert real > 0.8
    assert number("macro_f1")["value"] >= real - 0.05
    assert number("macro_f1", "marginals")["value"] < real - 0.05


def test_synthetic_rows_lie_no_nearer_to_training_than_to_unseen_rows(number):
    share = number("holdout_share")
    assert share["low"] <= 0.6
    assert share["high"] >= 0.4
    assert number("dcr_median")["value"] > 0.5 * number("dcr_median")["floor"]
    assert number("exact_copies")["value"] <= number("exact_copies")["floor"] + 0.005


def test_a_bootstrap_copy_is_flagged(run, number):
    assert number("exact_copies", "bootstrap")["value"] == 1
    assert number("dcr_median", "bootstrap")["value"] == 0
    assert number("holdout_share", "bootstrap")["low"] > 0.6
    assert "bootstrap copy (copies)" in run._repr_html_()
