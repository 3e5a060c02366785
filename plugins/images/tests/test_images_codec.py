"""Pictures through encode, decode, save and read, and what the distance of two of them means."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scarce.contract import CodecContext, LoadContext, State
from scarce.errors import DataError, RunError
from scarce.files import write_json
from scarce_images.codec import SIDE, ImageCodec, read_codec
from scarce_images.config import Images as Options
from scarce_images.load import load_images
from scarce_images.modality import Images

SETTINGS = settings(max_examples=40, deadline=None, derandomize=True)


def frame(images, labels=None):
    out = pd.DataFrame({"image": pd.Series(list(images), dtype=object)})
    return out if labels is None else out.assign(kind=labels)


def noise(seed, n, size):
    return np.random.default_rng(seed).integers(0, 256, (n, size, size, 3), dtype=np.uint8)


@SETTINGS
@given(seed=st.integers(0, 10**6), n=st.integers(0, 5), size=st.integers(4, 40))
def test_decoding_what_was_encoded_gives_the_pictures_back(seed, n, size):
    codec, pictures = ImageCodec(size=size, target="kind", classes=("a", "b")), noise(seed, n, size)
    state = codec.encode(frame(pictures))
    assert (state.num.shape, state.num.dtype) == ((n, 3, size, size), torch.float32)
    assert (state.cat.shape, state.cat.dtype, state.mask) == ((n, size, size, 0), torch.int64, None)
    assert state.num.is_contiguous()
    assert n == 0 or state.num.abs().max() <= 1
    assert codec.soft(state).equal(state.num)
    again = codec.decode(state, ["a"] * n, 0)
    assert list(again.columns) == ["image", "kind"]
    assert all(np.array_equal(a, b) for a, b in zip(again["image"], pictures, strict=True))
    assert all(c.dtype == np.uint8 and c.flags.c_contiguous for c in again["image"])


def test_every_byte_survives_and_black_and_white_are_the_bounds():
    codec = ImageCodec(size=16)
    grey = np.repeat(np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1), 3, 3)
    state = codec.encode(frame(grey))
    assert (state.num.min(), state.num.max()) == (-1, 1)
    assert np.array_equal(codec.decode(state, None, 0)["image"][0], grey[0])
    assert codec.space.to_json()["shape"] == (16, 16)
    assert (codec.space.layout, codec.space.width, codec.space.levels, codec.space.clips) == ("image", 3, (), (1.0, 1.0, 1.0))


def test_values_beyond_the_bounds_are_the_bounds_and_gradients_flow():
    codec = ImageCodec(size=4)
    num = torch.tensor([-3.0, -1.0, 0.0, 3.0]).reshape(1, 1, 4, 1).repeat(1, 3, 1, 4).requires_grad_()
    soft = codec.soft(State(num, torch.zeros(1, 4, 4, 0, dtype=torch.int64)))
    assert soft[0, 0, :, 0].tolist() == [-1, -1, 0, 1]
    soft.sum().backward()
    assert num.grad[0, 0, 2].tolist() == [1] * 4
    found = codec.decode(State(num.detach().bfloat16(), torch.zeros(1, 4, 4, 0)), None, 0)["image"][0]
    assert found[:, 0, 0].tolist() == [0, 0, 128, 255]


def test_labels_are_those_asked_for_and_captions_are_absent():
    data = load_images(
        LoadContext(source=frame(noise(0, 6, 8), ["a", "b"] * 3).assign(caption="x", who=1), target="kind", seed=0), Options(size=8)
    )
    codec = Images(Options(size=8)).modality_codec(CodecContext(dataset=data, seed=0))
    assert codec == ImageCodec(size=8, target="kind", classes=("a", "b"))
    found = codec.decode(codec.encode(data.records), ["b", None, "a", "a", "b", "a"], 0)
    assert found["kind"].tolist() == ["b", None, "a", "a", "b", "a"]
    assert list(found.columns) == ["image", "kind"]
    assert codec.decode(codec.encode(data.records), None, 0)["kind"].tolist() == [None] * 6


def test_pictures_of_another_size_are_brought_to_it():
    codec, large = ImageCodec(size=8), np.full((1, 20, 30, 3), 255, dtype=np.uint8)
    large[:, :, :5] = 0
    assert (codec.encode(frame(large)).num == 1).all()
    grey = np.full((1, 8, 8), 255, dtype=np.uint8)
    assert (codec.encode(frame(grey)).num == 1).all()


def test_the_distance_of_records_is_the_root_mean_square_difference_of_colour():
    flat = np.stack([np.full((32, 32, 3), v, dtype=np.uint8) for v in (0, 51, 255)])
    vectors = ImageCodec(size=32).vectors(frame(flat))
    assert vectors.shape == (3, 3 * SIDE * SIDE)
    assert np.linalg.norm(vectors[0] - vectors[2]) == pytest.approx(1)
    assert np.linalg.norm(vectors[0] - vectors[1]) == pytest.approx(0.2)
    small = ImageCodec(size=8).vectors(frame(noise(0, 2, 8)))
    assert np.linalg.norm(small[0] - small[1]) == pytest.approx(np.sqrt(np.mean((noise(0, 2, 8)[0] / 255 - noise(0, 2, 8)[1] / 255) ** 2)))
    moved = [np.roll(noise(1, 1, 32)[0] // 2 + 60, k, 1) for k in range(3)]
    assert ImageCodec(size=20).vectors(frame(noise(0, 0, 20))).shape == (0, 768)
    assert all(np.linalg.norm(a - b) > 0 for a, b in pairwise(ImageCodec(size=32).vectors(frame(moved))))


def test_areas_are_means():
    picture = noise(3, 1, 32)
    vector = ImageCodec(size=32).vectors(frame(picture))[0] * np.sqrt(768) * 255
    wanted = picture[0].reshape(16, 2, 16, 2, 3).mean((1, 3)).transpose(2, 0, 1).ravel()
    assert np.allclose(vector, wanted)


def test_saved_codecs_are_equal(tmp_path):
    for classes in ((), ("a", "b"), (0, 1, 7), (True, False)):
        codec = ImageCodec(size=24, target="kind" if classes else "", classes=classes)
        codec.save(tmp_path)
        assert read_codec(tmp_path) == codec
        assert Images(Options(size=8)).modality_codec(CodecContext(dataset=None, seed=0, saved=tmp_path)) == codec
    data = load_images(LoadContext(source=frame(noise(0, 4, 9), list("abab")), target="kind", seed=0), Options(size=9))
    other = Images(Options(size=8)).modality_codec(CodecContext(dataset=data, seed=0, saved=tmp_path))
    assert other == ImageCodec(size=24, target="kind", classes=("a", "b"))
    write_json(tmp_path / "codec.json", {"format": 99})
    with pytest.raises(RunError, match="not of format"):
        read_codec(tmp_path)
    with pytest.raises(RunError, match="needs data"):
        Images(Options()).modality_codec(CodecContext(dataset=None, seed=0))


class Equals:
    def __init__(self, value):
        self.value = value


class OneOf:
    def __init__(self, *values):
        self.values = values


def test_only_the_class_can_be_asked_for():
    codec = ImageCodec(size=8, target="digit", classes=(0, 1, 2))
    assert codec.known({"digit": Equals("1")}, 3, 0) == (None, [1, 1, 1])
    known, labels = codec.known({"digit": OneOf("0", 2)}, 200, 0)
    assert known is None
    assert 60 < labels.count(0) < 140
    assert set(labels) == {0, 2}
    assert codec.known({"digit": OneOf("0", 2)}, 200, 0)[1] == labels
    assert codec.known({}, 2, 0) == (None, None)
    for where, message in (({"digit": Equals("9")}, "no value '9'"), ({"colour": Equals("red")}, "'colour' is no field")):
        with pytest.raises(DataError, match=message):
            codec.known(where, 2, 0)
    with pytest.raises(DataError, match=r"no field of a picture\n"):
        ImageCodec(size=8).known({"digit": Equals("1")}, 2, 0)
