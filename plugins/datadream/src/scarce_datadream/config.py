"""Options of the strategies, of the learner and of the evaluators; importing this brings no network code."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pydantic import Field, field_validator, model_validator

from scarce.contract.options import Options

LEAST_CHROMA = 25  # of 255, between the largest and the smallest channel of a colour that others are made from


class Shots(Options):
    """Strategies `all-classes` and `per-class`: how long the shots are trained on.

    epochs: passes over the shots of a branch; batch: shots per step, at most all of them; rate: peak learning rate, which
    rises for `warmup` steps (at most a tenth of them) and falls along a cosine; targets: recipe paths whose own weights
    may train ("backbone", "conditioner.0", or with ":PART" one part of a module), all of them without; adapters always train.
    frozen: names in the paths of layers that stay as they were all the same ("blocks" holds "blocks.0.wide" and all its siblings).
    """

    epochs: int = Field(200, ge=1)
    batch: int = Field(8, ge=1)
    rate: float = Field(1e-4, gt=0)
    warmup: int = Field(100, ge=0)
    weight_decay: float = Field(1e-2, ge=0)
    targets: tuple[str, ...] | None = None
    frozen: tuple[str, ...] = ()


class Varied(Options):
    """Strategy `varied`: what changes, in pictures and in their captions.

    mirror: whether half of the pictures are mirrored; sides: pairs of words that change places with them; colours: the words for colours
    and what each looks like ("#2699e6"), of which a picture of one takes another's place at random; {} leaves colours as they are.
    """

    mirror: bool = True
    sides: tuple[tuple[str, str], ...] = (("left", "right"),)
    colours: Mapping[str, str] = {}

    @field_validator("colours")
    @classmethod
    def _are_colours(cls, colours: Mapping[str, str]) -> Mapping[str, str]:
        for word, code in colours.items():
            found = re.fullmatch("#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})", code.lower())
            parts = [int(part, 16) for part in found.groups()] if found else [0]
            if max(parts) - min(parts) < LEAST_CHROMA:
                raise ValueError(f"{word}: {code} is not a colour like #2699e6, or it is nearly a grey, which can't be turned into others")
        return colours

    @model_validator(mode="after")
    def _lower_once(self) -> Varied:
        words = [*(word for pair in self.sides for word in pair), *self.colours]
        if len(set(words)) < len(words) or any(word != word.lower() for word in words):
            raise ValueError("each word once, and in lower case")
        return self


class PriorPreservation(Options):
    """Strategy `prior-preservation`: weight of the loss on generated pictures, and how many are made for each shot."""

    weight: float = Field(1.0, gt=0)
    each: int = Field(4, ge=1)


class Clip(Options):
    """Learner `clip`: a CLIP with adapters on queries and values, whose class weights are the texts of the classes.

    source: a folder, "path:FOLDER" or "hub:ORG/NAME"; template: the text of a class, which stands at {}; real_weight: of the loss
    on real records (the published lambda), the rest is that of generated ones; batch: records of each origin per step; crop:
    smallest share of the area that a random crop keeps (1: none); flip: whether half of the pictures are mirrored; mix: share of
    batches under CutMix or MixUp; held: real records of each class that do not train, by which one of ten points on the way is chosen
    (0: the last step is kept).
    """

    source: str = "hub:openai/clip-vit-base-patch16"
    template: str = "a photo of a {}"
    steps: int = Field(1500, ge=1)
    batch: int = Field(32, ge=1)
    rate: float = Field(1e-4, gt=0)
    weight_decay: float = Field(1e-4, ge=0)
    warmup: int = Field(100, ge=0)
    rank: int = Field(16, ge=1)
    alpha: float = Field(32.0, gt=0)
    dropout: float = Field(0.1, ge=0, lt=1)
    real_weight: float = Field(0.8, ge=0, le=1)
    crop: float = Field(0.25, gt=0, le=1)
    flip: bool = True
    mix: float = Field(0.2, ge=0, le=1)
    held: int = Field(0, ge=0)

    @field_validator("template")
    @classmethod
    def _tells_classes_apart(cls, template: str) -> str:
        try:
            apart = template.format("a") != template.format("b")
        except (LookupError, ValueError, AttributeError):
            raise ValueError(f"{template!r} can't be filled in: the class stands at {{}}, as in 'a photo of a {{}}'") from None
        if not apart:
            raise ValueError(f"{template!r} has no {{}} for the class, so all classes would have one text")
        return template


class Branches(Options):
    """Evaluator `branches`: when it advises one branch for all classes, and how many pictures of the start it draws.

    shared: share of the shift that classes have in common, at or above which one branch serves them all; few, many: shots per
    class up to which one branch is advised, and from which on branches are; sep: between over within class scatter that makes
    branches worth it; each: pictures per class that the generator makes before adaptation.
    """

    shared: float = Field(0.5, ge=0, le=1)
    few: int = Field(4, ge=1)
    many: int = Field(8, ge=1)
    sep: float = Field(1.0, ge=0)
    each: int = Field(16, ge=2)


class OutOfDistribution(Options):
    """Evaluator `out-of-distribution`: the shift above which it warns, and pictures per class that it draws before adaptation."""

    warn: float = Field(0.2, gt=0, lt=1)
    each: int = Field(16, ge=2)
