"""Tokens of both sides, pairs, folds, tags and the teacher, each by itself."""

import numpy as np
import pandas as pd
import pytest
import torch

from scarce.contract import Block, Space, State
from scarce.errors import DataError
from scarce.runtime.options import RuntimeOptions
from scarce.runtime.runtime import SharedRuntime
from scarce_lugpi.config import Fusion as Options
from scarce_lugpi.config import Lugpi
from scarce_lugpi.pairing import exchanged, folds_of
from scarce_lugpi.sides import Side, averaged, by_codec, failed, standardised
from scarce_lugpi.tags import TAGS, tagged, tags_of
from scarce_lugpi.teacher import Fusion, Lesson, Paced, ask, train_teacher, turned


class Fixed:
    """A codec whose soft features are what it is given."""

    def __init__(self, layout, shape=()):
        self.space = Space(layout=layout, blocks=(Block(name="x", kind="continuous", size=1),), shape=shape)

    def encode(self, records):
        return State(records, torch.zeros(len(records), 0, dtype=torch.int64))

    def soft(self, state):
        return state.num


def test_long_sides_are_averaged_in_stretches_and_short_ones_stay():
    tokens = torch.arange(12.0).reshape(2, 6, 1)
    side = averaged(Side(tokens, torch.tensor([[True] * 6, [True] * 2 + [False] * 4])), 3)
    assert side.tokens[0, :, 0].tolist() == [0.5, 2.5, 4.5]
    assert side.tokens[1, :2, 0].tolist() == [6.0, 7.0]
    assert side.mask.tolist() == [[True] * 3, [True, True, False]]


def test_a_codec_gives_a_vector_a_small_picture_or_course_and_spectrum_of_a_series():
    vectors = torch.randn(3, 5)
    assert torch.equal(by_codec(Fixed("vector"), vectors).tokens[:, 0], vectors)
    assert by_codec(Fixed("image", (32, 32)), torch.randn(2, 3, 32, 32)).tokens.shape == (2, 1, 3 * 8 * 8)
    wave = torch.sin(2 * torch.pi * 3 * torch.arange(24) / 24)
    other = torch.roll(wave, 3)
    side = by_codec(Fixed("sequence", (24,)), torch.stack([wave, other]).unsqueeze(2))
    assert side.tokens.shape == (2, 1, 24 + 12)
    assert torch.allclose(side.tokens[:, 0, 24:], side.tokens[:1, 0, 24:], atol=1e-4)  # the same frequency, whatever its phase
    assert side.tokens[0, 0, 24:].argmax() == 2
    assert by_codec(Fixed("sequence", (500,)), torch.randn(2, 500, 3)).tokens.shape == (2, 1, 3 * 64)


def test_standardising_looks_at_training_records_only_and_constants_stay_finite():
    tokens = torch.tensor([[[1.0, 5.0]], [[3.0, 5.0]], [[100.0, 7.0]]])
    side = standardised(Side(tokens, torch.ones(3, 1, dtype=torch.bool)), slice(0, 2))
    assert side.tokens[:2, 0].tolist() == [[-1.0, 0.0], [1.0, 0.0]]
    assert side.tokens[2, 0].tolist() == [98.0, 2.0]


def test_views_that_failed_are_missing_constant_or_not_finite():
    good = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    pictures = pd.DataFrame({"image": pd.Series([good, np.zeros((2, 2, 3), np.uint8), None], dtype=object), "kind": [None] * 3})
    assert failed(pictures).tolist() == [False, True, True]
    series = pd.DataFrame({"series": pd.Series([np.array([1.0, np.nan, 2.0]), np.array([np.inf, 1.0]), np.full(3, 2.0)], dtype=object)})
    assert failed(series).tolist() == [False, True, True]
    assert failed(pd.DataFrame({"a": [1.0, np.nan, np.inf], "b": ["x", None, "y"]})).tolist() == [False, True, True]


def test_exchanges_stay_in_their_group_and_nobody_keeps_their_own():
    groups = np.repeat([0, 1, 2], [10, 7, 2])
    random = torch.Generator().manual_seed(0)
    every = exchanged(groups, 1.0, random)
    assert sorted(every) == list(range(19))
    assert (groups[every] == groups).all()
    assert (every != np.arange(19)).all()
    some = exchanged(np.zeros(20, int), 0.5, random)
    assert (some != np.arange(20)).sum() == 10
    assert exchanged(groups, 0.0, random).tolist() == list(range(19))


def test_folds_spread_every_class_evenly():
    codes = np.repeat([0, 1, 2], [8, 4, 4])
    place = folds_of(codes, 4, torch.Generator().manual_seed(1))
    assert all((place[codes == code] == fold).sum() == (2 if code == 0 else 1) for code in range(3) for fold in range(4))


