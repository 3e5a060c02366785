"""Every component of series goes through the kit, on short series that rise or fall."""

from scarce.testing import Case, Data, components
from scarce.testing.toys import sequences

test_conformance = components(
    "scarce-timeseries",
    {"learner conv": Case(options={"steps": 40, "channels": 16}), "evaluator discriminative": Case(options={"steps": 20, "channels": 8})},
    data=Data(modality="timeseries", source=sequences(96), target="side", style="exact"),
)
