"""One frozen context per hook; a new fact becomes a new field with a default."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scarce.contract.condition import Caption, Condition, Prompt
from scarce.contract.dataset import Dataset
from scarce.contract.frozen import Frozen
from scarce.contract.generator import Generator
from scarce.contract.plan import Adapter, Phase, Plan
from scarce.contract.protocols import Array, Codec, Predictions, Runtime
from scarce.contract.space import Space, State


class DataContext(Frozen):
    """What contexts of hooks that look at a whole data set share."""

    dataset: Dataset
    codec: Codec
    seed: int


class LoadContext(Frozen):
    """modality_load. source: a path, "builtin:NAME" (its path-like value in `builtin`), or records in memory.

    hold: the most records to load, a uniform sample under the seed; the others become `Dataset.rest`. None, or more than there are:
    all. Only asked of a modality that provides `data:stream`.
    """

    source: Any
    target: str | None
    seed: int
    builtin: Callable[[], Any] | None = None
    group: str | None = None
    missing: str = "keep"
    schema: Path | None = None
    hold: int | None = None


class CodecContext(Frozen):
    """modality_codec. Fit on `dataset.rows("train")`, or read back what `Codec.save` wrote to `saved`."""

    dataset: Dataset | None
    seed: int
    saved: Path | None = None
    label_is_condition: bool = True


class CaptionContext(Frozen):
    """modality_caption. One caption per record in the named style.

    codec: the one fitted on the training rows, so that words for amounts ("high") mean the same for every record.
    """

    records: Any
    style: str
    seed: int
    ids: Sequence[str] = ()
    codec: Codec | None = None


class WriteContext(Frozen):
    """modality_write. Write records to `path` (suffix chooses the format), atomically."""

    records: Any
    path: Path
    schema: Mapping[str, Any] = field(default_factory=dict)


class DrawContext(DataContext):
    """modality_draw. Pictures that set real records beside synthetic ones."""

    real: Any
    synthetic: Any


class BaselineContext(DataContext):
    """modality_baselines. Non-diffusion data of n records from the training rows, by name."""

    n: int


class BackboneContext(Frozen):
    """backbone_build. The space to denoise, the width of condition tokens, and the classes if any.

    condition_width is 1 where the recipe names no conditioner. codec: the modality's own, for a `Bundle` to build on.
    saved: what the module's `config_json()` said when the run was trained, if it has one; weights follow from the run.
    """

    space: Space
    condition_width: int
    steps: int
    classes: tuple[Any, ...]
    runtime: Runtime
    saved: Mapping[str, Any] | None = None
    parts: Mapping[str, Any] = field(default_factory=dict)
    codec: Codec | None = None


class ConditionerContext(Frozen):
    """conditioner_build. The classes and the training prompts (for a vocabulary, say)."""

    classes: tuple[Any, ...]
    prompts: Sequence[Prompt]
    runtime: Runtime
    saved: Mapping[str, Any] | None = None
    parts: Mapping[str, Any] = field(default_factory=dict)


class PlanContext(Frozen):
    """strategy_amend_plan. The plan so far, this strategy's recipe path, and facts of data and model.

    data: the encoded training rows; labelled: [n] bool, which of them are; space: what they look like; modules: recipe
    path -> what can be adapted; say: tell a person one line.
    """

    plan: Plan
    path: str
    n_rows: int
    n_labelled: int
    classes: tuple[Any, ...]
    targets: tuple[str, ...]
    per_class: Mapping[Any, int] = field(default_factory=dict)
    data: State | None = None
    labelled: Tensor | None = None
    space: Space | None = None
    modules: Mapping[str, torch.nn.Module] = field(default_factory=dict)
    say: Callable[[str], None] = print


class AdaptContext(Frozen):
    """strategy_adapt. Attach `adapter` to `module`; every draw from `generator`."""

    module: torch.nn.Module
    adapter: Adapter
    generator: torch.Generator
    runtime: Runtime


class TermContext(Frozen):
    """strategy_term. A batch for the loss called `name`.

    denoise(condition) gives per-row losses [b] of x0; denoise(condition, other) those of other clean samples. rows: [b]
    positions of the batch in the data set. start, of: the batch may be a part, rows `start` on of `of` (0: it is whole). The
    generator is the same for every part, so numbers that belong to rows are drawn for `of` rows and cut: `ctx.cut(torch.rand, 3)`.
    prompts() -> what the rows ask for, [b] (none where rows are not held); encode(prompts) -> [b] the condition of other prompts in
    their place, NULL in the rows where `condition` is.
    """

    name: str
    x0: State
    condition: Condition
    null: Condition
    denoise: Callable[..., Tensor]
    parameters: Mapping[str, torch.nn.Parameter]
    measures: Mapping[str, Tensor]
    generator: torch.Generator
    step: int
    phase: Phase
    rows: Tensor
    start: int = 0
    of: int = 0
    prompts: Callable[[], Sequence[Prompt]] = tuple
    encode: Callable[[Sequence[Prompt]], Condition] | None = None

    def cut(self, draw: Callable[..., Tensor], *shape: int) -> Tensor:
        """[b, *shape] random numbers of `torch.rand` or `torch.randn`: this part's rows of those of the whole batch."""
        rows = len(self.rows)
        return draw(self.of or rows, *shape, generator=self.generator)[self.start : self.start + rows]


