"""Strategies, conditioner, evaluators and recipes go through the kit."""

from scarce.testing import Case, Data, components

COST = {"direction": "gradient_evaluations counts the work of training, whatever the samples are"}

test_conformance = components(
    "scarce-text2data",
    {
        "strategy two-stage": Case(options={"steps": 20}),
        "evaluator controllability": Case(data=Data(modality="kit-vector", style="plain")),
        "evaluator forgetting": Case(options={"draws": 2}, known_failures=COST),
    },
)
