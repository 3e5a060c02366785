"""Pictures from every place and in every form people have them, and what is refused before anything is trained."""

import io
import json
import struct
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from scarce.contract import LoadContext
from scarce.errors import DataError
from scarce_images.config import Images
from scarce_images.load import load_images
from scarce_images.pictures import BrokenPicture, read_picture
from scarce_images.write import write_images

SETTINGS = settings(max_examples=150, deadline=None, derandomize=True)


def load(source, target=None, group=None, seed=0, **options):
    return load_images(LoadContext(source=source, target=target, seed=seed, group=group), Images(**options))


def noise(seed, height=20, width=20, channels=3):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def encoded(pixels, form="PNG", **more):
    buffer = io.BytesIO()
    (pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)).save(buffer, format=form, **more)
    return buffer.getvalue()


def put(path: Path, data: bytes | str):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data) if isinstance(data, bytes) else path.write_text(data, encoding="utf-8")


def folder(root: Path, classes=("cat", "dog"), each=4):
    for c, name in enumerate(classes):
        for i in range(each):
            put(root / name / f"{i}.png", encoded(noise(100 * c + i)))
    return root


def test_a_folder_per_class_with_captions_beside_pictures(tmp_path):
    folder(tmp_path)
    put(tmp_path / "cat" / "deep" / "er" / "9.JPG", encoded(noise(7), "JPEG"))
    put(tmp_path / "cat" / "0.txt", "\ufeffa cat\n")
    put(tmp_path / "top.webp", encoded(noise(8), "WEBP"))
    put(tmp_path / "notes.pdf", b"%PDF")
    put(tmp_path / ".DS_Store", b"x")
    put(tmp_path / "dog" / ".hidden.png", b"x")
    data = load(tmp_path, size=20)
    assert data.ids.tolist() == sorted(data.ids.tolist())
    assert set(data.ids) == {f"{c}/{i}.png" for c in ("cat", "dog") for i in range(4)} | {"cat/deep/er/9.JPG", "top.webp"}
    at = dict(zip(data.ids, range(len(data)), strict=True))
    assert data.target[at["cat/deep/er/9.JPG"]] == "cat"
    assert (data.classes, data.target_name, data.task) == (("cat", "dog"), "label", "classification")
    assert data.labelled.tolist() == [name != "top.webp" for name in data.ids]
    assert np.array_equal(data.records["image"][at["dog/2.png"]], noise(102))
    assert data.records["caption"][at["cat/0.png"]] == "a cat"
    assert data.records["caption"].notna().sum() == 1
    assert list(data.records.columns) == ["image", "label", "caption"]
    assert data.notes == ("files that are no pictures are left out: 1 .pdf", "1 of 10 pictures have no class")


def test_a_folder_without_classes_has_none(tmp_path):
    for i in range(3):
        put(tmp_path / f"{i}.png", encoded(noise(i)))
    data = load(tmp_path, size=8)
    assert (data.task, data.classes, data.target, list(data.records.columns)) == ("none", (), None, ["image"])
    assert data.labelled.all()
    assert load(folder(tmp_path / "x"), target="", size=8).task == "none"


def half(colour, mode="RGBA"):
    """A red left half, and a right half that shows the background."""
    picture = Image.new("RGBA", (16, 16), (200, 0, 0, 255))
    picture.paste(colour, (8, 0, 16, 16))
    return picture.convert(mode)


def palette():
    """Colour 1 of a palette on the left, colour 0 on the right."""
    picture = Image.new("P", (16, 16))
    picture.putpalette([9, 9, 9, 200, 0, 0])
    picture.paste(1, (0, 0, 8, 16))
    return picture


