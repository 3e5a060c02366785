import io
import json
import math
import re

import numpy as np
import pytest
from rich.console import Console

from scarce.contract import Figure, Metric
from scarce.report import write
from scarce.report.costs import costs
from scarce.report.results import Results, cell, shown, tables
from scarce.report.statistics import Child, summarise
from scarce.report.text import terminal_summary
from scarce.report.write import short_html, write_report

EVIL = "<script>alert(1)</script>"


def metrics(seed):
    base = [
        Metric(name="macro_f1", value=0.7 + 0.01 * seed + d, source=s, direction="higher", ceiling=0.4, n=200)
        for s, d in (("real", 0.0), ("synthetic", -0.01), ("both", 0.01), ("bootstrap", 0.0))
    ]
    copies = [Metric(name="exact_copies", value=v, source=s, floor=0.0, n=100) for s, v in (("synthetic", 0.0), ("bootstrap", 1.0))]
    failed = Metric(name="detection", value=math.nan, error=f"column {EVIL} broke")
    odd = Metric(name="novelty_score", value=0.25, source="synthetic", note=f"worst: {EVIL}")
    return [m.to_json() for m in (*base, *copies, failed, odd)]


def results(seeds=5, arms=("main",), **facts):
    kids = [Child(arm=arm, seed=s, metrics=metrics(s)) for arm in arms for s in range(seeds)]
    return Results(name=f"my {EVIL}", children=kids, task="classification", **facts)


def figures():
    trace = {"type": "bar", "x": [EVIL, "b"], "y": np.array([1.0, np.nan])}
    return [
        Figure(name="f", title=EVIL, traces=[trace], layout={"title": {"text": EVIL}}, section="fidelity"),
        Figure(name="t", title="pairs", html="<table><tr><td>ready</td></tr></table>", section="privacy"),
        Figure(name="e", title="evil", html=f"<p>{EVIL}</p>", section="elsewhere"),
    ]


def body(page):
    """The page without plotly's own code."""
    return re.sub(r"<script>/\*\*\s*\* plotly.*?</script>", "", page, flags=re.S)


def test_one_offline_file_with_everything_in_it(tmp_path):
    plan = [{"name": "train", "start": "base", "terms": [{"name": "denoise"}], "budget": {"steps": 800, "batch": 512}, "serves": "*"}]
    made = results(
        figures=figures(), plan=plan, cost={"train": 7.5, "none": math.nan}, command="scarce run x --set 'a=<b>'",
        data_card={"notes": ["n"]},
        provenance={"parts": [{"role": "learner", "sha256": "a" * 64}], "machine": {"cores": 2}},
    )  # fmt: skip
    path = write_report(tmp_path, made)
    page = path.read_text()
    assert path.name == "report.html"
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    rest = body(page)
    assert EVIL not in rest
    assert "&lt;script&gt;alert(1)" in rest
    assert not re.search(r'(src|href)="(?!#)', rest)
    assert page.count("plotly.js v") == 1
    plots = json.loads(re.search(r'id="plots">(.*?)</script>', rest, re.S).group(1))
    assert plots["plot-1"]["traces"][0] == {"type": "bar", "x": [EVIL, "b"], "y": [1.0, None]}
    assert all(f'id="{mark}"' in rest for mark in plots)
    assert "<td>ready</td>" in rest
    assert "scarce run x --set" in rest
    assert rest.index('class="light') < rest.index("<table")
    assert "800 steps, 512 rows a step" in rest
    assert "a" * 13 not in rest
    assert "Not measured" in rest


def test_a_report_of_nothing_still_opens(tmp_path):
    page = write_report(tmp_path, Results(name="empty", children=[])).read_text()
    assert "plotly" not in page
    assert "can’t say" in page


def test_arms_are_compared_with_the_first(tmp_path):
    page = body(write_report(tmp_path, results(arms=("plain", "lora"))).read_text())
    assert "lora · synthetic − plain · synthetic" in page
    assert "lora · synthetic" in page
    assert "no evidence" in page


def costly(arms):
    """Two seeds; every arm shares `pretrain` of its seed and trains `finetune` alone, the second arm twice as long."""
    kids = []
    for i, arm in enumerate(arms):
        for seed in range(2):
            phases = {"pretrain": 40.0 + seed, "finetune": 10.0 * (i + 1) + seed}
            cost = {"train_cpu_seconds": sum(phases.values()), "phase_cpu_seconds": phases, "train_seconds": 60.0, "trainable": 12345}
            said = [Metric(name="control_error", value=0.5 + 0.1 * i, direction="lower"), Metric(name="gradient_evaluations", value=1400.0)]
            kids.append(Child(arm=arm, seed=seed, metrics=[m.to_json() for m in said], cost={**cost, "peak_memory_mb": 900 + i}))
    return Results(name="arms", children=kids)


