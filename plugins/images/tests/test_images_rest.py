"""Picture sets of which a sample is held, and .tar files in and out."""

import io
import json
import tarfile

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from scarce.contract import LoadContext
from scarce.errors import DataError
from scarce.runs import api
from scarce_images import rest
from scarce_images.config import Images
from scarce_images.load import load_images
from scarce_images.write import png, write_images

OPTIONS = Images(size=8)


def picture(seed):
    return np.random.default_rng(seed).integers(0, 256, (8, 8, 3)).astype(np.uint8)


def frame(n=60):
    """Every picture of the last ten is a copy of one of the first."""
    pictures = [picture(i if i < n - 10 else i - n + 10) for i in range(n)]
    kinds = [("cat", "dog")[i % 2] for i in range(n)]
    return pd.DataFrame({"image": pictures, "label": kinds, "caption": [f"no. {i}" for i in range(n)]})


def loaded(path, hold=None, **more):
    return load_images(LoadContext(source=str(path), target=None, seed=0, hold=hold, **more), OPTIONS)


def keys(data):
    return [cell.tobytes() + str(text).encode() for cell, text in zip(data.records["image"], data.records["caption"], strict=True)]


@pytest.mark.parametrize("name", ["pictures", "pictures.zip", "pictures.tar", "pictures.parquet"])
def test_held_and_streamed_pictures_are_those_of_the_source(tmp_path, monkeypatch, name):
    most = 1 if name == "pictures" else 7
    monkeypatch.setattr(rest, "BLOCK", 8 * 8 * rest.EACH * most)
    path = write_images(frame(), tmp_path / name, {"target": "label"})
    if name == "pictures":
        (path / "cat" / "broken.png").write_bytes(b"no picture")
    whole = load_images(LoadContext(source=str(path), target="label", seed=0), OPTIONS)
    held = load_images(LoadContext(source=str(path), target="label", seed=0, hold=24), OPTIONS)
    parts = list(held.rest)
    assert len(parts) > 4
    assert max(map(len, parts)) == most
    assert sorted(k for data in (held, *parts) for k in keys(data)) == sorted(keys(whole))
    assert {part.classes for part in parts} == {("cat", "dog")}
    groups = dict(zip(keys(held), held.groups, strict=True))
    for part in parts:
        for key, group in zip(keys(part), part.groups, strict=True):
            equal = [g for k, g in groups.items() if k[: 8 * 8 * 3] == key[: 8 * 8 * 3]]
            assert group in equal if equal else group.startswith("key/")
    assert held.rest.mark == load_images(LoadContext(source=str(path), target="label", seed=0, hold=24), OPTIONS).rest.mark


def test_a_picture_that_would_join_two_groups_is_in_neither(tmp_path):
    table = frame(40).assign(owner=[f"o{i % 4}" for i in range(40)])
    path = write_images(table, tmp_path / "p.parquet")
    data = load_images(LoadContext(source=str(path), target="label", seed=0, hold=12, group="owner"), OPTIONS)
    owner = dict(zip(data.records["owner"], data.groups, strict=True))
    found = [(o, g) for part in data.rest for o, g in zip(part.records["owner"], part.groups, strict=True)]
    assert 0 < len(found) <= 28
    assert all(group == owner.get(name, group) for name, group in found)


def test_a_tar_is_webdatasets_layout_and_always_the_same_bytes(tmp_path):
    table = frame(4).assign(label=[0, 1, 0, 1])
    path = write_images(table, tmp_path / "a.tar", {"target": "label"})
    with tarfile.open(path) as archive:
        members = archive.getmembers()
        names = [m.name for m in members]
        said = json.loads(archive.extractfile("000001.json").read())
        first = archive.extractfile("000001.png").read()
    assert names[:5] == ["000000.png", "000000.cls", "000000.txt", "000000.json", "000001.png"]
    assert said == {"label": 1, "caption": "no. 1"}
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(first))), table["image"].iloc[1])
    assert {(m.mtime, m.uid, m.uname) for m in members} == {(0, 0, "")}
    assert write_images(table, tmp_path / "b.tar", {"target": "label"}).read_bytes() == path.read_bytes()
    again = loaded(path)
    assert again.classes == (0, 1)
    assert keys(again) == [cell.tobytes() + text.encode() for cell, text in zip(table["image"], table["caption"], strict=True)]


def test_only_regular_members_of_a_tar_are_read_and_none_is_unpacked(tmp_path):
    (tmp_path / "secret.png").write_bytes(png(picture(0)))
    with tarfile.open(tmp_path / "t.tar", "w") as archive:
        for name in ("a/../../up.png", "/root.png", "b.png", "c.png"):
            info = tarfile.TarInfo(name)
            info.size = len(data := png(picture(len(name))))
            archive.addfile(info, io.BytesIO(data))
        for name, kind in (("link.png", tarfile.SYMTYPE), ("hard.png", tarfile.LNKTYPE), ("pipe.png", tarfile.FIFOTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, str(tmp_path / "secret.png")
            archive.addfile(info)
    before = sorted(tmp_path.rglob("*"))
    data = loaded(tmp_path / "t.tar")
    assert data.ids.tolist() == ["a/../../up.png", "/root.png", "b.png", "c.png"]
    assert sorted(tmp_path.rglob("*")) == before
    (tmp_path / "cut.tar").write_bytes((tmp_path / "t.tar").read_bytes()[:700])
    with pytest.raises(DataError, match=r"not a readable \.tar file|can't be read"):
        loaded(tmp_path / "cut.tar")
    (tmp_path / "none.tar").write_bytes(b"\0" * 10240)
    with pytest.raises(DataError, match="no pictures"):
        loaded(tmp_path / "none.tar")


def test_a_run_streams_pictures_and_samples_shards_that_are_read_back(tmp_path):
    table = frame(80)
    path = write_images(table, tmp_path / "pictures", {"target": "label"})
    sets = {
        "data.hold": 40, "data.options.size": 8, "train.steps": 4, "train.batch": 8, "generate.count": 4, "generate.steps": 2,
        "generate.shard": 3, "backbone.width": 16, "backbone.layers": 1, "backbone.heads": 2, "backbone.channels": 8, "learner": None,
        "evaluator": [], "runtime.threads": 1, "data.target": "label", "generate.prompt": "user",
    }  # fmt: skip
    run = api.run("images/shapes", data=str(path), set=sets, preset="test", out=tmp_path / "run", quiet=True)
    made = run.sample_parts(7, tmp_path / "made.tar")
    assert [p.name for p in sorted(made.glob("*.tar"))] == [f"part-{i:010d}.tar" for i in (0, 3, 6)]
    again = load_images(LoadContext(source=str(made), target="", seed=0), OPTIONS)
    assert again.ids.tolist()[:4] == [f"part-0000000000/{i:06d}.png" for i in range(3)] + ["part-0000000003/000000.png"]
    assert np.array_equal(np.stack(again.records["image"]), np.stack(run.sample(7)["image"]))