@pytest.mark.parametrize(
    ("data", "left", "right"),
    [
        (encoded(half((0, 0, 0, 0))), (200, 0, 0), (0, 0, 255)),
        (encoded(half((0, 0, 0, 0)), "WEBP", lossless=True), (200, 0, 0), (0, 0, 255)),
        (encoded(half((0, 0, 0, 0)), "TIFF"), (200, 0, 0), (0, 0, 255)),
        (encoded(half((0, 0, 0, 0), "LA")), (60, 60, 60), (0, 0, 255)),
        (encoded(palette(), transparency=0), (200, 0, 0), (0, 0, 255)),
        (encoded(palette(), "GIF", transparency=0), (200, 0, 0), (0, 0, 255)),
        (encoded(palette(), "GIF", save_all=True, append_images=[Image.new("P", (16, 16), 1)]), (200, 0, 0), (9, 9, 9)),
        (encoded(half((10, 20, 30, 255), "L")), (60, 60, 60), (18, 18, 18)),
        (encoded(half((0, 0, 0, 255), "L"), transparency=0), (60, 60, 60), (0, 0, 255)),
        (encoded(half((0, 0, 0, 255)).convert("L").point(lambda v: 255 * (v > 9), "1")), (255, 255, 255), (0, 0, 0)),
        (encoded(half((0, 0, 0, 255), "CMYK"), "JPEG", quality=100), (200, 0, 0), (0, 0, 0)),
        (encoded(half((0, 0, 0, 255), "CMYK"), "TIFF"), (200, 0, 0), (0, 0, 0)),
        (encoded(half((0, 0, 0, 255), "RGB"), "BMP"), (200, 0, 0), (0, 0, 0)),
        (encoded(half((0, 0, 0, 255), "RGB"), "PPM"), (200, 0, 0), (0, 0, 0)),
        (encoded(Image.fromarray(np.repeat([[25700] * 8 + [514] * 8], 16, 0).astype(np.uint16))), (100, 100, 100), (2, 2, 2)),
        (encoded(Image.fromarray(np.repeat([[40000] * 8 + [257] * 8], 16, 0).astype(np.int32)), "TIFF"), (156, 156, 156), (1, 1, 1)),
        (encoded(Image.fromarray(np.repeat([[0.5] * 8 + [1.0] * 8], 16, 0).astype(np.float32)), "TIFF"), (128, 128, 128), (255, 255, 255)),
    ],
)  # fmt: skip
def test_every_kind_of_pixel_becomes_three_colours_of_eight_bits(data, left, right):
    pixels, _ = read_picture(data, Images(size=16, background="blue"))
    assert (pixels.shape, pixels.dtype) == ((16, 16, 3), np.uint8)
    off = 6 if data[:2] == b"\xff\xd8" else 1
    assert np.abs(pixels[:, :6].astype(int) - left).max() <= off
    assert np.abs(pixels[:, 10:].astype(int) - right).max() <= off


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("form", "side"), [("JPEG", 16), ("JPEG", 640), ("PNG", 640), ("WEBP", 16)])
def test_pictures_stand_as_their_exif_data_say(orientation, form, side):
    upright = Image.new("RGB", (side, side), "black")
    upright.paste("red", (0, 0, side // 2, side // 2))
    upright.paste("lime", (side // 2, 0, side, side // 2))
    # What a camera did to the upright picture, the inverse of what a reader must do.
    did = (None, "FLIP_LEFT_RIGHT", "ROTATE_180", "FLIP_TOP_BOTTOM", "TRANSPOSE", "ROTATE_90", "TRANSVERSE", "ROTATE_270")[orientation - 1]
    stored = upright if did is None else upright.transpose(Image.Transpose[did])
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels, _ = read_picture(encoded(stored, form, exif=exif, **({"quality": 95} if form == "JPEG" else {})), Images(size=8))
    assert pixels[1, 1, 0] > 200 > 60 > pixels[1, 1, 1]
    assert pixels[1, 6, 1] > 200 > 60 > pixels[1, 6, 0]
    assert pixels[6, 6].max() < 60


def test_a_picture_is_cut_padded_or_cut_at_random():
    wide = np.zeros((10, 40, 3), dtype=np.uint8)
    wide[:, 15:25] = 255
    crop, _ = read_picture(wide, Images(size=10))
    assert (crop == 255).all()
    pad, _ = read_picture(wide, Images(size=40, fit="pad", background="#0000ff"))
    assert (pad[:14] == (0, 0, 255)).all()
    assert (pad[26:] == (0, 0, 255)).all()
    assert np.array_equal(pad[15:25], wide)
    frame = pd.DataFrame({"image": pd.Series([noise(i, 10, 40) for i in range(40)], dtype=object)})
    first, again, other = (load(frame, fit="random", size=10, seed=s).records["image"] for s in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert sum(not np.array_equal(a, b) for a, b in zip(first, other, strict=True)) > 30
    last = read_picture(noise(3, 10, 40), Images(size=10, fit="random"), where=1.0)[0]
    assert np.array_equal(last, noise(3, 10, 40)[:, 30:])


def test_thin_and_tiny_pictures_are_pictures():
    for shape in ((1, 1), (1, 900), (900, 1), (3, 2)):
        for fit in ("crop", "pad", "random"):
            assert read_picture(noise(0, *shape), Images(size=16, fit=fit))[0].shape == (16, 16, 3)


def bomb(width, height):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("data", "why"), [
    (bomb(60_000, 60_000), "DecompressionBomb|max_pixels"),
    (bomb(12_000, 9_000), "12000 x 9000 pixels are more than data.options.max_pixels"),
    (encoded(noise(0))[:200], "OSError|SyntaxError|ValueError"),
    (encoded(noise(0, 90, 90), "JPEG")[:700], "OSError"),
    (b"", "not a picture"),
    (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture"),
    (b"<html>not found</html>", "not a picture"),
    (Path("/nowhere/x.png"), "no such file"),
    (None, "no picture"), (float("nan"), "no picture"), (7, "a int is no picture"),
    (np.zeros((3, 8, 8)), r"shape \[3, 8, 8\]"), (np.zeros(5), "shape"), (np.full((4, 4), -1.0), "from -1 to -1"),
    (np.full((4, 4), np.nan), "nan"), (np.full((4, 4), "a"), "not of numbers"), (np.zeros((0, 4, 3)), "shape"),
])  # fmt: skip
def test_what_is_no_picture_is_said_in_a_few_words(data, why):
    with pytest.raises(BrokenPicture, match=why):
        read_picture(data, Images(size=8))


FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP")


@SETTINGS
@given(seed=st.integers(0, 10**6), form=st.sampled_from(FORMATS), cut=st.floats(0, 1), hits=st.integers(0, 8))
def test_damaged_files_give_a_picture_or_the_one_error(seed, form, cut, hits):
    rng = np.random.default_rng(seed)
    data = bytearray(encoded(noise(seed, 24, 24), form))
    for place in rng.integers(0, len(data), hits):
        data[place] = rng.integers(256)
    with suppress(BrokenPicture):
        pixels, _ = read_picture(bytes(data[: max(1, round(cut * len(data)))]), Images(size=8, max_pixels=10_000))
        assert (pixels.shape, pixels.dtype) == ((8, 8, 3), np.uint8)


def test_few_broken_files_are_named_and_left_out_and_many_stop(tmp_path):
    folder(tmp_path, each=10)
    put(tmp_path / "cat" / "bad.png", b"nonsense")
    data = load(tmp_path, size=8)
    assert len(data) == 20
    assert data.notes == ("1 of 21 pictures can't be read and are left out: cat/bad.png (not a picture, or of an unknown format)",)
    for i in range(4):
        put(tmp_path / "dog" / f"bad{i}.jpg", b"")
    with pytest.raises(DataError, match=r"5 of 25 pictures can't be read: cat/bad\.png .*dog/bad3\.jpg"):
        load(tmp_path, size=8)
    assert len(load(tmp_path, size=8, max_broken=0.5)) == 20


def test_where_no_picture_can_be_read_the_hint_is_by_why(tmp_path):
    for c in ("cat", "dog"):
        put(tmp_path / "folder" / c / "0.png", b"nonsense")
    table = tmp_path / "table.csv"
    pd.DataFrame({"file_name": ["a.png", "b.png"], "label": ["cat", "dog"]}).to_csv(table, index=False)
    folder(tmp_path / "large")
    for path, options, hint in (
        (tmp_path / "folder", {}, "open one of them in another program, and save it again; what is read are PNG, JPEG"),
        (table, {}, "paths are relative to the table"),
        (tmp_path / "large", {"max_pixels": 100}, "--set data.options.max_pixels=NUMBER"),
    ):
        with pytest.raises(DataError, match="pictures can't be read") as error:
            load(path, size=8, **options)
        assert error.value.hint.startswith(hint)


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet", "tsv"])
def test_tables_of_paths(tmp_path, suffix):
    folder(tmp_path / "pictures")
    names = [f"pictures/{c}/{i}.png" for c in ("cat", "dog") for i in range(4)]
    frame = pd.DataFrame({"file_name": names, "kind": ["NA", "2"] * 4, "text": ["a", None] * 4, "who": list("xyzwxyzw")})
    path = tmp_path / f"t.{suffix}"
    if suffix == "parquet":
        frame.to_parquet(path)
    elif suffix == "jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_csv(path, index=False, sep=";" if suffix == "csv" else "\t")
    data = load(path, target="kind", size=20)
    assert (data.name, data.ids.tolist(), data.classes) == ("t", names, ("2", "NA"))
    assert list(data.records.columns) == ["image", "kind", "caption", "who"]
    assert data.records["caption"].tolist() == ["a", None] * 4
    assert np.array_equal(data.records["image"][5], noise(101))
    assert load(path, size=8).task == "none"


def test_parquet_as_hugging_face_writes_it(tmp_path):
    cells = [{"bytes": encoded(noise(i)), "path": f"{i}.png" if i % 2 else None} for i in range(6)]
    table = pa.table({"image": cells, "label": [0, 1, 2] * 2})
    said = {"info": {"features": {"image": {"_type": "Image"}, "label": {"names": ["ant", "bee", "cow"], "_type": "ClassLabel"}}}}
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps(said)}), tmp_path / "h.parquet")
    data = load(tmp_path / "h.parquet", size=20)
    assert (data.classes, data.target.tolist()) == (("ant", "bee", "cow"), ["ant", "bee", "cow"] * 2)
    assert data.ids.tolist()[1::2] == ["1.png", "3.png", "5.png"]
    assert all(np.array_equal(a, noise(i)) for i, a in enumerate(data.records["image"]))


def test_frames_of_arrays_images_bytes_and_paths(tmp_path):
    put(tmp_path / "p.png", encoded(noise(3)))
    cells = [noise(0), Image.fromarray(noise(1)), encoded(noise(2)), str(tmp_path / "p.png"), tmp_path / "p.png", noise(4).tolist()]
    data = load(pd.DataFrame({"image": pd.Series(cells, dtype=object), "label": [1.0, 2.0, None, 1.0, 2.0, 1.0]}), size=20)
    wanted = [noise(i) for i in (0, 1, 2, 3, 3, 4)]
    assert all(np.array_equal(a, b) for a, b in zip(data.records["image"], wanted, strict=True))
    assert data.target.tolist() == [1, 2, None, 1, 2, 1]
    assert data.labelled.tolist() == [True, True, False, True, True, True]
    assert len(set(data.ids)) == 6
    assert any("under more than one class" in n for n in data.notes)


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        (np.linspace(0, 1, 4 * 36).reshape(4, 6, 6), lambda x: np.rint(255 * x)),
        (np.arange(4 * 36, dtype=float).reshape(4, 6, 6, 1), lambda x: x[..., 0]),
        (np.arange(4 * 36).reshape(4, 6, 6) % 2 > 0, lambda x: 255 * x),
        (np.arange(4 * 36, dtype=np.uint16).reshape(4, 6, 6) * 400, lambda x: np.rint(x / 257)),
    ],
)
def test_npz_of_grey_arrays_in_any_range(tmp_path, x, expected):
    np.savez(tmp_path / "a.npz", X=x, y=list("abab"), captions=["u", "", "v", "w"])
    data = load(tmp_path / "a.npz", size=6)
    assert np.array_equal(np.stack(data.records["image"])[..., 0], expected(x))
    assert (data.target_name, data.classes, data.records["caption"].tolist()) == ("label", ("a", "b"), ["u", None, "v", "w"])
    assert load(tmp_path / "a.npz", target="letter", size=6).target_name == "letter"


