"""Strategy `varied` and layers that stay frozen: pictures and captions change alike, and nothing else does."""

import pytest
import torch

from scarce.catalogue import read_catalogue
from scarce.contract import Prompt
from scarce.errors import PlanError
from scarce.files import read_json
from scarce.runs.opening import open_generator
from scarce_datadream.config import Varied as Options
from scarce_datadream.varied import ORDERS, Varied, said_of, varied

COLOURS = (("red", "green", "blue"), ("cyan", "purple", "yellow"))
PURE = {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1), "cyan": (0, 1, 1), "purple": (1, 0, 1), "yellow": (1, 1, 0)}
ALL = {"name": "all-classes", "epochs": 3, "targets": ["backbone"]}


def weights(run):
    return open_generator(run.folder, read_catalogue())[0].weights("train")


@pytest.mark.parametrize("order", range(len(ORDERS)))
def test_a_colour_and_its_word_stay_together(order):
    words = Varied(Options(colours=COLOURS))._words(False, order)
    for word, channels in PURE.items():
        picture = torch.tensor(channels).float()[None, :, None, None].expand(1, 3, 2, 2)
        seen = varied(picture, torch.tensor([False]), torch.tensor([order]))[0, :, 0, 0].tolist()
        assert seen == list(map(float, PURE[said_of(f"a {word} ring", words).split()[1]]))


def test_a_mirror_turns_pictures_and_words():
    words = Varied(Options())._words(True, 0)
    assert said_of("small, at the Left and right of leftover", words) == "small, at the right and left of leftover"
    assert said_of("at the left", Varied(Options())._words(False, 0)) == "at the left"
    asked = Varied(Options())._asked(Prompt(label="ring", text="a ring at the left", props={"x": 0.0}), True, 0)
    assert (asked.label, asked.text, asked.props) == ("ring", "a ring at the right", {})
    picture = torch.arange(4.0).view(1, 1, 1, 4)
    both = varied(picture.repeat(2, 3, 1, 1), torch.tensor([True, False]), torch.tensor([0, 0]))
    assert both[:, 0, 0].tolist() == [[3, 2, 1, 0], [0, 1, 2, 3]]
    with pytest.raises(ValueError, match="each word once"):
        Options(sides=[("left", "right"), ("left", "top")])


def test_no_variation_is_no_change_and_a_variation_is_one(adapt):
    """With nothing to change it trains to the same bits, rows that are asked for nothing among them."""
    sets = {"evaluator": [], "learner": None, "train.null": 0.5}
    plain, still, moved = (weights(adapt([ALL, *more], **sets)) for more in (
        [], [{"name": "varied", "mirror": False}], [{"name": "varied", "colours": [["red", "green", "blue"]]}]
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
    with pytest.raises(PlanError, match="of another class, '1' is one"):
        adapt([ALL, {"name": "varied", "sides": [["7", "1"]]}])
