"""Every component of texts goes through the kit, on short texts about fruit and tools."""

import numpy as np
import pandas as pd

from scarce.testing import Case, Data, components


def texts(n):
    rng = np.random.default_rng(0)
    kinds = np.array(["fruit", "tools"], dtype=object)[np.arange(n) % 2]
    nouns = [rng.choice(["apple", "pear"] if kind == "fruit" else ["saw", "drill"]) for kind in kinds]
    return pd.DataFrame(
        {"text": [f"my {noun} {noun} is {rng.choice(['old', 'new'])} {i} ." for i, noun in enumerate(nouns)], "kind": kinds}
    )


NEVER = "texts are learnt from, never generated: there are no decoded records to check with"


def encoder(request):
    return {"source": request.getfixturevalue("encoders")["distilbert"], "rate": 0.02, "hidden": 8, "steps": 60, "max_tokens": 16}


def failing(*checks):
    return dict.fromkeys(checks, NEVER)


test_conformance = components(
    "scarce-text",
    {
        "modality text": Case(known_failures=failing("round-trip", "one-record", "same-seed", "global-random", "memory", "inputs-kept")),
        "learner text": Case(options=encoder, known_failures=failing("zero-weight")),
        "evaluator text-accuracy": Case(known_failures=failing("direction", "no-samples")),
    },
    data=Data(modality="text", source=texts(96), target="kind", style="keywords"),
)
