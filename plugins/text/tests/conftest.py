"""Tiny encoders of the real classes with random weights, in folders, and texts about fruit and tools."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from scarce.contract import CodecContext, LearnerContext, LoadContext, TrainingPart, take
from scarce.runtime.options import RuntimeOptions
from scarce.runtime.runtime import SharedRuntime
from scarce_text import config
from scarce_text.learner import Text as TextLearner
from scarce_text.modality import Text

FRUIT, TOOLS = ("apple", "pear", "plum", "cherry"), ("hammer", "saw", "drill", "wrench")
REST = ("the", "a", "is", "was", "very", "old", "new", "red", "on", "table", "today", "my", "in", "box", ".", ",")


@pytest.fixture(scope="session")
def encoders(tmp_path_factory):
    """Kind ("bert", "distilbert") -> folder with weights and tokenizer."""
    from transformers import BertConfig, BertModel, BertTokenizerFast, DistilBertConfig, DistilBertModel

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *FRUIT, *TOOLS, *REST]
    out = {}
    with torch.random.fork_rng():
        torch.manual_seed(3)
        bert = BertConfig(
            vocab_size=len(words), hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=32,
            max_position_embeddings=24, initializer_range=0.2,
        )  # fmt: skip
        distil = DistilBertConfig(
            vocab_size=len(words), dim=16, n_layers=3, n_heads=2, hidden_dim=32, max_position_embeddings=24, initializer_range=0.2
        )
        for kind, network in (("bert", BertModel(bert)), ("distilbert", DistilBertModel(distil))):
            folder = tmp_path_factory.mktemp(kind)
            (folder / "vocab.txt").write_text("\n".join(words))
            BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=24).save_pretrained(folder)
            network.save_pretrained(folder)
            out[kind] = str(folder)
    return out


def sentences(n=90, seed=0):
    rng = np.random.default_rng(seed)
    kinds = np.array(["fruit", "tools"], dtype=object)[np.arange(n) % 2]
    nouns = [rng.choice(FRUIT if k == "fruit" else TOOLS) for k in kinds]
    texts = [f"{rng.choice(REST[5:8])} {noun} {noun} {rng.choice(REST[9:12])} {noun} ." for noun in nouns]
    return pd.DataFrame({"text": texts, "number": np.arange(n), "kind": kinds})


def loaded(frame, target="kind", seed=0, group=None, **options):
    return Text(config.Text(**options)).modality_load(LoadContext(source=frame, target=target, seed=seed, group=group))


def split(data):
    """In thirds, whatever the groups."""
    return data.with_(split=np.array(["train", "validation", "test"])[np.arange(len(data)) // 2 % 3])


@pytest.fixture
def runtime():
    return SharedRuntime(seed=0, options=RuntimeOptions(threads=1, precision="fp32"))


def codec_of(data):
    return Text(config.Text()).modality_codec(CodecContext(dataset=data, seed=0))


def built(data, runtime, source, **options):
    options = {"source": source, "hidden": 8, "steps": 40, "batch": 16, "max_tokens": 16, "rate": 0.02} | options
    ctx = LearnerContext(dataset=data, codec=codec_of(data), runtime=runtime, seed=0)
    return TextLearner(config.TextLearner(**options)).learner_build(ctx)


def part(data, **more):
    rows = data.rows("train")
    rows = rows[data.labelled[rows]]
    return TrainingPart(records=take(data.records, rows), target=data.target[rows], ids=data.ids[rows], **more)


@pytest.fixture
def kit():
    """The functions above, for test files."""
    return SimpleNamespace(sentences=sentences, loaded=loaded, split=split, codec_of=codec_of, built=built, part=part)
