"""The space "ink": styles of drawing are apart in it, places, colours and faint noise are not."""

import numpy as np
import pytest

from scarce.runtime.options import RuntimeOptions
from scarce.runtime.runtime import SharedRuntime
from scarce_images import shapes
from scarce_images.codec import ImageCodec
from scarce_images.distances import kernel_distances
from scarce_images.encoder import Space
from scarce_images.ink import ink


def pictures(style, seed, n=180):
    return list(shapes.table(n, seed=seed, style=style)["image"])


def distance(first, second):
    return kernel_distances(ink(first), ink(second), subsets=20, size=60, seed=0).mean()


@pytest.mark.parametrize("style", ["outline", "stripes", "rotated"])
def test_pictures_of_a_style_are_near_to_it_and_plain_ones_are_far(style):
    held = pictures(style, 1)
    plain, drawn = distance(pictures("plain", 2), held), distance(pictures(style, 3), held)
    assert plain > 0.2
    assert abs(drawn) < 0.1 * plain


def test_colours_of_ink_and_background_are_no_matter():
    assert abs(distance(pictures("dark", 1), pictures("plain", 2))) < 0.03


def test_place_size_and_faint_noise_change_little():
    rng = np.random.default_rng(0)

    def drawn(place, size="large"):
        return shapes.draw("star", "red", place, size, rng=np.random.default_rng(5))

    first, moved, other = drawn("top left"), drawn("bottom right"), shapes.draw("cross", "red", "top left", "large", rng=rng)
    noisy = np.clip(first + rng.normal(0, 4, first.shape), 0, 255).astype(np.uint8)
    rows = ink([first, moved, noisy, other])
    near = [np.abs(rows[0] - row).mean() for row in rows[1:]]
    assert near[1] < 0.1 * near[2]
    assert near[0] < 0.6 * near[2]  # edges between pixels fall elsewhere


def test_an_empty_picture_has_no_ink_and_a_space_is_named_so():
    assert (ink([np.full((8, 8, 3), 200, np.uint8)]) == -1).all()
    runtime, records = SharedRuntime(seed=0, options=RuntimeOptions(threads=1)), shapes.table(3, seed=0)
    space = Space("ink", 96, ImageCodec(size=32), runtime)
    assert np.array_equal(space.vectors(records), ink(records["image"]))
    assert str(space) == "in the space ink"
