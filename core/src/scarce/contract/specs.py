"""The hook specs of the seven roles and of the lifecycle.

Each spec is a Protocol that carries pluggy's mark, so a plugin that inherits it is checked by `mypy --strict` and
called by the host. Each hook takes one context and returns one typed result. The host calls roles by recipe path,
never by broadcast; only lifecycle hooks are broadcast.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import pluggy
import torch
from torch import Tensor

from scarce.contract import contexts as c
from scarce.contract.condition import Caption
from scarce.contract.dataset import Dataset
from scarce.contract.plan import Plan
from scarce.contract.protocols import AdapterHandle, Bundle, Codec, Learner
from scarce.contract.results import Figure, Metric

hookspec = pluggy.HookspecMarker("scarce")
hookimpl = pluggy.HookimplMarker("scarce")


class ModalitySpec(Protocol):
    """What a record is: loading, tensors and back, captions, files, pictures, baselines."""

    @hookspec
    def modality_load(self, ctx: c.LoadContext) -> Dataset:
        """Read records; raises DataError with what, where and what to do."""
        ...

    @hookspec
    def modality_codec(self, ctx: c.CodecContext) -> Codec:
        """Fit a codec on training rows, or read a saved one."""
        ...

    @hookspec
    def modality_caption(self, ctx: c.CaptionContext) -> list[Caption]:
        """One caption per record."""
        ...

    @hookspec
    def modality_write(self, ctx: c.WriteContext) -> Path:
        """Write records in the modality's natural format."""
        ...

    @hookspec
    def modality_draw(self, ctx: c.DrawContext) -> list[Figure]:
        """Pictures of real beside synthetic."""
        ...

    @hookspec
    def modality_baselines(self, ctx: c.BaselineContext) -> Mapping[str, Any]:
        """Records of the non-diffusion baselines by name; "bootstrap" must be among them."""
        ...


class BackboneSpec(Protocol):
    """Which network denoises."""

    @hookspec
    def backbone_build(self, ctx: c.BackboneContext) -> torch.nn.Module | Bundle:
        """A module with the call of `protocols.Backbone`, or a Bundle; built under a named seed."""
        ...


class ConditionerSpec(Protocol):
    """How prompts or labels become tokens."""

    @hookspec
    def conditioner_build(self, ctx: c.ConditionerContext) -> torch.nn.Module:
        """A module with the methods of `protocols.Conditioner`."""
        ...


class StrategySpec(Protocol):
    """How weights are adapted: each strategy amends its predecessor's plan."""

    @hookspec
    def strategy_amend_plan(self, ctx: c.PlanContext) -> Plan:
        """The amended plan."""
        ...

    @hookspec
    def strategy_adapt(self, ctx: c.AdaptContext) -> AdapterHandle:
        """Attach one of this strategy's adapters."""
        ...

    @hookspec
    def strategy_term(self, ctx: c.TermContext) -> Tensor:
        """The loss of one of this strategy's terms, [b] or a scalar."""
        ...

    @hookspec
    def strategy_update(self, ctx: c.UpdateContext) -> c.UpdateResult:
        """A pure function of per-term gradients, after accumulation and before clipping and the optimizer."""
        ...

    @hookspec
    def strategy_measure(self, ctx: c.MeasureContext) -> Mapping[str, Tensor]:
        """Tensors measured once on the start weights."""
        ...


class AcquisitionSpec(Protocol):
    """How informative a sample is."""

    @hookspec
    def acquisition_score(self, ctx: c.ScoreContext) -> Tensor:
        """[n] scores, larger is more informative."""
        ...


class LearnerSpec(Protocol):
    """Which downstream model is trained."""

    @hookspec
    def learner_build(self, ctx: c.LearnerContext) -> Learner:
        """A fresh, unfitted learner."""
        ...


class EvaluatorSpec(Protocol):
    """Which numbers and figures judge the data."""

    @hookspec
    def evaluator_measure(self, ctx: c.EvaluatorContext) -> list[Metric]:
        """Metrics of every source; invalid or missing samples count as failures."""
        ...

    @hookspec
    def evaluator_draw(self, ctx: c.EvaluatorContext) -> list[Figure]:
        """Figures of the report."""
        ...


class LifecycleSpec(Protocol):
    """Observers of a run: they see, and change nothing."""

    @hookspec
    def run_started(self, ctx: c.Event) -> None:
        """After the plan, before training."""
        ...

    @hookspec
    def step_finished(self, ctx: c.Event) -> None:
        """After a logged optimizer step; facts hold phase and losses."""
        ...

    @hookspec
    def checkpoint_saved(self, ctx: c.Event) -> None:
        """After a checkpoint is safely on disk."""
        ...

    @hookspec
    def samples_ready(self, ctx: c.Event) -> None:
        """After synthetic samples were written."""
        ...

    @hookspec
    def round_finished(self, ctx: c.Event) -> None:
        """After one round of generate, learn, evaluate."""
        ...

    @hookspec
    def run_finished(self, ctx: c.Event) -> None:
        """After the report."""
        ...

    @hookspec
    def run_failed(self, ctx: c.Event) -> None:
        """When an error ends the run; facts hold the message."""
        ...
