"""The shape of a recipe: one section per table, frozen, unknown keys are errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from scarce.contract.options import Named, Options
from scarce.contract.plan import Budget
from scarce.diffusion.options import DiffusionOptions, SamplerOptions
from scarce.runtime.options import RuntimeOptions

NAME = r"^[\w+-][\w.+-]*$"  # of a folder too, so not ".." nor hidden


class Arm(BaseModel):
    """One arm of a comparison: a name, and overrides by recipe path as in `--set`."""

    model_config = ConfigDict(frozen=True, extra="allow")
    name: str = Field(pattern=NAME)

    @property
    def overrides(self) -> dict[str, Any]:
        """Recipe path -> value."""
        return dict(self.model_extra or {})


class Factor(Options):
    """One factor of a sweep: named levels, the first of which is the default.

    when: earlier factor -> its levels at which this one applies; elsewhere it has no level at all.
    """

    name: str = Field(pattern=NAME)
    level: tuple[Arm, ...] = Field(min_length=1)
    when: dict[str, tuple[str, ...]] = Field(default_factory=dict)


class Sweep(Options):
    """Which points `scarce sweep` runs: a grid, or one factor at a time; `cross` are varied with everything all the same."""

    one_at_a_time: bool = False
    cross: tuple[str, ...] = ()
    factor: tuple[Factor, ...] = ()

    def settle(self, levels: Mapping[str, str]) -> dict[str, str]:
        """Factor -> level without the factors whose `when` does not hold; a factor not named is at its default."""
        out: dict[str, str] = {}
        for factor in self.factor:
            if all(out.get(name) in allowed for name, allowed in factor.when.items()):
                out[factor.name] = levels.get(factor.name, factor.level[0].name)
        return out

    def overrides(self, levels: Mapping[str, str]) -> dict[str, Any]:
        """What these levels set, by recipe path; later factors win."""
        chosen = [level for f in self.factor for level in f.level if level.name == levels.get(f.name)]
        return {key: value for level in chosen for key, value in level.overrides.items()}


class Data(Options):
    """What the data are. labelled: a share, a count, or "N per class"; `options` are the modality's own.

    shares: of the records (by group) in train, validation and test, where the data bring no splits of their own. synthetic:
    finished runs ("run:PATH") whose samples are one more source of training data, "reused"; where the recipe has no generator,
    they are its synthetic ones.
    """

    modality: str
    source: str | None = None
    target: str | None = None
    labelled: float | int | str = 1.0
    shares: tuple[float, float, float] = (0.65, 0.10, 0.25)
    group: str | None = None
    missing: str = "keep"
    schema_file: str | None = None
    synthetic: tuple[str, ...] = ()
    options: dict[str, Any] = Field(default_factory=dict)

    @field_validator("shares")
    @classmethod
    def _whole(cls, shares: tuple[float, float, float]) -> tuple[float, float, float]:
        if min(shares) <= 0 or abs(sum(shares) - 1) > 1e-6:
            raise ValueError("train, validation and test must be above 0 and sum to 1")
        return shares


class Train(Options):
    """Budget of the default plan's one phase; strategies may change it phase by phase.

    epochs: at most so many passes over the training rows, whatever `steps` says: few rows are learnt by heart soon.
    """

    steps: int = Field(default=Budget.steps, ge=1)
    epochs: float | None = Field(default=None, gt=0)
    batch: int = Field(default=Budget.batch, ge=1)
    rate: float = Field(default=Budget.rate, gt=0)
    decay: Literal["cosine", "linear", "constant"] = "cosine"
    warmup: int = Field(default=Budget.warmup, ge=0)
    weight_decay: float = Field(default=Budget.weight_decay, ge=0)
    ema: float = Field(default=Budget.ema, ge=0, lt=1)
    clip: float = Field(default=Budget.clip, ge=0)
    null: float = Field(default=0.0, ge=0, le=1)


class Generate(SamplerOptions):
    """How many samples, of what, and how they are drawn. count None: `ratio` for each training row.

    rounds: of generate, learn, evaluate, each with a fresh learner; pool: what a round's learner is trained on beside the
    first labelled records: "generated" samples, records "classic"ally queried from the unlabelled ones, or "both".
    init: "shots" begins at labelled training records of the asked class, noised for the last `strength` of the steps
    (SDEdit, arXiv 2108.01073), instead of at noise alone.
    """

    count: int | None = Field(default=None, ge=1)
    ratio: float = Field(default=1.0, gt=0)
    per_class: int | None = Field(default=None, ge=1)
    prompt: str = "{}"
    init: Literal["noise", "shots"] = "noise"
    strength: float = Field(default=0.7, gt=0, le=1)
    shard: int = Field(default=4096, ge=1)
    rounds: int = Field(default=1, ge=1)
    pool: Literal["generated", "classic", "both"] = "generated"


class Acquisition(Options):
    """How what is generated or labelled is chosen by what a learner finds informative, round by round.

    mode: "ascend" moves the class embeddings uphill, "select" generates `factor` times as many and keeps the best, "query"
    only ranks unlabelled training records. also: other scores that are computed and kept, without acting. epsilon: radius
    over the embedding's norm, reached in the last round (`schedule = "linear"`) or always ("constant"); auto_epsilon: search
    `grid` for the largest with a gain whose samples keep `tau` of their label accuracy, by `oracle` (a learner; None: the
    recipe's). steps, step (over the radius), images (per embedding), grad_steps (network calls differentiated), fresh (new
    noise each step), direction ("random" is the ablation). warmup: no ascent before validation accuracy is chance plus
    this. embeddings per class, kept apart by `repulsion`. options: the score's own.
    """

    name: str
    mode: Literal["ascend", "select", "query"] = "ascend"
    also: tuple[str, ...] = ()
    epsilon: float = Field(default=0.02, ge=0)
    schedule: Literal["linear", "constant"] = "linear"
    auto_epsilon: bool = False
    grid: tuple[float, ...] = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
    tau: float = Field(default=0.95, gt=0, le=1)
    oracle: Named | None = None
    steps: int = Field(default=10, ge=1)
    step: float = Field(default=0.2, gt=0)
    images: int = Field(default=6, ge=1)
    grad_steps: int = Field(default=1, ge=1)
    fresh: bool = False
    direction: Literal["gradient", "random"] = "gradient"
    warmup: float = Field(default=0.1, ge=0)
    embeddings: int = Field(default=1, ge=1)
    repulsion: float = Field(default=0.0, ge=0)
    factor: float = Field(default=4.0, gt=1)
    options: dict[str, Any] = Field(default_factory=dict)


class GeneratorSection(Options):
    """`from`: a trained generator instead of a backbone of the recipe's own; with strategies it is adapted further.

    given: what a checkpoint under `from` becomes when it is opened; without strategies it is then used as it is.
    """

    source: str | None = Field(default=None, alias="from")
    given: bool = False
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Recipe(Options):
    """A whole recipe; see docs/recipes.md."""

    summary: str = ""
    seed: int = 0
    seeds: int = Field(default=1, ge=1, le=1000)
    needs: tuple[str, ...] = ()
    arm: tuple[Arm, ...] = ()
    data: Data
    backbone: Named | None = None
    conditioner: tuple[Named, ...] = ()
    strategy: tuple[Named, ...] = ()
    diffusion: DiffusionOptions = DiffusionOptions()
    train: Train = Train()
    generator: GeneratorSection = GeneratorSection()
    generate: Generate = Generate()
    acquisition: Acquisition | None = None
    learner: Named | None = None
    evaluator: tuple[Named, ...] = ()
    lifecycle: tuple[Named, ...] = ()
    runtime: RuntimeOptions = RuntimeOptions()
    sweep: Sweep = Sweep()

    @property
    def generates(self) -> bool:
        """Whether there is a generator; without one a run only learns from its data and the samples of others."""
        return self.backbone is not None or self.generator.source is not None
