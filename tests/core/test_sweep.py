"""Sweeps: which points there are, checked before anything runs, resumable, and reported table by table."""

import csv
import json
import tomllib
from pathlib import Path

import pytest

from scarce.catalogue.catalogue import read_catalogue
from scarce.cli.app import main
from scarce.contract import Metric
from scarce.errors import RecipeError
from scarce.files import read_json, write_json
from scarce.report.statistics import Child
from scarce.runs.recipe import read_sweep, read_toml, resolve
from scarce.tools.points import parse_over
from scarce.tools.sweep import plan_sweep, points, results, run_sweep
from scarce.tools.sweep_page import page
from scarce.tools.sweep_results import Result, effects, places

BASE = """
[data]
modality = "tabular"
source = "builtin:iris"
[backbone]
name = "mlp"
width = 32
[[conditioner]]
name = "label"
[train]
steps = 12
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
[preset.test]
"train.steps" = 10
"""

SUITE = (
    BASE
    + """
[sweep]
one_at_a_time = true
cross = ["table"]
[[sweep.factor]]
name = "table"
[[sweep.factor.level]]
name = "iris"
"data.source" = "builtin:iris"
[[sweep.factor.level]]
name = "wine"
"data.source" = "builtin:wine"
[[sweep.factor]]
name = "prior"
[[sweep.factor.level]]
name = "full"
"diffusion.prior" = "full"
[[sweep.factor.level]]
name = "standard"
"diffusion.prior" = "standard"
[[sweep.factor]]
name = "schedule"
when = {prior = ["standard"]}
[[sweep.factor.level]]
name = "cosine"
"diffusion.schedule" = "cosine"
[[sweep.factor.level]]
name = "linear"
"diffusion.schedule" = "linear"
"""
)


@pytest.fixture
def recipe(tmp_path):
    """Writes a recipe file and returns its path as text."""

    def write(text=BASE, name="tiny.toml"):
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return write


def plan(path, **asked):
    base, sweep = plan_sweep(read_toml(Path(path)), read_catalogue(), **asked)
    return base, [p.name for p in points(sweep)]


def test_values_of_over_are_toml_or_text():
    assert parse_over("strategy.0.rank=2,4,8") == ("strategy.0.rank", [2, 4, 8])
    assert parse_over("diffusion.prior=standard,full") == ("diffusion.prior", ["standard", "full"])
    assert parse_over("a.b=true,1e-3") == ("a.b", [True, 0.001])
    assert parse_over('a.b="x,y",[1, 2]') == ("a.b", ["x,y", [1, 2]])
    for wrong in ("a.b=", "a.b=1,,2", "a.b"):
        with pytest.raises(RecipeError):
            parse_over(wrong)


def test_a_grid_and_one_factor_at_a_time_around_the_recipes_own_values(recipe):
    over = {"train.steps": [12, 20], "diffusion.prior": ["standard", "full", "diagonal"]}
    _, grid = plan(recipe(), over=over)
    assert len(grid) == 6
    assert grid[0] == "default"
    assert {"steps-20", "prior-standard", "steps-20+prior-diagonal"} < set(grid)
    _, one = plan(recipe(), over=over, one_at_a_time=True)
    assert one == ["default", "steps-20", "prior-standard", "prior-diagonal"]
    base, own = plan(recipe(), over={"backbone.layers": [1, 2], "train.steps": [20, 30]}, one_at_a_time=True, preset="test")
    layers = [layers for layers in (1, 2) if layers != read_layers()]
    assert own == ["default", *(f"layers-{n}" for n in layers), "steps-20", "steps-30"]
    assert base.train.steps == 10


def read_layers():
    from scarce.tools.points import own_value

    made = resolve({"data": {"modality": "tabular"}, "backbone": {"name": "mlp"}})
    return own_value(made, "backbone.layers", read_catalogue())


