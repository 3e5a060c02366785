"""The objects plugins build or receive: codecs, networks, conditioners, learners, adapters and the runtime."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import field, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from scarce.contract.condition import Condition, Embedded, Prompt
from scarce.contract.frozen import Frozen
from scarce.contract.plan import Phase
from scarce.contract.space import Known, Space, State

Array = npt.NDArray[Any]


class Codec(Protocol):
    """Records to tensors and back; fitted on training rows only."""

    @property
    def space(self) -> Space:
        """What an encoded record looks like."""

    def encode(self, records: Any) -> State:
        """[n] records as a batch on the CPU."""

    def soft(self, state: State) -> Tensor:
        """The differentiable half of decoding: [n, ...] features in which categories are expected one-hots."""

    def decode(self, state: State, labels: Sequence[Any] | None, seed: int) -> Any:
        """[n] finished records with the input's columns, order and types; `labels` are the asked class values."""

    def vectors(self, records: Any) -> npt.NDArray[np.float64]:
        """[n, d] vectors whose Euclidean distance is the modality's record distance."""

    def known(self, where: Mapping[str, Any], n: int, seed: int) -> tuple[Known | None, Sequence[Any] | None]:
        """Conditions on fields as values to impose while sampling and, for the target, as labels."""

    def save(self, folder: Path) -> None:
        """Write JSON and safetensors into an existing folder; `modality_codec` reads them back."""


class Backbone(Protocol):
    """A torch module that predicts the process's target from a noisy state.

    It may have `fresh`, the names of its parameters that no checkpoint brought and that must train even where adapters
    stand for the rest, `config_json()`, plain data that come back as `BackboneContext.saved`, and `penalty(predicted, clean)`, [b]
    losses of the clean samples that its prediction means beside the true ones, added to the denoising loss in training.
    """

    def __call__(self, x_t: State, t: Tensor, condition: Condition, mask: Tensor | None = None) -> State:
        """num: [b, *shape, width] prediction, cat: [b, *shape, sum K] logits; t: [b] int64 step."""


class Bundle(Frozen):
    """What one checkpoint brings beside its network: a role that the recipe leaves out comes from here.

    network: see `Backbone`; conditioner: see `Conditioner`, None when the recipe must name one; codec: of what the network
    denoises, built around the modality's own, None for that one; diffusion: keys of a recipe's `[diffusion]` that the
    checkpoint was trained under, which no recipe can change; source, sha256: where its weights are and what they hash to -
    a run keeps those two instead of a copy, and reads the weights from there again.
    """

    network: torch.nn.Module
    conditioner: torch.nn.Module | None = None
    codec: Codec | None = None
    diffusion: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    sha256: str = ""


class Conditioner(Protocol):
    """A torch module that turns prompts into tokens; the core joins several and owns their NULL.

    A checkpoint's own NULL (the empty text of Stable Diffusion) is a buffer `nothing`, [1, ...] inputs of `forward`; with
    one, dropped rows are embedded from it, by the weights of the moment.
    """

    width: int

    def prepare(self, prompts: Sequence[Prompt]) -> Tensor:
        """[n, ...] inputs of `forward` on the CPU, computed once per record and kept."""

    def __call__(self, inputs: Tensor) -> Embedded:
        """Tokens, mask and pooled vector of a batch of prepared inputs."""


