"""Strategy `varied` and layers that stay frozen: pictures and captions change alike, and nothing else does."""

import itertools

import pytest
import torch

from scarce.catalogue import read_catalogue
from scarce.contract import Prompt
from scarce.errors import PlanError
from scarce.files import read_json
from scarce.runs.opening import open_generator
from scarce_datadream.changes import mirrored, recoloured, recolouring, rgb
from scarce_datadream.config import Varied as Options
from scarce_datadream.varied import Varied, named_in, swap

COLOURS = {"red": "#d92121", "green": "#29a634", "blue": "#2b57d9"}
ALL = {"name": "all-classes", "epochs": 3, "targets": ["backbone"]}


def weights(run):
    return open_generator(run.folder, read_catalogue())[0].weights("train")


def drawn(code, cover, ground):
    """A picture [1, 3, n, 1] in [-1, 1]: so much ink of a colour on a grey ground, in 0-1."""
    cover = cover[None, None, :, None]
    return (cover * rgb(code)[None, :, None, None] + (1 - cover) * ground).float() * 2 - 1


@pytest.mark.parametrize(("source", "target"), itertools.permutations(COLOURS, 2))
@pytest.mark.parametrize("ground", [0.95, 0.1])
def test_a_picture_in_one_colour_becomes_one_in_another_soft_edges_included(source, target, ground):
    cover = torch.linspace(0, 1, 5, dtype=torch.float64)
    before, after = (drawn(COLOURS[word], cover, ground) for word in (source, target))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = recoloured(before, recolouring(rgb(COLOURS[source]), rgb(COLOURS[target]))[None])
    assert torch.allclose(found, after, atol=1e-5)


def test_one_word_for_a_colour_takes_another_s_place_and_several_none():
    made = Varied(Options(colours=COLOURS))
    assert [swap(Prompt(text="a Red ring"), COLOURS, u) for u in (0.0, 0.34, 0.99)] == [None, ("red", "green"), ("red", "blue")]
    assert [swap(Prompt(text=text), COLOURS, 0.99) for text in ("a ring", "a red and green ring", None, "a reddish ring")] == [None] * 4
    asked = made._asked(Prompt(text="a small Red ring, redder"), False, ("red", "blue"))
    assert asked.text == "a small blue ring, redder"
    shades = {"dark blue": "#000080", "blue": "#0000ff"}
    assert swap(Prompt(text="a dark blue ring"), shades, 0.9) == ("dark blue", "blue")
    assert torch.equal(made._recolouring(None), torch.eye(3, dtype=torch.float64))


def test_a_mirror_turns_pictures_and_words():
    asked = Varied(Options())._asked
    assert asked(Prompt(text="small, at the Left and right of leftover"), True, None).text == "small, at the right and left of leftover"
    assert asked(Prompt(text="at the left"), False, None).text == "at the left"
    turned = asked(Prompt(label="ring", text="a ring at the left", props={"x": 0.0}), True, None)
    assert (turned.label, turned.text, turned.props) == ("ring", "a ring at the right", {})
    picture = torch.arange(4.0).view(1, 1, 1, 4)
    both = mirrored(picture.repeat(2, 3, 1, 1), torch.tensor([True, False]))
    assert both[:, 0, 0].tolist() == [[3, 2, 1, 0], [0, 1, 2, 3]]
    with pytest.raises(ValueError, match="each word once"):
        Options(sides=[("left", "right"), ("left", "top")])
    with pytest.raises(ValueError, match="each word once"):
        Options(colours={"left": "#ff0000"})
    for code in ("blue", "#808080", "#fffffe"):
        with pytest.raises(ValueError, match="not a colour like #2699e6"):
            Options(colours={"blue": code})


def test_no_variation_is_no_change_and_a_variation_is_one(adapt):
    """With nothing to change it trains to the same bits, rows that are asked for nothing among them."""
    sets = {"evaluator": [], "learner": None, "train.null": 0.5}
    plain, still, moved = (weights(adapt([ALL, *more], **sets)) for more in (
        [], [{"name": "varied", "mirror": False, "colours": COLOURS}], [{"name": "varied", "colours": COLOURS}]
    ))  # fmt: skip
    assert all(torch.equal(plain[name], still[name]) for name in plain)
    assert any(not torch.equal(plain[name], moved[name]) for name in plain)


def test_frozen_layers_stay_and_the_others_train(adapt):
    run = adapt([{**ALL, "rate": 1e-2, "frozen": ["blocks", "asked"]}], evaluator=[], learner=None)
    (phase,) = read_json(run.folder / "plan.json")
    assert {"backbone:stem", "backbone:fine.0.first", "backbone:grow"} < set(phase["trainable"])
    generator = open_generator(run.folder, read_catalogue())[0]
    base, after = generator.weights("base"), generator.weights("train")
    moved = {name for name in base if not torch.equal(base[name], after[name])}
    assert moved
    assert not [name for name in moved if "blocks" in name or ".asked." in name]
    assert not [
        name for name in base if name.startswith("backbone.") and not {"blocks", "asked"} & set(name.split(".")) and name not in moved
    ]


def test_what_cannot_vary_is_said_before_training(adapt):
    with pytest.raises(PlanError, match="no weight of backbone is in a layer called 'block'"):
        adapt([{**ALL, "frozen": ["block"]}])
    with pytest.raises(PlanError, match="of another class, '1' says '1'"):
        adapt([ALL, {"name": "varied", "sides": [["7", "1"]]}])
    with pytest.raises(PlanError, match="is not another strategy's already"):
        adapt([ALL, {"name": "varied"}, {"name": "varied"}])
    with pytest.raises(PlanError, match="no plain loss of rows"):
        adapt([ALL, {"name": "varied"}, {"name": "augment"}])


def test_words_are_found_whole_and_in_any_case():
    assert named_in("left hand", ["left", "right"]) == ["left"]
    assert named_in("Red Right leftover", ["left", "right", "red"]) == ["red", "right"]
    assert named_in("anything", []) == []
