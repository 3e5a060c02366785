import json
import math
import time

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from scarce.contract import Dataset, EvaluatorContext, Predictions, take
from scarce.runtime.runtime import SharedRuntime
from scarce_tabular import config
from scarce_tabular.association import associations, correlation_ratio, cramers_v
from scarce_tabular.columns import Columns, columns_of, levels, numbers
from scarce_tabular.evaluator import Correlation, Shape, Utility, similarities


def table(n=900, seed=0):
    rng = np.random.default_rng(seed)
    a = rng.normal(size=n)
    frame = pd.DataFrame({"a": a, "b": a + 0.5 * rng.normal(size=n), "c": rng.exponential(size=n), "level": np.where(a > 0.4, "hi", "lo")})
    frame["other"] = np.where(rng.random(n) < 0.9, frame["level"], "mid")
    frame["same"] = 1
    frame.loc[rng.random(n) < 0.1, "c"] = np.nan
    return frame.assign(y=np.where(frame.b > 0, "yes", "no"))


def dataset(records, target="y", task="classification"):
    n = len(records)
    names = np.arange(n).astype(str)
    split = np.array(["train", "train", "test"])[np.arange(n) % 3]
    classes = tuple(sorted(set(records[target]))) if task == "classification" else ()
    return Dataset(
        name="t", ids=names, records=records, task=task, target_name=target, target=records[target].to_numpy(), classes=classes,
        labelled=np.ones(n, dtype=bool), split=split, groups=names,
    )  # fmt: skip


def context(data, samples=None, predictions=None, expected=0):
    return EvaluatorContext(
        dataset=data, codec=None, samples=samples or {}, targets={}, predictions=predictions or {}, runtime=SharedRuntime(seed=0), seed=0,
        expected=expected,
    )  # fmt: skip


def measured(evaluator, ctx):
    return {(m.source, m.name): m for m in evaluator.evaluator_measure(ctx)}


