"""Rows that are not held: read in blocks, kept in a file while training lasts, never one that is tested on."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from scarce.catalogue import read_catalogue
from scarce.cli.app import main
from scarce.contract import Phase, State, Term
from scarce.errors import CapabilityError, DataError, PluginError, RecipeError, RunError
from scarce.files import read_json
from scarce.runs import api
from scarce.runs.assembly import assemble
from scarce.runs.estimating import Needs, refuse_unfit
from scarce.runs.loading import load_data, make_codec, training_prompts
from scarce.runs.recipe import find_recipe, resolve
from scarce.runs.rowfile import RowFile, layout_of, pack, unpack
from scarce.runs.run import Job, prepare
from scarce.runs.streaming import PLACE
from scarce.runtime.order import LongPool, RowOrder, scattered
from scarce.runtime.runtime import SharedRuntime

SMALL = {
    "train.steps": 30, "train.batch": 32, "generate.count": 40, "generate.steps": 3, "backbone.width": 32, "runtime.threads": 1,
    "learner.iterations": 3, "evaluator": [], "data.target": "left", "data.hold": 200,
}  # fmt: skip


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    monkeypatch.setattr("scarce_tabular.blocks.CELLS", 1)


def table(path: Path, n=900, seed=0) -> Path:
    """Rows of several kinds, in small row groups, some of them twice and some without a class."""
    rng = np.random.default_rng(seed)
    left = np.where(rng.random(n) < 0.4, "yes", "no").astype(object)
    left[rng.random(n) < 0.05] = None
    frame = pd.DataFrame({
        "pay": rng.normal(size=n).round(2), "age": rng.integers(18, 60, n), "city": rng.choice(["Ulm", "Bonn", "Kiel"], n),
        "who": [f"p{i}" for i in rng.integers(0, 90, n)], "left": left,
    })  # fmt: skip
    frame = pd.concat([frame, frame.iloc[: n // 3]], ignore_index=True)
    pq.write_table(pa.Table.from_pandas(frame), path, row_group_size=250)
    return path


def lines(frame: pd.DataFrame) -> list[str]:
    """Each row as a text."""
    return ["|".join(map(str, row)) for row in frame.fillna("?").itertuples(index=False)]


def made(path: Path, folder: Path, **sets):
    """A run that is ready to train, and its data."""
    catalogue = read_catalogue()
    _, raw = find_recipe("tabular/table", catalogue)
    given = {"data.source": str(path), **SMALL, **sets}
    recipe = resolve(raw, preset="test", overrides=list(given.items()))
    assembly = assemble(recipe, catalogue, name="data")
    data = load_data(recipe, assembly, catalogue)
    codec = make_codec(data, assembly, recipe, folder)
    runtime = SharedRuntime(seed=recipe.seed, options=recipe.runtime)
    ready = prepare(Job(recipe, folder, catalogue), data, codec, assembly, runtime)
    return ready, data, lambda part: ready.model.conditions.prepare(training_prompts(part, recipe, assembly, codec))


def test_a_long_pool_is_passed_through_in_a_shuffled_order_without_being_listed():
    for n in (1, 2, 3, 17, 1000):
        keys = torch.randint(2**62, (6,), generator=torch.Generator().manual_seed(n))
        assert torch.equal(scattered(torch.arange(n), n, keys).sort().values, torch.arange(n))
    pool = LongPool(torch.tensor([4, 2]), 10, 70_000)
    order = RowOrder(pool, seed=0, purpose="t", batch=7001)
    passed = torch.cat([order.rows(i) for i in range(11)])
    one, two = passed[: len(pool)], passed[len(pool) :]
    assert torch.equal(one.sort().values, torch.cat([torch.tensor([2, 4]), torch.arange(10, 70_010)]))
    assert not torch.equal(one[: len(two)], two)
    assert abs(float(torch.corrcoef(torch.stack([one[:-1], one[1:]]).float())[0, 1])) < 0.02
    assert torch.equal(RowOrder(pool, seed=0, purpose="t", batch=7001).rows(9), order.rows(9))
    some = LongPool(torch.zeros(0, dtype=torch.int64), 5, 9, torch.tensor([1, 8], dtype=torch.int32))
    assert some[torch.arange(2)].tolist() == [6, 13]


def test_a_file_of_rows_goes_on_after_its_last_whole_part(tmp_path):
    random = torch.Generator().manual_seed(0)
    x0 = State(torch.randn(9, 3, generator=random), torch.randint(4, (9, 2), generator=random), torch.ones(9, 5, dtype=torch.bool))
    inputs, known, codes = (torch.randint(9, (9, 4), generator=random), torch.arange(9)), np.arange(9) % 2 == 0, np.arange(9) - 1
    rows = pack(layout_of(x0, inputs), x0, inputs, known, codes)
    file = RowFile(tmp_path, rows.dtype, {"mark": "a"})
    file.add(rows[:4])
    file.add(rows[4:], last=True)
    asked = np.array([8, 0, 5, 5])
    found, prepared = unpack(file.read(asked))
    assert torch.equal(found.num, x0.num[asked])
    assert torch.equal(found.cat, x0.cat[asked])
    assert torch.equal(found.mask, x0.mask[asked])
    assert all(torch.equal(a, b[asked]) for a, b in zip(prepared, inputs, strict=True))
    assert file.column("labelled").tolist() == known.tolist()
    whole = (tmp_path / "rows.bin").read_bytes()

    assert RowFile(tmp_path, rows.dtype, {"mark": "a"}).whole
    assert not len(RowFile(tmp_path, rows.dtype, {"mark": "b"}))
    (tmp_path / "rows.bin").write_bytes(whole[:-1] + b"?")
    again = RowFile(tmp_path, rows.dtype, {"mark": "a"})
    assert (len(again), again.whole) == (4, False)
    again.add(rows[4:], last=True)
    assert (tmp_path / "rows.bin").read_bytes() == whole
    with pytest.raises(RunError, match="damaged"):
        again.read(np.array([99]))
    with pytest.raises(PluginError, match="'num' of later records is"):
        pack(rows.dtype, State(x0.num[:, :2], x0.cat, x0.mask), inputs, known, codes)


@pytest.mark.parametrize("group", [None, "who"])
def test_what_streams_is_the_rest_of_the_source_but_for_what_is_held_out(tmp_path, group):
    ready, data, asked = made(table(tmp_path / "t.parquet"), tmp_path, **{"data.group": group})
    parts = list(data.rest)
    assert len(parts) > 2
    every = pd.concat([data.records, *(part.records for part in parts)])
    source = pd.read_parquet(tmp_path / "t.parquet")
    assert sorted(lines(every)) == sorted(lines(source))
    assert data.rest.rows == len(source) - len(data)

    out = set(data.groups[data.rows("validation", "test")].tolist())
    rest = [part.part([g not in out for g in part.groups.tolist()]) for part in parts]
    groups = [g for part in rest for g in part.groups.tolist()]
    assert set(groups) & set(data.groups[data.rows("train")].tolist())
    kept = pd.concat([part.records for part in rest])
    held = data.records.iloc[data.rows("validation", "test")]
    assert not set(lines(held[["who"]] if group else held)) & set(lines(kept[["who"]] if group else kept))

    rows, n = torch.arange(len(data) + len(kept)), len(data)
    batch = ready.rows.batch(rows.flip(0))
    states = [ready.codec.encode(part.records) for part in rest]
    assert torch.equal(batch.x0.num.flip(0)[n:], torch.cat([s.num for s in states]))
    assert torch.equal(batch.x0.cat.flip(0)[n:], torch.cat([s.cat for s in states]))
    assert torch.equal(batch.x0.num.flip(0)[:n], ready.codec.encode(data.records).num)
    inputs = [asked(replace(part, split=np.full(len(part), "train", "<U10"))) for part in rest]
    for found, parts_of in zip(batch.inputs, zip(*inputs, strict=True), strict=True):
        assert torch.equal(found.flip(0)[n:], torch.cat(parts_of))
    assert torch.equal(batch.labelled.flip(0)[n:], torch.tensor(kept["left"].notna().tolist()))
    assert len(ready.rows.stream.open().codes) == len(kept)


def test_pools_are_the_held_rows_and_those_that_stream(tmp_path):
    ready, data, _ = made(table(tmp_path / "t.parquet"), tmp_path, **{"data.labelled": 0.3})
    stream, classes, n = ready.rows.stream, ready.model.conditions.classes, len(data)
    opened = stream.open()
    assert 0.2 < opened.labelled.mean() < 0.4
    terms = tuple(Term(name=name, rows=name) for name in ("all", "labelled", "unlabelled"))
    phase = Phase(name="p", terms=terms)
    held = ready.rows.pools(phase, classes)
    pools = stream.pools(phase, held, classes)
    listed = {name: pool[torch.arange(len(pool))] for name, pool in pools.items()}
    assert torch.equal(listed["all"], torch.cat([held["all"], n + torch.arange(len(opened.codes))]))
    assert torch.equal(torch.cat([listed["labelled"], listed["unlabelled"]]).sort().values, listed["all"].sort().values)
    assert bool(ready.rows.batch(listed["labelled"]).labelled.all())
    assert not bool(ready.rows.batch(listed["unlabelled"]).labelled.any())
    one = Phase(name="p", terms=terms[:1], classes=(classes[0],))
    further = stream.pools(one, ready.rows.pools(one, classes), classes)["all"]
    chosen = further[torch.arange(len(further))]
    assert set(opened.codes[(chosen[chosen >= n] - n).numpy()]) == {0}
    own = Phase(name="p", terms=(*terms, Term(name="pull", loss="strategy.0:pull")))
    assert stream.pools(own, held, classes) == held


def test_a_run_streams_resumes_and_leaves_nothing(tmp_path, capsys):
    path = table(tmp_path / "t.parquet")
    sets = {**SMALL, "data.source": str(path)}
    one = api.run("tabular/table", set=sets, preset="test", out=tmp_path / "one", quiet=True)
    assert read_json(one.folder / "data.json")["rest"]["rows"] == 1000
    assert not (one.folder / PLACE).exists()
    assert main(["verify", str(one.folder), "--json"]) == 0
    assert {c["name"]: c["state"] for c in json.loads(capsys.readouterr().out)}["training"] == "ok"

    (home := tmp_path / "two").mkdir()
    ready, _, _ = made(path, home)
    ready.rows.ready(ready.model.plan.phases)
    assert len(ready.rows.stream.open().codes) > 500
    (tmp_path / "two/model").rename(tmp_path / "gone")
    two = api.run("tabular/table", set=sets, preset="test", out=home, quiet=True)
    name = "model/phases/train.safetensors"
    assert (two.folder / name).read_bytes() == (one.folder / name).read_bytes()
    held = api.run("tabular/table", set={**sets, "data.hold": 5000}, preset="test", out=tmp_path / "held", quiet=True)
    plain = api.run("tabular/table", set={**sets, "data.hold": None}, preset="test", out=tmp_path / "plain", quiet=True)
    assert (held.folder / name).read_bytes() == (plain.folder / name).read_bytes()

    table(path, seed=1)
    (one.folder / "metrics.json").unlink()
    assert main(["resume", str(one.folder), "--quiet"]) == 2
    assert "have changed since" in capsys.readouterr().err


def test_what_can_not_stream_is_refused(tmp_path, capsys):
    path = table(tmp_path / "t.parquet")
    with pytest.raises(CapabilityError, match="data:stream"):
        api.run("timeseries/series", set={"data.hold": 100}, preset="test", out=tmp_path / "text", quiet=True)
    with pytest.raises(DataError, match="in memory already"):
        api.run("tabular/table", data=pd.read_parquet(path), set=SMALL, preset="test", out=tmp_path / "frame", quiet=True)
    with pytest.raises(RecipeError, match="are held"):
        made(path, tmp_path, **{"data.labelled": 500})
    with pytest.raises(RunError, match="writes 1e"):
        refuse_unfit(Needs(training=1, samples=1, weights=1, checkpoints=1, shards=1, streamed=10**18), tmp_path, torch.device("cpu"))
    sets = [text for key, value in SMALL.items() for text in ("--set", f"{key}={json.dumps(value)}")]
    assert main(["plan", "tabular/table", "--preset", "test", "--data", str(path), *sets]) == 0
    said = capsys.readouterr().out
    assert "1,000 more stream into training" in said
    assert "of encoded rows come and go" in said


@pytest.mark.slow
def test_the_peak_does_not_grow_with_the_file(tmp_path):
    peaks = {}
    for n in (200_000, 800_000):
        rng = np.random.default_rng(0)
        frame = pd.DataFrame({f"x{i}": rng.normal(size=n) for i in range(10)})
        frame["left"] = rng.choice(["no", "yes"], n)
        frame.to_parquet(tmp_path / f"{n}.parquet", row_group_size=100_000)
        del frame
        code = "import resource,sys; from scarce.cli.app import main; main(sys.argv[1:]); "
        code += "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        sets = {**SMALL, "data.hold": 5000}
        asked = [text for key, value in sets.items() for text in ("--set", f"{key}={json.dumps(value)}")]
        argv = ["run", "tabular/table", "--preset", "test", "--data", str(tmp_path / f"{n}.parquet"), "--out", str(tmp_path / str(n))]
        env = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run([sys.executable, "-c", code, *argv, "--quiet", *asked], capture_output=True, text=True, env=env)
        assert done.returncode == 0, done.stderr
        peaks[n] = int(done.stdout.split()[-1]) / 1024
    assert peaks[800_000] < peaks[200_000] + 25  # held, the further rows would take 50 MB, and encoded 26