def test_zip_of_a_folder(tmp_path):
    folder(tmp_path / "animals")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for file in sorted((tmp_path / "animals").rglob("*.png")):
            archive.write(file, file.relative_to(tmp_path))
        archive.writestr("__MACOSX/animals/cat/._0.png", b"x")
    data, same = load(tmp_path / "a.zip", size=8), load(tmp_path / "animals", size=8)
    assert (data.ids.tolist(), data.target.tolist()) == (same.ids.tolist(), same.target.tolist())


def test_copies_share_a_group_and_are_counted(tmp_path):
    folder(tmp_path)
    put(tmp_path / "dog" / "copy.png", encoded(noise(100)))
    put(tmp_path / "dog" / "copy.bmp", encoded(noise(100), "BMP"))
    put(tmp_path / "cat" / "dog.png", encoded(noise(101)))
    data = load(tmp_path, size=8)
    group = dict(zip(data.ids, data.groups, strict=True))
    assert group["dog/copy.png"] == group["dog/copy.bmp"] == group["dog/0.png"]
    assert len(set(data.groups)) == 8
    assert any("3 pictures are exact copies" in n for n in data.notes)
    assert any(n.startswith("1 pictures appear under more than one class") for n in data.notes)
    assert load(tmp_path, size=16).groups.tolist() == data.groups.tolist()


