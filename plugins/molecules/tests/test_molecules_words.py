"""Captions and the properties they speak of, codecs, xTB, and evaluators on molecules whose answer is known."""

import numpy as np
import pandas as pd
import pytest

from scarce.contract import BaselineContext, CaptionContext, CodecContext, LoadContext
from scarce.errors import DataError, RecipeError
from scarce.runs.split import split
from scarce_molecules.caption import BINS, fifth
from scarce_molecules.chemnet import frechet, moments
from scarce_molecules.config import Molecules
from scarce_molecules.modality import Molecules as Modality
from scarce_molecules.properties import WORDS
from scarce_molecules.validity import shares

PARTS = (("C", "CC", "CO", "CN", "C(F)", "C(C)", "C(=O)C", "CS"), ("C", "C(C)", "C(F)"), ("O", "N", "c1ccccc1", "C#N"))
TEXTS = [f"{a}{b}{c}" for a in PARTS[0] for b in PARTS[1] for c in PARTS[2]]


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("SCARCE_CACHE", str(tmp_path_factory.getbasetemp() / "molecules"))


def prepared(target=None, **options):
    modality = Modality(Molecules(**options))
    data = split(modality.modality_load(LoadContext(source=pd.DataFrame({"smiles": TEXTS}), target=target, seed=0)), 0)
    return modality, data, modality.modality_codec(CodecContext(dataset=data, seed=0))


def numbers(text):
    """A caption of style "exact" read back."""
    found = dict(part.strip().rpartition(" ")[::2] for part in text.partition(": ")[2].split(","))
    return {name: float(found[word]) for name, word in WORDS.items() if word in found}


def bins(text):
    """A caption of style "binned" read back."""
    parts = [part.strip() for part in text.partition(": ")[2].split(",")]
    return {
        n: next(b for b in sorted(BINS, key=len, reverse=True) if p.endswith(b)) for n, w in WORDS.items() for p in parts if p.startswith(w)
    }


def test_captions_carry_what_they_say():
    modality, data, codec = prepared()
    said = {
        style: modality.modality_caption(CaptionContext(records=data.records, style=style, seed=0, ids=data.ids.tolist(), codec=codec))
        for style in ("exact", "binned", "paraphrase")
    }
    for caption in said["exact"]:
        assert numbers(caption.text) == {name: float(f"{value:.3g}") for name, value in caption.props.items()}
    for caption in said["binned"]:
        assert bins(caption.text) == {name: BINS[fifth(value, codec.edges[name])] for name, value in caption.props.items()}
    assert len({c.text for c in said["paraphrase"]}) > len({c.text for c in said["binned"]})
    assert all(all(word in c.text for word in (WORDS[n] for n in c.props)) for c in said["paraphrase"])
    assert [c.props for c in said["exact"]] == [c.props for c in said["paraphrase"]]
    with pytest.raises(RecipeError, match="caption styles"):
        modality.modality_caption(CaptionContext(records=data.records, style="poem", seed=0))


def test_a_record_that_is_no_molecule_has_a_caption_without_properties():
    modality, data, codec = prepared()
    lost = data.records.iloc[:2].copy()
    lost["smiles"] = [None, "CO.N"]
    for style in ("exact", "binned", "paraphrase", "user"):
        found = modality.modality_caption(CaptionContext(records=lost, style=style, seed=0, codec=codec))
        assert [dict(c.props) for c in found] == [{}, {}]


def test_the_codec_gives_back_molecules_and_measures_the_target():
    _, data, codec = prepared(target="logp")
    state = codec.encode(data.records)
    assert state.num[..., :3].sum(1).abs().max() < 1e-4
    assert float(
        np.sqrt((state.num[..., :3].numpy()[data.rows("train")][state.mask.numpy()[data.rows("train")]] ** 2).mean())
    ) == pytest.approx(1, abs=1e-3)
    back = codec.decode(state, None, 0)
    same = [a == b for a, b in zip(back["smiles"], data.records["smiles"], strict=True)]
    assert np.mean(same) >= 0.95
    assert np.allclose(back["logp"][same], data.records["logp"][same])
    state.num[:3, 0, :3] = state.num[:3, 1, :3]
    broken = codec.decode(state, None, 0)
    assert broken["smiles"].tolist()[:3] == [None] * 3
    assert np.isnan(broken["logp"].to_numpy(dtype=float)[:3]).all()
    assert len(broken) == len(data)
    with pytest.raises(DataError, match="room for"):
        codec.encode(pd.DataFrame({"atoms": [["C"] * 40], "charges": [[0] * 40], "xyz": [np.zeros((40, 3))]}))


def test_baselines_hold_copies_and_controls():
    modality, data, codec = prepared()
    found = modality.modality_baselines(BaselineContext(dataset=data, codec=codec, seed=0, n=60))
    known = set(data.records["smiles"].iloc[data.rows("train")])
    good = {name: shares(records, 60, known) for name, records in found.items()}
    print({name: {k: round(v, 2) for k, v in s.items()} for name, s in good.items()})
    assert good["bootstrap"]["valid"] == 1
    assert good["bootstrap"]["novel"] == 0
    assert good["brics"]["valid"] == 1
    assert good["brics"]["unique"] > 0.1
    assert good["shuffled-types"]["valid"] < good["jitter"]["valid"]
    assert good["shuffled-types"]["atom_stability"] < 1


def test_frechet_distance_of_gaussians():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4000, 3))
    assert frechet(moments(x), moments(x)) == pytest.approx(0, abs=1e-6)
    assert frechet(moments(x), moments(2 * x + 1)) == pytest.approx(3 + 3, rel=0.1)


def test_electrons_are_measured_once(tmp_path, monkeypatch):
    pytest.importorskip("tblite")
    from scarce_molecules import xtb

    monkeypatch.setenv("SCARCE_CACHE", str(tmp_path))
    _, data, _ = prepared()
    some = data.records.iloc[:6]
    first = xtb.quantum(some)
    monkeypatch.setattr(xtb, "singlepoint", lambda smiles, xyz: pytest.fail("measured again"))
    assert xtb.quantum(some) == first
    assert all(f["gap"] == pytest.approx(f["lumo"] - f["homo"]) and 0 < f["gap"] < 20 and f["dipole"] >= 0 for f in first)
    turned = some.assign(xyz=[x @ np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 1]]) for x in some["xyz"]])
    monkeypatch.undo()
    monkeypatch.setenv("SCARCE_CACHE", str(tmp_path))
    for a, b in zip(first, xtb.quantum(turned), strict=True):
        assert a["gap"] == pytest.approx(b["gap"], abs=0.02)
        assert a["dipole"] == pytest.approx(b["dipole"], abs=0.05)
    lost = some.assign(smiles=[None, *some["smiles"][1:]])
    assert xtb.quantum(lost)[0] == {}