def test_several_arms_have_one_table_of_what_they_cost_and_reached(tmp_path, monkeypatch):
    table = costs(costly(("plain", "barrier")))
    heads = ("error asked to measured ↓", "training, CPU s", "of its own phases, CPU s", "training, s", "peak memory, MB")
    assert table.columns == (*heads, "trainable weights", "gradient evaluations")
    assert [line.label for line in table.lines] == ["plain", "barrier"]
    assert [line.cells[0][:5] for line in table.lines] == ["0.500", "0.600"]
    assert [line.cells[1].split(" ±")[0] for line in table.lines] == ["51.0", "61.0"]
    assert [line.cells[2].split(" ±")[0] for line in table.lines] == ["10.5", "20.5"]  # without the phase they share
    assert table.lines[1].cells[3:] == ("60.0", "901", "12,345", "1,400")
    assert costs(costly(("plain",))) is None
    assert costs(results(arms=("a", "b"))) is None  # nothing was recorded
    page = body(write_report(tmp_path, costly(("plain", "barrier"))).read_text())
    monkeypatch.setattr(write, "find_spec", lambda name: None)
    text = write_report(tmp_path, costly(("plain", "barrier"))).read_text()
    for out in (page, text):
        assert "What each arm cost" in out
        assert "12,345" in out
        assert "A phase that arms share is trained once" in out
    assert "What each arm cost" not in body(write_report(tmp_path, costly(("plain",))).read_text())


def test_tables_stand_synthetic_beside_baselines():
    by_section = {t.section: t for t in tables(results())}
    utility = by_section["utility"]
    assert [line.label for line in utility.lines] == [
        "real only",
        "synthetic",
        "real + synthetic",
        "bootstrap copy",
        "always the same answer",
    ]
    assert utility.columns == ("macro-F1 ↑", "% of real")
    assert utility.lines[1].cells[0] == "0.710 ± 0.020"
    assert utility.lines[1].cells[1] == "99 %"
    assert [line.mark for line in utility.lines] == ["", "", "", "copies", ""]
    assert by_section["more"].lines[0].cells == ("0.250 ± 0.000",)
    assert "broke" in by_section["fidelity"].failures[0]


def test_the_report_says_what_synthetic_rows_were_worth(tmp_path):
    subset = [
        {**Metric(name="macro_f1", value=v, source=f"real/{p}").to_json(), "rows": 800 // p} for p, v in ((8, 0.5), (4, 0.6), (2, 0.68))
    ]
    made = results()
    made = made.with_(children=[child.with_(curve=subset, counts={"labelled": 800}) for child in made.children])
    page = body(write_report(tmp_path, made).read_text())
    plots = json.loads(re.search(r'id="plots">(.*?)</script>', page, re.S).group(1))
    assert [trace["name"] for trace in plots["plot-1"]["traces"]] == ["real only", "one seed", "synthetic", "real + synthetic"]
    assert plots["plot-1"]["traces"][0]["x"] == [100, 200, 400, 800]
    console = Console(width=140, record=True, file=io.StringIO())
    console.print(terminal_summary(made))
    for text in (page, console.export_text()):
        assert "The synthetic rows were worth about" in text
        assert "real/8" not in text
    assert page.index("The synthetic rows were worth") < page.index("<table")


def test_plain_text_where_plotly_is_absent(tmp_path, monkeypatch):
    write_report(tmp_path, results())
    monkeypatch.setattr(write, "find_spec", lambda name: None)
    path = write_report(tmp_path, results(command="scarce run x"))
    assert [p.name for p in tmp_path.iterdir()] == ["report.txt"]
    text = path.read_text()
    assert "bootstrap copy (copies)" in text
    assert "Again: scarce run x" in text
    assert "usable: macro-F1 0.710 trained on synthetic" in text


def test_terminal_and_notebook_forms():
    console = Console(width=140, record=True, file=io.StringIO())
    console.print(terminal_summary(results(seeds=1)))
    text = console.export_text()
    assert "too few runs to say" in text
    assert "SMOTE" not in text
    short = short_html(results())
    assert EVIL not in short
    assert "<script" not in short
    assert "bootstrap copy (copies)" in short


def test_a_report_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path = write_report(tmp_path, results())
    before = path.read_bytes()
    monkeypatch.setattr("scarce.report.page._json", lambda data: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_report(tmp_path, results())
    assert path.read_bytes() == before


def test_small_numbers_are_not_shown_as_zero():
    assert [shown(v) for v in (3.34e-6, -2e-4, 0.0, 0.0006, None)] == ["3.3e-06", "-2.0e-04", "0.000", "0.001", "–"]
    assert shown(1e-5, "exact_copies") == "0.0 %"
    said = [Metric(name="distance", value=v, source="synthetic").to_json() for v in (1e-5, 3e-5)]
    (small,) = summarise([Child(arm="main", seed=seed, metrics=[m]) for seed, m in enumerate(said)])
    assert cell(small).startswith("2.0e-05 ± 1")
    assert cell(small.with_(value=0.5, high=0.5001)) == "0.500 ± 0.000"
