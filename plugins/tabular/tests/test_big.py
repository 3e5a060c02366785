"""Free text, thousands of levels, hundreds of columns, hundreds of thousands of rows, and names of every kind."""

import resource
import sys
import tracemalloc
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from scarce.cli.app import main
from scarce.contract import BaselineContext, DrawContext, EvaluatorContext, LoadContext, State
from scarce.parts.config import Privacy as PrivacyOptions
from scarce.parts.privacy import Privacy
from scarce.runs import api
from scarce.runs.split import split
from scarce_tabular import config
from scarce_tabular.association import category_pairs, cramers_v
from scarce_tabular.baselines import table_baselines
from scarce_tabular.codec import read_codec
from scarce_tabular.draw import draw_columns
from scarce_tabular.evaluator import Correlation, Shape
from scarce_tabular.fitting import fit_codec
from scarce_tabular.load import load_table

WORDS = [f"word{i}" for i in range(300)]


def reviews(n=1500, seed=0):
    """Sentences of which one repeats, and a code with a thousand levels."""
    rng = np.random.default_rng(seed)
    bad = rng.random(n) < 0.4
    texts = [" ".join(rng.choice(WORDS, size=rng.integers(4, 12))) for _ in range(n)]
    said = pd.Series(np.where(bad, "it was too loud", texts), dtype=object).mask(pd.Series(rng.random(n) < 0.1))
    codes = [f"s{i}" for i in rng.integers(0, 1000, n)]
    return pd.DataFrame({"said": said, "shop": codes, "x": rng.normal(size=n), "bad": np.where(bad, "yes", "no")})


def fitted(frame, target=""):
    dataset = load_table(LoadContext(source=frame, target=target, seed=0))
    dataset = replace(dataset, split=np.where(np.arange(len(dataset)) % 4 < 3, "train", "test").astype("<U10"))
    return dataset, fit_codec(dataset, seed=0)


@pytest.mark.parametrize("dtype", ["object", "str", "string"])
def test_free_text_is_made_up_except_what_many_rows_say(tmp_path, dtype):
    frame = reviews().astype({"said": dtype})
    dataset, codec = fitted(frame, "bad")
    assert [c["kind"] for c in dataset.schema["columns"]] == ["text", "category", "float", "category"]
    assert "'said' is free text" in " ".join(dataset.notes)
    rows = codec.decode(codec.encode(dataset.records), dataset.target, 0)
    assert rows["said"].dtype == frame["said"].dtype
    assert (rows["said"].isna() == frame["said"].isna()).all()
    assert ((rows["said"] == "it was too loud") == (frame["said"] == "it was too loud")).all()
    made = rows["said"].dropna()
    made = made[made != "it was too loud"]
    assert not set(made) & set(frame["said"].dropna())
    assert {word for text in made for word in text.split()} <= set(WORDS)
    assert made.str.split().str.len().mean() == pytest.approx(7.5, abs=0.5)
    codec.save(tmp_path)
    pd.testing.assert_frame_equal(rows, read_codec(tmp_path).decode(codec.encode(dataset.records), dataset.target, 0))
    held = (tmp_path / "codec.json").read_text()
    private = frame["said"][(frame["said"] != "it was too loud") & frame["said"].notna()]
    assert not any(text in held for text in private), "of texts few rows have only hashes are kept"


def test_few_texts_of_rare_words_are_random_letters():
    frame = pd.DataFrame({"note": [f"patient{i} met{i} doctor{i} on{i} monday{i}" for i in range(40)], "x": range(40)})
    _, codec = fitted(frame)
    rows = codec.decode(State(torch.randn(40, codec.space.width), torch.zeros(40, 1, dtype=torch.int64)), None, 0)
    assert not {w for text in rows["note"] for w in text.split()} & {w for text in frame["note"] for w in text.split()}
    assert rows["note"].is_unique


def test_text_and_thousands_of_levels_train_and_are_sampled(tmp_path):
    tiny = {"data.target": "bad", "train.steps": 20, "generate.steps": 4, "learner.iterations": 20}
    run = api.run("tabular/table", data=reviews(), set=tiny, preset="test", out=tmp_path / "run", quiet=True)
    assert not [m for m in run.metrics if m["error"]]
    rows = run.sample(200, where={"said": "it was too loud"})
    assert (rows["said"] == "it was too loud").all()
    assert set(rows["shop"]) <= set(reviews()["shop"])


