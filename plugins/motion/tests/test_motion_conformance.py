"""Every component of motion goes through the kit, on short motions of a small body."""

from motion_toys import bodies

from scarce.testing import Case, Data, components

KEPT = {"direction": "noise is a body too: forward kinematics keeps every bone as long as it is"}

test_conformance = components(
    "scarce-motion",
    {
        "backbone motion-transformer": Case(options={"width": 16, "layers": 1, "heads": 2}),
        "evaluator r-precision": Case(options={"rows": 24, "steps": 40, "captions": 2, "repeats": 2}),
        "evaluator bone-length": Case(options={"rows": 4}, known_failures=KEPT),
    },
    data=Data(modality="motion", source=bodies(96), target="side", style="plain"),
)
