"""The hook specs of the seven roles and of the lifecycle.

Each spec is a Protocol that carries pluggy's mark, so a plugin that inherits it is checked by `mypy --strict` and
called by the host. Each hook takes one context and returns one typed result. The host calls roles by recipe path,
never by broadcast; only lifecycle hooks are broadcast.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pluggy
import torch
from torch import Tensor

from scarce.contract import contexts as c
from scarce.contract.condition import Caption
from scarce.contract.dataset import Dataset
from scarce.contract.plan import Plan
from scarce.contract.protocols import AdapterHandle, Bundle, Codec, Learner
from scarce.contract.results import Figure, Metric

hookimpl = pluggy.HookimplMarker("scarce")
S = TypeVar("S")


def _hookspecs(spec: type[S]) -> type[S]:
    """Mark every hook of a spec for pluggy."""
    for name, hook in vars(spec).items():
        if not name.startswith("_"):
            pluggy.HookspecMarker("scarce")(hook)
    return spec


@_hookspecs
class ModalitySpec(Protocol):
    """What a record is: loading, tensors and back, captions, files, pictures, baselines."""

    def modality_load(self, ctx: c.LoadContext) -> Dataset:
        """Read records; raises DataError with what, where and what to do."""

    def modality_codec(self, ctx: c.CodecContext) -> Codec:
        """Fit a codec on training rows, or read a saved one."""

    def modality_caption(self, ctx: c.CaptionContext) -> list[Caption]:
        """One caption per record."""

    def modality_write(self, ctx: c.WriteContext) -> Path:
        """Write records in the modality's natural format."""

    def modality_draw(self, ctx: c.DrawContext) -> list[Figure]:
        """Pictures of real beside synthetic."""

    def modality_baselines(self, ctx: c.BaselineContext) -> Mapping[str, Any]:
        """Records of the non-diffusion baselines by name; "bootstrap" must be among them."""


@_hookspecs
class BackboneSpec(Protocol):
    """Which network denoises."""

    def backbone_build(self, ctx: c.BackboneContext) -> torch.nn.Module | Bundle:
        """A module with the call of `protocols.Backbone`, or all that a checkpoint brings; built under a named seed."""


@_hookspecs
class ConditionerSpec(Protocol):
    """How prompts or labels become tokens."""

    def conditioner_build(self, ctx: c.ConditionerContext) -> torch.nn.Module:
        """A module with the methods of `protocols.Conditioner`."""


@_hookspecs
class StrategySpec(Protocol):
    """How weights are adapted: each strategy amends its predecessor's plan."""

    def strategy_amend_plan(self, ctx: c.PlanContext) -> Plan:
        """The amended plan."""

    def strategy_adapt(self, ctx: c.AdaptContext) -> AdapterHandle:
        """Attach one of this strategy's adapters."""

    def strategy_term(self, ctx: c.TermContext) -> Tensor:
        """The loss of one of this strategy's terms, [b] or a scalar."""

    def strategy_update(self, ctx: c.UpdateContext) -> c.UpdateResult:
        """A pure function of per-term gradients, after accumulation and before clipping and the optimizer."""

    def strategy_measure(self, ctx: c.MeasureContext) -> Mapping[str, Tensor]:
        """Tensors measured once on the start weights."""


@_hookspecs
class AcquisitionSpec(Protocol):
    """How informative a sample is."""

    def acquisition_score(self, ctx: c.ScoreContext) -> Tensor:
        """[n] scores, larger is more informative."""


@_hookspecs
class LearnerSpec(Protocol):
    """Which downstream model is trained."""

    def learner_build(self, ctx: c.LearnerContext) -> Learner:
        """A fresh, unfitted learner."""


@_hookspecs
class EvaluatorSpec(Protocol):
    """Which numbers and figures judge the data."""

    def evaluator_measure(self, ctx: c.EvaluatorContext) -> list[Metric]:
        """Metrics of every source; invalid or missing samples count as failures."""

    def evaluator_draw(self, ctx: c.EvaluatorContext) -> list[Figure]:
        """Figures of the report."""


@_hookspecs
class LifecycleSpec(Protocol):
    """Observers of a run: they see, and change nothing."""

    def run_started(self, ctx: c.Event) -> None:
        """After the plan, before training."""

    def step_finished(self, ctx: c.Event) -> None:
        """After a logged optimizer step; facts hold phase and losses."""

    def checkpoint_saved(self, ctx: c.Event) -> None:
        """After a checkpoint is safely on disk."""

    def samples_ready(self, ctx: c.Event) -> None:
        """After synthetic samples were written."""

    def round_finished(self, ctx: c.Event) -> None:
        """After one round of generate, learn, evaluate."""

    def run_finished(self, ctx: c.Event) -> None:
        """When every number of the run is written."""

    def run_failed(self, ctx: c.Event) -> None:
        """When an error ends the run; facts hold the message."""
