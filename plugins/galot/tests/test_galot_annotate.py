"""Sheets for a person: written blind, read back with an interval, for tables, pictures and series."""

import base64
import html
import re

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from scarce.cli.app import main
from scarce.files import write_json
from scarce_galot.sheet import page

PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGNgYGAAAAAEAAH2FzhVAAAAAElFTkSuQmCC")


def finished(folder, records, classes, oracle=0.9):
    """What `annotate` reads of a run folder."""
    (folder / "samples").mkdir(parents=True)
    records.to_parquet(folder / "samples" / "synthetic.parquet")
    write_json(folder / "data.json", {"task": "classification", "target": "y", "classes": classes})
    metrics = [
        {"name": "label_accuracy", "source": "synthetic", "value": oracle},
        {"name": "label_accuracy", "source": "round 1", "value": 0},
    ]
    write_json(folder / "metrics.json", {"metrics": metrics})
    return folder


def rows(n=40):
    rng = np.random.default_rng(0)
    return pd.DataFrame({"a": rng.normal(size=n), "b": ["<script>x</script>"] * n, "y": rng.integers(0, 2, n).astype(float)})


@pytest.fixture
def run(tmp_path):
    return finished(tmp_path / "run", rows(), ["0", "1"])


def test_a_sheet_of_rows_is_filled_and_read(run, tmp_path, capsys):
    out = tmp_path / "sheet"
    assert main(["annotate", str(run), "-n", "30", "--out", str(out)]) == 0
    sheet, table = (out / "sheet.html").read_text(), pd.read_csv(out / "labels.csv", dtype=str, keep_default_na=False)
    assert list(table.columns) == ["id", "shown"]
    assert len(table) == 30
    assert "<script" not in sheet
    assert "&lt;script&gt;" in sheet
    records = rows()
    assert f"{records['a'].iloc[int(table['id'][0])]:.4g}" in sheet
    table["shown"] = [str(int(records["y"].iloc[int(i)])) for i in table["id"]]
    wrong = table.index[:6]
    table.loc[wrong, "shown"] = [{"0": "1", "1": "0"}[v] for v in table.loc[wrong, "shown"]]
    table.loc[29, "shown"], table.loc[28, "shown"] = "", "?"
    table.to_csv(out / "labels.csv", index=False)
    capsys.readouterr()
    assert main(["annotate", str(run), "--read", str(out / "labels.csv")]) == 0
    said = capsys.readouterr().out
    low, high = binomtest(22, 29).proportion_ci(method="wilson")
    assert f"22 of 29 show the class that was asked: {22 / 29:.3f} [{low:.3f}, {high:.3f}]" in said
    assert "not filled in: 1" in said
    assert "oracle: 0.900 of all 40 samples" in said


def test_nobody_sees_what_was_asked_and_nothing_filled_is_lost(run, tmp_path, capsys):
    for seed in ("1", "1", "2"):
        assert (
            main(["annotate", str(run), "-n", "9", "--seed", seed, "--out", str(tmp_path / f"s{seed}{len(list(tmp_path.iterdir()))}")]) == 0
        )
    tables = [p.read_text() for p in sorted(tmp_path.glob("s*/labels.csv"))]
    assert tables[0] == tables[1] != tables[2]
    sheet = next(tmp_path.glob("s1*/sheet.html")).read_text()
    assert "<td>y</td>" not in sheet
    again = next(tmp_path.glob("s1*"))
    assert main(["annotate", str(run), "--out", str(again)]) == 2
    assert "is not overwritten" in capsys.readouterr().err


def test_pictures_and_series_are_drawn(tmp_path):
    pictures = pd.DataFrame({"image": [{"bytes": PNG, "path": None}] * 3, "y": ["cat", "dog", "dog"]})
    series = pd.DataFrame({"series": [[[0.0, 1.0], [1.0, 0.5], [2.0, 0.0]]] * 3, "y": ["up", "up", "down"]})
    for name, records, mark in (("p", pictures, f"base64,{base64.b64encode(PNG).decode()}"), ("s", series, "<polyline")):
        folder = finished(tmp_path / name, records, sorted(set(records["y"])))
        assert main(["annotate", str(folder), "--out", str(tmp_path / f"{name}-out")]) == 0
        assert (tmp_path / f"{name}-out" / "sheet.html").read_text().count(mark) == (3 if name == "p" else 6)


@pytest.mark.filterwarnings("error")
def test_what_is_no_series_is_shown_as_text(tmp_path):
    odd = {
        "flat": [0.0, 1.0, 2.0], "cube": np.zeros((2, 3, 4)).tolist(), "words": ["left", "<b>right</b>"], "digits": ["1", "2"],
        "ragged": [[1.0], [1.0, 2.0]], "gone": [float("nan")] * 3, "holes": [1.0, float("nan"), 3.0], "none": [],
        "long": [f"w{i}" for i in range(99)], "empty": [[], []], "flags": [True, False, True], "endless": [1.0, float("inf"), 2.0],
    }  # fmt: skip
    records = pd.DataFrame({name: [value] * 2 for name, value in odd.items()} | {"text": ["a " * 300] * 2, "y": ["up", "down"]})
    folder = finished(tmp_path / "odd", records, ["down", "up"])
    assert main(["annotate", str(folder), "-n", "1", "--out", str(tmp_path / "out")]) == 0
    sheet = (tmp_path / "out" / "sheet.html").read_text()
    cells = dict(re.findall(r"<tr><td>(.*?)</td><td>(.*?)</td></tr>", sheet))
    drawn = re.findall(r'<polyline points="(.*?)"', sheet)
    assert set(cells) == {"cube", "words", "digits", "ragged", "gone", "none", "long", "empty", "text"}
    assert [len(points.split()) for points in drawn] == [3, 2, 3, 2]  # flat, holes, flags, endless
    assert drawn[1] == "0.0,160.0 160.0,0.0"
    assert cells["gone"] == "no values"
    assert page(pd.DataFrame({"s": [np.full((3, 2), np.nan)]}), [0], ["a"], "y", "?").count("no values") == 1
    assert cells["words"] == "[&#x27;left&#x27; &#x27;&lt;b&gt;right&lt;/b&gt;&#x27;]"
    assert cells["long"].endswith("…")
    assert len(html.unescape(cells["long"])) == 121
    assert cells["text"] == "a " * 300  # what there is to read is not cut


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,shown\n0,yes\n", "line 2: 'yes' is no class; classes: 0, 1"),
        ("id,shown\n99,1\n", "line 2: id '99' is no sample of this run (0 to 39)"),
        ("id,shown\n3,1\n3,0\n", "id 3 is there twice"),
        ("id,class\n3,1\n", "must have columns id and shown"),
        ("id,shown\n3,\n", "the column 'shown' is empty"),
    ],
)
def test_a_sheet_that_is_none_is_refused_by_line(run, tmp_path, capsys, text, message):
    (tmp_path / "bad.csv").write_text(text)
    assert main(["annotate", str(run), "--read", str(tmp_path / "bad.csv")]) == 2
    assert message in capsys.readouterr().err


def test_a_folder_without_samples_says_where_there_are_some(run, tmp_path, capsys):
    (tmp_path / "many" / "arms" / "main").mkdir(parents=True)
    run.rename(tmp_path / "many" / "arms" / "main" / "0")
    assert main(["annotate", str(tmp_path / "many")]) == 2
    assert f"scarce annotate {tmp_path}/many/arms/main/0" in capsys.readouterr().err
    assert main(["annotate", str(tmp_path / "nowhere")]) == 2