def shuffled(records, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame({c: records[c].to_numpy()[rng.permutation(len(records))] for c in records})


def test_utility_scores_every_source_on_test_rows():
    data = dataset(table(90))
    truth = data.target[data.rows("test")]
    probabilities = np.stack([truth == "no", truth == "yes"], axis=1).astype(float)
    wrong = np.where(truth == "yes", "no", "yes").astype(object)
    found = measured(Utility(config.Utility()), context(data, predictions={
        "real": Predictions(values=truth, probabilities=probabilities),
        "synthetic": Predictions(values=wrong, probabilities=probabilities[:, ::-1]),
    }))  # fmt: skip
    assert [found["real", m].value for m in ("macro_f1", "accuracy", "roc_auc")] == [1, 1, 1]
    assert [found["synthetic", m].value for m in ("macro_f1", "accuracy", "roc_auc")] == [0, 0, 0]
    assert found["synthetic", "macro_f1"].floor == 1
    assert found["synthetic", "macro_f1"].n == 30
    assert found["synthetic", "roc_auc"].ceiling == 0.5
    assert 0.2 < found["synthetic", "macro_f1"].ceiling < 0.5


def test_utility_of_numbers():
    data = dataset(table(), target="b", task="regression")
    truth = data.target[data.rows("test")]
    found = measured(Utility(config.Utility()), context(data, predictions={"synthetic": Predictions(values=truth + 0.5)}))
    assert found["synthetic", "rmse"].value == pytest.approx(0.5)
    assert found["synthetic", "rmse"].direction == "lower"
    assert found["synthetic", "r2"].value == pytest.approx(1 - 0.25 / truth.var())
    assert found["synthetic", "r2"].ceiling == pytest.approx(0, abs=0.05)


def test_utility_ignores_unknown_targets_and_says_what_it_cannot_compute():
    records = table(90)
    records.loc[2, "y"] = "never a class"
    data = dataset(records)
    data = Dataset(**{**vars(data), "classes": ("no", "yes")})
    values = data.target[data.rows("test")]
    found = measured(Utility(config.Utility()), context(data, predictions={"synthetic": Predictions(values=values)}))
    assert found["synthetic", "macro_f1"].n == 29
    assert found["synthetic", "accuracy"].value == 1
    assert "probabilities" in found["synthetic", "roc_auc"].error
    bare = Dataset(**{**vars(data), "task": "none", "target": None})
    assert (
        "no target" in Utility(config.Utility()).evaluator_measure(context(bare, predictions={"real": Predictions(values=values)}))[0].error
    )


def test_associations_agree_with_scipy():
    records = table()
    columns = Columns(numeric=("a", "b"), categorical=("level", "other"))
    spearman = associations(records, columns, method="spearman")
    assert spearman[0, 1] == pytest.approx(stats.spearmanr(records.a, records.b).statistic)
    pearson = associations(records, columns, method="pearson")
    assert pearson[0, 1] == pytest.approx(stats.pearsonr(records.a, records.b).statistic)
    assert np.array_equal(pearson, pearson.T)
    chi2 = stats.chi2_contingency(pd.crosstab(records.level, records.other), correction=False).statistic
    n, free = len(records), 1 * 2
    phi2 = chi2 / n - free / (n - 1)
    assert pearson[2, 3] == pytest.approx(math.sqrt(phi2 / min(2 - 1 / (n - 1) - 1, 3 - 4 / (n - 1) - 1)))


def test_numeric_pairs_use_rows_where_both_are_present():
    records = table().assign(b=lambda t: t.b.where(t.a < 1, 1e6))
    records.loc[records.a >= 1, "b"] = np.nan
    complete = records.dropna(subset=["a", "b"])
    found = associations(records, Columns(numeric=("a", "b"), categorical=()), method="pearson")
    assert found[0, 1] == pytest.approx(stats.pearsonr(complete.a, complete.b).statistic)


def test_corrected_measures_are_near_zero_for_unrelated_columns():
    rng = np.random.default_rng(0)
    x, codes = rng.normal(size=(200, 20)), rng.integers(0, 30, 200)
    plain = 1 - sum(((x[codes == k] - x[codes == k].mean(0)) ** 2).sum(0) for k in np.unique(codes)) / ((x - x.mean(0)) ** 2).sum(0)
    assert correlation_ratio(x, codes).mean() < 0.5 * np.sqrt(plain).mean()
    assert cramers_v(codes, rng.integers(0, 30, 200)) < 0.15
    assert cramers_v(codes, codes) == pytest.approx(1)
    assert correlation_ratio(codes[:, None].astype(float), codes)[0] == pytest.approx(1)


def test_correlation_distance_between_floor_and_ceiling():
    data = dataset(table())
    train = take(data.records, data.rows("train"))
    sample = table(600, seed=9)
    found = measured(
        Correlation(config.Correlation()), context(data, {"synthetic": sample, "marginals": shuffled(train), "bootstrap": train})
    )
    good, useless = found["synthetic", "correlation_distance"], found["marginals", "correlation_distance"]
    assert good.value < 2 * good.floor
    assert useless.value == pytest.approx(useless.ceiling, rel=0.2)
    assert found["bootstrap", "correlation_distance"].value == 0
    assert "left out (identifier, free text or constant): same" in good.note
    assert "worst pairs: " in useless.note
    assert found["marginals", "correlation_frobenius"].value > found["synthetic", "correlation_frobenius"].value


def test_a_collapsed_column_is_a_failure_and_named():
    data = dataset(table())
    collapsed = table(600, seed=9).assign(b=0.0)
    found = measured(Correlation(config.Correlation()), context(data, {"synthetic": table(600, seed=9), "smote": collapsed}))
    assert found["smote", "correlation_distance"].value > 2 * found["synthetic", "correlation_distance"].value
    assert "constant in this sample: b" in found["smote", "correlation_distance"].note


def test_heat_maps_are_plain_data():
    figure = Correlation(config.Correlation()).evaluator_draw(context(dataset(table()), {"synthetic": table(300, 1)}))[0]
    json.dumps([figure.traces, figure.layout], allow_nan=False)
    assert [t["name"] for t in figure.traces] == ["real", "synthetic", "real − synthetic"]
    z = [np.array(t["z"]) for t in figure.traces]
    assert np.allclose(z[0] - z[1], z[2], atol=2e-3)


def test_shape_agrees_with_scipy_and_counts_missing():
    real, other = table(500, 0), table(400, 1)
    columns = Columns(numeric=("a", "c"), categorical=("other",))
    found = similarities(real, other, columns)
    assert found["a"] == pytest.approx(1 - stats.ks_2samp(real.a, other.a).statistic)
    shares = [t.other.value_counts(normalize=True) for t in (real, other)]
    assert found["other"] == pytest.approx(1 - (shares[0] - shares[1]).abs().sum() / 2)
    gone = other.assign(c=np.nan, other=None)
    missing = similarities(real, gone, columns)
    assert missing["c"] == pytest.approx(real.c.isna().mean())
    assert missing["other"] == 0


def test_shape_names_the_worst_columns_and_counts_what_was_not_delivered():
    data = dataset(table())
    sample = table(300, 3).assign(b=lambda t: t.b + 3)
    whole = measured(Shape(config.Shape(worst=1)), context(data, {"synthetic": sample}, expected=300))
    half = measured(Shape(config.Shape(worst=1)), context(data, {"synthetic": sample}, expected=600))
    assert whole["synthetic", "column_shape_worst"].value < 0.3
    assert "worst columns: b 0." in whole["synthetic", "column_shape"].note
    assert half["synthetic", "column_shape"].value == pytest.approx(whole["synthetic", "column_shape"].value / 2)
    assert "300 of 600 records were not delivered" in half["synthetic", "column_shape"].note
    assert whole["synthetic", "column_shape"].floor > 0.9


@pytest.mark.parametrize("evaluator", [Correlation(config.Correlation()), Shape(config.Shape())])
def test_too_little_data_is_a_failed_row(evaluator):
    data = dataset(table(30))
    found = evaluator.evaluator_measure(context(data, {"synthetic": table(30, 1).iloc[:0]}))
    assert math.isnan(found[0].value)
    assert found[0].error
    constant = dataset(pd.DataFrame({"x": [1] * 9, "y": ["a"] * 9}))
    found = evaluator.evaluator_measure(context(constant, {"synthetic": constant.records}))
    assert math.isnan(found[0].value)
    assert evaluator.evaluator_draw(context(constant, {"synthetic": constant.records})) == []


def test_fifty_columns_and_five_thousand_rows_take_about_a_second():
    rng = np.random.default_rng(0)
    wide = {f"n{i}": rng.normal(size=5000) for i in range(25)} | {f"c{i}": rng.choice(list("abcdefgh"), 5000) for i in range(25)}
    records = pd.DataFrame(wide)
    began = time.process_time()
    associations(records, columns_of(dataset(records, target="c0")), method="spearman")
    assert time.process_time() - began < 2


def test_columns_follow_the_schema_before_the_type():
    frame = pd.DataFrame(
        {"zip": [1, 2, 3] * 3, "key": list("abcdefghi"), "when": ["02/01/2020", "13/01/2020", None] * 3, "y": list("abc") * 3}
    )
    data = dataset(frame)
    kinds = [{"name": n, "kind": k} for n, k in (("zip", "category"), ("key", "identifier"), ("y", "category"))]
    kinds.append({"name": "when", "kind": "date", "format": "%d/%m/%Y"})
    found = columns_of(Dataset(**{**vars(data), "schema": {"columns": kinds}}))
    assert (found.numeric, found.categorical, found.dropped) == (("when",), ("zip", "y"), ("key",))
    assert found.numbers(frame, "when")[:2].tolist() == [18263, 18274]
    assert np.isnan(found.numbers(frame, "when")[2])
    assert levels(frame.when)[2] == "(missing)"
    assert numbers(pd.Series([True, False, None], dtype="boolean"))[:2].tolist() == [1, 0]
    assert numbers(pd.Series(["1", "2.5", None]))[1] == 2.5
    assert numbers(pd.Series(pd.to_datetime(["1970-01-03"], utc=True))).tolist() == [2]
