"""What plugins promise and receive; everything a plugin author imports from the core."""

from scarce.contract.condition import Caption, Condition, Embedded, Prompt
from scarce.contract.contexts import (
    AdaptContext,
    BackboneContext,
    BaselineContext,
    CaptionContext,
    CodecContext,
    ConditionerContext,
    DrawContext,
    EvaluatorContext,
    Event,
    LearnerContext,
    LoadContext,
    MeasureContext,
    PlanContext,
    ScoreContext,
    TermContext,
    UpdateContext,
    UpdateResult,
    WriteContext,
)
from scarce.contract.dataset import Dataset, concat, take
from scarce.contract.generator import Generator
from scarce.contract.options import Component, Options
from scarce.contract.plan import Adapter, Budget, Measure, Phase, Plan, Term
from scarce.contract.protocols import (
    AdapterHandle,
    Backbone,
    Bundle,
    Codec,
    Conditioner,
    DifferentiableLearner,
    Draw,
    Fitted,
    Fitting,
    Learner,
    Predictions,
    Runtime,
    TrainingPart,
)
from scarce.contract.results import Figure, Metric
from scarce.contract.space import Block, Known, Space, State
from scarce.contract.specs import (
    AcquisitionSpec,
    BackboneSpec,
    ConditionerSpec,
    EvaluatorSpec,
    LearnerSpec,
    LifecycleSpec,
    ModalitySpec,
    StrategySpec,
    hookimpl,
)

__all__ = [
    "AcquisitionSpec", "AdaptContext", "Adapter", "AdapterHandle", "Backbone", "BackboneContext", "BackboneSpec",
    "BaselineContext", "Block", "Budget", "Bundle", "Caption", "CaptionContext", "Codec", "CodecContext", "Component",
    "Condition", "Conditioner", "ConditionerContext", "ConditionerSpec", "Dataset", "DifferentiableLearner", "Draw",
    "DrawContext", "Embedded", "EvaluatorContext", "EvaluatorSpec", "Event", "Figure", "Fitted", "Fitting", "Generator",
    "Known", "Learner", "LearnerContext", "LearnerSpec", "LifecycleSpec", "LoadContext", "Measure", "MeasureContext",
    "Metric", "ModalitySpec", "Options", "Phase", "Plan", "PlanContext", "Predictions", "Prompt", "Runtime",
    "ScoreContext", "Space", "State", "StrategySpec", "Term", "TermContext", "TrainingPart", "UpdateContext",
    "UpdateResult", "WriteContext", "concat", "hookimpl", "take",
]  # fmt: skip
