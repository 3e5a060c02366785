"""The learner in its four ways of tuning: what it learns, what stays as it was, equal seeds, teachers of no weight, cut texts."""

import numpy as np
import pandas as pd
import pytest
import torch

from scarce.contract import Guidance, take
from scarce.errors import DataError, RecipeError, RunError
from scarce_text import encoder as reading
from scarce_text.encoder import load_encoder
from scarce_text.network import blocks, tuned

TUNES = ("frozen", "last", "lora", "full")


@pytest.fixture
def data(kit):
    return kit.split(kit.loaded(kit.sentences()))


def rows_of(data, *splits):
    return take(data.records, data.rows(*splits))


@pytest.mark.parametrize("kind", ["bert", "distilbert"])
@pytest.mark.parametrize("tune", TUNES)
def test_fruit_is_told_from_tools_without_looking_at_the_label(kit, data, runtime, encoders, tune, kind):
    learner = kit.built(data, runtime, encoders[kind], tune=tune, last=1, rank=2, steps=60)
    learner.fit([kit.part(data)])
    rows = data.rows("test")
    found = learner.predict(take(data.records, rows).drop(columns="kind"))
    assert np.mean(found.values == data.target[rows]) > 0.9
    assert np.allclose(found.probabilities.sum(1), 1)
    assert np.array_equal(np.array(data.classes, dtype=object)[found.probabilities.argmax(1)], found.values)


@pytest.mark.parametrize("tune", TUNES)
def test_equal_seeds_give_equal_bits_and_refitting_starts_afresh(kit, data, runtime, encoders, tune):
    test = rows_of(data, "test")
    first, second = (kit.built(data, runtime, encoders["bert"], tune=tune, steps=10) for _ in range(2))
    first.fit([kit.part(data)])
    second.fit([kit.part(kit.split(kit.loaded(kit.sentences(seed=9))))])
    other = second.predict(test).probabilities
    second.fit([kit.part(data)])
    assert np.array_equal(first.predict(test).probabilities, second.predict(test).probabilities)
    assert not np.array_equal(first.predict(test).probabilities, other)


@pytest.mark.parametrize("tune", ["frozen", "last"])
def test_a_teacher_of_weight_zero_leaves_no_trace_and_another_one_does(kit, data, runtime, encoders, tune):
    test, n = rows_of(data, "test"), len(kit.part(data).records)
    wrong = np.tile([[0.5, 0.5]], (n, 1))
    said = {
        "none": None, "soft": Guidance(probabilities=wrong, alpha=2.0),
        "zero": Guidance(probabilities=wrong, alpha=0.0, embedding=np.ones((n, 5)), beta=0.0),
        "near": Guidance(probabilities=wrong, alpha=0.0, embedding=np.ones((n, 5)), beta=1.0),
    }  # fmt: skip
    out = {}
    for name, guide in said.items():
        learner = kit.built(data, runtime, encoders["bert"], tune=tune, steps=40)
        learner.fit([kit.part(data, guide=guide)])
        out[name] = learner.predict(test).probabilities
    assert np.array_equal(out["none"], out["zero"])
    assert not np.array_equal(out["none"], out["near"])
    assert out["soft"].max(1).mean() < out["none"].max(1).mean() - 0.05


@pytest.mark.parametrize("tune", ["frozen", "full"])
def test_a_part_of_weight_zero_changes_nothing(kit, data, runtime, encoders, tune):
    part, test = kit.part(data), rows_of(data, "test")
    spoilt = kit.part(data, origin="synthetic", weight=0.0).with_(target=part.target[::-1].copy())
    alone, beside = (kit.built(data, runtime, encoders["bert"], tune=tune, steps=5) for _ in range(2))
    alone.fit([part])
    beside.fit([part, spoilt])
    assert np.array_equal(alone.predict(test).probabilities, beside.predict(test).probabilities)


@pytest.mark.parametrize("kind", ["bert", "distilbert"])
def test_what_trains_is_what_was_asked_and_the_shared_encoder_stays_as_it_was(kit, data, runtime, encoders, kind):
    learner = kit.built(data, runtime, encoders[kind], tune="last")
    shared = learner.encoder
    before = {n: p.clone() for n, p in shared.network.named_parameters()}
    counts = {}
    for tune, more in (("last", {"last": 1}), ("lora", {"rank": 2}), ("full", {})):
        made = tuned(shared, learner.options.model_copy(update={"tune": tune, **more}))
        counts[tune] = sum(p.numel() for p in made.parameters() if p.requires_grad)
        kit.built(data, runtime, encoders[kind], tune=tune, steps=2, **more).fit([kit.part(data)])
    assert counts["full"] == sum(p.numel() for p in before.values())
    assert counts["last"] == sum(p.numel() for p in blocks(shared.network)[-1].parameters())
    assert counts["lora"] == 3 * 3 * 2 * (16 + 16)  # query, key and value of three blocks
    assert all(torch.equal(p, before[n]) and not p.requires_grad for n, p in shared.network.named_parameters())


def test_adapters_begin_at_the_encoder_as_it_was(kit, data, runtime, encoders):
    learner = kit.built(data, runtime, encoders["bert"], tune="lora")
    inputs, _ = learner.encoder.tokenized([("", t) for t in data.records["text"]], 16)
    begun = tuned(learner.encoder, learner.options).eval()
    with torch.no_grad():
        assert torch.allclose(begun(inputs), learner.tokens(data.records).pooled, atol=1e-6)


