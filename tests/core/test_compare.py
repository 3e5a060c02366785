"""Comparing runs: the tests against scipy and by hand, their error rates under simulation, and what may be paired at all."""

import json
import shutil

import numpy as np
import pytest
from scipy import stats

from scarce.cli.app import main
from scarce.errors import RunError
from scarce.files import read_json, write_json
from scarce.report.statistics import adjusted, contrast, holm
from scarce.tools.compare import compare

DIFFERENCES = [0.011, -0.004, 0.016, 0.007, 0.002, 0.009]


def by_seed(values):
    return dict(enumerate(values))


def test_the_tests_are_those_of_scipy():
    made = contrast(by_seed(DIFFERENCES), "higher", 0.02)
    assert made.p == pytest.approx(stats.ttest_1samp(DIFFERENCES, 0).pvalue)
    over = stats.ttest_1samp(DIFFERENCES, -0.02, alternative="greater").pvalue
    under = stats.ttest_1samp(DIFFERENCES, 0.02, alternative="less").pvalue
    assert made.equivalent == pytest.approx(max(over, under))
    assert made.wilcoxon == stats.wilcoxon(DIFFERENCES).pvalue
    interval = stats.t.interval(0.95, 5, loc=np.mean(DIFFERENCES), scale=stats.sem(DIFFERENCES))
    assert (made.low, made.high) == pytest.approx(interval)


def test_by_hand():
    """Six positive ranks of six: 2 of 2^6 sign patterns are as extreme. Mean 3, deviation sqrt(3.5): t = 3 / sqrt(3.5 / 6)."""
    made = contrast(by_seed([0.5, 1.5, 2.5, 3.5, 4.5, 5.5]), "higher", 4.0)
    assert made.wilcoxon == 2 / 64
    assert made.p == pytest.approx(2 * stats.t.sf(3 / np.sqrt(3.5 / 6), 5))
    assert made.equivalent == pytest.approx(stats.t.sf(1 / np.sqrt(3.5 / 6), 5))


@pytest.mark.parametrize(
    ("differences", "direction", "verdict"),
    [
        ([0.1, 0.12, 0.09, 0.11], "higher", "too few runs to say"),
        ([0.1, 0.12, 0.09, 0.11, 0.1], "higher", "better"),
        ([0.1, 0.12, 0.09, 0.11, 0.1], "lower", "worse"),
        ([0.1, 0.12, 0.09, 0.11, 0.1], "target", "worse"),
        ([0.1, 0.12, 0.09, 0.11, 0.1], "none", "higher"),
        ([0.1, -0.12, 0.09, -0.11, 0.1], "higher", "no evidence"),
        ([0.001, -0.002, 0.001, -0.001, 0.002], "higher", "equivalent within 0.02"),
        ([0.01, 0.012, 0.009, 0.011, 0.01], "higher", "better, yet equivalent within 0.02"),
        ([0.0] * 5, "higher", "equivalent within 0.02"),
        ([0.5] * 5, "higher", "better"),
    ],
)
def test_verdicts(differences, direction, verdict):
    assert contrast(by_seed(differences), direction, 0.02).verdict == verdict


def test_without_a_margin_nothing_is_called_equivalent():
    made = contrast(by_seed([0.0] * 5), "higher")
    assert (made.equivalent, made.verdict) == (None, "no evidence")


def test_holm_by_hand_and_for_verdicts():
    assert holm([0.01, 0.04, None, 0.03]) == pytest.approx([0.03, 0.06, None, 0.06])
    weak = contrast(by_seed([0.01, 0.05, 0.02, 0.06, 0.09]), "higher")
    assert 0.025 < weak.p < 0.05
    assert [c.verdict for c in (weak, *adjusted([weak]), *adjusted([weak, weak]))] == ["better", "better", "no evidence", "no evidence"]
    few = contrast(by_seed([0.1, 0.1]), "higher")
    assert [c.verdict for c in adjusted([few, weak])] == ["too few runs to say", "better"]


@pytest.mark.parametrize("n", [5, 10])
def test_error_rates_under_simulation(n):
    """400 sets of paired runs without a difference, and 400 with a true one of exactly the margin."""
    rng, margin = np.random.default_rng(n), 0.02
    null = [contrast(by_seed(rng.normal(0, 0.02, n)), "higher", margin) for _ in range(400)]
    assert np.mean([c.verdict.startswith(("better", "worse")) for c in null]) <= 0.08
    edge = [contrast(by_seed(rng.normal(margin, 0.02, n)), "higher", margin) for _ in range(400)]
    assert np.mean(["equivalent" in c.verdict for c in edge]) <= 0.08
    families = [adjusted([contrast(by_seed(rng.normal(0, 0.02, n)), "higher") for _ in range(4)]) for _ in range(400)]
    assert np.mean([any(c.verdict != "no evidence" for c in family) for family in families]) <= 0.08
    close = [contrast(by_seed(rng.normal(0, 0.005, n)), "higher", margin) for _ in range(100)]
    assert np.mean(["equivalent" in c.verdict for c in close]) > 0.9


