"""Options of strategy `lora`; importing this brings no network code."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from scarce.contract.options import Options


class Lora(Options):
    """Strategy `lora`: W + (alpha / rank) B A on linear layers, B zero at the start, the rest of the target frozen.

    rank: a number, or "energy" | "nuclear": the smallest that keeps `share` of the training rows' squared or plain
    singular values, at most `max_rank`. alpha None: equal to the rank. modules: ends of layer names, all linear layers
    without. source: a peft folder, or a folder or file that diffusers' `save_lora_weights` wrote, whose rank, layers and weights
    to begin with.
    """

    rank: Annotated[int, Field(ge=1)] | Literal["energy", "nuclear"] = 16
    share: float = Field(0.95, gt=0, le=1)
    max_rank: int = Field(64, ge=1)
    alpha: float | None = Field(None, gt=0)
    dropout: float = Field(0.0, ge=0, lt=1)
    targets: tuple[str, ...] = Field(("backbone",), min_length=1)
    modules: tuple[str, ...] = ()
    source: str | None = None
