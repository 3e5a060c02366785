"""Drawn shapes and the reader of them: every style, jitter, captions, held-out pairs, and pictures that show nothing."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import gaussian_filter

from scarce.contract import Caption, Dataset, EvaluatorContext, take
from scarce.errors import DataError
from scarce_images import config, shapes
from scarce_images.histograms import ShapesHistograms
from scarce_images.oracle import ShapesOracle
from scarce_images.reading import measure


def stacked(frame):
    return np.stack(list(frame["image"]))


def right(frame, read):
    return np.all([read[name].to_numpy() == frame[name].to_numpy() for name in shapes.COLUMNS], axis=0) & read["valid"].to_numpy()


def test_a_table_has_every_mixture_alike_and_says_what_it_shows():
    frame = shapes.table(1080, seed=3)
    assert frame.columns.tolist() == ["image", "shape", "colour", "position", "size", "caption"]
    assert set(zip(frame["shape"], frame["colour"], strict=True)) == shapes.SEEN
    assert frame.groupby(list(shapes.COLUMNS)).size().unique().tolist() == [2]
    assert frame["image"].iloc[0].shape == (32, 32, 3)
    assert frame["image"].iloc[0].dtype == np.uint8
    row = {"shape": "circle", "colour": "red", "position": "top left", "size": "small"}
    assert shapes.caption(row) == "a small red circle at the top left"
    assert frame["caption"].tolist() == [shapes.caption(row) for _, row in frame.iterrows()]
    assert len({p.tobytes() for p in frame["image"]}) == len(frame)


def test_equal_seeds_draw_equal_pictures_and_held_out_pairs_can_be_asked():
    first, again, other = (shapes.table(40, seed=s) for s in (1, 1, 2))
    assert np.array_equal(stacked(first), stacked(again))
    assert first["caption"].tolist() != other["caption"].tolist()
    unseen = shapes.table(60, seed=1, exclude=shapes.SEEN)
    assert set(zip(unseen["shape"], unseen["colour"], strict=True)) == shapes.HELD_OUT
    for words in (shapes.SHAPES, shapes.COLOURS):  # each word is still seen in other company
        assert {sum(word in pair for pair in shapes.HELD_OUT) for word in words} == {1}
    assert len(shapes.table(0, seed=0)) == 0
    with pytest.raises(DataError, match="every combination"):
        shapes.table(3, seed=0, exclude=shapes.SEEN | shapes.HELD_OUT)
    with pytest.raises(DataError, match="'pink' is none of red"):
        shapes.draw("circle", "pink", "top", "small", rng=np.random.default_rng(0))
    with pytest.raises(DataError, match="'wavy' is none of plain"):
        shapes.table(1, seed=0, style="wavy")


@pytest.mark.parametrize("style", shapes.STYLES)
def test_drawn_pictures_are_read_without_a_mistake(style):
    frame = shapes.table(432, seed=5, style=style, exclude=())
    assert right(frame, measure(stacked(frame), style)).all()


@pytest.mark.parametrize("pixels", [16, 48, 64])
def test_other_sizes_are_read_too(pixels):
    frame = shapes.table(216, seed=6, pixels=pixels, exclude=())
    assert right(frame, measure(stacked(frame))).all()


def test_blurred_and_noisy_pictures_are_still_read():
    frame = shapes.table(432, seed=7)
    soft = gaussian_filter(stacked(frame).astype(float), (0, 0.5, 0.5, 0)) + np.random.default_rng(0).normal(0, 5, (432, 32, 32, 3))
    assert right(frame, measure(np.clip(soft, 0, 255).astype(np.uint8))).mean() > 0.98


def test_pictures_that_show_no_shape_or_a_wrong_colour_are_not_valid():
    rng = np.random.default_rng(0)
    assert not measure(rng.integers(0, 256, (64, 32, 32, 3)).astype(np.uint8))["valid"].any()
    assert not measure(np.full((2, 32, 32, 3), 240, np.uint8))["valid"].any()
    pictures = stacked(shapes.table(200, seed=8)).astype(int)
    ghosts = ((pictures + pictures[::-1]) // 2).astype(np.uint8)
    assert measure(ghosts)["valid"].mean() < 0.1
    grey = np.repeat(pictures.mean(-1, keepdims=True), 3, axis=-1).astype(np.uint8)
    assert measure(grey)["valid"].mean() < 0.05
    assert len(measure(np.zeros((0, 32, 32, 3), np.uint8))) == 0


class Draws:
    """A generator that draws what the caption says, with some colours wrong."""

    def __init__(self, wrong):
        self.wrong, self.asked = wrong, []

    def sample(self, prompts, *, seed, known=None):
        rng, out = np.random.default_rng(seed % 1000), []
        self.asked += [p.text for p in prompts]
        for i, prompt in enumerate(prompts):
            said, position = prompt.text.split(" at the ")
            _, size, colour, shape = said.split()
            colour = shapes.COLOURS[(shapes.COLOURS.index(colour) + (i < self.wrong * len(prompts))) % 6]
            out.append({"image": shapes.draw(shape, colour, position, size, rng=rng), "shape": prompt.label})
        return pd.DataFrame(out)


def describe(records):
    return [Caption(text=shapes.caption(row)) for row in records.to_dict("records")]


def context(frame, generator=None, expected=0):
    n = len(frame)
    split = np.array(["test" if i % 2 else "train" for i in range(n)])
    data = Dataset(
        name="shapes", ids=np.arange(n).astype(str), records=frame, task="classification", target_name="shape",
        target=frame["shape"].to_numpy(), classes=shapes.SHAPES, labelled=np.ones(n, bool), split=split, groups=np.arange(n).astype(str),
    )  # fmt: skip
    made = take(frame, np.arange(30))
    runtime = SimpleNamespace(derive=lambda purpose: len(purpose))
    return EvaluatorContext(
        dataset=data, codec=SimpleNamespace(space=SimpleNamespace(shape=(32, 32))), seed=0, samples={"synthetic": made, "bootstrap": made},
        targets={"synthetic": made["shape"].to_numpy(), "bootstrap": made["shape"].to_numpy()}, predictions={}, runtime=runtime,
        expected=expected, generator=generator, describe=describe if generator else None,
    )  # fmt: skip


def test_the_evaluator_counts_what_a_generator_gets_wrong():
    generator = Draws(wrong=0.25)
    ctx = context(shapes.table(300, seed=9), generator)
    oracle = ShapesOracle(config.ShapesOracle(rows=40))
    found = {(m.name, m.source): m for m in oracle.evaluator_measure(ctx)}
    assert len(found) == len(oracle.evaluator_measure(ctx))
    for name in ("oracle_shape", "oracle_position", "oracle_size"):
        assert found[name, "synthetic"].value == 1
    for name in ("oracle_colour", "oracle_both", "oracle_unseen_both"):
        assert found[name, "synthetic"].value == 0.75
        assert found[name, "synthetic"].floor == 1
    assert found["oracle_unseen_both", "synthetic"].n == 40
    unseen = {f"{colour} {shape}" for shape, colour in shapes.HELD_OUT}
    assert {pair for pair in unseen if any(pair in text for text in generator.asked)} == unseen
    (figure,) = oracle.evaluator_draw(ctx)
    assert np.array(figure.traces[0]["z"], dtype=float).shape == (6, 6)
    assert all(pair in figure.caption for pair in unseen)


def test_missing_pictures_are_wrong_and_wrong_classes_are_found():
    frame = shapes.table(300, seed=9)
    ctx = context(frame, expected=60)
    found = {m.source: m for m in ShapesOracle(config.ShapesOracle()).evaluator_measure(ctx)}
    assert found["synthetic"].value == 0.5
    assert found["bootstrap"].value == 1
    targets = {"synthetic": np.roll(ctx.targets["synthetic"], 1)}
    value = ShapesOracle(config.ShapesOracle()).evaluator_measure(ctx.with_(targets=targets, expected=0))[0].value
    assert value == np.mean(targets["synthetic"] == ctx.targets["bootstrap"])


def test_histograms_find_what_pictures_show_whatever_was_asked():
    frame = shapes.table(300, seed=9)
    ctx = context(frame)
    red = frame[frame["colour"] == "red"]
    noise = red.iloc[:10].assign(image=list(np.random.default_rng(0).integers(0, 256, (10, 32, 32, 3), dtype=np.uint8)))
    ctx = ctx.with_(samples={"synthetic": red, "real": frame, "noise": noise})
    histograms = ShapesHistograms(config.ShapesHistograms())
    found = {(m.name, m.source): m for m in histograms.evaluator_measure(ctx)}
    assert found["shown_colour_shift", "synthetic"].value == pytest.approx(1 - (frame["colour"] == "red").mean(), abs=0.05)
    assert "red 1.000" in found["shown_colour_shift", "synthetic"].note
    assert found["shown_colour_shift", "real"].value < 0.1
    assert found["shown_shape_shift", "noise"].value > 0.9  # no picture shows anything
    assert {figure.name for figure in histograms.evaluator_draw(ctx)} == {f"shown_{name}" for name in shapes.COLUMNS}


def test_no_unseen_pairs_are_asked_where_the_data_have_them_all_and_other_pictures_are_refused():
    oracle = ShapesOracle(config.ShapesOracle(rows=10))
    names = {m.name for m in oracle.evaluator_measure(context(shapes.table(400, seed=9, exclude=()), Draws(0)))}
    assert "oracle_both" in names
    assert "oracle_unseen_both" not in names
    some = context(shapes.table(400, seed=9).drop(columns=["size", "caption"]), Draws(0))
    assert {m.name for m in oracle.evaluator_measure(some)} == {"oracle_shape"}
    strange = shapes.table(60, seed=0)[["image", "shape"]].replace({"shape": {"circle": "cat"}})
    assert "columns shape, colour" in oracle.evaluator_measure(context(strange))[0].error
