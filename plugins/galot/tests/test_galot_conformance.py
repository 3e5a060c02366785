"""Scores, evaluator, recipes and command go through the kit."""

from scarce.testing import Case, components

test_conformance = components(
    "scarce-galot",
    {
        "recipe galot/sd21": Case(
            known_failures={"recipe:answers": "Stable Diffusion 2.1 has to be there, so nothing of it takes seconds"}
        ),
        "recipe galot/transfer": Case(known_failures={"recipe:ready": "it begins at a finished run, which only --set can name"}),
    },
)