def test_a_given_group_and_copies_join():
    frame = pd.DataFrame({"image": pd.Series([noise(i) for i in (0, 1, 2, 0, 4, 5)], dtype=object)})
    frame = frame.assign(who=["a", "a", "b", "b", None, None])
    groups = load(frame, group="who", size=8).groups.tolist()
    assert len(set(groups[:4])) == 1
    assert len(set(groups)) == 3
    with pytest.raises(DataError, match="no column 'whom'"):
        load(frame, group="whom", size=8)


def test_the_order_of_files_on_disk_changes_nothing(tmp_path):
    folder(tmp_path / "a", classes=("cat", "dog"))
    folder(tmp_path / "b", classes=("dog", "cat"))
    first, second = load(tmp_path / "a", size=8), load(tmp_path / "b", size=8)
    assert first.ids.tolist() == second.ids.tolist()


@pytest.mark.parametrize(
    ("made", "more", "message"),
    [
        (lambda p: p / "none", {}, "does not exist"),
        (lambda p: p, {}, "has no pictures: it is empty"),
        (lambda p: put(p / "a" / "x.heic", b"1") or p, {}, r"has no pictures; it has files 1 \.heic"),
        (lambda p: folder(p, ("train", "test")), {}, "named test, train, which are no classes"),
        (lambda p: folder(p, ("only",)), {}, r"has 1 class \('only'\)"),
        (lambda p: folder(p), {"target": "kind"}, "no column 'kind'"),
        (lambda p: folder(p), {"caption": "said"}, "no column 'said'"),
        (lambda p: folder(p), {"background": "octarine"}, "'octarine' is no colour"),
        (lambda p: put(p / "t.csv", "a,b\n1,2\n") or p / "t.csv", {}, "has none of the columns image, path"),
        (lambda p: put(p / "t.csv", "path,b\nx.png,2\n") or p / "t.csv", {"path": "c"}, "no column 'c'"),
        (lambda p: put(p / "t.csv", "path,b\nx.png,2\n") or p / "t.csv", {}, r"1 of 1 pictures can't be read: x\.png \(no such file\)"),
        (lambda p: put(p / "t.csv", "path\n") or p / "t.csv", {}, "no rows"),
        (lambda p: put(p / "t.csv", b"\xff\xfe\x00") or p / "t.csv", {}, "not a readable CSV"),
        (lambda p: put(p / "t.jsonl", "{]") or p / "t.jsonl", {}, "not a readable JSONL"),
        (lambda p: put(p / "t.jsonl", "[1]\n") or p / "t.jsonl", {}, "not a readable JSONL"),
        (lambda p: put(p / "t.parquet", "PAR") or p / "t.parquet", {}, "not a readable PARQUET"),
        (lambda p: put(p / "t.zip", "PK") or p / "t.zip", {}, "not a readable archive"),
        (lambda p: put(p / "t.npz", "PK") or p / "t.npz", {}, "no array X"),
        (lambda p: put(p / "t.png", encoded(noise(0))) or p / "t.png", {}, r"read from a folder, .* not '\.png'"),
    ],
)  # fmt: skip
def test_what_can_not_be_used_is_refused(tmp_path, made, more, message):
    options = {k: v for k, v in more.items() if k != "target"}
    with pytest.raises(DataError, match=message) as caught:
        load(made(tmp_path), target=more.get("target"), size=8, **options)
    assert caught.value.hint


def test_targets_that_are_no_classes_are_refused_and_rare_ones_noted():
    frame = pd.DataFrame({"image": pd.Series([noise(i) for i in range(30)], dtype=object), "age": np.linspace(1, 9.3, 30)})
    with pytest.raises(DataError, match="30 values in 30 pictures"):
        load(frame, target="age", size=8)
    data = load(frame.assign(kind=["a"] * 20 + ["b"] * 9 + ["rare"]), target="kind", size=8)
    assert data.notes == ("one picture alone: rare; it can be trained on or tested on, not both",)


def test_pictures_given_in_memory_are_the_same_records_after_they_were_kept_as_parquet(tmp_path):
    frame = pd.DataFrame({"image": pd.Series([noise(i, 10, 10) for i in range(8)], dtype=object), "label": list("abababab")})
    kept = write_images(frame, tmp_path / "input.parquet", {})
    first, again = (load(source, size=8, fit="random") for source in (frame, pd.read_parquet(kept)))
    assert first.ids.tolist() == again.ids.tolist()
    assert all(np.array_equal(a, b) for a, b in zip(first.records["image"], again.records["image"], strict=True))
