"""What plugins promise and receive; everything a plugin author imports from the core."""

# ruff: noqa: F403, F405 - the list below is the one place that says which names are public
from scarce.contract.columns import *
from scarce.contract.condition import *
from scarce.contract.contexts import *
from scarce.contract.dataset import *
from scarce.contract.generator import *
from scarce.contract.layers import *
from scarce.contract.learning import *
from scarce.contract.options import *
from scarce.contract.plan import *
from scarce.contract.protocols import *
from scarce.contract.results import *
from scarce.contract.space import *
from scarce.contract.specs import *

__all__ = [
    "AcquisitionSpec", "AdaptContext", "Adapter", "AdapterHandle", "Asked", "Attention", "Backbone", "BackboneContext", "BackboneSpec",
    "BaselineContext", "Block", "Branch", "BranchAdapter", "Budget", "Bundle", "Caption", "CaptionContext", "Codec",
    "CodecContext", "ComparedLearner", "Component", "Condition", "Conditioner", "ConditionerContext", "ConditionerSpec",
    "Dataset", "DifferentiableLearner", "Draw", "DrawContext", "Embedded", "EvaluatorContext", "EvaluatorSpec", "Event",
    "ExportContext", "FeatureLearner", "Figure", "Fitted", "Fitting", "Generator", "Guidance", "Known", "Learner",
    "LearnerContext", "LearnerSpec", "LifecycleSpec", "LoadContext", "Measure", "MeasureContext", "Metric", "ModalitySpec",
    "Options", "Part", "Phase", "Plan", "PlanContext", "Pool", "Predictions", "Prompt", "Rest", "Runtime", "ScoreContext", "Space", "State",
    "StochasticLearner", "StrategySpec", "Supervision", "Term", "TermContext", "TokenLearner", "TrainingPart",
    "UpdateContext", "UpdateResult", "View", "WriteContext", "as_predictions", "concat",
    "find_column", "hookimpl", "plain", "sinusoids", "take", "thinned", "usable_parts",
]  # fmt: skip
