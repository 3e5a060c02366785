"""Every component of molecules goes through the kit, on small alcohols and amines."""

import pandas as pd
import pytest

from scarce.testing import Case, Data, components


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("SCARCE_CACHE", str(tmp_path_factory.getbasetemp() / "molecules"))


def alcohols(n):
    """n molecules of 4 to 7 heavy atoms, which end in an alcohol or an amine, with a number that no one can measure."""
    chains = [
        f"{a}{b}{c}" for a in ("C", "CC", "CO", "CN", "C(F)", "C(C)", "C(=O)C", "CS") for b in ("C", "C(C)", "C(F)") for c in ("C", "CC")
    ]
    rows = [(f"{chain}{end}", side) for chain in chains for end, side in (("O", "alcohol"), ("N", "amine"))]
    return pd.DataFrame(rows, columns=["smiles", "side"]).iloc[:n].reset_index(drop=True)


test_conformance = components(
    "scarce-molecules",
    {
        "dataset moses": Case(data=Data(modality="molecules", options={"most": 60})),
        "dataset quantum": Case(skip="its conformers take a minute; its recipe's test reads it"),
        "learner forest": Case(options={"trees": 10}),
        "backbone egnn": Case(options={"width": 16, "layers": 2}),
        "evaluator predicted-control": Case(options={"trees": 5, "rows": 16}),
        "evaluator chemnet": Case(options={"rows": 10}, needs="fcd_torch"),
    },
    data=Data(modality="molecules", source=alcohols(96), target="side", style="binned"),
)