def test_tokens_are_those_of_the_frozen_encoder_and_padding_adds_nothing(kit, data, runtime, encoders):
    learner = kit.built(data, runtime, encoders["distilbert"], tune="full", steps=5)
    frame = pd.DataFrame({"text": ["the apple", "the old red hammer is very new today ."]})
    before = learner.tokens(frame)
    assert before.mask.sum(1).tolist() == [4, 11]
    assert before.tokens.shape == (2, 11, 16)
    assert before.tokens[0, 4:].abs().sum() == 0
    assert torch.allclose(before.pooled[0], before.tokens[0, :4].mean(0), atol=2e-3)  # states are kept in 16 bits
    learner.fit([kit.part(data)])
    assert all(torch.equal(a, b) for a, b in zip(vars(before).values(), vars(learner.tokens(frame)).values(), strict=True))
    alone = learner.tokens(frame.iloc[:1])
    assert torch.allclose(alone.tokens[0], before.tokens[0, :4], atol=2e-3)
    assert learner.tokens(frame.iloc[:0]).pooled.shape == (0, 16)


def test_a_text_is_read_once_in_a_run_whatever_asks(kit, data, runtime, encoders, monkeypatch):
    read, batch = [], reading.Reader._batch
    monkeypatch.setattr(reading.Reader, "_batch", lambda self, pairs: read.extend(pairs) or batch(self, pairs))
    for _ in range(2):
        learner = kit.built(data, runtime, encoders["bert"], steps=2)
        learner.tokens(rows_of(data, "train"))
        learner.fit([kit.part(data)])
        learner.predict(data.records)
    assert sorted(read) == sorted({("", t) for t in data.records["text"]})
    monkeypatch.setattr(reading, "MOST_STATES", 0)  # nothing of another encoder is kept, and all of it is there
    other = kit.built(data, runtime, encoders["distilbert"], steps=2)
    assert len(other.tokens(rows_of(data, "train")).tokens) == len(data.rows("train"))


def test_long_texts_are_cut_and_counted(kit, data, runtime, encoders, capsys):
    said = []
    runtime.say = said.append
    learner = kit.built(data, runtime, encoders["bert"], max_tokens=500)
    frame = pd.DataFrame({"text": ["apple " * 60, "apple " * 22, "saw"]})
    assert learner.tokens(frame).mask.sum(1).tolist() == [24, 24, 3]  # as many places as the encoder has
    assert said == ["note: 1 of 3 texts have over 24 tokens; their ends are not read"]


def test_a_target_word_is_read_beside_its_sentence(kit, runtime, encoders):
    """The same sentence, of which once the fruit and once the tool is asked for."""
    frame = kit.sentences(80)
    pairs = zip(["apple", "pear", "plum", "cherry"] * 20, ["saw", "drill"] * 40, strict=True)
    frame["text"] = [f"the {a} is on the {b} ." for a, b in pairs]
    frame["asked"] = [t.split()[1] if k == "fruit" else t.split()[5] for t, k in zip(frame["text"], frame["kind"], strict=True)]
    data = kit.split(kit.loaded(frame, word="asked"))
    learner = kit.built(data, runtime, encoders["bert"], steps=60, max_tokens=20)
    assert learner.tokens(data.records.iloc[:1]).mask.sum().item() == 1 + 1 + 1 + 7 + 1
    learner.fit([kit.part(data)])
    rows = data.rows("test")
    assert np.mean(learner.predict(take(data.records, rows)).values == data.target[rows]) > 0.9


def test_training_stops_where_validation_says_so_and_never_sees_the_test(kit, data, runtime, encoders):
    steps = []
    fit = runtime.fit
    runtime.fit = lambda fitting: steps.append(fit(fitting).steps)
    flipped = np.where(data.split == "validation", data.target[::-1], data.target).astype(object)
    rates = {"rate": 0.05, "steps": 200, "looks": 40}
    for target, patience in ((data.target, 0), (flipped, 2)):
        changed = data.with_(target=target)
        learner = kit.built(changed, runtime, encoders["bert"], patience=patience, **rates)
        learner.fit([kit.part(changed)])
    assert steps[0] == 200
    assert steps[1] < 100
    blind = data.with_(records=data.records.assign(text=np.where(data.split == "test", "saw", data.records["text"])))
    other = kit.built(blind, runtime, encoders["bert"], patience=2, **rates)
    again = kit.built(data, runtime, encoders["bert"], patience=2, **rates)
    for learner, part in ((other, kit.part(blind)), (again, kit.part(data))):
        learner.fit([part])
    test = rows_of(data, "test")
    assert np.array_equal(other.predict(test).probabilities, again.predict(test).probabilities)


def test_what_can_not_be_done_is_said(kit, data, runtime, encoders, tmp_path):
    learner = kit.built(data, runtime, encoders["bert"])
    with pytest.raises(RunError, match="before it was fitted"):
        learner.predict(data.records)
    with pytest.raises(DataError, match="no classes to learn"):
        kit.built(data.with_(task="none", target=None, classes=()), runtime, encoders["bert"]).fit([kit.part(data)])
    with pytest.raises(RecipeError, match=r"no config\.json"):
        load_encoder(str(tmp_path))
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(RecipeError, match="can't be loaded"):
        load_encoder(f"path:{tmp_path}")