def test_no_column_is_ever_thousands_wide():
    n, rng = 30_000, np.random.default_rng(0)
    frame = pd.DataFrame(
        {"a": [f"a{i}" for i in rng.integers(0, 10_000, n)], "b": [f"b{i // 6}" for i in range(n)], "x": rng.normal(size=n)}
    )
    dataset, codec = fitted(frame)
    assert sum(codec.space.levels) <= 2 * 61
    tracemalloc.start()
    codec.vectors(codec.decode(codec.encode(dataset.records), None, 0))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 120e6, "one-hots of 10,000 levels would take 2,400 MB"


def wide(n=300, d=500):
    rng = np.random.default_rng(0)
    z = rng.normal(size=(n, 5))
    columns = {f"x{i}": z[:, i % 5] + rng.normal(size=n) for i in range(d // 2)}
    columns |= {f"c{i}": np.where(z[:, i % 5] > 0, "p", rng.choice(list("abcdef"), n)) for i in range(d - d // 2 - 1)}
    return pd.DataFrame(columns | {"left": np.where(z[:, 0] > 0, "yes", "no")})


def test_five_hundred_columns_go_through_codec_baselines_and_evaluators():
    dataset = split(load_table(LoadContext(source=wide(), target="left", seed=0)), 0)
    codec = fit_codec(dataset, seed=0)
    rows = codec.decode(codec.encode(dataset.records), dataset.target, 0)
    assert rows.shape == (300, 500)
    assert codec.vectors(rows).shape[1] < 2048 + 500
    found = table_baselines(BaselineContext(dataset=dataset, codec=codec, n=200, seed=0))
    ctx = EvaluatorContext(dataset=dataset, codec=codec, samples=found, targets={}, predictions={}, runtime=None, seed=0, expected=200)
    ctx = ctx.with_(samples={**found, "synthetic": found["smote"]})
    correlation = Correlation(config.Correlation())
    for evaluator in (correlation, Shape(config.Shape()), Privacy(PrivacyOptions())):
        assert all(np.isfinite(m.value) for m in evaluator.evaluator_measure(ctx))
    (figure,) = correlation.evaluator_draw(ctx)
    assert len(figure.traces[0]["z"]) == 60
    assert len(draw_columns(DrawContext(real=rows, synthetic=found["smote"], dataset=dataset, codec=codec, seed=0))) == 24


def test_vectors_of_very_many_wide_categories_share_a_bounded_number_of_places():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({f"c{i}": rng.choice([f"v{j}" for j in range(40)], 400) for i in range(300)})
    dataset, codec = fitted(frame)
    vectors = codec.vectors(dataset.records)
    assert vectors.shape[1] <= 2048
    first = vectors[:1] - vectors
    differ = (dataset.records != dataset.records.iloc[0]).sum(axis=1).to_numpy()
    assert (first**2).sum(1)[1:] == pytest.approx(differ[1:], rel=0.15), "as many as columns that differ"


def test_pairs_of_levels_at_once_are_those_of_each_pair():
    rng = np.random.default_rng(0)
    first = rng.integers(0, 4, 500)
    codes = [first, (first + rng.integers(0, 2, 500)) % 4, rng.integers(0, 7, 500), np.zeros(500, dtype=np.int64), rng.integers(0, 2, 500)]
    every = category_pairs(codes)
    assert (every == every.T).all()
    for i in range(5):
        for j in range(i):
            assert every[i, j] == pytest.approx(cramers_v(codes[i], codes[j]))
    assert every[0, 1] > 0.5 > every[0, 2]
    assert every[0, 3] == 0


def test_two_hundred_thousand_rows_stay_small(tmp_path):
    n, rng = 200_000, np.random.default_rng(0)
    x = rng.normal(size=n)
    frame = pd.DataFrame({
        "x": x, "k": rng.integers(18, 90, n), "price": np.round(np.exp(rng.normal(size=n)), 2),
        "city": rng.choice(["Ulm", "Bonn", "Kiel"], n),
        "shop": [f"s{i}" for i in rng.integers(0, 5000, n)], "left": np.where(x > 1, "yes", "no"),
    })  # fmt: skip
    frame.to_csv(tmp_path / "t.csv", index=False)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    dataset = split(load_table(LoadContext(source=tmp_path / "t.csv", target="left", seed=0)), 0)
    codec = fit_codec(dataset, seed=0)
    rows = codec.decode(codec.encode(dataset.records), dataset.target, 0)
    found = table_baselines(BaselineContext(dataset=dataset, codec=codec, n=50_000, seed=0))
    ctx = EvaluatorContext(dataset=dataset, codec=codec, samples=found, targets={}, predictions={}, runtime=None, seed=0, expected=50_000)
    for evaluator in (Correlation(config.Correlation()), Shape(config.Shape())):
        assert all(np.isfinite(m.value) for m in evaluator.evaluator_measure(ctx))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert len(rows) == n
    assert grown < 700, "measured: about 250 MB"


NAMES = ["[CLS]", "[MASK]", "", "a", "a ", " a", "x" * 300, "größe", "<script>alert(1)</script>", "a missing", "a + b", "😀"]


@pytest.mark.parametrize("source", ["frame", "csv"])
def test_awkward_names_go_all_the_way(tmp_path, source, capsys):
    n, rng = 120, np.random.default_rng(0)
    frame = pd.DataFrame({name: rng.normal(size=n) if i % 2 else rng.choice(["u", "<b>", "w"], n) for i, name in enumerate(NAMES)})
    frame["a"] = frame["a"].mask(rng.random(n) < 0.2)
    frame["left"] = rng.choice(["yes", "no"], n)
    path = tmp_path / "odd.csv"
    frame.to_csv(path, index=False)
    tiny = {"data.target": "left", "train.steps": 5, "generate.steps": 3, "learner.iterations": 5}
    run = api.run("tabular/table", data=frame if source == "frame" else path, set=tiny, preset="test", out=tmp_path / "run", quiet=True)
    rows = run.sample(20, where={"[CLS]": "<b>", "a": None})
    assert rows.columns.tolist() == [*NAMES, "left"]
    assert (rows["[CLS]"] == "<b>").all()
    assert rows["a"].isna().all()
    assert not [m for m in run.metrics if m["error"]]
    assert "<script>alert(1)" not in run.report.read_text()
    assert pd.read_csv(run.write(rows, tmp_path / "rows.csv"), nrows=0).columns[3] == "a"
    assert main(["data", "inspect", str(path)]) == 0
    assert "[MASK]" in capsys.readouterr().out


def test_a_page_without_plotly_says_what_to_install(tmp_path, capsys, monkeypatch):
    path = tmp_path / "r.csv"
    reviews(100).to_csv(path, index=False)
    monkeypatch.setitem(sys.modules, "plotly", None)
    assert main(["data", "inspect", str(path), "-o", str(tmp_path / "page.html")]) == 2
    said = capsys.readouterr().err
    assert "plotly, which is not installed" in said
    assert "pip install 'scarce[report]'" in said


def test_inspect_says_how_wide_and_draws_a_page(tmp_path, capsys):
    path, page = tmp_path / "r.csv", tmp_path / "eda.html"
    reviews().assign(**{"<i>": ["</script><script>alert(1)</script>", "b", "<img src=x onerror=alert(2)>"] * 500}).to_csv(path, index=False)
    assert main(["data", "inspect", str(path), "--target", "bad"]) == 0
    said = capsys.readouterr().out
    assert "encoded: 1 numbers and 3 categories" in said
    assert "MB" in said
    assert main(["data", "inspect", str(path), "--target", "bad", "-o", str(page)]) == 0
    text = page.read_text()
    assert "<script>alert" not in text
    assert "<img src=x" not in text
    assert "What goes together" in text
    assert "Missing values" in text
    assert "https://" not in text.split("<body>")[0]
    assert main(["data", "inspect", str(path), "--target", "bad", "-o", str(tmp_path / "s.json")]) == 0
    assert '"kind": "text"' in (tmp_path / "s.json").read_text()
