"""What is written is read again with the same pictures, classes, captions and columns."""

import io
import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image

from scarce.contract import LoadContext, WriteContext
from scarce.errors import DataError, RunError
from scarce_images.config import Images as Options
from scarce_images.load import load_images
from scarce_images.modality import Images
from scarce_images.write import write_images


def records(labels=("cat", "dog", "cat", "eel")):
    n = len(labels)
    pictures = [np.random.default_rng(i).integers(0, 256, (9, 9, 3), dtype=np.uint8) for i in range(n)]
    frame = pd.DataFrame({"image": pd.Series(pictures, dtype=object), "kind": pd.Series(labels, dtype=object)})
    return frame.assign(caption=pd.Series(["a", None, 'ü, "x"', "d"][:n], dtype=object), who=list(range(n)))


def read(path, target="kind"):
    return load_images(LoadContext(source=path, target=target, seed=0), Options(size=9))


@pytest.mark.parametrize("name", ["p.parquet", "p.zip", "p.npz", "p"])
@pytest.mark.parametrize("labels", [("cat", "dog", "cat", "eel"), (3, 7, 3, 5), ("007", "NA", "007", "a/b:c")])
def test_what_is_written_is_read_again(tmp_path, name, labels):
    frame = records(labels)
    path = Images(Options()).modality_write(WriteContext(records=frame, path=tmp_path / "deep" / name, schema={"target": "kind"}))
    assert path == tmp_path / "deep" / name
    data = read(path)
    order = np.argsort(data.records["who"].to_numpy().astype(int)) if "who" in data.records.columns else np.arange(4)
    found = data.records.iloc[order].reset_index(drop=True)
    assert all(np.array_equal(a, b) for a, b in zip(found["image"], frame["image"], strict=True))
    assert found["kind"].tolist() == list(labels)
    assert found["caption"].tolist() == frame["caption"].tolist()
    assert [f.name for f in path.parent.iterdir()] == [path.name]


def test_a_folder_has_one_sub_folder_per_class_and_metadata(tmp_path):
    write_images(records(("a/b", "a_b", "..", None)), tmp_path / "out", {"target": "kind"})
    files = sorted(f.relative_to(tmp_path / "out").as_posix() for f in (tmp_path / "out").rglob("*") if f.is_file())
    assert files == ["000003.png", "_/000002.png", "a_b/000000.png", "a_b_2/000001.png", "metadata.jsonl"]
    lines = [json.loads(line) for line in (tmp_path / "out" / "metadata.jsonl").read_text(encoding="utf-8").splitlines()]
    assert lines[0] == {"file_name": "a_b/000000.png", "kind": "a/b", "caption": "a", "who": 0}
    assert lines[3]["kind"] is None
    with pytest.raises(RunError, match="is there already"):
        write_images(records(), tmp_path / "out", {"target": "kind"})
    (tmp_path / "empty").mkdir()
    assert write_images(records(), tmp_path / "empty", {"target": "kind"}).is_dir()
    assert sorted(f.name for f in tmp_path.iterdir()) == ["empty", "out"]


def test_parquet_is_described_for_hugging_face_where_it_can_be(tmp_path):
    path = write_images(records(), tmp_path / "p.parquet", {"target": "kind"})
    table = pq.read_table(path)
    assert str(table.schema.field("image").type) == "struct<bytes: binary, path: string>"
    said = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
    assert list(said) == table.column_names
    assert (said["image"], said["who"]) == ({"_type": "Image"}, {"dtype": "int64", "_type": "Value"})
    assert np.array_equal(np.array(Image.open(io.BytesIO(table["image"][2].as_py()["bytes"]))), records()["image"][2])
    odd = records().assign(when=pd.Timestamp("2024-01-01"))
    assert b"huggingface" not in pq.read_table(write_images(odd, tmp_path / "q.parquet")).schema.metadata


def test_equal_records_give_equal_bytes(tmp_path):
    for name in ("a.zip", "a.parquet"):
        first = write_images(records(), tmp_path / name, {"target": "kind"}).read_bytes()
        assert write_images(records(), tmp_path / name, {"target": "kind"}).read_bytes() == first


def test_no_pictures_are_written_too(tmp_path):
    for name in ("e.parquet", "e.zip", "e.npz", "e"):
        assert write_images(records().iloc[:0], tmp_path / name, {"target": "kind"}).exists()


def test_what_can_not_be_written_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"not '\.csv'"):
        write_images(records(), tmp_path / "p.csv")
    with pytest.raises(DataError, match="no column 'image'"):
        write_images(records().drop(columns="image"), tmp_path / "p.parquet")
    with pytest.raises(DataError, match="no missing classes"):
        write_images(records(("a", None, "b", "b")), tmp_path / "p.npz", {"target": "kind"})
    with pytest.raises(DataError, match="can't hold"):
        write_images(records().assign(odd=pd.Series([1, "a", 2.5, None], dtype=object)), tmp_path / "p.parquet")
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunError, match="can't be written"):
        write_images(records(), tmp_path / "file" / "out", {"target": "kind"})
    assert [f.name for f in tmp_path.iterdir()] == ["file"]


def test_pictures_without_any_other_column_are_kept_as_parquet(tmp_path):
    frame = pd.DataFrame({"image": pd.Series([np.full((4, 4, 3), i, np.uint8) for i in range(3)], dtype=object)})
    back = pq.read_table(write_images(frame, tmp_path / "p.parquet", {})).to_pylist()
    assert [len(row["image"]["bytes"]) > 0 for row in back] == [True] * 3