RECIPE = """
seeds = 5
[data]
modality = "tabular"
source = "builtin:iris"
[backbone]
name = "mlp"
width = 32
[[conditioner]]
name = "label"
[train]
steps = 15
batch = 64
[generate]
steps = 4
[runtime]
threads = 1
[learner]
name = "catboost"
iterations = 20
threads = 1
[[evaluator]]
name = "utility"
[[evaluator]]
name = "correlation"
[[arm]]
name = "full"
[[arm]]
name = "standard"
"diffusion.prior" = "standard"
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Two arms of five seeds on a real table."""
    folder = tmp_path_factory.mktemp("compare")
    (folder / "arms.toml").write_text(RECIPE)
    assert main(["run", str(folder / "arms.toml"), "--out", str(folder / "run"), "--quiet"]) == 0
    return folder / "run"


def copy(run, tmp_path):
    return shutil.copytree(run, tmp_path / "copy")


def test_arms_of_one_run_are_compared_with_the_first(run):
    lines = compare([str(run)])
    assert [(line.run, line.metric) for line in lines] == [(f"{run}:standard", "macro_f1"), (f"{run}:standard", "correlation_distance")]
    score = lines[0]
    values = {
        arm: [next(m["value"] for m in read_json(run / "arms" / arm / str(seed) / "metrics.json")["metrics"]
                   if (m["name"], m["source"]) == ("macro_f1", "synthetic")) for seed in range(5)]
        for arm in ("full", "standard")
    }  # fmt: skip
    assert (list(score.values), list(score.reference)) == (values["standard"], values["full"])
    assert score.comparison.mean == pytest.approx(np.mean(values["standard"]) - np.mean(values["full"]))
    assert score.comparison.seeds == (0, 1, 2, 3, 4)


def test_a_run_and_its_copy_are_equivalent_and_never_equal(run, tmp_path, capsys):
    other = copy(run, tmp_path)
    assert main(["compare", f"{run}:full", f"{other}:full", "--margin", "0.01", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert {c["verdict"] for c in said["comparisons"]} == {"equivalent within 0.01"}
    assert (said["margin"], said["tested"]) == (0.01, 2)
    assert main(["compare", f"{run}:full", f"{other}:full", "--metric", "accuracy", "--source", "both"]) == 0
    text = capsys.readouterr().out
    assert "both rows" in text
    assert "equivalent within 0.02" in text
    assert "comparisons tested: 1;" in text


def test_four_pairs_are_too_few_and_are_listed(run, tmp_path, capsys):
    other = copy(run, tmp_path)
    (other / "arms" / "full" / "3" / "metrics.json").unlink()
    (line,) = compare([f"{run}:full", f"{other}:full"], metrics=["macro_f1"])
    assert (line.comparison.n, line.comparison.verdict, line.comparison.p) == (4, "too few runs to say", None)
    assert main(["compare", f"{run}:full", f"{other}:full"]) == 0
    text = capsys.readouterr().out
    assert f"{line.values[3]:.4f} against" in text


def change(path, **facts):
    write_json(path, {**read_json(path), **facts})


def test_other_data_or_splits_can_not_be_paired(run, tmp_path):
    other = copy(run, tmp_path)
    data = other / "arms" / "full" / "2" / "data.json"
    splits = read_json(data)["splits"]
    change(data, splits={**splits, "test": splits["test"][1:], "train": [*splits["train"], splits["test"][0]]})
    with pytest.raises(RunError, match=r"seed 2: .*split 'train' .*split 'test'"):
        compare([f"{run}:full", f"{other}:full"])
    change(data, splits=splits, sha256="another")
    with pytest.raises(RunError, match=r"seed 2: .*the target or which records are labelled"):
        compare([f"{run}:full", f"{other}:full"])


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["{run}:ful"], "did you mean 'full'"),
        (["{run}:full"], "nothing to compare it with"),
        (["{run}", "{run}"], "named twice"),
        (["{run}/arms"], "is not a run folder"),
        (["nowhere"], "is not a run folder"),
        (["{run}", "--metric", "macro_f2"], "did you mean 'macro_f1'"),
        (["{run}", "--source", "nobody"], "'macro_f1' was not measured on nobody rows"),
        (["{run}", "--margin", "0"], "must be > 0"),
    ],
)
def test_mistakes_are_said(run, capsys, asked, said):
    assert main(["compare", *(text.format(run=run) for text in asked)]) == 2
    assert said in capsys.readouterr().err
