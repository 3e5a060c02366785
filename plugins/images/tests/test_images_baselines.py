"""Baselines and the gallery."""

import base64
import io
import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from scarce.contract import BaselineContext, DrawContext, LoadContext, take
from scarce_images.baselines import augmented
from scarce_images.config import Images as Options
from scarce_images.draw import CLASSES, SHOWN
from scarce_images.load import load_images
from scarce_images.modality import Images

MODALITY = Images(Options(size=16))
COLOURS = ((220, 40, 40), (40, 60, 220), (240, 240, 60))


def made(n=60, kinds=("red", "blue"), size=16, target=True):
    """Pictures of one colour per class with a little noise."""
    rng = np.random.default_rng(0)
    codes = np.arange(n) % len(kinds)
    pictures = [np.clip(rng.normal(COLOURS[c % 3], 12, (size, size, 3)), 0, 255).astype(np.uint8) for c in codes]
    frame = pd.DataFrame({"image": pd.Series(pictures, dtype=object)}).assign(caption=[f"text {i}" for i in range(n)])
    frame = frame.assign(kind=[kinds[c] for c in codes]) if target else frame
    data = load_images(LoadContext(source=frame, target="kind" if target else None, seed=0), Options(size=size))
    return data.with_(split=np.array(["train", "train", "train", "test"])[np.arange(n) % 4])


def baselines(data, n=40, seed=0):
    from scarce_images.codec import make_codec

    return MODALITY.modality_baselines(BaselineContext(dataset=data, codec=make_codec(data), seed=seed, n=n))


@pytest.mark.parametrize("target", [True, False])
def test_baselines_are_pictures_of_training(target):
    data = made(target=target)
    found = baselines(data)
    assert list(found) == ["augment", "bootstrap"]
    train = take(data.records, data.rows("train"))
    known = {c.tobytes(): text for c, text in zip(train["image"], train["caption"], strict=True)}
    assert all(known[c.tobytes()] == text for c, text in zip(found["bootstrap"]["image"], found["bootstrap"]["caption"], strict=True))
    for name, records in found.items():
        assert len(records) == 40
        assert all(c.shape == (16, 16, 3) and c.dtype == np.uint8 for c in records["image"])
        if target:
            red = np.array([c[..., 0].mean() > c[..., 2].mean() for c in records["image"]])
            assert (red == (records["kind"] == "red")).all(), name
    assert not any(c.tobytes() in known for c in found["augment"]["image"])
    again, other = baselines(data)["augment"]["image"], baselines(data, seed=1)["augment"]["image"]
    assert all(np.array_equal(a, b) for a, b in zip(found["augment"]["image"], again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(found["augment"]["image"], other, strict=True))


def test_baselines_follow_the_labelled_rows_and_their_shares():
    data = made(n=120, kinds=("red", "red", "red", "blue", "red"))
    hidden = data.with_(labelled=np.array([i % 5 != 0 or data.split[i] == "test" for i in range(len(data))]))
    found = baselines(hidden, n=2000)["bootstrap"]
    rows = hidden.rows("train")
    told = take(hidden.records, rows[hidden.labelled[rows]])
    assert {c.tobytes() for c in found["image"]} == {c.tobytes() for c in told["image"]}
    assert abs((found["kind"] == "blue").mean() - (told["kind"] == "blue").mean()) < 0.05


def test_augmenting_moves_turns_and_recolours_a_little_and_never_flips():
    """A square off the middle stays in its quarter; edges are mirrored, so no corner is black."""
    picture = np.full((32, 32, 3), (30, 160, 60), dtype=np.uint8)
    picture[6:14, 6:14] = (230, 230, 230)
    centres, changed = [], 0
    for seed in range(60):
        out = augmented(picture, np.random.default_rng(seed)).astype(float)
        assert out[..., 1].min() > 80
        bright = out[..., 0] > 110
        centres.append(np.argwhere(bright).mean(0))
        changed += np.abs(out[20:, 20:].mean((0, 1)) - picture[25, 25]).max() > 5
    centres = np.array(centres)
    assert 5 < centres.min() < centres.max() < 16
    assert centres.std(0).min() > 1
    assert changed > 40


def images_in(text):
    """Pillow images of every image element, in order."""
    return [Image.open(io.BytesIO(base64.b64decode(data))) for data in re.findall(r'src="data:image/png;base64,([^"]+)"', text)]


def draw(data, synthetic):
    from scarce_images.codec import make_codec

    real = take(data.records, data.rows("train"))
    return MODALITY.modality_draw(DrawContext(real=real, synthetic=synthetic, dataset=data, codec=make_codec(data), seed=0))


def test_the_gallery_has_real_pictures_left_and_synthetic_right_by_class():
    data = made(kinds=("<red>", "blue"))
    synthetic = data.records.assign(image=pd.Series([c // 2 for c in data.records["image"]], dtype=object))
    (figure,) = draw(data, synthetic)
    assert figure.html.index("real, training") < figure.html.index("synthetic")
    assert "&lt;red&gt;" in figure.html
    assert "<red>" not in figure.html
    assert "<script" not in figure.html
    strips = images_in(figure.html)
    assert len(strips) == 4
    means = [np.asarray(s)[:, :16].mean((0, 1)) for s in strips]
    assert means[0] == pytest.approx(2 * means[1], rel=0.1)
    assert means[0][0] > means[0][2]
    assert means[2][2] > means[2][0]
    assert strips[0].size == (SHOWN * 18 - 2, 16)


def test_the_gallery_stays_small_and_works_without_classes_or_synthetic_pictures():
    data = made(n=240, kinds=tuple(f"class {i}" for i in range(13)), size=160)
    (figure,) = draw(data, data.records)
    assert len(images_in(figure.html)) == 2 * CLASSES
    assert len(figure.html) < 3_000_000
    assert "8 of 13 classes" in figure.caption
    plain = made(target=False)
    (figure,) = draw(plain, plain.records.iloc[:0])
    assert (len(images_in(figure.html)), figure.title) == (1, "Pictures")
    lone = made()
    (figure,) = draw(lone, lone.records[lone.records["kind"] == "red"].reset_index(drop=True))
    assert (len(images_in(figure.html)), figure.html.count("–")) == (3, 1)
