"""Sources that are hostile, odd or damaged in part: what is wrong is found before it costs memory, named, and left out."""

import io
import json
import tarfile
import tracemalloc
import warnings
import zipfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from scarce.contract import LoadContext
from scarce.errors import DataError
from scarce_images import pictures, sources
from scarce_images.config import Images
from scarce_images.load import load_images
from scarce_images.pictures import BrokenPicture, read_picture, scaled


def load(source, target=None, **options):
    return load_images(LoadContext(source=source, target=target, seed=0), Images(size=8, **options))


def noise(seed, side=8):
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)


def png(seed):
    buffer = io.BytesIO()
    Image.fromarray(noise(seed)).save(buffer, format="PNG")
    return buffer.getvalue()


def put(path: Path, data: bytes | str):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)


def folder(root: Path, each=10, classes=("cat", "dog")):
    for c, name in enumerate(classes):
        for i in range(each):
            put(root / name / f"{i}.png", png(100 * c + i))
    return root


def zipped(root: Path) -> Path:
    with zipfile.ZipFile(root.with_suffix(".zip"), "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(f for f in root.rglob("*") if f.is_file()):
            archive.write(file, file.relative_to(root))
    return root.with_suffix(".zip")


def tarred(root: Path) -> Path:
    with tarfile.open(root.with_suffix(".tar"), "w") as archive:
        for file in sorted(f for f in root.rglob("*") if f.is_file()):
            archive.add(file, file.relative_to(root).as_posix())
            if file.suffix == ".png":
                (label := tarfile.TarInfo(file.relative_to(root).with_suffix(".cls").as_posix())).size = 3
                archive.addfile(label, io.BytesIO(file.parent.name.encode()))
    return root.with_suffix(".tar")


@contextmanager
def memory_below(megabytes):
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < megabytes * 1e6
    finally:
        tracemalloc.stop()


def heads(path, **arrays):
    """An .npz file of arrays that have headers alone: (shape, type)."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, (shape, kind) in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array_header_1_0(buffer, {"shape": shape, "fortran_order": False, "descr": kind})
            archive.writestr(f"{name}.npy", buffer.getvalue())
    return path


def test_an_npz_of_large_pictures_is_refused_before_it_is_decompressed(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", X=np.zeros((2, 2000, 2000, 3), np.uint8), y=["a", "b"])
    with memory_below(3), pytest.raises(DataError, match=r"2 of 2 pictures can't be read: 2000 x 2000 pixels are more than") as error:
        load(tmp_path / "a.npz", max_pixels=1_000_000)
    assert "data.options.max_pixels" in error.value.hint


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"X": ((2, 20_000, 20_000, 3), "|u1")}, "20000 x 20000 pixels are more than data.options.max_pixels"),
        ({"X": ((10**9, 1000, 1000), "|u1")}, "take 1,000,000 GB, and this machine has"),
        ({"X": ((4, 8, 8, 10**9), "|u1")}, r"an array of shape \[8, 8, 1000000000\]"),
        ({"X": ((4, 8, 8), "<U100000000")}, "not of numbers"),
        ({"X": ((4, 8, 8), "|O")}, "Python objects"),
        ({"X": ((4, 8, 8), "|u1"), "y": ((4,), "|O")}, "Python objects"),
        ({"X": ((4, 8, 8), "|u1"), "y": ((4, 10**10), "|u1")}, r"y \[4, 10000000000\], and y and captions must be as long"),
        ({"X": ((4, 8, 8), "|u1"), "captions": ((4,), "<U100000000")}, "captions has texts of more than 65,536 letters"),
        ({"X": ((-4, 8, 8), "|u1")}, "no array X"),
        ({"X": ((4, 8, 8), "|u1")}, "no array X"),
        ({"Z": ((4, 8, 8), "|u1")}, r"no array X of pictures: it has Z\.npy"),
    ],
)
def test_arrays_are_refused_by_their_headers(tmp_path, arrays, message):
    with memory_below(3), pytest.raises(DataError, match=message) as error:
        load(heads(tmp_path / "a.npz", **arrays))
    assert error.value.hint


def test_a_header_without_end_and_arrays_nobody_asked_for_are_not_read(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("X.npy", b"\x93NUMPY\x02\x00" + (30_000_000).to_bytes(4, "little") + b" " * 30_000_000)
    with memory_below(3), pytest.raises(DataError, match="no array X"):
        load(tmp_path / "a.npz")
    np.savez_compressed(tmp_path / "b.npz", X=np.stack([noise(0), noise(1)]), y=["a", "b"], other=np.zeros(30_000_000, np.uint8))
    with memory_below(3):
        assert load(tmp_path / "b.npz").classes == ("a", "b")


def test_a_large_array_or_image_is_neither_hashed_nor_converted(tmp_path):
    large = [np.full((1500, 1500, 3), -5.0), Image.new("RGB", (1500, 1500))]
    for cell in large:
        frame = pd.DataFrame({"image": pd.Series([cell, *(noise(i) for i in range(10))], dtype=object)})
        with memory_below(6):
            data = load(frame, max_pixels=1_000_000)
        assert len(data) == 10
        assert "row 0 (1500 x 1500 pixels are more than data.options.max_pixels = 1000000)" in data.notes[0]


@pytest.mark.parametrize("shape", [(9, 5, 3), (1, 40), (40, 1), (6, 6, 1)])
def test_values_are_scaled_alike_in_bands(monkeypatch, shape):
    values = np.random.default_rng(0).random(shape)
    whole = scaled(values, 255.0)
    monkeypatch.setattr(pictures, "BAND", 20)
    assert np.array_equal(scaled(values, 255.0), whole)
    assert np.array_equal(whole, np.rint(values * 255).astype(np.uint8))


@pytest.mark.parametrize("make", [lambda p: p, zipped, tarred])
def test_a_caption_that_is_no_caption_costs_its_picture_alone(tmp_path, make):
    put(folder(tmp_path / "a") / "cat" / "0.txt", b"word " * 10_000_000)
    put(tmp_path / "a" / "cat" / "1.txt", "a cat")
    path = make(tmp_path / "a")
    with memory_below(6):
        data = load(path)
    assert len(data) == 19
    assert "1 of 20 pictures can't be read and are left out: cat/0.png (cat/0.txt beside it has more than 65,536 bytes)" in data.notes
    assert data.records["caption"].tolist() == ["a cat", *[None] * 18]
    assert data.classes == ("cat", "dog")


def test_a_damaged_caption_in_an_archive_costs_its_picture_alone(tmp_path):
    put(folder(tmp_path / "a") / "cat" / "0.txt", "x" * 50)
    path = zipped(tmp_path / "a")
    with zipfile.ZipFile(path) as archive:
        at = archive.getinfo("cat/0.txt").header_offset + 30 + len("cat/0.txt")
    data = bytearray(path.read_bytes())
    data[at] ^= 0xFF
    path.write_bytes(data)
    found = load(path)
    assert len(found) == 19
    assert "cat/0.png (cat/0.txt beside it can't be read: " in found.notes[0]


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_metadata_in_an_archive_have_a_limit(tmp_path, monkeypatch, suffix):
    folder(tmp_path / "a", each=2)
    names = [f"{c}/{i}.png" for c in ("cat", "dog") for i in range(2)]
    frame = pd.DataFrame({"file_name": names, "caption": [f"{i} {'x' * 5000}" for i in range(4)]})
    path = tmp_path / "a" / f"metadata.{suffix}"
    {"jsonl": lambda: frame.to_json(path, orient="records", lines=True), "csv": lambda: frame.to_csv(path, index=False),
     "parquet": lambda: frame.to_parquet(path, compression=None)}[suffix]()  # fmt: skip
    assert load(zipped(tmp_path / "a")).records["caption"].tolist() == frame["caption"].tolist()
    monkeypatch.setattr(sources, "LEAST_TABLE", 1000)
    monkeypatch.setattr(sources, "MOST_TEXT", 10)
    with pytest.raises(DataError, match=r"metadata\..* has more than 1,000 bytes") as error:
        load(tmp_path / "a.zip")
    assert "--data FOLDER" in error.value.hint
    assert len(load(tmp_path / "a")) == 4


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("whole", [True, False])
def test_a_picture_with_a_value_that_is_no_number_is_broken_wherever_it_stands(place, value, whole):
    arrays = [np.linspace(0, 1, 192).reshape(8, 8, 3) * (i + 1) / 4 for i in range(4)]
    arrays[place][...] = value if whole else np.where(np.arange(192).reshape(8, 8, 3) == 100, value, arrays[place])
    frame = pd.DataFrame({"image": pd.Series(arrays, dtype=object)})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = load(frame, max_broken=0.5)
    wanted = [np.rint(a * 255) for i, a in enumerate(arrays) if i != place]
    assert np.array_equal(np.stack(data.records["image"]), wanted)
    assert data.notes == (
        f"1 of 4 pictures can't be read and are left out: row {place} (a value of {value:g}, where finite numbers are expected)",
    )


def test_where_every_array_has_nan_the_hint_says_what_to_do():
    frame = pd.DataFrame({"image": pd.Series([np.full((8, 8), np.nan)] * 3, dtype=object)})
    with pytest.raises(DataError, match="3 of 3 pictures can't be read: row 0") as error:
        load(frame)
    assert "nan_to_num" in error.value.hint


def test_a_file_of_floats_with_nan_is_broken():
    values = np.full((8, 8), 0.5, dtype=np.float32)
    values[3, 3] = np.nan
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, format="TIFF")
    with pytest.raises(BrokenPicture, match="a value of nan"):
        read_picture(buffer.getvalue(), Images(size=8))


@pytest.mark.parametrize("line", ["5", "null", '"cat"', "[1]"])
@pytest.mark.parametrize("name", ["t.jsonl", "metadata.jsonl"])
def test_a_line_that_is_no_record_is_named(tmp_path, line, name):
    folder(tmp_path, each=1)
    put(tmp_path / name, f'{{"file_name": "cat/0.png"}}\n\n{line}\n')
    with pytest.raises(DataError) as error:
        load(tmp_path / name if name == "t.jsonl" else tmp_path)
    assert error.value.message.endswith(f"{name} is not a readable JSONL file: line 3 is {line}, which is no record")
    assert error.value.hint


def test_a_record_ends_at_a_new_line_alone(tmp_path):
    folder(tmp_path, each=1)
    lines = [{"file_name": "cat/0.png", "text": "one\u2028two\x85three"}, {"file_name": "dog/0.png", "text": "four"}]
    put(tmp_path / "metadata.jsonl", "\r\n".join(json.dumps(line, ensure_ascii=False) for line in lines))
    assert load(tmp_path).records["caption"].tolist() == ["one\u2028two\x85three", "four"]


def test_a_class_without_a_picture_that_can_be_read_is_named(tmp_path):
    folder(tmp_path, each=20, classes=("a",))
    put(tmp_path / "b" / "0.png", b"")
    with pytest.raises(DataError, match=r"has 1 class \('a'\); no picture can be read of b \(not a picture, or of an unknown format\)"):
        load(tmp_path)
    put(tmp_path / "c" / "0.png", png(7))
    data = load(tmp_path)
    assert data.classes == ("a", "c")
    assert "left out is each class of which no picture can be read: b (not a picture, or of an unknown format)" in data.notes
    put(tmp_path / "c" / "1.png", b"")
    assert not any("left out is each class" in n and "c (" in n for n in load(tmp_path, max_broken=0.5).notes)


CODES = [["007", "010", "7", "10"], ["true", "false", "true", "false"], ["1.50", "1.5", "2", "2.0"]]


@pytest.mark.parametrize("codes", CODES)
@pytest.mark.parametrize("suffix", ["csv", "tsv"])
def test_classes_and_captions_of_a_table_of_text_keep_their_form(tmp_path, suffix, codes):
    folder(tmp_path, each=4, classes=("p",))
    frame = pd.DataFrame({"file_name": [f"p/{i}.png" for i in range(4)], "label": codes, "kind": codes[::-1], "age": [1, 2, 3, 4]})
    path = tmp_path / f"t.{suffix}"
    frame.assign(text=["0010", "", "0020", "1e3"]).to_csv(path, index=False, sep="," if suffix == "csv" else "\t")
    data = load(path)
    assert data.target.tolist() == codes
    assert data.records["caption"].tolist() == ["0010", None, "0020", "1e3"]
    assert data.records["age"].tolist() == [1, 2, 3, 4]
    other = load(path, target="kind", caption="label")
    assert other.target.tolist() == codes[::-1]
    assert other.records["caption"].tolist() == codes


@pytest.mark.parametrize("codes", CODES)
def test_classes_of_metadata_keep_their_form(tmp_path, codes):
    folder(tmp_path, each=4, classes=("p",))
    frame = pd.DataFrame({"file_name": [f"p/{i}.png" for i in range(4)], "label": codes})
    frame.to_csv(tmp_path / "metadata.csv", index=False)
    for path in (tmp_path, zipped(tmp_path)):
        assert load(path).target.tolist() == codes


def test_classes_that_are_numbers_where_a_file_says_so_stay_numbers(tmp_path):
    folder(tmp_path, each=4, classes=("p",))
    frame = pd.DataFrame({"file_name": [f"p/{i}.png" for i in range(4)], "label": [7, 10, 7, 10]})
    frame.to_parquet(tmp_path / "t.parquet")
    frame.to_json(tmp_path / "t.jsonl", orient="records", lines=True)
    for name in ("t.parquet", "t.jsonl"):
        assert load(tmp_path / name).target.tolist() == [7, 10, 7, 10]


def test_side_cars_may_have_a_suffix_in_any_case(tmp_path):
    folder(tmp_path / "a", each=3)
    for name, text in (("cat/0.TXT", "upper"), ("cat/1.Txt", "mixed"), ("dog/2.txt", "lower")):
        put(tmp_path / "a" / name, text)
    for path in (tmp_path / "a", zipped(tmp_path / "a")):
        data = load(path)
        assert data.records["caption"].tolist() == ["upper", "mixed", None, None, None, "lower"]
        assert data.notes == ()


@pytest.mark.parametrize("make", [lambda p: p, zipped])
def test_metadata_may_name_files_from_the_folder_on_and_few_that_are_missing(tmp_path, make):
    folder(tmp_path / "a")
    names = [f".//{c}/./{i}.png" for c in ("cat", "dog") for i in range(10)]
    lines = [{"file_name": n, "label": f"kind {i % 2}", "text": str(i)} for i, n in enumerate(names)]
    lines.append({"file_name": "cat/gone.png", "label": "kind 0", "text": "20"})
    put(tmp_path / "a" / "metadata.jsonl", "\n".join(map(json.dumps, lines)))
    data = load(make(tmp_path / "a"))
    assert data.ids.tolist() == [n.replace(".//", "").replace("./", "") for n in names]
    assert data.records["caption"].tolist() == [str(i) for i in range(20)]
    assert data.target.tolist() == ["kind 0", "kind 1"] * 10
    assert data.notes == ("1 of 21 pictures can't be read and are left out: cat/gone.png (no such file)",)
    with pytest.raises(DataError, match=r"1 of 21 pictures can't be read: cat/gone\.png \(no such file\)"):
        load(tmp_path / "a", max_broken=0.01)


def test_missing_files_of_an_archive_stream_too(tmp_path):
    folder(tmp_path / "a")
    lines = [json.dumps({"file_name": f"cat/{i}.png"}) for i in range(11)]
    put(tmp_path / "a" / "metadata.jsonl", "\n".join(lines))
    ctx = LoadContext(source=zipped(tmp_path / "a"), target=None, seed=0, hold=12)
    data, again = load_images(ctx, Images(size=8)), load_images(ctx, Images(size=8))
    assert len(data) + sum(map(len, data.rest)) == 20
    assert data.rest.mark == again.rest.mark


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../up.png", r"names? \.\./up\.png, which is no path below it"),
        ("cat/../0.png", "no path below it"),
        ("/root.png", "no path below it"),
        (None, "name None, which is no path below it"),
        (5, "name 5, which is no path below it"),
        ("", "no path below it"),
        ("./cat/0.png", r"name cat/0\.png more than once"),
    ],
)
def test_metadata_name_paths_below_the_folder_and_each_once(tmp_path, name, message):
    folder(tmp_path, each=2)
    put(tmp_path / "metadata.jsonl", "\n".join(json.dumps({"file_name": n}) for n in ("cat/0.png", name)))
    with pytest.raises(DataError, match=message) as error:
        load(tmp_path)
    assert error.value.hint
