"""Conditioner `text`: tokens of frozen encoders of three families, kept by content, cut with a word."""

import json

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertModel, CLIPTextConfig, CLIPTextModel, PreTrainedTokenizerFast, T5Config, T5EncoderModel

from scarce.contract import Condition, ConditionerContext, Prompt
from scarce.contract.condition import stack
from scarce.errors import PluginError, RecipeError
from scarce.runtime.runtime import SharedRuntime
from scarce_text2data import encoder
from scarce_text2data.conditioner import Text
from scarce_text2data.config import Text as TextOptions

WORDS = ["[PAD]", "[UNK]", "[END]", "a", "series", "with", "high", "low", "mean", "and", "frequency"]
SMALL = {"vocab_size": len(WORDS), "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
NETWORKS = {
    "bert": lambda: BertModel(BertConfig(**SMALL, max_position_embeddings=24)),
    "t5": lambda: T5EncoderModel(T5Config(vocab_size=len(WORDS), d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2)),
    "clip": lambda: CLIPTextModel(CLIPTextConfig(**SMALL, max_position_embeddings=24, eos_token_id=2, bos_token_id=1)),
}


@pytest.fixture(scope="module", params=list(NETWORKS))
def folder(request, tmp_path_factory):
    """A tiny random encoder of a family, saved as its library saves it."""
    home = tmp_path_factory.mktemp(request.param)
    torch.manual_seed(0)
    NETWORKS[request.param]().save_pretrained(home)
    words = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing(single="$A [END]", special_tokens=[("[END]", 2)])
    special = {"unk_token": "[UNK]", "pad_token": "[PAD]", "eos_token": "[END]"}
    PreTrainedTokenizerFast(tokenizer_object=words, model_max_length=24, **special).save_pretrained(home)
    return home


def built(source, runtime=None, **options):
    torch.manual_seed(1)
    runtime = runtime or SharedRuntime(seed=0)
    asked = TextOptions(source=f"path:{source}", width=8, **options)
    return Text(asked).conditioner_build(ConditionerContext(classes=(), prompts=[], runtime=runtime))


def test_every_family_gives_one_token_per_word_and_nothing_for_no_text(folder):
    tokens = built(folder)
    texts = ["a series with high mean", "low", "", None]
    out = tokens(tokens.prepare([Prompt(text=t) for t in texts]))
    assert out.tokens.shape == (4, 6, 8)
    assert out.mask.sum(1).tolist() == [6, 2, 1, 1]
    assert torch.equal(out.tokens[2:], torch.zeros(2, 6, 8))
    assert torch.equal(out.pooled[2:], torch.zeros(2, 8))
    assert torch.equal(out.tokens[1, 2:], torch.zeros(4, 8))
    assert not torch.allclose(out.pooled[0], out.pooled[1])


def test_a_text_means_the_same_alone_and_beside_others(folder):
    tokens = built(folder)
    alone = tokens(tokens.prepare([Prompt(text="high mean")]))
    beside = tokens(tokens.prepare([Prompt(text="a series with high frequency and low mean"), Prompt(text="high mean")]))
    assert torch.allclose(alone.tokens[0], beside.tokens[1, : alone.tokens.shape[1]], atol=2e-3)
    assert torch.allclose(alone.pooled[0], beside.pooled[1], atol=2e-3)


def test_what_else_is_in_the_bank_changes_no_bit(folder):
    tokens = built(folder)
    places = tokens.prepare([Prompt(text="high mean"), Prompt(text="low")])
    before = tokens(places)
    tokens.prepare([Prompt(text="a series with high frequency and low mean and high mean")])
    after = tokens(places)
    assert torch.equal(before.tokens, after.tokens)
    assert torch.equal(before.pooled, after.pooled)
    longer = tokens(tokens.prepare([Prompt(text="a series with high mean")]))
    both = stack([Condition(e.tokens, e.mask, e.pooled) for e in (before, longer)])
    assert (both.tokens.shape[1], both.mask.sum(1).tolist()) == (6, [3, 2, 6])


def test_what_was_embedded_is_not_embedded_again(folder, monkeypatch):
    tokens = built(folder)
    first = tokens.prepare([Prompt(text="high mean"), Prompt(text="low mean"), Prompt(text="high mean")])
    assert first[0] == first[2] != first[1]
    found = encoder.load_encoder(f"path:{folder}")
    monkeypatch.setattr(found, "_batch", None)
    assert torch.equal(built(folder).prepare([Prompt(text="low mean")]), torch.tensor([1]))
    assert torch.equal(tokens.prepare([Prompt(text="low mean")]), first[1:2])


def test_a_prompt_that_is_too_long_is_cut_and_the_cut_part_is_said(folder):
    runtime, said = SharedRuntime(seed=0), []
    runtime.progress.say = said.append
    tokens = built(folder, runtime, max_tokens=4)
    out = tokens(tokens.prepare([Prompt(text="a series with high frequency")]))
    assert out.mask.sum() == 4
    assert "reads 4" in said[0]
    assert "'high frequency'" in said[0]


def test_only_projections_train_and_the_encoder_is_no_part_of_the_model(folder):
    tokens = built(folder)
    assert sorted(n for n, _ in tokens.named_parameters()) == ["pool.bias", "pool.weight", "project.bias", "project.weight"]
    out = tokens(tokens.prepare([Prompt(text="low mean")]))
    (out.tokens.sum() + out.pooled.sum()).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in tokens.parameters())


def test_a_saved_conditioner_is_built_without_reading_the_encoder(folder, monkeypatch):
    monkeypatch.setattr(encoder, "locate", lambda source: pytest.fail("read"))
    ctx = ConditionerContext(classes=(), prompts=[], runtime=SharedRuntime(seed=0), saved={"states": 16})
    tokens = Text(TextOptions(source=f"path:{folder}/elsewhere")).conditioner_build(ctx)
    assert tokens.config_json() == {"states": 16}
    assert tokens(tokens.prepare([Prompt()])).tokens.shape == (1, 1, 64)


def test_wrong_sources_say_what_to_do(tmp_path, monkeypatch):
    with pytest.raises(RecipeError, match="not a model folder"):
        built(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert", "hidden_size": 16}))
    with pytest.raises(RecipeError, match="can't be loaded"):
        built(tmp_path)
    monkeypatch.setattr(encoder, "MINILM", ("no-such-package", "model"))
    with pytest.raises(PluginError, match="no-such-package") as caught:
        encoder.locate("minilm")
    assert "pip install" in str(caught.value.hint)
