"""The tabular recipes end to end on real data, as a person types them: run, resume, kill, sample, evaluate, bad input."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

import scarce
from scarce.cli.app import main
from scarce.errors import DataError, RunError

FAST = ["--preset", "test", "--quiet"]


def staff(n=400, seed=0):
    """A table like people have: types of every kind, missing values, an id, a constant, dates, dependence on the target."""
    rng = np.random.default_rng(seed)
    left = rng.random(n) < 0.3
    salary = np.round(rng.normal(3000, 400, n) - 500 * left, 2)
    frame = pd.DataFrame(
        {
            "id": [f"E-{i:05d}" for i in range(n)],
            "age": rng.integers(20, 65, n),
            "salary": np.where(rng.random(n) < 0.1, np.nan, salary),
            "city": rng.choice(["Ulm", "Bonn", "Köln"], n, p=[0.5, 0.3, 0.2]),
            "since": (pd.Timestamp("2015-01-01") + pd.to_timedelta(rng.integers(0, 3000, n), unit="D")).strftime("%d.%m.%Y"),
            "remote": rng.random(n) < 0.4,
            "firm": "acme",
            "left": np.where(left, "yes", "no"),
        }
    )
    return frame


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with staff.csv and one finished run of it."""
    folder = tmp_path_factory.mktemp("home")
    staff().to_csv(folder / "staff.csv", index=False)
    table = str(folder / "staff.csv")
    assert main(["run", "tabular/table", "--data", table, "--set", "data.target=left", "--out", str(folder / "run"), *FAST]) == 0
    return folder


def test_the_main_recipe_runs_to_a_report_with_baselines_beside(tmp_path, capsys):
    assert main(["run", "tabular/churn", "--out", str(tmp_path / "r"), *FAST]) == 0
    shown = capsys.readouterr().out
    assert "too few runs to say" in shown
    for label in ("real only", "synthetic", "marginals", "SMOTE-like", "bootstrap copy (copies)", "report.html"):
        assert label in shown
    page = (tmp_path / "r" / "report.html").read_text()
    assert "Plotly" in page
    assert not re.search(r"<(script|link|img|iframe)[^>]+(src|href)=.?(https?:)?//", page)
    for name in ("recipe.toml", "recipe.resolved.json", "plugins.lock.json", "data.json", "metrics.jsonl", "metrics.json", "README.md"):
        assert (tmp_path / "r" / name).is_file(), name
    lock = json.loads((tmp_path / "r" / "plugins.lock.json").read_text())
    assert {p["distribution"] for p in lock["parts"]} == {"scarce", "scarce-tabular"}


def test_seeds_and_arms_are_child_runs_with_one_paired_report(home):
    out = home / "arms"
    sets = ["seeds=2", "arm.0.name=full", "arm.0.diffusion.prior=full", "arm.1.name=standard", "arm.1.diffusion.prior=standard"]
    options = [word for s in sets for word in ("--set", s)]
    data = ["--data", str(home / "staff.csv"), "--set", "data.target=left"]
    assert main(["run", "tabular/table", *data, *options, "--out", str(out), *FAST]) == 0
    run = scarce.load(out)
    assert {(c.arm, c.seed) for c in run.results.children} == {("full", 0), ("full", 1), ("standard", 0), ("standard", 1)}
    folders = {(arm, s): out / "arms" / arm / str(s) for arm in ("full", "standard") for s in (0, 1)}
    splits = {key: json.loads((folder / "data.json").read_text())["splits"] for key, folder in folders.items()}
    assert splits["full", 0] == splits["standard", 0] != splits["full", 1]