class AdapterHandle(Protocol):
    """An adapter attached to a module; removing it leaves the base bit-identical."""

    def parameters(self) -> Sequence[torch.nn.Parameter]:
        """What trains."""

    def enable(self, on: bool) -> None:
        """Switch the adapter on or off without touching the base weights."""

    def state(self) -> Mapping[str, Tensor]:
        """Its weights by name."""

    def config(self) -> Mapping[str, Any]:
        """Plain data that say what it is, kept beside its weights."""

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Put weights of `state()` back."""


class Guidance(Frozen):
    """What a teacher says of [n] records, for a learner that is trained to agree with it (`learner:guided`).

    probabilities: [n, k] in the order of the classes; alpha: weight of the cross-entropy to them, both softened by the
    temperature tau; embedding: [n, e] or None; beta: weight of the squared distance to it; known: [n] bool, rows of which
    the teacher says something.
    """

    probabilities: Array
    alpha: float
    tau: float = 1.0
    embedding: Array | None = None
    beta: float = 0.0
    known: Array | None = None

    def part(self, rows: Any) -> Guidance:
        """What is said of the chosen rows."""
        embedding, known = (None if v is None else v[rows] for v in (self.embedding, self.known))
        return replace(self, probabilities=self.probabilities[rows], embedding=embedding, known=known)


class TrainingPart(Frozen):
    """Records of one origin for a learner: "real", "synthetic" or a baseline's name, with their target.

    ids: [n] of records of the data set, by which views and other things of theirs are found; None for samples. guide: None
    without a teacher.
    """

    records: Any
    target: Array
    origin: str = "real"
    weight: float = 1.0
    ids: Array | None = None
    guide: Guidance | None = None


class Predictions(Frozen):
    """values: [n] class values or floats; probabilities: [n, k] in the order of the classes, or None."""

    values: Array
    probabilities: Array | None = None


class Learner(Protocol):
    """A downstream model; one with `logits` is differentiable (`learner:differentiable`)."""

    def fit(self, parts: Sequence[TrainingPart]) -> None:
        """Train from scratch on all parts; a part of weight 0 changes nothing."""

    def predict(self, records: Any) -> Predictions:
        """Predictions for records without looking at their target."""


class DifferentiableLearner(Learner, Protocol):
    """A learner through which gradients pass."""

    def logits(self, features: Tensor) -> Tensor:
        """[n, k] logits of `Codec.soft` features [n, ...], as in use: no dropout, no batch statistics."""


class FeatureLearner(DifferentiableLearner, Protocol):
    """A learner whose penultimate layer can be read (`learner:features`)."""

    def embed(self, features: Tensor) -> Tensor:
        """[n, d] inputs of the last linear layer, of `Codec.soft` features [n, ...]; differentiable."""


class StochasticLearner(DifferentiableLearner, Protocol):
    """A learner that can make several different passes (`learner:stochastic`)."""

    def passes(self, features: Tensor, count: int, seed: int) -> Tensor:
        """[count, n, k] logits with dropout on; equal seeds, equal masks, so gradients can be compared."""


class TokenLearner(Learner, Protocol):
    """A learner on top of a frozen pretrained encoder, whose tokens can be read before it is fitted (`learner:tokens`)."""

    def tokens(self, records: Any) -> Embedded:
        """Tokens [n, l, d], mask [n, l] and pooled [n, d] of records, on the CPU and without gradients."""


@runtime_checkable
class ComparedLearner(Learner, Protocol):
    """A learner that brings arms to compare it with, fitted on the same records by the same call of `fit`."""

    def arms(self) -> Mapping[str, Learner]:
        """Name -> fitted learner; each is one more source of predictions."""

    def facts(self) -> Mapping[str, Any]:
        """Plain data that it says of its own fit, for evaluators (`EvaluatorContext.facts`)."""


class Draw(Frozen):
    """What one loss call may use: which rows, and random numbers that are its own.

    rows: [b] positions in the training tensors; generator: seeded by (seed, phase, draw, step), so terms that
    share a draw see the same rows, t and noise; step: optimizer step from 0. start, of: where a batch is worked on in parts
    (micro-batches, processes), the rows are those from `start` of a batch of `of`; of = 0: they are the whole batch.
    """

    rows: Tensor
    generator: torch.Generator
    step: int
    start: int = 0
    of: int = 0


class Pool(Protocol):
    """Candidate positions of rows: a tensor [n], or what gives those at some places without listing all."""

    def __len__(self) -> int: ...
    def __getitem__(self, places: Any, /) -> Tensor: ...


Loss = Callable[[Draw], Tensor]
Update = Callable[..., Any]


class Fitting(Frozen):
    """One call of the training loop: the phase, what trains, and the loss of each term by its name.

    losses: term name -> [b] per-row losses or a scalar; pools: rows selection name -> [n] candidate positions;
    update: combines per-term gradients when the phase asks for it; state: its tensors, kept in checkpoints;
    validate: a number to watch (lower is better) for early stopping.
    """

    phase: Phase
    model: torch.nn.Module
    losses: Mapping[str, Loss]
    pools: Mapping[str, Pool]
    parameters: Mapping[str, torch.nn.Parameter] | None = None
    update: Update | None = None
    state: Mapping[str, Tensor] = field(default_factory=dict)
    checkpoints: Path | None = None
    label: str = ""
    validate: Callable[[], float] | None = None
    validate_every: int = 0
    patience: int = 0


class Fitted(Frozen):
    """What training leaves: last loss of each term, steps done, seconds, and events (rollbacks, halvings)."""

    losses: Mapping[str, float]
    steps: int
    seconds: float
    cpu_seconds: float
    events: tuple[Mapping[str, Any], ...] = ()
    state: Mapping[str, Tensor] = field(default_factory=dict)


class Runtime(Protocol):
    """The shared runtime a plugin receives; plugins never name a device or a global seed."""

    @property
    def device(self) -> torch.device:
        """Where tensors of this run live."""

    @property
    def seed(self) -> int:
        """The run's seed."""

    def generator(self, purpose: str, index: int = 0) -> torch.Generator:
        """A CPU generator derived from (seed, purpose, index)."""

    def derive(self, purpose: str, index: int = 0) -> int:
        """A 63-bit seed derived from (seed, purpose, index)."""

    def seeded(self, purpose: str, index: int = 0) -> AbstractContextManager[None]:
        """Global random states (torch, numpy, random) forked and seeded inside, restored after."""

    def say(self, text: str) -> None:
        """Tell a person one line."""

    def autocast(self) -> AbstractContextManager[Any]:
        """Mixed precision as the run asks."""

    def resident(self, *modules: torch.nn.Module) -> AbstractContextManager[None]:
        """Modules on the run's device inside, under the memory budget."""

    def fit(self, fitting: Fitting) -> Fitted:
        """The one training loop."""