def test_a_recipes_own_sweep_crosses_restricts_and_applies_factors_where_they_make_sense(recipe):
    suite = recipe(SUITE)
    _, names = plan(suite)
    assert names == [
        "default", "table-wine", "prior-standard", "table-wine+prior-standard",
        "prior-standard+schedule-linear", "table-wine+prior-standard+schedule-linear",
    ]  # fmt: skip
    assert plan(suite, only=["table=wine", "prior"])[1] == ["default", "prior-standard"]
    assert plan(suite, only=["prior=standard"])[1] == ["default", "table-wine", "schedule-linear", "table-wine+schedule-linear"]
    assert len(plan(suite, over={"train.steps": [12, 20]})[1]) == 8
    assert len(plan(recipe(SUITE.replace("one_at_a_time = true", "")))[1]) == 6
    arms = SUITE + '[[arm]]\nname = "a"\n[[arm]]\nname = "b"\n"train.rate" = 0.01\n'
    assert plan(recipe(arms), only=["arm"])[1] == ["default", "arm-b"]


def test_the_page_shows_this_very_sweep():
    text = (Path(__file__).parents[2] / "docs" / "comparing.md").read_text(encoding="utf-8")
    shown = text.partition("```toml\n")[2].partition("```")[0]
    assert read_sweep(tomllib.loads(shown)) == read_sweep(tomllib.loads(SUITE))


def test_a_run_of_a_recipe_with_a_sweep_is_its_default_point(recipe):
    raw = read_toml(Path(recipe(SUITE.replace('"diffusion.prior" = "full"', '"diffusion.prior" = "diagonal"'))))
    made = resolve(raw)
    assert (made.data.source, made.diffusion.prior, made.diffusion.schedule) == ("builtin:iris", "diagonal", "cosine")
    assert resolve(raw, overrides=[("diffusion.prior", "full")]).diffusion.prior == "full"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"over": {"train.stepz": [1, 2]}}, "train.stepz: unknown option (did you mean 'steps'?)"),
        ({"over": {"backbone.widht": [1, 2]}}, "backbone.widht: unknown option (did you mean 'width'?)"),
        ({"over": {"evaluator.4.rows": [1, 2]}}, "evaluator.4.rows: '4' is not an item"),
        ({"over": {"train.steps": [10, -1]}}, "train.steps: must be ≥ 0"),
        ({"over": {"train.steps": [1, "1"]}}, "two values read alike"),
        ({}, "nothing to vary"),
        ({"over": {"train.steps": [1, 2]}, "set": {"train.steps": 3}}, "factor 'train.steps' of the sweep sets it too"),
        ({"over": {"train.steps": [1, 2]}, "only": ["train.step"]}, "did you mean 'train.steps'"),
        ({"over": {"train.steps": [1, 2]}, "only": ["train.steps=3"]}, "no level '3'"),
    ],
)
def test_mistakes_are_found_before_anything_runs(recipe, tmp_path, asked, said):
    with pytest.raises(RecipeError) as caught:
        run_sweep(recipe(), out=tmp_path / "out", quiet=True, **asked)
    assert said in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('cross = ["table"]', 'cross = ["tabel"]', "sweep.cross: no factor is called 'tabel' (did you mean 'table'?)"),
        ('when = {prior = ["standard"]}', 'when = {pior = ["x"]}', "sweep.factor.2.when: 'pior' is no earlier factor"),
        ('when = {prior = ["standard"]}', 'when = {prior = ["x"]}', "without level 'x'"),
        ('name = "wine"', 'name = "iris"', "is there twice"),
        ("one_at_a_time = true", "one_at_once = true", "sweep.one_at_once: unknown option"),
        ('name = "wine"', 'name = "my wine"', "sweep.factor.0.level.1.name"),
    ],
)
def test_a_wrong_section_is_said_with_its_path(recipe, old, new, said):
    assert old in SUITE
    with pytest.raises(RecipeError) as caught:
        plan(recipe(SUITE.replace(old, new)))
    assert said in str(caught.value)


def stamps(folder):
    return {path.parent: path.stat().st_mtime_ns for path in sorted(folder.glob("arms/*/*/metrics.json"))}