def test_tags_are_those_of_the_lexicon_and_one_token_holds_shares():
    pytest.importorskip("textblob")
    assert [TAGS[i] for i in tags_of("The old red disc slept.")] == ["DT", "JJ", "JJ", "NN", "VBD", "."]
    side = tagged(pd.DataFrame({"text": ["The old red disc slept.", ""]}), "text", 3)
    assert side.tokens[0].sum(1).tolist() == pytest.approx([1, 1, 1])
    assert side.mask.tolist() == [[True] * 3, [False] * 3]
    with pytest.raises(DataError, match="no column 'body'"):
        tagged(pd.DataFrame({"text": ["x"]}), "body", 3)


def sides(n=60, seed=0):
    """Records that say nothing and views whose first number is the class."""
    random = torch.Generator().manual_seed(seed)
    codes = torch.arange(n) % 2
    own = Side(torch.randn(n, 3, 4, generator=random), torch.ones(n, 3, dtype=torch.bool))
    view = torch.randn(n, 2, 5, generator=random)
    view[:, :, 0] = 2.0 * codes[:, None] - 1
    return Lesson(own=own, view=Side(view, torch.ones(n, 2, dtype=torch.bool)), codes=codes, trained=n - 20, classes=2)


@pytest.mark.parametrize("layers", [0, 2])
def test_a_teacher_learns_from_the_view_and_is_lost_without_it(layers):
    lesson, runtime = sides(), SharedRuntime(seed=0, options=RuntimeOptions(threads=1, precision="fp32"))
    options = Options(layers=layers, width=8, heads=2, steps=100, rate=0.01)
    model = train_teacher(lesson, torch.arange(lesson.trained), options, runtime, "t", 0)
    held, truth = lesson.validation, lesson.codes[lesson.trained :].numpy()
    assert (ask(model, lesson, held).probabilities.argmax(1) == truth).mean() >= 0.85
    assert (ask(model, lesson, held, blind=True).probabilities.argmax(1) == truth).mean() <= 0.7
    gate = ask(model, lesson, held).gate
    assert ((gate > 0) & (gate < 1)).all()


def test_a_gate_of_nothing_hides_the_view_and_places_do_not_mix_records():
    lesson = sides()
    model = Fusion(4, 5, 2, Options(layers=1, width=8, heads=2, view_weight=0.0)).eval()
    other = Side(-lesson.view.tokens, lesson.view.mask)
    with torch.no_grad():
        assert torch.equal(model(lesson.own, lesson.view)[0], model(lesson.own, other)[0])
        alone, among = model(lesson.own[:1], lesson.view[:1])[0], model(lesson.own, lesson.view)[0][:1]
    assert torch.allclose(alone, among, atol=1e-6)


def test_a_linear_teacher_of_views_alone_reads_no_record():
    lesson = sides()
    model = Fusion(4, 5, 2, Options(layers=0, width=8, sees="view", view_weight=1.0)).eval()
    with torch.no_grad():
        assert torch.equal(model(lesson.own, lesson.view)[0], model(Side(-lesson.own.tokens, lesson.own.mask), lesson.view)[0])
        both = [model(lesson.own, Side(s * lesson.view.tokens, lesson.view.mask))[0] for s in (0.0, 1.0, 2.0)]
    assert torch.allclose(both[2] - both[1], both[1] - both[0], atol=1e-5)


def test_embeddings_of_another_teacher_are_turned_into_the_same_space():
    rng = np.random.default_rng(0)
    own = rng.normal(size=(30, 4))
    turn, _ = np.linalg.qr(rng.normal(size=(4, 4)))
    assert np.allclose(turned(own[:5], own, own @ turn), own[:5] @ turn)


def test_options_that_make_no_sense_are_refused():
    for wrong in (
        {"alpha": -1.0},
        {"grid": ()},
        {"grid": (-0.1,)},
        {"folds": 1},
        {"alpha": "best"},
        {"teacher": {"width": 10, "heads": 3}},
    ):
        with pytest.raises(ValueError, match="validation error"):
            Lugpi(**wrong)
    assert Lugpi(grid=(1.0, 0.0, 1.0)).grid == (0.0, 1.0)


def test_a_paced_layer_begins_like_a_linear_one_and_moves_further_in_a_step():
    torch.manual_seed(0)
    plain, paced = torch.nn.Linear(4, 3), Paced(4, 3, pace=8.0)
    with torch.no_grad():
        paced.weight.copy_(plain.weight / 8)
        paced.bias.copy_(plain.bias)
    x = torch.randn(5, 4)
    before = plain(x)
    torch.testing.assert_close(paced(x), before)
    moved = []
    for layer in (plain, paced):
        optimizer = torch.optim.Adam([layer.weight], lr=1e-3)
        layer(x).square().sum().backward()
        optimizer.step()
        moved.append((layer(x) - before).abs().mean())
    assert float(moved[1] / moved[0]) == pytest.approx(8, rel=0.01)
