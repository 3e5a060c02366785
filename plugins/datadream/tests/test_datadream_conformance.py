"""Strategies, learner and evaluators go through the kit; the CLIP is a random one of two layers."""

from scarce.testing import Case, Data, components
from scarce.testing.toys import pictures

SHOTS = {"epochs": 10, "rate": 0.01, "warmup": 1}
BANDS = Data(modality="images", source=pictures(96), target="side", options={"size": 16}, style="class")

test_conformance = components(
    "scarce-datadream",
    {
        "strategy all-classes": Case(options=SHOTS),
        "strategy per-class": Case(options=SHOTS),
        "strategy varied": Case(
            options={"mirror": False, "colours": {"red": "#d92121", "blue": "#2b57d9"}}, data=Data(modality="kit-image")
        ),
        "strategy prior-preservation": Case(options={"each": 1}, data=Data(modality="kit-image")),
        "learner clip": Case(
            options=lambda request: {
                "source": str(request.getfixturevalue("clip_folder")),
                "steps": 30,
                "batch": 8,
                "rank": 2,
                "rate": 1e-2,
            },
            data=BANDS,
        ),
    },
)
