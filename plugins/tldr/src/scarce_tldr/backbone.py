"""Backbone `bert`: builds a `ColumnBert` from a pretrained model, or from what a run kept of one."""

from __future__ import annotations

import torch
from torch import nn
from transformers import BertConfig

from scarce.contract import BackboneContext, BackboneSpec, hookimpl
from scarce_tldr.config import Bert as BertOptions
from scarce_tldr.network import ColumnBert, blank_layers, column_names
from scarce_tldr.quantise import quantise
from scarce_tldr.source import load_bert, name_vectors


class Bert(BackboneSpec):
    """A pretrained language model as the denoiser of rows."""

    def __init__(self, options: BertOptions) -> None:
        self.options = options

    @hookimpl
    def backbone_build(self, ctx: BackboneContext) -> nn.Module:
        """The network with pretrained or random layers; the word table stays behind once names are embedded.

        A saved run brings its own weights, so nothing is loaded for it.
        """
        asked = self.options
        if ctx.saved is not None:
            config = BertConfig(**ctx.saved["bert"])
            layers, norm = blank_layers(config)
            names = torch.zeros(len(column_names(ctx.space)), config.hidden_size)
        else:
            bert = load_bert(asked.source, layers=asked.layers, pretrained=asked.pretrained, dropout=asked.dropout)
            config, layers, norm = bert.config, bert.encoder.layer, bert.embeddings.LayerNorm
            columns = column_names(ctx.space)
            words = bert.embeddings.word_embeddings
            names = name_vectors(asked.source, words, columns) if asked.names else torch.zeros(len(columns), config.hidden_size)
        if asked.quantise != "none":
            quantise(layers, asked.quantise, empty=ctx.saved is not None)
        network = ColumnBert(
            space=ctx.space, condition_width=ctx.condition_width, layers=layers, norm=norm, config=config, norms=asked.norms,
            frequencies=asked.frequencies, saved={"bert": config.to_diff_dict()},
        )  # fmt: skip
        network.names[1:] = names
        return network.float()