def test_a_sweep_runs_resumes_grows_and_never_computes_a_finished_child_again(recipe, tmp_path, capsys):
    out = tmp_path / "grid"
    asked = ["sweep", recipe(), "--over", "train.steps=12,20", "--over", "diffusion.prior=standard,full", "--out", str(out), "--quiet"]
    assert main([*asked, "--seeds", "2"]) == 0
    text = capsys.readouterr().out
    assert "too few runs to say" in text
    made = stamps(out)
    assert len(made) == 8
    victim = out / "arms" / "steps-20" / "1"
    before = read_json(victim / "metrics.json")
    for name in ("metrics.json", "figures.json", "hashes.json"):
        (victim / name).unlink(missing_ok=True)
    (out / "sweep.html").unlink()
    assert main(["resume", str(out), "--quiet"]) == 0
    again = stamps(out)
    assert {home for home in made if again[home] != made[home]} == {victim}
    assert read_json(victim / "metrics.json")["metrics"] == before["metrics"]
    assert (out / "sweep.html").is_file()
    assert main([*asked, "--seeds", "3", "--json"]) == 0
    capsys.readouterr()
    grown = stamps(out)
    assert len(grown) == 12
    assert {home: grown[home] for home in again} == again
    assert main([*asked, "--seeds", "1"]) == 2
    assert "which this sweep does not have" in capsys.readouterr().err
    assert main([*asked, "--seeds", "3", "--set", "train.batch=32"]) == 2
    assert "train.batch: 64 -> 32" in capsys.readouterr().err
    assert main(["evaluate", str(out)]) == 2
    assert stamps(out) == grown
    rows = read_json(out / "sweep.json")["rows"]
    assert len(rows) == 12
    assert rows[0]["levels"] == {"train.steps": "12", "diffusion.prior": "full"}
    assert rows[0]["metrics"]["synthetic/macro_f1"] == results(out)[0].value("")
    assert rows[0]["cost"]["train_cpu_seconds"] > 0
    with (out / "sweep.csv").open() as file:
        lines = list(csv.DictReader(file))
    mine = [line for line in lines if (line["point"], line["seed"]) == ("default", "0")]
    found = {(line["source"], line["name"]): line["value"] for line in mine}
    assert float(found["synthetic", "macro_f1"]) == rows[0]["metrics"]["synthetic/macro_f1"]
    assert float(found["cost", "trainable"]) == rows[0]["cost"]["trainable"]