def test_sample_honours_every_condition_and_keeps_the_format(home, capsys):
    out = home / "rows.csv"
    conditions = ["left=yes", "city in {Ulm,Bonn}", "30<age<40", "remote=True"]
    where = [word for c in conditions for word in ("--where", c)]
    assert main(["sample", str(home / "run"), "-n", "300", *where, "-o", str(out), "--quiet"]) == 0
    rows, real = pd.read_csv(out), pd.read_csv(home / "staff.csv")
    assert list(rows.columns) == list(real.columns)
    assert rows.dtypes.equals(real.dtypes)
    assert len(rows) == 300
    assert set(rows["left"]) == {"yes"}
    assert set(rows["city"]) <= {"Ulm", "Bonn"}
    assert rows["age"].between(31, 39).all()
    assert rows["remote"].all()
    assert (rows["firm"] == "acme").all()
    assert rows["id"].is_unique
    assert rows["id"].str.fullmatch(r"E-\d{5}").all()
    assert not set(rows["id"]) & set(real["id"])
    pd.to_datetime(rows["since"], format="%d.%m.%Y")
    assert rows["salary"].dropna().map(lambda v: len(f"{v}".split(".")[1]) <= 2).all()
    again = home / "again.csv"
    main(["sample", str(home / "run"), "-n", "300", *where, "-o", str(again), "--quiet"])
    assert again.read_bytes() == out.read_bytes()
    main(["sample", str(home / "run"), "-n", "300", *where, "--seed", "1", "-o", str(again), "--quiet"])
    assert again.read_bytes() != out.read_bytes()


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("cty=Ulm", "did you mean 'city'"),
        ("city=Paris", "never is 'Paris'"),
        ("80<age<90", "no training value"),
        ("id=E-00001", "identifier"),
        ("age=old", "not a value"),
        ("???", "can't read"),
    ],
)
def test_conditions_that_cannot_hold_are_said(home, where, said, capsys):
    assert main(["sample", str(home / "run"), "-n", "5", "--where", where, "--quiet"]) == 2
    assert said in capsys.readouterr().err


