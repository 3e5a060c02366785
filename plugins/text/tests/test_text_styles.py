"""Captions and codec: short enough, blind to the label, the same for a record whatever stands beside it (L5 of generated views)."""

import random
import string

import numpy as np
import pandas as pd
import pytest

from scarce.contract import BaselineContext, CaptionContext, CodecContext, take
from scarce.errors import DataError
from scarce_text import config
from scarce_text.caption import MOST, STYLES, context, cost, costs, cut, keywords, sentences, summary
from scarce_text.modality import Text

LONG = (
    "The kettle arrived on Monday. It is a red kettle with a black handle, and the box was torn. My sister uses the kettle every day. "
    "We bought it after the old kettle broke. I like tea. The weather was fine. The kettle boils water quickly, so the kettle is used "
    "for tea. "
    "Nobody complained about the kettle or about its red lid. Delivery took three weeks!"
)


def caption(frame, style, codec=None, seed=0):
    ctx = CaptionContext(records=frame, style=style, seed=seed, ids=[str(i) for i in range(len(frame))], codec=codec)
    return [c.text for c in Text(config.Text()).modality_caption(ctx)]


@pytest.fixture
def data(kit):
    frame = kit.sentences(40)
    frame["text"] = [f"{t} {LONG}" for t in frame["text"]]
    frame["word"] = "kettle"
    return kit.split(kit.loaded(frame, word="word"))


def salad(rng, alphabet, count, most):
    return " ".join("".join(rng.choices(alphabet, k=rng.randint(1, most))) for _ in range(count))


@pytest.mark.parametrize("style", [s for s in STYLES if s != "user"])
def test_captions_are_short_whatever_the_text(style):
    rng = random.Random(0)
    texts = [
        LONG, "x" * 3000, "東京" * 400, "!?" * 300, "😀" * 100, "1234567890 " * 40, "word", salad(rng, string.ascii_letters, 200, 30),
        salad(rng, string.printable, 300, 12).strip() or "a", "https://www.example.org/a/b?c=d&e=f " * 20, "naïve café " * 50,
    ]  # fmt: skip
    frame = pd.DataFrame({"text": texts, "word": [t.split()[0][:400] for t in texts]})
    for text, made in zip(texts, caption(frame, style), strict=True):
        assert 0 < costs(made) <= MOST, (style, text[:20])
        if style in ("truncate", "summarise"):
            assert set(made.split()) <= set(" ".join(text.split()).split()) | {text[: len(made)]}


@pytest.mark.parametrize("style", ["truncate", "summarise", "keywords", "context"])
def test_captions_say_no_label_and_do_not_depend_on_what_stands_beside(kit, data, style):
    codec = kit.codec_of(data)
    whole = caption(data.records, style, codec)
    assert whole == caption(data.records, style, codec, seed=5)
    rows = np.array([7, 3, 21])
    assert caption(take(data.records, rows), style, codec) == [whole[i] for i in rows]
    turned = data.records.assign(kind=data.records["kind"].to_numpy()[::-1])
    assert caption(turned, style, codec) == whole
    assert not any("fruit" in c or "tools" in c for c in whole)
    assert all(w.strip(".,:!").lower() in t.lower() for c, t in zip(whole, data.records["text"], strict=True) for w in c.split())


def test_words_cost_what_they_may_take():
    assert [cost(w) for w in ("a", "of", "tea", "apple", "Kettle", "strengths", "xyz", "rhythm", "b" * 30, "é", "7", "東", ".")] == [
        1, 1, 2, 3, 4, 9, 2, 4, 30, 2, 1, 3, 1,
    ]  # fmt: skip
    assert cut("the tea is hot", 4) == "the tea is"
    assert cut("don't stop", 2) == "do"
    assert cut("  the\n tea ") == "the tea"


def test_a_summary_keeps_the_most_central_sentences_in_their_order():
    assert sentences("One. Two!  Three?\nFour") == ["One.", "Two!", "Three?", "Four"]
    made = summary(LONG, None)
    kept = [s for s in sentences(LONG) if s in made]
    assert " ".join(kept) == made
    assert "kettle" in made
    assert "weather" not in made
    assert summary("Short. And whole.", None) == "Short. And whole."
    assert costs(summary("very " * 100 + "long. " + "other " * 100 + "thing.", None)) <= MOST


