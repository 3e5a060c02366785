"""Folders of tiny pretrained networks with random weights, for learners that stand on one."""

from __future__ import annotations

import json
import string
from pathlib import Path

import torch


def clip_folder(folder: Path) -> Path:
    """A CLIP of two layers whose tokenizer knows single letters."""
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTokenizer

    folder.mkdir()
    tokens = [*string.ascii_lowercase, *(f"{c}</w>" for c in string.ascii_lowercase), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=24).save_pretrained(folder)
    CLIPImageProcessor(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}).save_pretrained(folder)
    tower = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    end, pixels = len(tokens) - 1, {"image_size": 16, "patch_size": 4, "projection_dim": 16}
    text = {**tower, "vocab_size": len(tokens), "max_position_embeddings": 24, "bos_token_id": end - 1, "eos_token_id": end}
    config = CLIPConfig(text_config=text, vision_config={**tower, **pixels}, projection_dim=16)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        CLIPModel(config).save_pretrained(folder)
    return folder


def bert_folder(folder: Path, words: list[str]) -> Path:
    """A DistilBERT of one layer that knows these words."""
    from transformers import BertTokenizerFast, DistilBertConfig, DistilBertModel

    folder.mkdir()
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    (folder / "vocab.txt").write_text("\n".join(tokens))
    BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=24).save_pretrained(folder)
    config = DistilBertConfig(vocab_size=len(tokens), dim=16, n_layers=1, n_heads=2, hidden_dim=32, max_position_embeddings=24)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        DistilBertModel(config).save_pretrained(folder)
    return folder
