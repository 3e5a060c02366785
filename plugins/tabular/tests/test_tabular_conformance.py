"""Every component of tables goes through the kit, on the irises of scikit-learn."""

from scarce.testing import Case, Data, components

test_conformance = components(
    "scarce-tabular",
    {"learner mlp": Case(options={"steps": 60, "width": 32}), "learner catboost": Case(options={"iterations": 60})},
    data=Data(modality="tabular", source="builtin:iris", style="exact"),
)