def test_a_point_that_fails_is_a_row_with_its_reason_and_the_sweep_goes_on(recipe, tmp_path, capsys):
    table = tmp_path / "few.csv"
    table.write_text("a,y\n1,n\n2,p\n3,n\n")
    out = tmp_path / "out"
    asked = ["sweep", recipe(), "--over", f"data.source={table},builtin:iris", "--set", "data.target=", "--out", str(out), "--quiet"]
    assert main([*asked, "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    by = {row["point"]: row for row in said["rows"]}
    failed = next(row for name, row in by.items() if "few" in name)
    assert (failed["status"], failed["metrics"]) == ("failed", {})
    assert "too few" in failed["error"]
    assert by["default"]["status"] == "done"
    assert main(["resume", str(out), "--quiet"]) == 1
    assert "too few" in capsys.readouterr().out
    lines = [f"{i % 7},{'np'[i % 2]}" for i in range(40)]
    table.write_text("\n".join(["a,y", *lines]) + "\n")
    assert main(["resume", str(out), "--quiet"]) == 0
    assert {r.status for r in results(out)} == {"done"}


def test_points_on_several_tables_are_paired_within_each(recipe, tmp_path, capsys):
    out = run_sweep(recipe(SUITE), only=["table", "prior"], out=tmp_path / "out", quiet=True)
    found, facts = results(out), read_json(out / "sweep.json")
    assert [r.table for r in found] == ["builtin:iris", "builtin:wine"] * 2
    made = {(e.factor, e.table, e.level): e.against for e in effects(found, facts)}
    assert made["prior", "builtin:wine", "standard"].n == 1
    assert {against for (factor, *_), against in made.items() if factor == "table"} == {None}
    assert main(["resume", str(out), "--quiet"]) == 0
    assert "Across tables" in capsys.readouterr().out
    assert main(["compare", f"{out}:default", f"{out}:table-wine"]) == 2
    assert "can't be paired" in capsys.readouterr().err


FACTS = {"name": "s", "command": "scarce sweep s", "metric": "", "cost": "train_cpu_seconds", "seeds": [0, 1, 2, 3, 4, 5]}
FACTS |= {"factors": {"rank": ["2", "4"], "base": ["a", "b"]}, "when": {"rank": [], "base": []}, "points": []}
NOISE = [0.0, 0.01, -0.01, 0.005, -0.005, 0.002]


def result(rank, base, seed, score, table="t", cost=1.0, splits="same", direction="higher"):
    metrics = [Metric(name="macro_f1", value=v, source=s, direction=direction).to_json() for s, v in (("synthetic", score), ("real", 0.8))]
    child = Child(arm="x", seed=seed, metrics=metrics, cost={"train_cpu_seconds": cost, "trainable": 10})
    point = f"rank-{rank}+base-{base}"
    return Result(
        point=point, seed=seed, levels={"rank": rank, "base": base}, table=table, status="done", task="classification", splits=splits,
        child=child,
    )  # fmt: skip


def grid(**facts):
    """rank 4 gains 0.1 at base a and 0.2 at base b; base b costs 0.3 at either rank."""
    gain = {("2", "a"): 0.6, ("4", "a"): 0.7, ("2", "b"): 0.3, ("4", "b"): 0.5}
    return [result(*key, s, v + NOISE[s] * (key[0] == "4"), **facts) for key, v in gain.items() for s in range(6)]


def test_effects_average_a_seeds_points_and_pair_equal_splits_only():
    made = {(e.factor, e.table, e.level): e for e in effects(grid(), FACTS)}
    rank = made["rank", "t", "4"].against
    assert rank.differences == pytest.approx([0.15 + n for n in NOISE])
    assert (rank.n, rank.verdict) == (6, "better")
    assert made["base", "t", "b"].against.verdict == "worse"
    assert made["rank", "t", "2"].against is None
    moved = [r.with_(splits=f"other {r.seed}") if r.levels["rank"] == "4" and r.seed < 2 else r for r in grid()]
    few = {(e.factor, e.level): e.against for e in effects(moved, FACTS)}["rank", "4"]
    assert (few.n, few.verdict) == (4, "too few runs to say")


def test_one_at_a_time_the_default_is_compared_without_the_points_that_move_another_factor():
    found = [r for r in grid() if (r.levels["rank"], r.levels["base"]) != ("4", "b")]
    made = {(e.factor, e.level): e for e in effects(found, FACTS)}
    assert {m.levels["base"] for m in made["rank", "2"].members} == {"a"}
    assert made["rank", "4"].against.mean == pytest.approx(0.1 + sum(NOISE) / 6)


def test_tables_stay_apart_and_wins_are_counted_not_pooled():
    worse = [r.with_(levels={"rank": {"2": "4", "4": "2"}[r.levels["rank"]], "base": r.levels["base"]}) for r in grid(table="u")]
    found = [*grid(), *worse]
    verdicts = {e.table: e.against.verdict for e in effects(found, FACTS) if e.factor == "rank" and e.against}
    assert verdicts == {"t": "better", "u": "worse"}
    across = page(found, FACTS).partition("Across tables")[2]
    assert "<tr><td>rank</td><td>4</td><td>1</td><td>1</td><td>0</td><td>0</td><td>1 / 1</td></tr>" in across


def test_the_pareto_front_per_table():
    spots = {("2", "a"): (0.6, 1.0), ("4", "a"): (0.7, 2.0), ("2", "b"): (0.5, 2.0), ("4", "b"): (0.65, 3.0)}
    found = [result(*key, s, v, cost=c) for key, (v, c) in spots.items() for s in range(2)]
    assert {p.point for p in places(found, FACTS) if p.front} == {"rank-2+base-a", "rank-4+base-a"}
    lower = [result(*key, s, v, cost=c, direction="lower") for key, (v, c) in spots.items() for s in range(2)]
    assert {p.point for p in places(lower, FACTS) if p.front} == {"rank-2+base-a", "rank-2+base-b"}


def test_the_page_is_offline_and_escapes_what_comes_from_recipes_and_data():
    evil = "<img src=x onerror=alert(1)></script>"
    text = page([r.with_(table=evil, point=evil) for r in grid()], {**FACTS, "name": evil, "command": evil})
    assert evil not in text
    assert "<img" not in text
    assert "Plotly.newPlot" in text
    assert 'src="http' not in text


def test_the_folder_of_a_sweep_says_so_when_its_file_is_damaged(recipe, tmp_path, capsys):
    out = run_sweep(recipe(), over={"train.steps": [12]}, out=tmp_path / "out", quiet=True)
    facts = read_json(out / "sweep.json")
    (out / "sweep.json").write_text("{")
    assert main(["resume", str(out), "--quiet"]) == 2
    assert "is damaged" in capsys.readouterr().err
    write_json(out / "sweep.json", facts)
    assert main(["resume", str(out), "--quiet"]) == 0