def test_python_takes_and_gives_data_frames(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frame = staff(300)
    run = scarce.fit(frame, target="left", seed=7, preset="test")
    rows = run.sample(50, where={"left": "yes", "age": (30, 50)})
    assert rows.dtypes.equals(frame.dtypes)
    assert set(rows["left"]) == {"yes"}
    assert run.report.is_file()
    assert "synthetic" in run._repr_html_()
    assert {m["source"] for m in run.metrics} >= {"real", "synthetic", "bootstrap"}
    with pytest.raises(DataError, match="'lft'"):
        scarce.fit(frame, target="lft")


def test_regression_and_missing_targets(tmp_path):
    frame = staff(300)
    frame.to_csv(tmp_path / "t.csv", index=False)
    out = tmp_path / "r"
    assert main(["run", "tabular/table", "--data", str(tmp_path / "t.csv"), "--set", "data.target=salary", "--out", str(out), *FAST]) == 0
    names = {m["name"] for m in scarce.load(out).metrics}
    assert "r2" in names
    rows = scarce.load(out).sample(20, where={"salary": (2500, 3000)})
    assert rows["salary"].between(2500, 3000).all()


def test_resume_refuses_another_recipe_with_a_diff_and_evaluate_repeats_the_numbers(home, capsys):
    before = json.loads((home / "run" / "metrics.json").read_text())
    assert main(["resume", str(home / "run"), "--set", "train.steps=41", "--quiet"]) == 2
    assert "train.steps: 40 -> 41" in capsys.readouterr().err
    assert main(["evaluate", str(home / "run"), "--quiet"]) == 0
    after = json.loads((home / "run" / "metrics.json").read_text())
    numbers = [[(m["name"], m["source"], m["value"]) for m in out["metrics"]] for out in (before, after)]
    assert numbers[0] == numbers[1]


def test_plan_inspect_and_lists(home, capsys):
    assert main(["plan", "tabular/table", "--data", str(home / "staff.csv"), "--set", "data.target=left"]) == 0
    assert "51 x 512" in capsys.readouterr().out
    assert main(["data", "inspect", str(home / "staff.csv"), "-o", str(home / "schema.json")]) == 0
    capsys.readouterr()
    schema = json.loads((home / "schema.json").read_text())
    assert {c["name"]: c["kind"] for c in schema["columns"]} == {
        "id": "identifier", "age": "integer", "salary": "float", "city": "category", "since": "date",
        "remote": "category", "firm": "constant", "left": "category",
    }  # fmt: skip
    assert main(["data", "list", "--json"]) == 0
    assert "churn" in {row["name"] for row in json.loads(capsys.readouterr().out)}


BAD = {
    "missing": (None, "does not exist"),
    "empty": (b"", "is empty"),
    "header": (b"a,left\n", "has 0 rows"),
    "one row": (b"a,left\n1,yes\n", "has 1 row"),
    "few": (b"a,left\n1,yes\n2,no\n3,yes\n", "too few to split"),
    "single class": (b"a,left\n" + b"1,yes\n" * 50, "single class"),
    "twice": (b"a,a,left\n" + b"1,2,yes\n1,3,no\n" * 20, "'a' appears 2 times"),
    "no target": (b"a,lefd\n" + b"1,yes\n2,no\n" * 20, "did you mean 'lefd'"),
    "latin": ("a,left\n1,jé\n2,no\n".encode("latin1") * 20, "is not UTF-8"),
    "binary": (bytes(range(256)) * 10, "is binary"),
    "ragged": (b"a,left\n1,yes\n1,2,3,4\n" * 10, "is not a table"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_tables_are_one_clear_error_and_leave_earlier_results(tmp_path, case, capsys):
    content, said = BAD[case]
    if content is not None:
        (tmp_path / "bad.csv").write_bytes(content)
    out = tmp_path / "r"
    code = main(["run", "tabular/table", "--data", str(tmp_path / "bad.csv"), "--set", "data.target=left", "--out", str(out), *FAST])
    err = capsys.readouterr().err
    assert code == 2
    assert said in err
    assert "Traceback" not in err
    assert not (out / "metrics.json").exists()


def test_odd_but_usable_tables_run(tmp_path):
    frame = staff(120).assign(empty=np.nan, wild=np.where(np.arange(120) == 3, np.inf, np.arange(120) * 1.5))
    mixed = frame["age"].astype(object).copy()
    mixed.iloc[5] = "forty"
    frame["mixed"] = mixed
    run = scarce.run("tabular/table", data=frame, set={"data.target": "left"}, preset="test", out=tmp_path / "r", quiet=True)
    notes = " ".join(run.results.data_card["notes"])
    for said in ("no values", "infinite", "mixes types"):
        assert said in notes
    rows = run.sample(30)
    assert rows["empty"].isna().all()
    assert np.isfinite(rows["wild"].dropna()).all()


def test_an_existing_run_is_left_alone(home, capsys):
    before = (home / "run" / "metrics.json").read_bytes()
    assert main(["run", "tabular/table", "--data", str(home / "staff.csv"), "--out", str(home / "run"), *FAST]) == 2
    assert "already holds a run" in capsys.readouterr().err
    assert (home / "run" / "metrics.json").read_bytes() == before


def test_folders_of_other_versions_and_damage_are_named(home, tmp_path):
    import shutil

    shutil.copytree(home / "run", tmp_path / "r")
    facts = json.loads((tmp_path / "r" / "recipe.resolved.json").read_text())
    (tmp_path / "r" / "recipe.resolved.json").write_text(json.dumps({**facts, "format": 99}))
    with pytest.raises(RunError, match="format 99"):
        scarce.load(tmp_path / "r").sample(1)
    (tmp_path / "r" / "recipe.resolved.json").write_text(json.dumps(facts))
    weights = tmp_path / "r" / "model" / "phases" / "train.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(RunError, match=r"train\.safetensors is damaged"):
        scarce.load(tmp_path / "r").sample(1)
    with pytest.raises(RunError, match="not a run folder"):
        scarce.load(tmp_path)


def command(home, out, *more):
    options = ["--data", str(home / "staff.csv"), "--set", "data.target=left", "--out", str(out), "--preset", "test", "--quiet"]
    options += ["--set", "train.steps=120", "--set", "runtime.checkpoint_seconds=0", "--set", "generate.shard=64"]
    return [sys.executable, "-m", "scarce", "run", "tabular/table", *options, *more]


@pytest.mark.slow
def test_killed_at_any_moment_then_resumed_gives_the_same_bytes(home, tmp_path):
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(command(home, tmp_path / "whole"), check=True, env=env, capture_output=True)
    lines = (tmp_path / "whole" / "metrics.jsonl").read_text().count("\n")
    for trigger in (1, lines // 2, lines, lines + 1):  # after so many log lines; one more: while generating
        out = tmp_path / f"killed-{trigger}"
        child = subprocess.Popen(command(home, out), env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        log, first_shard = out / "metrics.jsonl", out / "samples" / "shards"
        deadline = time.monotonic() + 120
        while child.poll() is None and time.monotonic() < deadline:
            seen = log.read_text().count("\n") if log.is_file() else 0
            if seen >= min(trigger, lines) and (trigger <= lines or any(first_shard.glob("*.safetensors"))):
                break
            time.sleep(0.001)
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert not (out / "metrics.json").exists(), "killed too late to test anything"
        subprocess.run([sys.executable, "-m", "scarce", "resume", str(out), "--quiet"], check=True, env=env, capture_output=True)
        for name in ("model/phases/train.safetensors", "model/base.safetensors", "samples/synthetic.parquet"):
            assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
