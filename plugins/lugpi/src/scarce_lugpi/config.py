"""Options of the learner `lugpi` and of its evaluator; importing this brings no network code."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from scarce.contract.options import Named, Options, Part

Control = Literal["baseline", "self", "shuffled", "noise", "class-shuffled"]


class Fusion(Options):
    """What a teacher is: a small transformer over the tokens of a record and of its view, and how it trains.

    sees: "both", or the "view" alone; tokens: most of each side, longer ones are averaged in stretches; layers: 0 is a linear
    model on the mean of all tokens; view_weight: the gate on the tokens of the view in 0-1, None lets it be learnt;
    modality_dropout: share of the records of a batch that lose one side, half of them the view; patience: so many looks at the
    validation records, 20 steps apart, without a better one end the training.
    """

    sees: Literal["both", "view"] = "both"
    tokens: int = Field(8, ge=1)
    width: int = Field(64, ge=4)
    layers: int = Field(2, ge=0)
    heads: int = Field(4, ge=1)
    dropout: float = Field(0.1, ge=0, lt=1)
    modality_dropout: float = Field(0.2, ge=0, lt=1)
    view_weight: float | None = Field(None, ge=0, le=1)
    steps: int = Field(200, ge=1)
    batch: int = Field(32, ge=1)
    rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(1e-2, ge=0)
    patience: int = Field(3, ge=0)

    @model_validator(mode="after")
    def _divided(self) -> Fusion:
        if self.layers and self.width % self.heads:
            raise ValueError(f"width {self.width} is no multiple of heads {self.heads}")
        return self


class Lugpi(Options):
    """Learner `lugpi`: a student that learns from its labels and from a teacher that also sees a view of each record.

    student: the learner that is fitted and used, without any view; view: a learner with `tokens` of the views' modality, None
    reads them by their own codec; source: "generated" views of the run's generator, or the part-of-speech "tags" of its texts
    (column `text`). alpha, beta: weights of the teacher's probabilities, softened by tau, and of its embedding; alpha
    "validation" takes the best of `grid` on validation records. folds: teachers say what they say of records they were not
    trained on; 0 asks a teacher of all of them. gate: where a teacher is no better than the baseline on validation records,
    its student is the baseline. corrupt: share of records that get the view of another. controls: what the student is compared
    with. teacher: see `Fusion`.
    """

    student: Annotated[Named, Part("learner", ("learner:guided",))] = Named(name="text")
    view: Annotated[Named, Part("learner", ("learner:tokens",))] | None = None
    source: Literal["generated", "tags"] = "generated"
    text: str = "text"
    alpha: float | Literal["validation"] = "validation"
    grid: tuple[float, ...] = (0.0, 0.1, 0.5, 1.0, 4.0)
    beta: float = Field(0.0, ge=0)
    tau: float = Field(1.0, gt=0)
    folds: int = Field(4, ge=0)
    gate: bool = True
    corrupt: float = Field(0.0, ge=0, le=1)
    controls: tuple[Control, ...] = ("baseline", "self", "shuffled", "noise", "class-shuffled")
    teacher: Fusion = Fusion()

    @field_validator("alpha")
    @classmethod
    def _weight(cls, alpha: float | str) -> float | str:
        if not isinstance(alpha, str) and alpha < 0:
            raise ValueError("must be 0 or more, or 'validation'")
        return alpha

    @field_validator("grid")
    @classmethod
    def _weights(cls, grid: tuple[float, ...]) -> tuple[float, ...]:
        if not grid or min(grid) < 0:
            raise ValueError("needs weights of 0 or more")
        return tuple(sorted(set(grid)))

    @field_validator("folds")
    @classmethod
    def _several(cls, folds: int) -> int:
        if folds == 1:
            raise ValueError("must be 0 or at least 2")
        return folds


class Privileged(Options):
    """Evaluator `privileged`: how many records are shown with their views."""

    shown: int = Field(8, ge=0)