class UpdateContext(Frozen):
    """strategy_update. losses, weights, gradients: by name of the term; names: of the parameters, in the order of each term's gradients;
    state: what the last step left.
    """

    losses: Mapping[str, float]
    weights: Mapping[str, float]
    gradients: Mapping[str, tuple[Tensor | None, ...]]
    names: tuple[str, ...]
    state: Mapping[str, Tensor]
    measures: Mapping[str, Tensor]
    step: int


class UpdateResult(Frozen):
    """gradients: one per parameter name; state: kept in checkpoints; log: numbers for metrics.jsonl."""

    gradients: tuple[Tensor | None, ...]
    state: Mapping[str, Tensor] = field(default_factory=dict)
    log: Mapping[str, float] = field(default_factory=dict)


class MeasureContext(Frozen):
    """strategy_measure. Measured once on start weights.

    loss(rows, condition kind, draws) -> mean loss under fixed draws of t and noise; gradients(rows, condition kind, draw)
    -> gradient of the rows' mean loss by parameter name (None where a parameter has no part in it); sample(rows, draw) ->
    encoded samples of the rows' own conditions, as the recipe generates; train, labelled, validation: positions in the data set.
    """

    name: str
    model: torch.nn.Module
    parameters: Mapping[str, torch.nn.Parameter]
    loss: Callable[[Tensor, str | float, int], Tensor]
    gradients: Callable[[Tensor, str | float, int], Mapping[str, Tensor | None]]
    train: Tensor
    validation: Tensor
    runtime: Runtime
    phase: Phase
    labelled: Tensor
    sample: Callable[[Tensor, int], State]


class ScoreContext(Frozen):
    """acquisition_score. logits [n, k]; passes [m, n, k] stochastic; features [n, d]; labelled [l, d]; y [n]."""

    logits: Tensor
    passes: Tensor | None = None
    features: Tensor | None = None
    labelled: Tensor | None = None
    y: Tensor | None = None
    generator: torch.Generator | None = None


class LearnerContext(DataContext):
    """learner_build. What the learner is to predict, and the codec for learners on encoded records."""

    runtime: Runtime
    generator: Generator | None = None
    parts: Mapping[str, Any] = field(default_factory=dict)


class EvaluatorContext(DataContext):
    """evaluator_measure, evaluator_draw.

    samples: source -> records, where "synthetic" and each baseline are sources; targets: source -> [n] target;
    predictions: source -> what the learner fitted on that source says of the test records ("real", "both" and
    "synthetic" among them); expected: how many synthetic records were asked for (missing ones count as failures);
    learner: its name in the recipe, empty for none; describe: captions of any records in the style of the prompts, None
    where prompts are no captions; log: what training logged, a mapping for each logged step (phase, step, loss of each
    term, …), also after interruptions once; rounds: what each round of active learning said of itself (round, budget,
    accuracy, gate, epsilon, gain, label_accuracy, …);
    parent: a given generator as it was before this run adapted it, None where all was trained here; facts: source -> what
    the learner fitted on it says of its fit, where it says something (`ComparedLearner`); prompts: positions of
    records -> what the recipe asks for them.
    """

    samples: Mapping[str, Any]
    targets: Mapping[str, Array | None]
    predictions: Mapping[str, Predictions]
    runtime: Runtime
    expected: int = 0
    learner: str = ""
    generator: Generator | None = None
    describe: Callable[[Any], list[Caption]] | None = None
    log: Sequence[Mapping[str, Any]] = ()
    rounds: Sequence[Mapping[str, Any]] = ()
    parent: Generator | None = None
    facts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    prompts: Callable[[Array], list[Prompt]] | None = None
    parts: Mapping[str, Any] = field(default_factory=dict)


class Event(Frozen):
    """A lifecycle hook's context: where the run is, and what just happened."""

    folder: Path
    step: int = 0
    facts: Mapping[str, Any] = field(default_factory=dict)


class BranchAdapter(Frozen):
    """One adapter of a branch: its target's recipe path, and `AdapterHandle.state` and `config` as they were kept."""

    name: str
    target: str
    state: Mapping[str, Tensor]
    config: Mapping[str, Any]


class Branch(Frozen):
    """What answers one class ("*": everything): the phase that made it, and what sets it apart from the start weights.

    adapters: in the order they were attached, those of the runs it went on from first; moved: names of base weights that
    training changed, whose values are `generator.weights(phase)`.
    """

    phase: str
    serves: Any
    adapters: tuple[BranchAdapter, ...]
    moved: frozenset[str]


class ExportContext(Frozen):
    """What a format of the group `scarce.exporters` is called with: it fills the empty folder `out` and returns it.

    modules: recipe path -> network, with adapters off; source: the checkpoint that weights were read from, if any; lineage: the
    run folders that made the generator, the first of them from scratch; half: weights in 16 bits; pack: writes the format
    `generator` into `out`, for a format that is one with something beside it.
    """

    generator: Generator
    branches: tuple[Branch, ...]
    modules: Mapping[str, torch.nn.Module]
    source: str
    lineage: tuple[Path, ...]
    out: Path
    half: bool = False
    pack: Callable[[], object] | None = None
