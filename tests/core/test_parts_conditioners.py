import json

import pytest
import torch

from scarce.contract import ConditionerContext, Prompt
from scarce.errors import DataError
from scarce.parts.config import Label, Words
from scarce.parts.label import LabelConditioner
from scarce.parts.words import WordsConditioner, split_words
from scarce.runtime.runtime import SharedRuntime


def label(classes=("no", "yes"), width=6, seed=0):
    ctx = ConditionerContext(classes=classes, prompts=[], runtime=SharedRuntime(seed=seed))
    return LabelConditioner(Label(width=width)).conditioner_build(ctx)


def words(texts, saved=None, **options):
    ctx = ConditionerContext(classes=(), prompts=[Prompt(text=t) for t in texts], runtime=SharedRuntime(seed=0), saved=saved)
    return WordsConditioner(Words(**{"width": 6, **options})).conditioner_build(ctx)


def test_label_tokens_and_the_zero_of_no_label():
    module = label()
    codes = module.prepare([Prompt(label="yes"), Prompt(), Prompt(label="no")])
    assert codes.tolist() == [1, -1, 0]
    out = module(codes)
    assert out.tokens.shape == (3, 1, 6)
    assert out.mask.shape == (3, 1)
    assert out.pooled[1].abs().sum() == 0
    assert torch.equal(out.pooled[0], module.table[1])
    out.pooled.sum().backward()
    assert module.table.grad.abs().sum() > 0


def test_label_reads_a_class_written_as_text_and_refuses_others():
    assert label(classes=(1, 2)).prepare([Prompt(label="2")]).tolist() == [1]
    with pytest.raises(DataError, match="'maybe' is not a class"):
        label().prepare([Prompt(label="maybe")])
    with pytest.raises(DataError, match="no classes"):
        label(classes=()).prepare([Prompt(label="yes")])


def test_label_weights_follow_the_seed_and_leave_the_global_state_alone():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    assert torch.equal(label(seed=1).table, label(seed=1).table)
    assert not torch.equal(label(seed=1).table, label(seed=2).table)
    assert torch.equal(before, torch.get_rng_state())


def test_words_split_numbers_into_digits():
    assert split_words("Age is 42.5, Ökonom!") == ["age", "is", "4", "2", ".", "5", ",", "ökonom", "!"]


def test_words_unknown_padding_and_cutting():
    module = words(["a small red cat", "a dog"])
    codes = module.prepare([Prompt(text="a blue dog"), Prompt(text="A small red cat runs"), Prompt()])
    assert codes.shape == (3, 4)
    assert codes[0, 1] == 1
    assert codes[0, 3] == 0
    assert codes[2].tolist() == [0, 0, 0, 0]
    out = module(codes)
    assert out.tokens.shape == (3, 4, 6)
    assert out.mask.tolist() == [[True, True, True, False], [True] * 4, [True, False, False, False]]
    assert torch.allclose(out.pooled[0], out.tokens[0, :3].mean(0))
    assert out.pooled[2].abs().sum() == 0


def test_words_are_rebuilt_from_what_they_save():
    module = words(["a small red cat", "a dog"])
    saved = json.loads(json.dumps(module.config_json()))
    again = words([], saved=saved)
    again.load_state_dict(module.state_dict())
    prompts = [Prompt(text="small dog"), Prompt(text="never seen")]
    assert torch.equal(module(module.prepare(prompts)).pooled, again(again.prepare(prompts)).pooled)


def test_words_keep_only_the_most_frequent():
    assert words(["b a", "b c", "b a"], max_words=2).vocabulary == ["b", "a"]
    assert words([]).prepare([Prompt(text="anything")]).tolist() == [[1]]