def test_keywords_are_frequent_here_and_rare_elsewhere():
    text = "kettle kettle kettle tea tea lid the the the the"
    assert keywords(text, None) == "kettle, tea, lid"
    assert keywords(text, {"kettle": 1.0, "tea": 5.0, "lid": 2.0}) == "tea, kettle, lid"
    assert keywords(text, {"kettle": 1.0}) == "kettle"
    assert keywords("so it is", None) == "so it is"
    assert keywords(":-) !!", {"tea": 1.0}) == ":-) !!"


def test_a_context_is_the_word_and_its_sentence():
    text = "Dogs bark. The cat sat idly on the mat. Then it slept."
    assert context("idly", text) == "idly: The cat sat idly on the mat."
    assert context("slept", text) == "slept: Then it slept."
    assert context("zebra", text) == f"zebra: {text}"
    long = "many words come before it " * 20 + "until the rare axolotl is named " + "and many more come after it " * 20
    made = context("axolotl", long)
    assert made.startswith("axolotl: ")
    assert "the rare axolotl is named" in made
    assert costs(made) <= MOST


def test_styles_that_do_not_fit_are_refused(data):
    with pytest.raises(DataError, match="did you mean 'summarise'"):
        caption(data.records, "summarize")
    with pytest.raises(DataError, match="speaks of a target word"):
        caption(data.records.drop(columns="word"), "context")
    with pytest.raises(DataError, match="no column `caption` or `prompt`"):
        caption(data.records, "user")
    with pytest.raises(DataError, match="39 texts have no prompt"):
        caption(data.records.assign(prompt=["a red box", *[None] * 39]), "user")
    assert caption(data.records.assign(prompt="a  red box"), "user") == ["a red box"] * 40


def test_vectors_are_fitted_on_training_texts_and_read_back_bit_for_bit(kit, data, tmp_path):
    codec = kit.codec_of(data)
    vectors = codec.vectors(data.records)
    assert vectors.shape == (40, codec.space.width)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1)
    codec.save(tmp_path)
    again = Text(config.Text()).modality_codec(CodecContext(dataset=None, seed=0, saved=tmp_path))
    assert np.array_equal(again.vectors(data.records), vectors)
    assert caption(data.records, "keywords", again) == caption(data.records, "keywords", codec)
    test = data.rows("test")
    other = data.with_(records=data.records.assign(text=np.where(np.isin(np.arange(40), test), "zebra", data.records["text"])))
    assert np.array_equal(kit.codec_of(other).idf, codec.idf)
    assert kit.codec_of(other).vectors(pd.DataFrame({"text": ["zebra"]})).tolist() == [[0.0] * codec.space.width]
    near = codec.vectors(pd.DataFrame({"text": ["apple apple plum .", "apple apple pear .", "drill drill saw ."]}))
    assert np.linalg.norm(near[0] - near[1]) < np.linalg.norm(near[0] - near[2])


def test_a_vector_never_becomes_a_text(kit, data):
    codec = kit.codec_of(data)
    with pytest.raises(DataError, match="never generated"):
        codec.decode(codec.encode(data.records), None, 0)
    with pytest.raises(DataError, match="never generated"):
        codec.known({"kind": "fruit"}, 3, 0)
    assert codec.soft(codec.encode(data.records)).shape == (40, codec.space.width)


def test_the_bootstrap_copies_labelled_training_texts(kit, data):
    hidden = data.with_(labelled=np.arange(40) % 4 == 0)
    ctx = BaselineContext(dataset=hidden, codec=kit.codec_of(data), n=50, seed=1)
    copies = Text(config.Text()).modality_baselines(ctx)["bootstrap"]
    allowed = data.records.iloc[[r for r in data.rows("train") if r % 4 == 0]]
    assert len(copies) == 50
    assert set(copies["number"]) <= set(allowed["number"])
