"""Captions of every style, and which records lack what a style speaks of."""

import numpy as np
import pandas as pd
import pytest

from scarce.contract import CaptionContext
from scarce.errors import DataError, RecipeError
from scarce_images import shapes
from scarce_images.caption import captions
from scarce_images.codec import ImageCodec


def frame(**columns):
    n = len(next(iter(columns.values())))
    return pd.DataFrame({"image": pd.Series([np.zeros((4, 4, 3), np.uint8)] * n, dtype=object), **columns})


def texts(records, style, **more):
    return [c.text for c in captions(CaptionContext(records=records, style=style, seed=0, **more))]


def test_captions_of_a_person():
    assert texts(frame(kind=["a", "b"], caption=["one", "two"]), "user") == ["one", "two"]
    with pytest.raises(DataError, match=r"2 of 3 pictures have no caption: cat/1\.png, cat/2\.png"):
        texts(frame(caption=["one", None, None]), "user", ids=["cat/0.png", "cat/1.png", "cat/2.png"])
    with pytest.raises(DataError, match="needs a column 'caption'"):
        texts(frame(kind=["a"]), "user")
    assert texts(frame(caption=["a"]).iloc[:0], "user") == []


def test_captions_of_the_class():
    codec = ImageCodec(size=4, target="kind", classes=("golden_retriever", "cat"))
    records = frame(who=[1, 2], kind=["golden_retriever", "cat"])
    assert texts(records, "class", codec=codec) == ["a photo of a golden retriever", "a photo of a cat"]
    assert texts(frame(digit=[3]), "class") == ["a photo of a 3"]
    with pytest.raises(RecipeError, match="without a class"):
        texts(frame(who=[1]), "class", codec=ImageCodec(size=4))
    with pytest.raises(DataError, match="1 of 2 pictures have no kind: 1"):
        texts(frame(kind=["cat", None]), "class", codec=codec)


def test_templates_of_columns():
    records = frame(kind=["cat", "dog"], place=["in_a_tree", "at home"])
    codec = ImageCodec(size=4, target="kind", classes=("cat", "dog"))
    assert texts(records, "template:a {label} {place}", codec=codec) == ["a cat in a tree", "a dog at home"]
    assert texts(records, "template:{kind}, {label}", codec=codec) == ["cat, cat", "dog, dog"]
    assert texts(records, "template:pixel art", codec=codec) == ["pixel art", "pixel art"]
    with pytest.raises(DataError, match=r"column 'plaice' \(did you mean 'place'\?\)"):
        texts(records, "template:{plaice}")
    for wrong in ("template:{", "template:{0}", "template:{kind.real}", "template:{}"):
        with pytest.raises(RecipeError, match=r"generate\.prompt"):
            texts(records, wrong)


def test_captions_of_shapes_with_their_properties():
    table = shapes.table(40, seed=0)
    found = captions(CaptionContext(records=table, style="shapes", seed=0))
    assert [c.text for c in found] == table["caption"].tolist()
    words = {"shape": shapes.SHAPES, "colour": shapes.COLOURS, "position": shapes.POSITIONS, "size": shapes.SIZES}
    for c, (_, row) in zip(found, table.iterrows(), strict=True):
        assert {name: words[name][int(v)] for name, v in c.props.items()} == row[list(words)].to_dict()
    with pytest.raises(DataError, match="no built-in shape has the colour 'octarine'"):
        texts(table.assign(colour="octarine"), "shapes")
    with pytest.raises(DataError, match="needs a column 'shape'"):
        texts(frame(kind=["a"]), "shapes")


def test_another_style_is_refused_with_those_there_are():
    with pytest.raises(RecipeError, match="user, class, shapes, shapes-some and template:TEXT, not 'exact'"):
        texts(frame(kind=["a"]), "exact")


def test_captions_of_shapes_may_leave_parts_out_and_always_name_the_shape():
    records = shapes.table(200, seed=1)
    ctx = CaptionContext(records=records, style="shapes-some", seed=0, ids=[str(i) for i in range(200)])
    said, again = captions(ctx), captions(ctx)
    assert [c.text for c in said] == [c.text for c in again]
    assert all(shape in c.text for shape, c in zip(records["shape"], said, strict=True))
    assert all("shape" in c.props for c in said)
    for name in ("colour", "position", "size"):
        told = np.array([name in c.props for c in said])
        assert 0.35 < told.mean() < 0.65
        assert all(value in c.text for value, c, here in zip(records[name], said, told, strict=True) if here)
    assert shapes.caption({"shape": "star"}) == "a star"
